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


def augmented(images: Tensor, copies: Sequence[str]) -> Tensor:
    """Stack copies of square images.

    Parameters
    ----------
    images
        shape (N, C, H, W) with H = W.
    copies
        Names out of `COPIES`, A of them; rotations are counterclockwise.

    Returns
    -------
    Tensor, shape (N * A, C, H, W)
        All copies of the first image, in the order of their names, then those of the next; in memory the channels come
        last, as convolutions want them.
    """
    shape = (len(images) * len(copies), *images.shape[1:])
    stack = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    for index, name in enumerate(copies):
        stack[index :: len(copies)] = COPIES[name](images)
    return stack
