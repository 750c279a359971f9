"""The tomosynthesis volume: projections from the positions of the tube, filtered and reconstructed to slices.

The tube moves along the rows at a constant height over the detector. On a cone-beam grid (see `LayerGrid`) its
projections are then sums of shifted layers, and shift-and-add undoes the shifts.
"""

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from dmdbt.phantom.anatomy import SOURCE_MM, CompressedBreast
from dmdbt.phantom.exposure import (
    BLUR_DBT_MM,
    EQUALIZATION_MM,
    PADDING_MM,
    PHOTONS_PER_MM2,
    SCATTER_RATIO_DBT,
    Detector,
    Layers,
    average_path,
    expose,
    full_thickness,
    smooth,
)
from dmdbt.phantom.paddles import Frame
from dmdbt.phantom.patients import PhantomSettings
from dmdbt.phantom.tissue import Array, Doubles

RAMP_FLOOR = 0.05  # of the ramp filter: what is kept of the mean
GRAY_LEVELS_DBT = 256


def project(layers: Array, shifts: Doubles) -> Array:
    """Project layers from several positions of the tube; shape (P, H, W), each with the sum of the layers.

    Parameters
    ----------
    layers
        Line integrals through each layer, shape (T, H, W).
    shifts
        Rows by which each projection moves each layer, shape (P, T). Rows that leave one end enter at the other.
    """
    return _shift_and_add(layers, shifts, np.ones(layers.shape[1] // 2 + 1, np.float32))


def reconstruct(projections: Array, shifts: Doubles) -> Array:
    """Reconstruct slices, shape (T, H, W), by filtered shift-and-add.

    Parameters
    ----------
    projections
        Shape (P, H, W).
    shifts
        Rows by which each projection had moved what lies in each slice, shape (P, T).
    """
    # Rising along the tube's movement, against the blur of all that is out of the slice; falling toward its end,
    # where there is more noise than signal.
    frequency = rfftfreq(projections.shape[1])
    ramp = np.maximum(2 * frequency, RAMP_FLOOR) * np.cos(np.pi * frequency)
    return _shift_and_add(projections, -shifts.T, (ramp / len(projections)).astype(np.float32))


def _shift_and_add(images: Array, shifts: Doubles, gain: Array) -> Array:
    """Return the sums over N of images (N, H, W) moved down by `shifts` (M, N) rows and filtered; shape (M, H, W)."""
    rows = images.shape[1]
    spectrum = np.ascontiguousarray(rfft(images, axis=1).transpose(1, 0, 2))
    phase = np.exp(-2j * np.pi * rfftfreq(rows)[:, None, None] * shifts).astype(np.complex64)
    moved = (phase * gain[:, None, None]) @ spectrum
    return irfft(moved.transpose(1, 0, 2), n=rows, axis=1)


def tube_shifts(heights_mm: Doubles, row_mm: float, settings: PhantomSettings) -> Doubles:
    """Return the rows of the detector by which each projection moves what lies at each height, shape (P, T)."""
    half = settings.scan_angle_deg / 2
    tube_mm = SOURCE_MM * np.tan(np.deg2rad(np.linspace(-half, half, settings.projections)))
    return -np.outer(tube_mm, heights_mm / (SOURCE_MM - heights_mm)) / row_mm


def tomosynthesis(
    layers: Layers,
    breast: CompressedBreast,
    frame: Frame,
    heights_mm: Doubles,
    settings: PhantomSettings,
    rng: np.random.Generator,
) -> Array:
    """Measure the projections, which share the dose of one mammogram, and reconstruct the slices, shape (T, H, W)."""
    rows = layers.values.shape[1]
    pixel_mm = frame.dbt_pixel_mm
    padding = int(np.ceil(PADDING_MM / pixel_mm[0]))
    spare = next_fast_len(rows + 2 * padding, real=True) - rows - 2 * padding
    padded = np.pad(layers.values, ((0, 0), (padding, padding + spare), (0, 0)), mode="edge")
    dose = PHOTONS_PER_MM2 * settings.dose / settings.projections
    projections = expose(
        project(padded, tube_shifts(layers.heights_mm, pixel_mm[0], settings)),
        Detector(dose, pixel_mm, SCATTER_RATIO_DBT, BLUR_DBT_MM),
        rng,
        average_path=average_path(breast, settings.density),
    )
    even = _fill_rim_and_air(projections, breast, pixel_mm)
    return reconstruct(even, tube_shifts(heights_mm, pixel_mm[0], settings))[:, padding : padding + rows]


def _fill_rim_and_air(projections: Array, breast: CompressedBreast, pixel_mm: tuple[float, float]) -> Array:
    """Make the breast evenly thick and the air as dense: peripheral equalization of projections.

    Else the border of the breast would be the strongest edge by far, and different in every slice.
    """
    full = full_thickness(breast, SCATTER_RATIO_DBT)
    estimate = smooth(projections, EQUALIZATION_MM, pixel_mm)
    detail = (projections - estimate) * np.clip(estimate / (np.float32(0.4) * full) - np.float32(1.25), 0, 1)
    return np.maximum(estimate, full) + detail


def present_slices(volume: Array, layers: Layers) -> npt.NDArray[np.uint8]:
    """Window a volume to 8 bits: one window for all slices, which clips few voxels of the breast (0.06 %).

    Columns behind the nipple are added in black: shape (T, H, H).
    """
    path = layers.values.sum(axis=0)
    inside = path > 0.25 * path.max()
    low, high = np.quantile(volume[:, inside], [0.0005, 0.9999])
    gray = (volume - low) / (high - low) * (GRAY_LEVELS_DBT - 2) + 1
    gray = np.clip(np.rint(gray), 0, GRAY_LEVELS_DBT - 1) * (path > 0.05 * path.max())
    return np.pad(gray.astype(np.uint8), ((0, 0), (0, 0), (0, volume.shape[1] - volume.shape[2])))
