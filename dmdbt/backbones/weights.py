"""Weights of a backbone from a checkpoint of torchvision or a local file, and how they are stored."""

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dmdbt.backbones.architectures import architecture, create_classifier, feature_extractor
from dmdbt.backbones.checkpoints import Checkpoint, download, find, kinetics, published
from dmdbt.backbones.torchvision_operators import models
from dmdbt.errors import IntegrityError, ParameterError
from dmdbt.files import sha256, whole_file, write_json

_SETTING = "backbones.weights"
# torchvision's checkpoints of DenseNet are older than its code: "denselayer1.norm.1.weight" is now "norm1.weight".
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# What is no pickle makes the unpickler raise almost anything.
_UNREADABLE = (
    OSError,
    EOFError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    SafetensorError,
)


class Weights(NamedTuple):
    """State dict of a backbone under torchvision's names, and where it came from."""

    state_dict: dict[str, Tensor]
    origin: Mapping[str, object]


def imagenet_weights(name: str, resnet_depth: int = 50) -> Weights:
    """Return torchvision's weights, the first that it published for an architecture (``IMAGENET1K_V1``).

    The checkpoint is found or downloaded by `dmdbt.backbones.checkpoints`, whose errors apply. It is compared with its
    SHA-256 each time, and never unpickled beyond tensors.
    """
    file, origin = _located(published(name, resnet_depth))
    return Weights(_backbone_part(file, name, resnet_depth), {"source": "imagenet", **origin})


def kinetics_weights() -> Weights:
    """Return torchvision's weights of a classifier of videos, trained on Kinetics-400, its last layer included.

    The checkpoint is found and verified as by `imagenet_weights`, whose errors apply.
    """
    checkpoint = kinetics()
    file, origin = _located(checkpoint)
    with torch.device("meta"):
        expected = models.get_model(checkpoint.architecture, weights=None).state_dict()
    return Weights(_checked(file, checkpoint.architecture, expected, expected), {"source": "kinetics400", **origin})


def local_weights(source: str, name: str, resnet_depth: int = 50) -> Weights:
    """Return the weights in a file: a whole classifier of any number of classes, or a backbone alone.

    The file holds a state dict under torchvision's names: ``.safetensors``, or else a file of `torch.save`, of which
    nothing but tensors is read. ``{backbone}`` in its path stands for `name`.

    Raises
    ------
    ParameterError
        There is no such file.
    IntegrityError
        It is damaged, or of another architecture.
    """
    file = local_file(source, name)
    origin = {"source": "file", "file": file.name, "file_sha256": sha256(file)}
    return Weights(_backbone_part(file, name, resnet_depth), origin)


def local_file(source: str, name: str) -> Path:
    """Return the file that a source names for a backbone; ParameterError if there is none."""
    file = Path(source.replace("{backbone}", name))
    if not file.is_file():
        raise ParameterError(
            f"{_SETTING}.{name}",
            expected="imagenet, procedural or an existing file",
            found=str(file),
            remedy="Correct the path; {backbone} in it stands for the backbone's name.",
        )
    return file


def write_weights(weights: Weights, architecture: str, *, output: Path, provenance: Path) -> None:
    """Write the state dict as safetensors, and its origin, architecture and SHA-256 as JSON."""
    tensors = {key: tensor.contiguous() for key, tensor in sorted(weights.state_dict.items())}
    with whole_file(output) as temporary:
        save_file(tensors, temporary)
    write_json(provenance, {**weights.origin, "architecture": architecture, "sha256": sha256(output)})


def is_written(fingerprint: str, *, output: Path, provenance: Path) -> bool:
    """Return whether `write_weights` wrote both files, with this fingerprint, and they are undamaged."""
    try:
        record = json.loads(provenance.read_bytes())
        return (record["fingerprint"], record["sha256"]) == (fingerprint, sha256(output))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _located(checkpoint: Checkpoint) -> tuple[Path, dict[str, str]]:
    """The file of a checkpoint, and what it is."""
    found = find(checkpoint) or download(checkpoint)
    origin = {"checkpoint": checkpoint.name, "checkpoint_sha256": found.sha256, "found_in": found.where}
    return found.file, {"weights": checkpoint.weights, **origin, **found.licences}


def _backbone_part(file: Path, name: str, resnet_depth: int) -> dict[str, Tensor]:
    """Read a state dict, check every key and shape, and leave out the fully connected layers."""
    classifier = create_classifier(name, resnet_depth)
    backbone = feature_extractor(classifier)
    known = _checked(file, architecture(name, resnet_depth), backbone.state_dict(), classifier.state_dict())
    backbone.load_state_dict(known, strict=True)
    return backbone.state_dict()


def _checked(
    file: Path, architecture: str, expected: Mapping[str, Tensor], allowed: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors of a file that are `expected`; no other may be there but those `allowed`."""
    stored = {_OLD_DENSENET.sub(r"\1", key): tensor for key, tensor in _read(file).items()}
    # Checkpoints that are older than this counter lack it, and nothing uses it.
    needed = {key: tensor for key, tensor in expected.items() if not key.endswith("num_batches_tracked")}
    fitting = [key for key in needed if key in stored and stored[key].shape == expected[key].shape]
    floats = [key for key in fitting if stored[key].dtype in _FLOATS]  # of others, or larger ones, nothing is computed
    faults = {
        "missing": [key for key in needed if key not in stored],
        "unknown": [key for key in stored if key not in allowed],
        "of another shape": [key for key in expected if key in stored and stored[key].shape != expected[key].shape],
        "not of floats": [key for key in fitting if key not in floats],
        "not finite": [key for key in floats if not torch.isfinite(stored[key]).all()],
    }
    found = [f"{len(keys)} {fault} ({', '.join(keys[:3])})" for fault, keys in faults.items() if keys]
    if found:
        raise _unusable(file, f"the tensors of {architecture}", "; ".join(found))
    return {key: stored[key] for key in expected if key in stored}


def _read(file: Path) -> Mapping[str, Tensor]:
    try:
        stored_safely = file.suffix == ".safetensors"
        content: object = load_file(file) if stored_safely else torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as exc:
        # torch goes on to recommend loading without `weights_only`, which would run code of the file.
        found = f"{type(exc).__name__}: {str(exc).partition('. ')[0][:200]}"
        raise _unusable(file, "a whole file of tensors alone", found) from exc
    if not isinstance(content, Mapping) or not all(_is_named_tensor(*item) for item in content.items()):
        raise _unusable(file, "a state dict, that is tensors by name", type(content).__name__ + " of other things")
    return content


def _is_named_tensor(key: object, value: object) -> bool:
    if not isinstance(key, str) or not isinstance(value, Tensor):
        return False
    is_plain = value.layout is torch.strided and not (value.is_complex() or value.is_quantized or value.is_nested)
    return is_plain and value.device.type == "cpu"


def _unusable(file: Path, expected: str, found: str) -> IntegrityError:
    cause = f"expected {expected}, got {' '.join(found.split())}"
    remedy = (
        f"Save model.state_dict() of the torchvision model anew, or set {_SETTING} to a local file or to procedural."
    )
    return IntegrityError("WEIGHTS", file=file.name, cause=cause, remedy=remedy)
