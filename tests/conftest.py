"""One thread per process, for the networks of the tests are too small for two; and no time limit on a busy machine."""

import multiprocessing
import os
import signal

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Everybody's run tries the same examples, so that what fails is the change and not bad luck.
settings.register_profile("same for all", deadline=None, derandomize=True)
settings.register_profile("new ones each time", deadline=None, max_examples=1000)
PRELOAD = ("dmdbt.baselines", "dmdbt.features", "dmdbt.heads", "dmdbt.rankpool", "dmdbt.readers")
# A shell starts what runs in the background with interrupts ignored, nohup with hang-ups; every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser):
    group = parser.getgroup("dmdbt", "how thorough the tests of dmdbt are")
    group.addoption(
        "--full",
        action="store_true",
        help="try 1,000 new examples of each property, and files of up to 1.3 GB",
    )
    mutations = "damaged files of each corpus (default: 150; with --full 2,100)"
    group.addoption("--mutations", type=int, metavar="N", help=mutations)
    group.addoption("--kills", type=int, default=3, metavar="N", help="kills of one import (default: %(default)s)")


@pytest.hookimpl(tryfirst=True)  # Hypothesis's own option goes before
def pytest_configure(config):
    full = config.getoption("--full")
    settings.load_profile("new ones each time" if full else "same for all")
    if config.getoption("--mutations") is None:
        config.option.mutations = 2100 if full else 150


@pytest.fixture(scope="session", autouse=True)
def preloaded():
    """Let the server that all workers fork from know what any stage needs: the first stage of a test process starts it.

    Otherwise every worker of the other stages imports torch for itself.
    """
    context = multiprocessing.get_context("forkserver")
    preload = context.set_forkserver_preload
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "set_forkserver_preload", lambda modules: preload(sorted({*modules, *PRELOAD})))
        yield


@pytest.fixture
def only_in_full(pytestconfig):
    """Skip a test that takes minutes or gigabytes."""
    if not pytestconfig.getoption("--full"):
        pytest.skip("--full runs it: it takes a minute, and up to 1.3 GB on disk")


@pytest.fixture
def one_thread(monkeypatch):
    """Pre-train in one thread: a second one on a busy machine costs more than it saves."""
    monkeypatch.setattr("dmdbt.backbones.procedural.THREADS", 1)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Give torch.hub an empty folder, and no way to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that processes that share the files end together."""
    long = {item.path for item in items if item.get_closest_marker("system") or item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", item.path not in long))
