"""Ask which area of the input a cell of the feature maps depends on, and whether it lies where the cell is drawn.

Run after ``dvc repro``: ``python -m benchmarks.receptive_field``, or with ``--data FOLDER``. Prints for the cell in the
middle of each backbone's maps how far the center of its sensitivity lies from the center of its tile, and the standard
deviation, in cells along a column. Sensitivity is the squared gradient of the norm of the cell's features, averaged
over images of noise.
"""

import argparse
from pathlib import Path

import torch

from dmdbt import params
from dmdbt.backbones import build_backbone
from dmdbt.backbones.architectures import normalize

_IMAGES, _COARSE = 20, 8  # noise of single pixels and of squares of 8 x 8, blurred


def main() -> None:
    """Print one row per backbone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the pipeline's outputs")
    data, backbones, sizes = parser.parse_args().data, params.read(params.Backbones), params.read(params.Features).size
    print("| backbone | input | cells | offset | deviation |\n| --- | ---: | ---: | ---: | ---: |")
    for name in backbones.names:
        network = build_backbone(name, data / f"weights/{name}.safetensors", resnet_depth=backbones.resnet_depth)
        size = params.for_backbone(sizes, name, key="features.size")
        cells, offset, deviation = sensitivity(network.eval(), size)
        print(f"| {name} | {size} | {cells} | {offset:.2f} | {deviation:.2f} |", flush=True)


def sensitivity(network: torch.nn.Module, size: int) -> tuple[int, float, float]:
    """Return the number of cells along a side, and offset and standard deviation in cells along rows."""
    generator = torch.Generator().manual_seed(0)
    of_row, cells = torch.zeros(size), 0
    for _ in range(_IMAGES):
        coarse = torch.rand(1, 1, size // _COARSE, size // _COARSE, generator=generator)
        coarse = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
        image = ((torch.rand(1, 1, size, size, generator=generator) + coarse) / 2).requires_grad_()
        features = network(normalize(image))
        cells = features.shape[-1]
        (gradient,) = torch.autograd.grad(features[0, :, cells // 2, cells // 2].norm(), image)
        of_row += gradient[0, 0].square().sum(dim=1)
    rows = (torch.arange(size) + 0.5) / size * cells - (cells // 2 + 0.5)  # from the center of the tile
    share = of_row / of_row.sum()
    offset = (share * rows).sum()
    return cells, offset.item(), (share * (rows - offset).square()).sum().sqrt().item()


if __name__ == "__main__":
    main()
