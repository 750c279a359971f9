"""Software, hardware, decoders and weights of this machine."""

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from av import ffmpeg_version_info

from dmdbt import params
from dmdbt.doctor.decoders import AVI_CODECS, OPTIONAL, SYNTAXES, codec_available, is_available
from dmdbt.doctor.report import Section
from dmdbt.running import free_memory, worker_count

_PACKAGES = ("torch", "torchvision", "av", "pydicom", "pillow", "numpy", "h5py", "dvc")


def software() -> Section:
    """Versions, the GPU, and whether torchvision loads by itself."""
    import torch  # here, for it takes seconds and the cohort's section needs none of it

    from dmdbt.features import torchvision_operators

    by_itself = hasattr(torch.ops.torchvision, "roi_align")  # is not among the operators that are declared
    name = torchvision_operators.models.__name__.partition(".")[0]
    lines = [
        f"Python {platform.python_version()}, " + ", ".join(f"{package} {_version(package)}" for package in _PACKAGES),
        f"CUDA: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'no, networks run on the CPU'}",
        f"{name}: " + ("loads by itself" if by_itself else "loads with its operators declared, which no backbone uses"),
    ]
    return Section("Software", tuple(lines))


def hardware(folder: Path) -> Section:
    """Cores, and what is free of memory and of the disk of a folder."""
    lines = (
        f"{worker_count()} cores, {free_memory() / 2**30:.1f} GiB of memory free",
        f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB of disk free here",
    )
    return Section("Hardware", lines)


def decoders() -> Section:
    """What can be read; what is needed and cannot be is missing, with the command that installs it."""
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


def weights(path: Path) -> Section:
    """Where the weights of each backbone of a ``params.yaml`` are; nothing is downloaded."""
    from dmdbt.features.backbones import architecture  # here, for it imports torch

    settings = params.read(params.Backbones, path)
    lines, missing = [], []
    for name in settings.names:
        try:
            full_name = architecture(name, settings.resnet_depth)
        except ValueError:
            missing.append(f"weights of {name}: correct backbones.names in params.yaml, there is no such backbone")
            continue
        if settings.weights == "procedural":
            lines.append(f"{name}: made here by the stage weights")
        elif settings.weights == "imagenet":
            lines.append(f"{name}: {_imagenet(full_name)}")
        elif Path(settings.weights.replace("{backbone}", name)).is_file():
            lines.append(f"{name}: in the file of backbones.weights")
        else:
            missing.append(f"weights of {name}: correct backbones.weights in params.yaml, there is no such file")
    return Section("Weights", tuple(lines), missing=tuple(missing))


def _imagenet(full_name: str) -> str:
    import torch

    from dmdbt.features.torchvision_operators import models

    file = next(iter(models.get_model_weights(full_name))).url.rpartition("/")[2]
    found = (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file()
    return f"{file} {'found' if found else 'not found: the stage weights downloads it'}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
