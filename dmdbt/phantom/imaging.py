"""From a patient to a mammogram and a reconstructed volume. Arrays only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmdbt.phantom.anatomy import MU_FAT, SUPPORT_MM, CompressedBreast, compress, magnification
from dmdbt.phantom.exposure import (
    BLUR_DM_MM,
    EQUALIZATION_MM,
    PHOTONS_PER_MM2,
    SCATTER_RATIO_DM,
    Detector,
    average_path,
    expose,
    full_thickness,
    line_integrals,
    smooth,
)
from dmdbt.phantom.paddles import Frame, choose_frame
from dmdbt.phantom.patients import Patient, PhantomSettings
from dmdbt.phantom.tissue import Array
from dmdbt.phantom.tomosynthesis import present_slices, tomosynthesis
from dmdbt.terms import Laterality, View

MARGIN_MM = 4.0  # of slices that are reconstructed above and below the breast
GRAY_LEVELS_DM = 4096


@dataclass(frozen=True)
class ImagePair:
    """One view of one breast, as it is displayed: the chest wall is at the left of left breasts, right of right ones.

    Parameters
    ----------
    mammogram
        12-bit gray values, uint16, shape (H, W).
    slices
        8-bit gray values, uint8, shape (T, H', W'), from the detector upward; same field of view.
    mammogram_pixel_mm, slice_pixel_mm
        Size of a pixel on the detector: rows, columns.
    finding_row, finding_column
        Center of the finding as a share of the image's height and width.
    finding_slice
        Index of the slice through the center of the finding, from 0.
    """

    mammogram: npt.NDArray[np.uint16]
    slices: npt.NDArray[np.uint8]
    mammogram_pixel_mm: tuple[float, float]
    slice_pixel_mm: tuple[float, float]
    finding_row: float
    finding_column: float
    finding_slice: int


def image_pair(patient: Patient, view: View, settings: PhantomSettings) -> ImagePair:
    """Simulate the mammogram and the tomosynthesis of one view of a patient."""
    breast = compress(patient, view)
    frame = choose_frame(breast, settings)
    paths, layers = line_integrals(patient, breast, frame, settings)
    noise = patient.generator(f"noise {view}")
    mammogram = present_mammogram(paths, breast, frame, settings, noise)
    heights = slice_heights_mm(breast.thickness_mm, settings.slice_spacing_mm)
    slices = present_slices(tomosynthesis(layers, breast, frame, heights, settings, noise), layers)
    row, column, height = breast.locate(patient.position)
    scale = magnification(height)
    column_share = column * scale / frame.field_mm[1]
    if patient.laterality is Laterality.RIGHT:
        mammogram, slices, column_share = mammogram[:, ::-1], slices[:, :, ::-1], 1 - column_share
    return ImagePair(
        mammogram=np.ascontiguousarray(mammogram),
        slices=np.ascontiguousarray(slices),
        mammogram_pixel_mm=frame.dm_pixel_mm,
        slice_pixel_mm=frame.dbt_pixel_mm,
        finding_row=row * scale / frame.field_mm[0] + 0.5,
        finding_column=column_share,
        finding_slice=int(np.abs(heights - height).argmin()),
    )


def slice_heights_mm(thickness_mm: float, spacing_mm: float) -> npt.NDArray[np.float64]:
    """Return the heights over the detector of the reconstructed slices, shape (T,), margins included."""
    layers, margin = round(thickness_mm / spacing_mm), round(MARGIN_MM / spacing_mm)
    return SUPPORT_MM + (np.arange(-margin, layers + margin, dtype=np.float64) + 0.5) * spacing_mm


def present_mammogram(
    paths: Array, breast: CompressedBreast, frame: Frame, settings: PhantomSettings, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Expose a mammogram and process it for presentation: 12 bits, shape (H, W), 0 where there is no breast."""
    pixel_mm = frame.dm_pixel_mm
    detector = Detector(PHOTONS_PER_MM2 * settings.dose, pixel_mm, SCATTER_RATIO_DM, BLUR_DM_MM)
    measured = expose(paths, detector, rng, average_path=average_path(breast, settings.density))
    fat = np.float32(breast.thickness_mm * MU_FAT)
    inside = np.clip(measured / (np.float32(0.6) * fat), 0, 1)
    estimate = smooth(measured, EQUALIZATION_MM, pixel_mm)
    equal = measured + np.maximum(full_thickness(breast, SCATTER_RATIO_DM) - estimate, 0) * inside
    breast_pixels = equal[measured > np.float32(0.5) * fat]
    low, high = np.float32(0.80) * fat, np.quantile(breast_pixels, 0.999)
    gray = (equal - low) / (np.float32(1.12) * (high - low)) * (GRAY_LEVELS_DM - 1)
    return np.clip(np.rint(gray), 0, GRAY_LEVELS_DM - 1).astype(np.uint16)
