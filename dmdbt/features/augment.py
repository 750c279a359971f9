"""The augmented copies of an image; both images of a pair always get the same ones."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "original": lambda image: image,
    "flip": lambda image: image.flip(-1),  # horizontal: left and right change places
    "rot90": lambda image: image.rot90(1, (-2, -1)),
    "rot180": lambda image: image.rot90(2, (-2, -1)),
    "rot270": lambda image: image.rot90(3, (-2, -1)),
}


def augmented(image: Tensor, copies: Sequence[str]) -> Tensor:
    """Stack copies of a square image.

    Parameters
    ----------
    image
        shape (H, W) with H = W.
    copies
        Names out of `COPIES`; rotations are counterclockwise.

    Returns
    -------
    Tensor, shape (N, H, W)
        One copy per name, in their order.
    """
    return torch.stack([COPIES[name](image) for name in copies])
