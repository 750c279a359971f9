"""Weights of one frozen backbone: ImageNet's, a local file's, or from pre-training on procedural shapes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

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
from dmdbt.running import recipe, redo
from stages._entry import run

_CODE = (
    "dmdbt.backbones.architectures",
    "dmdbt.backbones.procedural",
    "dmdbt.backbones.shapes",
    "dmdbt.backbones.torchvision_operators",
    "dmdbt.backbones.weights",
    "stages.weights",
)


def main(backbone: str, output: Path, provenance: Path, backbones: params.Backbones, settings: params.Weights) -> None:
    """Write the state dict of a backbone, and as JSON its source, architecture, SHA-256 and recipe.

    DVC starts this stage when the source of any backbone changes: what an equal recipe wrote is kept.
    """
    source, depth = backbones.source(backbone), backbones.resnet_depth
    checkpoint = published(backbone, depth)
    decisive: dict[str, int] | dict[str, str]
    make: Callable[[], Weights]
    if source == "procedural":
        decisive = _budget(backbone, settings)
        make = partial(_procedural, backbone, depth, decisive)
    elif source == "imagenet":
        decisive = {"checkpoint": checkpoint.name}
        make = partial(imagenet_weights, backbone, depth)
    else:
        decisive = {"file_sha256": sha256(local_file(source, backbone))}
        make = partial(local_weights, source, backbone, depth)
    made_by = recipe(_CODE, {"source": source, "architecture": checkpoint.architecture, **decisive})
    if not redo() and is_written(made_by, output=output, provenance=provenance):
        print(f"weights {backbone}: kept")
        return
    weights = make()
    origin = {**weights.origin, "recipe": made_by}
    write_weights(weights._replace(origin=origin), checkpoint.architecture, output=output, provenance=provenance)


def _budget(backbone: str, settings: params.Weights) -> dict[str, int]:
    return {
        "steps": params.for_backbone(settings.steps, backbone, key="weights.steps"),
        "batch_size": settings.batch_size,
        "image_size": settings.image_size,
        "seed": settings.seed,
    }


def _procedural(backbone: str, resnet_depth: int, budget: dict[str, int]) -> Weights:
    state_dict, loss = pretrain(backbone, resnet_depth, **budget)
    return Weights(state_dict, {"source": "procedural", **budget, "final_loss": loss})


if __name__ == "__main__":
    run(main)
