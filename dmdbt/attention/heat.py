"""Heat maps of the heads, in cells of the feature map."""

from dataclasses import dataclass

import numpy as np

from dmdbt.terms import Head, Modality


@dataclass(frozen=True)
class HeatMap:
    """Where a head looked in one of its images.

    Attributes
    ----------
    method
        ``grad_cam``: at least 0, in units of its own; or ``occlusion``: by how much the probability of malignant falls
        where the cell and its neighbors are hidden; negative where it rises.
    backbone, head, modality
        Whose map it is, and of which image.
    values
        float32, shape (h, w), one value per cell of the feature map, the mean over folds. The cells tile the crop box.
    """

    method: str
    backbone: str
    head: Head
    modality: Modality
    values: np.ndarray
