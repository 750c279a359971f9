"""Trained heads as files: ``<head>.safetensors``, the state dict, and ``<head>.json``, what it is and expects.

The JSON object MUST hold ``format`` ("dmdbt head"), ``version`` (1), ``head``, ``classes`` (of the outputs, in their
order), ``feature_shape`` (C, H, W), ``filters``, ``hidden``, ``dropout`` and ``activation`` (see `HeadSettings`), and
of the feature maps that it was trained on ``backbone``, ``weights_sha256`` and ``input_size``.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dmdbt.errors import IntegrityError
from dmdbt.files import whole_file, write_json
from dmdbt.heads.networks import HeadSettings, build_head
from dmdbt.terms import Head, Label

_FORMAT, _VERSION = "dmdbt head", 1
_CLASSES = [str(label) for label in Label]


@dataclass(frozen=True)
class ModelInput:
    """The feature maps that a head was trained on: their shape (C, H, W), and what made them."""

    feature_shape: tuple[int, int, int]
    backbone: str
    weights_sha256: str
    input_size: int


def write_head(folder: Path, head: Head, network: nn.Module, settings: HeadSettings, trained_on: ModelInput) -> None:
    """Write both files of a head that `read_head` reads."""
    with whole_file(folder / f"{head}.safetensors") as temporary:
        save_file(network.state_dict(), temporary)
    made_by = {"format": _FORMAT, "version": _VERSION, "head": str(head), "classes": _CLASSES}
    filters = {"filters": settings.filters or trained_on.feature_shape[0]}
    write_json(folder / f"{head}.json", made_by | asdict(settings) | filters | asdict(trained_on))


def read_head(folder: Path, head: Head) -> tuple[nn.Module, ModelInput]:
    """Read a head, in eval mode on the CPU, and what it was trained on.

    Raises
    ------
    IntegrityError
        A file is missing, damaged, of another format, or does not fit the other.
    """
    path = folder / f"{head}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        made_by = record["format"], record["version"], record["head"], record["classes"]
        if made_by != (_FORMAT, _VERSION, str(head), _CLASSES):
            raise ValueError(f"{made_by}")
        channels, rows, columns = record["feature_shape"]
        hidden = tuple(record["hidden"])
        settings = HeadSettings(record["filters"], hidden, record["dropout"], record["activation"])
        trained_on = ModelInput(
            (channels, rows, columns), record["backbone"], record["weights_sha256"], record["input_size"]
        )
        with torch.device("meta"):  # no random numbers for weights that are replaced at once
            network = build_head(head, trained_on.feature_shape, settings)
        network.load_state_dict(load_file(folder / f"{head}.safetensors"), strict=True, assign=True)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as exc:
        found = f"{type(exc).__name__}: {' '.join(str(exc).split())[:200]}"
        raise IntegrityError(
            "MODEL",
            file=path.name,
            cause=f"expected the {head} head in {_FORMAT} {_VERSION}, found {found}",
            remedy="Run the stage train again.",
        ) from exc
    return network.eval(), trained_on
