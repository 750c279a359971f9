"""``dmdbt serve`` as a process: how it begins and how it ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from dmdbt.__main__ import main
from tests.support import ROOT
from tests.support.service import Running

pytestmark = pytest.mark.system


@pytest.fixture
def home():
    """A new home, with a short name: paths of sockets in its temporary folder may have 107 characters."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "tmp").mkdir()
        yield Path(folder)


@pytest.fixture
def started(bundle, home):
    """The command at a free port, from an empty home; and all that it wrote there."""
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dmdbt", "serve", "--model", str(bundle), "--port", "0"]
    process = subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    printed = []
    while "Open http" not in (line := process.stdout.readline()):
        assert line, printed
        printed.append(line)
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)/ ", line)[1])
    yield process, Running(port, next((home / "tmp").glob("dmdbt-serve-*"))), "".join([*printed, line])
    process.kill()
    process.communicate()


def test_a_service_says_what_it_is_and_listens_on_this_machine_alone(started):
    process, service, printed = started
    assert "Research software, not a medical device." in printed
    assert "alexnet, squeezenet; 3 folds; 9 patients" in printed
    assert service.ask("/").status == 200
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", service.port)):
        pass
    found = [c.laddr for c in psutil.Process(process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert found == [("127.0.0.1", service.port)]


def end(process, number, home):
    """End it by a signal; return the exit code. Nothing may have been printed, and nothing may be left."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert printed == ""
    assert list((home / "tmp").iterdir()) == []
    assert list(home.iterdir()) == [home / "tmp"]
    assert psutil.wait_procs(children, timeout=30)[1] == []
    return process.returncode


@pytest.mark.slow
def test_nothing_is_written_but_its_folder_and_no_name_is_printed(started, cohort, home):
    process, service, _ = started
    image = (cohort / "1.dcm").read_bytes()
    assert service.result(("dm", "DoeJane.dcm", image), ("patient", "DoeJane"))[1].status == 200
    assert service.result(("dm", "DoeJane.dcm", b"nonsense"))[1].status == 422
    assert [path for path in service.folder.rglob("*") if "Doe" in path.name] == []
    assert end(process, signal.SIGINT, home) == 130


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGTERM)]
)
def test_at_its_end_its_folder_and_its_work_are_gone(started, cohort, home, number, code):
    process, service, _ = started
    address = service.send(("dm", "a.dcm", (cohort / "1.dcm").read_bytes())).headers["location"]
    while service.ask(f"{address}.json").json != {"state": "working"}:
        time.sleep(0.01)
    assert end(process, number, home) == code


@pytest.mark.slow
def test_if_it_is_killed_its_work_ends_too(started, cohort):
    process, service, _ = started
    service.send(("dm", "a.dcm", (cohort / "1.dcm").read_bytes()))
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_port_in_use_is_told(bundle, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--model", str(bundle), "--port", str(port)]) == 4
    error = capsys.readouterr().err
    assert error.startswith(f"expected to listen at 127.0.0.1:{port}, found: Address already in use")
    assert error.endswith("Choose another port: --port.\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "70000"], "--port: expected 0 to 65535, got 70000"),
        (["--folder", "none"], "--folder: expected a folder, got 'none'"),
    ],
)
def test_options_that_make_no_sense_are_refused(bundle, capsys, options, words):
    assert main(["serve", "--model", str(bundle), *options]) == 2
    assert words in capsys.readouterr().err


def test_there_is_no_other_address_to_listen_at(bundle, capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--model", str(bundle), "--host", "0.0.0.0"])
    assert "unrecognized arguments: --host" in capsys.readouterr().err


def test_a_damaged_bundle_is_refused_before_the_first_pair(bundle, tmp_path, capsys):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    head = next(folder.rglob("dm.safetensors"))
    content = bytearray(head.read_bytes())
    content[-1] ^= 1
    head.write_bytes(content)
    assert main(["serve", "--model", str(folder)]) == 5
    assert "E-BUNDLE-CHANGED" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "python_multipart"])
def test_without_the_extra_a_sentence_says_what_to_install(bundle, capsys, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    assert main(["serve", "--model", str(bundle)]) == 4
    assert capsys.readouterr().err == f"expected {name}, found none. Run: pip install 'dmdbt[serve]'\n"
