"""Feature maps of images and their augmented copies, on a CPU or a GPU."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from dmdbt.backbones.architectures import normalize
from dmdbt.features.augment import augmented

_BATCH_PIXELS = 2**24  # of the input of one forward pass on a GPU; ResNet-50 then takes about 3 GB


def batch_images(size: int, n_copies: int) -> int:
    """Return how many images share a forward pass on a card: as many as fill it.

    On a CPU it is one, so that the features of an image do not depend, even by a rounding, on the rest of the cohort;
    nor would more be faster.
    """
    return max(1, _BATCH_PIXELS // (n_copies * size**2))


@torch.inference_mode()
def extract(
    backbone: nn.Module,
    images: Sequence[np.ndarray],
    copies: Sequence[str],
    *,
    at_once: int | None = None,
    precision: str = "float32",
) -> list[np.ndarray]:
    """Run a frozen backbone over the copies of images, where the backbone is.

    Parameters
    ----------
    backbone
        Result of `build_backbone`.
    images
        Gray levels from 0 to 1, each of shape (H, W) with H = W.
    copies
        Names out of `dmdbt.features.augment.COPIES`.
    at_once
        Copies in a forward pass; all of them by default. The last bits of a map depend on it, and with 1 on nothing
        else than the copy.
    precision
        ``float32``, on a card too: no TF32; or ``float16``, torch's automatic mixed precision.

    Returns
    -------
    list of ndarray of float16, shape (N, C, h, w)
        Of each image one feature map per copy.

    Raises
    ------
    ValueError
        A feature is not finite in float16.
    """
    device = next(backbone.parameters()).device
    grays = torch.from_numpy(np.stack(images).astype(np.float32, copy=False)).to(device).unsqueeze(1)
    inputs = augmented(normalize(grays), copies)
    batch = at_once or len(inputs)
    with (
        torch.autocast(device.type, dtype=torch.float16, enabled=precision == "float16"),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        features = [backbone(inputs[start : start + batch]).half() for start in range(0, len(inputs), batch)]
    maps = torch.cat(features).contiguous()
    if not math.isfinite(maps.sum(dtype=torch.float32)):  # it cannot overflow, and one map is enough to spoil it
        raise ValueError("extract: expected finite features below 65504, got infinite or undefined ones")
    return list(maps.cpu().reshape(len(images), len(copies), *maps.shape[1:]).numpy())
