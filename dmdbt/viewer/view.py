"""Contents of a page, a sheet or a DICOM object of one case."""

from dataclasses import dataclass, field

import numpy as np

from dmdbt.attention.heat import HeatMap
from dmdbt.prediction.result import Prediction

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ShownImage:
    r"""A mammogram, a volume's slices or its dynamic image, with the frame in which the backbone saw it.

    Attributes
    ----------
    pixels
        uint8 or uint16, shape (H, W): 0 is black. A mammogram or dynamic image in the size that it was read in.
    box
        First row, end of rows, first column, end of columns of the crop box, in pixels of `pixels`: the input of the
        backbone. The heat map's cells tile it evenly.
    orientation
        DICOM's Patient Orientation, such as ``A\R``: to where in the patient rows run, and columns; empty if unknown.
    """

    pixels: np.ndarray
    box: Box
    orientation: str = ""


@dataclass(frozen=True)
class CaseView:
    """One case with all that is shown of it.

    Attributes
    ----------
    prediction
        The numbers.
    dm, dynamic
        The mammogram as it was read (uint16), and the dynamic image (uint8); None where the case lacks it.
    slices
        uint8, shape (T, H, W), H and W those of `dynamic`, in the order of the volume; None without a volume.
    slice_weights
        float64, shape (T,): the weight of each slice in the dynamic image; None where the pooler has none.
    evidence
        By `(backbone, head)` float64 of shape (T,): the evidence of each slice under the Grad-CAM map of the dynamic
        image (`dmdbt.attention.relative_evidence`); sums to 1, or is 0 everywhere: then no slice stands out.
    heat
        Heat maps of every backbone, head, method and modality.
    facts
        By modality lines such as size, bits, codec, slice order.
    model
        One line: what was trained on what, such as "mobilenet_v2, 5 folds, 240 simulated patients".
    simulated
        Whether the training cohort was simulated; None: not stated.
    measured
        By rule and classifier sensitivity and specificity on the tests of the training cohort, as
        `dmdbt.bundle.OperatingPoints` has them.
    """

    prediction: Prediction
    dm: ShownImage | None
    dynamic: ShownImage | None
    slices: np.ndarray | None
    slice_weights: np.ndarray | None
    evidence: dict[tuple[str, str], np.ndarray]
    heat: list[HeatMap]
    facts: dict[str, list[str]]
    model: str
    simulated: bool | None
    measured: dict[str, dict[str, tuple[float | None, float | None]]] = field(default_factory=dict)
