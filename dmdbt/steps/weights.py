"""One backbone: its weights from ImageNet, a local file, or a pre-training on procedural shapes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dmdbt import params
from dmdbt.backbones import (
    Weights,
    imagenet_weights,
    is_written,
    local_file,
    local_weights,
    pretrain,
    published,
    write_weights,
)
from dmdbt.files import sha256
from dmdbt.running import code_fingerprint, redo


class _Source(NamedTuple):
    """How to get weights, and what decides them beside the code."""

    make: Callable[[], Weights]
    decisive: dict[str, int] | dict[str, str]


def make_weights(
    backbone: str, output: Path, provenance: Path, backbones: params.Backbones, settings: params.Weights
) -> None:
    """Write the state dict of a backbone, and as JSON its source, architecture, SHA-256 and what decided it.

    DVC starts the stage when the source of any backbone changes; what the same code wrote with the same parameters is
    kept.

    Parameters
    ----------
    backbone
        Name of the backbone.
    output, provenance
        Files to write.
    backbones, settings
        Sections of ``params.yaml``: the source, and the budget of the pre-training.
    """
    checkpoint = published(backbone, backbones.resnet_depth)
    source = _source(backbone, backbones, settings)
    parameters = {
        "source": backbones.source(backbone),
        "architecture": checkpoint.architecture,
        **source.decisive,
    }
    made_by = code_fingerprint(source.make, parameters)
    if not redo() and is_written(made_by, output=output, provenance=provenance):
        print(f"weights {backbone}: kept")
        return
    weights = source.make()
    origin = {**weights.origin, "fingerprint": made_by}
    write_weights(weights._replace(origin=origin), checkpoint.architecture, output=output, provenance=provenance)


def _source(backbone: str, backbones: params.Backbones, settings: params.Weights) -> _Source:
    source, depth = backbones.source(backbone), backbones.resnet_depth
    if source == "procedural":
        budget = {
            "steps": params.for_backbone(settings.steps, backbone, key="weights.steps"),
            "batch_size": settings.batch_size,
            "image_size": settings.image_size,
            "seed": settings.seed,
        }
        return _Source(partial(_procedural, backbone, depth, budget), budget)
    if source == "imagenet":
        return _Source(partial(imagenet_weights, backbone, depth), {"checkpoint": published(backbone, depth).name})
    decisive = {"file_sha256": sha256(local_file(source, backbone))}
    return _Source(partial(local_weights, source, backbone, depth), decisive)


def _procedural(backbone: str, resnet_depth: int, budget: dict[str, int]) -> Weights:
    state_dict, loss = pretrain(backbone, resnet_depth, **budget)
    return Weights(state_dict, {"source": "procedural", **budget, "final_loss": loss})
