"""Feature maps of one image and its augmented copies."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from dmdbt.features.augment import augmented
from dmdbt.features.backbones import normalize


@torch.inference_mode()
def extract(backbone: nn.Module, image: np.ndarray, copies: Sequence[str]) -> np.ndarray:
    """Run a frozen backbone over the copies of one image, as one batch.

    A batch never mixes cases, so that the features of a case do not depend on the rest of the cohort.

    Parameters
    ----------
    backbone
        Result of `build_backbone`.
    image
        Gray levels from 0 to 1, shape (H, W) with H = W.
    copies
        Names out of `dmdbt.features.augment.COPIES`.

    Returns
    -------
    ndarray of float16, shape (N, C, h, w)
        One feature map per copy.

    Raises
    ------
    ValueError
        A feature is not finite in float16.
    """
    batch = augmented(torch.from_numpy(image.astype(np.float32)), copies)
    maps = backbone(normalize(batch.unsqueeze(1))).to(torch.float16).numpy()
    if not np.isfinite(maps).all():
        raise ValueError("extract: expected finite features below 65504, got infinite or undefined ones")
    return maps
