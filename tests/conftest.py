"""One thread per process, for the networks of the tests are too small for two; and no time limit on a busy machine."""

import os
import signal

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Everybody's run tries the same examples, so that what fails is the change and not bad luck.
FULL = os.environ.get("DMDBT_FULL_TESTS") == "1"
settings.register_profile("same for all", deadline=None, derandomize=True)
settings.register_profile("new ones each time", deadline=None, max_examples=1000)
settings.load_profile("new ones each time" if FULL else "same for all")
# A shell starts what runs in the background with interrupts ignored, and every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
    """The file that takes longest comes first, so that processes that share the files end together."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")
