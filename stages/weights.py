"""Weights of one frozen backbone: ImageNet's, a local file's, or from pre-training on procedural shapes."""

from pathlib import Path

from dmdbt import params
from dmdbt.errors import ParameterError
from dmdbt.features import Weights, architecture, imagenet_weights, local_weights, pretrain, write_weights
from stages._entry import run


def main(backbone: str, output: Path, provenance: Path, backbones: params.Backbones, settings: params.Weights) -> None:
    """Write the state dict of a backbone, and as JSON its source, architecture and SHA-256."""
    try:
        torchvision_name = architecture(backbone, backbones.resnet_depth)
    except ValueError as exc:
        raise ParameterError("backbones.names", expected="known backbones", found=backbone, remedy=str(exc)) from exc
    if backbones.weights == "procedural":
        found = _procedural(backbone, backbones.resnet_depth, settings)
    elif backbones.weights == "imagenet":
        found = imagenet_weights(backbone, backbones.resnet_depth)
    else:
        found = local_weights(backbones.weights, backbone, backbones.resnet_depth)
    write_weights(found, torchvision_name, output=output, provenance=provenance)


def _procedural(backbone: str, resnet_depth: int, settings: params.Weights) -> Weights:
    budget = {
        "steps": params.for_backbone(settings.steps, backbone, key="weights.steps"),
        "batch_size": settings.batch_size,
        "image_size": settings.image_size,
        "seed": settings.seed,
    }
    state_dict, loss = pretrain(backbone, resnet_depth, **budget)
    return Weights(state_dict, {"source": "procedural", **budget, "final_loss": loss})


if __name__ == "__main__":
    run(main)
