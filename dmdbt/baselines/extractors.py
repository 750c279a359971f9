"""Frozen networks whose output is small enough to be kept for every slice."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dmdbt.features import extract


class BlockMeans(nn.Module):
    """Mean over rows and columns of what each max-pool of VGG gives, one after the other.

    Parameters
    ----------
    backbone
        VGG's convolutions as `dmdbt.features.build_backbone` returns them: without the last max-pool, which is added.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(module for module in backbone.modules() if not list(module.children()))
        self.layers.append(nn.MaxPool2d(kernel_size=2, stride=2))

    def forward(self, images: Tensor) -> Tensor:
        """Return shape (N, C, 1, 1) of images (N, 3, H, W); C is 64 + 128 + 256 + 512 + 512 = 1472 for VGG19."""
        means = []
        for layer in self.layers:
            images = layer(images)
            if isinstance(layer, nn.MaxPool2d):
                means.append(images.mean(dim=(2, 3), keepdim=True))
        return torch.cat(means, dim=1)


def pooled_alexnet(backbone: nn.Module, grid: int) -> nn.Module:
    """Return AlexNet's convolutions with its last max-pool and an average over a grid.

    Parameters
    ----------
    backbone
        AlexNet as `dmdbt.features.build_backbone` returns it, without its last max-pool.
    grid
        Rows and columns of the output, 6 in torchvision's classifier.

    Returns
    -------
    Module
        Maps float images (N, 3, H, W) to (N, 256, grid, grid).
    """
    return nn.Sequential(backbone, nn.MaxPool2d(kernel_size=3, stride=2), nn.AdaptiveAvgPool2d(grid)).eval()


def extract_stack(network: nn.Module, images: np.ndarray, copies: Sequence[str], *, at_once: int) -> np.ndarray:
    """Run a network over K images, a few at a time, and put its maps below each other.

    Parameters
    ----------
    network
        Frozen; its maps are small.
    images
        Gray levels from 0 to 1, shape (K, H, W) with H = W.
    copies
        Names of A augmented copies; see `dmdbt.features.COPIES`.
    at_once
        Images in a forward pass.

    Returns
    -------
    ndarray of float16, shape (A, C, K * h, w)
        Rows 0 to h - 1 are those of the first image, and so on.

    Raises
    ------
    ValueError
        A feature is not finite in float16.
    """
    groups = [list(images[start : start + at_once]) for start in range(0, len(images), at_once)]
    maps = [of_image for group in groups for of_image in extract(network, group, copies)]
    return np.concatenate(maps, axis=2)
