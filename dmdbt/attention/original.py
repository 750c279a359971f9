"""Where the input of a backbone and the cells of its feature map are in the image that was read."""

import numpy as np

Box = tuple[int, int, int, int]
"""First row, end of rows, first column, end of columns."""


def original_box(box_in_square: Box, shape: tuple[int, int], size: int, *, pad: bool) -> Box:
    """Map a box of the square that `dmdbt.imaging.square` makes of an image back to the image.

    Dynamic images are not brought to a square: their boxes need no mapping.

    Parameters
    ----------
    box_in_square
        In pixels of the square.
    shape
        Rows and columns (H, W) of the original image.
    size
        Rows and columns of the square.
    pad
        Whether the aspect was kept by black borders, or the image was stretched.

    Returns
    -------
    tuple of int
        In pixels of the original, edges rounded to the nearest pixel; at least one pixel wide. With `pad` it reaches
        beyond the image (below 0, or above H or W) where the box contains some of the border: cut off, the cells of a
        heat map would no longer lie where the backbone saw them.
    """
    box: list[int] = []
    for (start, stop), length in zip((box_in_square[:2], box_in_square[2:]), shape, strict=True):
        covered = max(shape) if pad else length  # pixels of the original, with the border, that the square covers
        border = (covered - length) // 2
        first, end = round(start * covered / size), round(stop * covered / size)
        if first == end:
            first, end = start * covered // size, start * covered // size + 1
        box += [first - border, end - border]
    return box[0], box[1], box[2], box[3]


def cell_edges(box: Box, cells: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the cells that tile a box evenly.

    Returns
    -------
    rows, columns : ndarray of float64, shapes (h + 1,) and (w + 1,)
        In pixels of the image that the box is of, for h x w cells; pixel k reaches from k to k + 1.
    """
    return np.linspace(box[0], box[1], cells[0] + 1), np.linspace(box[2], box[3], cells[1] + 1)


def stretched(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Give each pixel of an image of shape (H, W) the value of the cell that holds its center; the cells tile it."""
    rows, columns = ((2 * np.arange(n) + 1) * cells // (2 * n) for n, cells in zip(shape, values.shape, strict=True))
    return values[np.ix_(rows, columns)]
