"""The physics: from a patient to a mammogram and a reconstructed volume. Arrays only.

The tube of the tomosynthesis moves along the rows at a constant height over the detector. On a cone-beam grid (see
`LayerGrid`) its projections are then sums of shifted layers, and shift-and-add undoes the shifts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.sparse import csr_array

from dmdbt.phantom.anatomy import (
    MU_FAT,
    MU_GLAND,
    SOURCE_MM,
    SUPPORT_MM,
    Array,
    CompressedBreast,
    LayerGrid,
    compress,
    magnification,
)
from dmdbt.phantom.findings import draw_shape, place
from dmdbt.phantom.paddles import Frame, choose_frame
from dmdbt.phantom.patients import Patient, PhantomSettings
from dmdbt.terms import Laterality, View

# Photons per mm2 that reach the detector behind the breast in a mammogram of normal dose (about 80 uGy).
PHOTONS_PER_MM2 = 4.0e5
# Electronic noise in photons, per native pixel of 0.07 mm.
ELECTRONIC_PHOTONS, NATIVE_PIXEL_MM = 5.0, 0.07
# Scatter to primary ratio: with a grid (mammogram), and without (tomosynthesis); and the width of scatter.
SCATTER_RATIO_DM, SCATTER_RATIO_DBT, SCATTER_MM = 0.10, 0.45, 30.0
# Standard deviation of the blur: focal spot and detector; in tomosynthesis also the moving tube.
BLUR_DM_MM, BLUR_DBT_MM = 0.12, 0.35

# Slices reconstructed above and below the breast.
MARGIN_MM = 4.0
# Floor of the ramp filter: what is kept of the mean.
RAMP_FLOOR = 0.05
# Rows added for the reconstruction at each border, where the breast is taken to go on unchanged.
PADDING_MM = 20.0

# Peripheral equalization: width over which the thickness at the rim is estimated, and the share that is filled up.
EQUALIZATION_MM, EQUALIZED_SHARE = 2.0, 0.97
GRAY_LEVELS_DM, GRAY_LEVELS_DBT = 4096, 256


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
    slice_spacing_mm, thickness_mm
        Distance of slices, and thickness of the compressed breast.
    finding_row, finding_column
        Center of the finding as a share of the image's height and width.
    finding_slice
        Index of the slice through the center of the finding, from 0.
    """

    mammogram: npt.NDArray[np.uint16]
    slices: npt.NDArray[np.uint8]
    mammogram_pixel_mm: tuple[float, float]
    slice_pixel_mm: tuple[float, float]
    slice_spacing_mm: float
    thickness_mm: float
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
        slice_spacing_mm=settings.slice_spacing_mm,
        thickness_mm=breast.thickness_mm,
        finding_row=row * scale / frame.field_mm[0] + 0.5,
        finding_column=column_share,
        finding_slice=int(np.abs(heights - height).argmin()),
    )


def slice_heights_mm(thickness_mm: float, spacing_mm: float) -> npt.NDArray[np.float64]:
    """Return the heights over the detector of the reconstructed slices, shape (T,), margins included."""
    layers, margin = round(thickness_mm / spacing_mm), round(MARGIN_MM / spacing_mm)
    return SUPPORT_MM + (np.arange(-margin, layers + margin, dtype=np.float64) + 0.5) * spacing_mm


@dataclass(frozen=True)
class Layers:
    """Attenuation of the breast on the tomosynthesis detector's cone-beam grid.

    Parameters
    ----------
    values
        Line integrals through each layer, dimensionless, shape (T, H, W), where W ends behind the nipple.
    heights_mm
        Of the middles of the layers over the detector, shape (T,).
    """

    values: Array
    heights_mm: npt.NDArray[np.float64]


def line_integrals(
    patient: Patient, breast: CompressedBreast, frame: Frame, settings: PhantomSettings
) -> tuple[Array, Layers]:
    """Sum the attenuation along the rays of the mammogram, and average it over the tomosynthesis' larger pixels.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Line integrals of the mammogram.
    Layers
        The same line by line, averaged over areas: their sum conserves what the mammogram sees.
    """
    grid = _breast_grid(breast, frame, settings)
    shape = draw_shape(patient.generator("finding"), patient.finding, patient.radius_mm)
    finding = place(shape, breast, patient.position, grid, contrast=settings.contrast)
    rows = area_weights(grid.row_edges_mm, frame.row_edges_mm(frame.dbt_size))
    columns = area_weights(grid.column_edges_mm, frame.column_edges_mm(frame.dbt_size))
    columns = columns[: int(np.flatnonzero(columns.sum(axis=1) > 0).max()) + 1]
    total = np.zeros((len(grid.row_edges_mm) - 1, len(grid.column_edges_mm) - 1), np.float32)
    averaged = []
    for index, height in enumerate(grid.heights_mm):
        cell = grid.cell_mm(magnification(float(height)))
        layer = finding.disturb(breast.layer(*grid.positions_mm(index), float(height), cell), index)
        path = finding.insert(layer.attenuation(), index) * np.float32(grid.spacing_mm)
        total += path
        averaged.append((columns @ (rows @ path).T).T)
    mammogram = np.zeros(frame.dm_shape, np.float32)
    first = round((grid.row_edges_mm[0] / frame.field_mm[0] + 0.5) * frame.dm_shape[0])
    mammogram[first : first + total.shape[0], : total.shape[1]] = total
    return mammogram, Layers(np.stack(averaged).astype(np.float32), grid.heights_mm)


def _breast_grid(breast: CompressedBreast, frame: Frame, settings: PhantomSettings) -> LayerGrid:
    """Return the cells that hold the breast: the pixels of the mammogram's detector under it, and all its layers."""
    rows, columns = frame.row_edges_mm(frame.dm_shape[0]), frame.column_edges_mm(frame.dm_shape[1])
    scale = magnification(breast.top_mm)
    low, high = (edge * scale for edge in breast.row_range_mm)
    first, last = np.searchsorted(rows, [low, high])
    behind = int(np.searchsorted(columns, breast.reach_mm * scale))
    count = round(breast.thickness_mm / settings.slice_spacing_mm)
    heights = SUPPORT_MM + np.arange(count + 1, dtype=np.float64) * settings.slice_spacing_mm
    rows = rows[max(int(first) - 1, 0) : int(last) + 1]
    return LayerGrid(rows, columns[: behind + 1], heights)


def area_weights(fine: npt.NDArray[np.float64], coarse: npt.NDArray[np.float64]) -> csr_array:
    """Return the matrix that averages fine cells over coarse ones by the length they share.

    Parameters
    ----------
    fine, coarse
        Borders of the cells, ascending, shapes (N + 1,) and (M + 1,).

    Returns
    -------
    csr_array of float32, shape (M, N)
        A row sums to the share of the coarse cell that fine cells cover.
    """
    borders = np.union1d(fine, coarse)
    borders = borders[(borders >= max(fine[0], coarse[0])) & (borders <= min(fine[-1], coarse[-1]))]
    middle, length = (borders[1:] + borders[:-1]) / 2, np.diff(borders)
    row, column = np.searchsorted(coarse, middle) - 1, np.searchsorted(fine, middle) - 1
    weights = (length / np.diff(coarse)[row]).astype(np.float32)
    return csr_array((weights, (row, column)), shape=(len(coarse) - 1, len(fine) - 1))


@dataclass(frozen=True)
class Detector:
    """How line integrals are measured.

    Parameters
    ----------
    photons_per_mm2
        Behind an average breast.
    pixel_mm
        Rows, columns.
    scatter_ratio
        Scatter to primary, behind the breast.
    blur_mm
        Standard deviation.
    """

    photons_per_mm2: float
    pixel_mm: tuple[float, float]
    scatter_ratio: float
    blur_mm: float


def expose(paths: Array, detector: Detector, rng: np.random.Generator, *, average_path: float) -> Array:
    """Measure line integrals.

    Parameters
    ----------
    paths
        Shape (..., H, W).
    detector
        What measures.
    rng
        Of the noise; as many numbers are drawn as there are pixels, whatever is imaged.
    average_path
        Line integral through an average breast, by which the exposure is chosen.

    Returns
    -------
    ndarray of float32, shape (..., H, W)
        Negative logarithm of the signal relative to that without a breast.
    """
    pixel_mm, area_mm2 = detector.pixel_mm, detector.pixel_mm[0] * detector.pixel_mm[1]
    open_field = detector.photons_per_mm2 * area_mm2 * np.exp(average_path)
    primary = np.exp(-paths)
    # Only the breast scatters, and the more the thicker it is.
    scattered = _smooth(primary * np.minimum(paths / np.float32(average_path), 1), SCATTER_MM, pixel_mm)
    sigma = [0.0] * (paths.ndim - 2) + [detector.blur_mm / pixel for pixel in pixel_mm]
    signal = (
        gaussian_filter(primary, sigma, mode="nearest", truncate=3) + np.float32(detector.scatter_ratio) * scattered
    )
    signal *= np.float32(open_field)
    electronic = ELECTRONIC_PHOTONS**2 * area_mm2 / NATIVE_PIXEL_MM**2
    # Hundreds of photons reach each pixel, where Poisson's law is normal; and a normal draw takes the same random
    # numbers with and without a finding.
    signal += np.sqrt(signal + np.float32(electronic)) * rng.standard_normal(signal.shape, dtype=np.float32)
    measured: Array = -np.log(np.maximum(signal, 1) / np.float32(open_field))
    return measured


def _smooth(image: Array, width_mm: float, pixel_mm: tuple[float, float]) -> Array:
    """Blur the last two axes by two running means: in effect a wide bell, at a cost that does not grow with it."""
    # An even number of cells would shift the image.
    size = [1] * (image.ndim - 2) + [2 * round(width_mm / pixel / 2) + 1 for pixel in pixel_mm]
    smoothed: Array = uniform_filter(uniform_filter(image, size, mode="nearest"), size, mode="nearest")
    return smoothed


def project(layers: Array, shifts: npt.NDArray[np.float64]) -> Array:
    """Project layers from several positions of the tube.

    Parameters
    ----------
    layers
        Line integrals through each layer, shape (T, H, W).
    shifts
        Rows by which each projection moves each layer, shape (P, T). Rows that leave one end enter at the other.

    Returns
    -------
    ndarray of float32, shape (P, H, W)
        Every projection has the sum of the layers.
    """
    return _shift_and_add(layers, shifts, np.ones(layers.shape[1] // 2 + 1, np.float32))


def reconstruct(projections: Array, shifts: npt.NDArray[np.float64]) -> Array:
    """Reconstruct slices by filtered shift-and-add.

    Parameters
    ----------
    projections
        Shape (P, H, W).
    shifts
        Rows by which each projection had moved what lies in each slice, shape (P, T).

    Returns
    -------
    ndarray of float32, shape (T, H, W)
    """
    # Rising along the tube's movement, against the blur of all that is out of the slice; falling toward its end,
    # where there is more noise than signal.
    frequency = rfftfreq(projections.shape[1])
    ramp = np.maximum(2 * frequency, RAMP_FLOOR) * np.cos(np.pi * frequency)
    return _shift_and_add(projections, -shifts.T, (ramp / len(projections)).astype(np.float32))


def _shift_and_add(images: Array, shifts: npt.NDArray[np.float64], gain: Array) -> Array:
    """Return the sums over N of images (N, H, W) moved down by `shifts` (M, N) rows and filtered; shape (M, H, W)."""
    rows = images.shape[1]
    spectrum = np.ascontiguousarray(rfft(images, axis=1).transpose(1, 0, 2))
    phase = np.exp(-2j * np.pi * rfftfreq(rows)[:, None, None] * shifts).astype(np.complex64)
    moved = (phase * gain[:, None, None]) @ spectrum
    result: Array = irfft(moved.transpose(1, 0, 2), n=rows, axis=1)
    return result


def tube_shifts(
    heights_mm: npt.NDArray[np.float64], row_mm: float, settings: PhantomSettings
) -> npt.NDArray[np.float64]:
    """Return the rows of the detector by which each projection moves what lies at each height, shape (P, T)."""
    half = settings.scan_angle_deg / 2
    tube_mm = SOURCE_MM * np.tan(np.deg2rad(np.linspace(-half, half, settings.projections)))
    shifts: npt.NDArray[np.float64] = -np.outer(tube_mm, heights_mm / (SOURCE_MM - heights_mm)) / row_mm
    return shifts


def tomosynthesis(
    layers: Layers,
    breast: CompressedBreast,
    frame: Frame,
    heights_mm: npt.NDArray[np.float64],
    settings: PhantomSettings,
    rng: np.random.Generator,
) -> Array:
    """Measure the projections, which share the dose of one mammogram, and reconstruct the slices.

    Returns
    -------
    ndarray of float32, shape (T, H, W)
        At the heights asked for; dimensionless.
    """
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


def average_path(breast: CompressedBreast, density: float) -> float:
    """Return the line integral through an average breast of this thickness."""
    return breast.thickness_mm * (MU_FAT + density * (MU_GLAND - MU_FAT))


def present_mammogram(
    paths: Array, breast: CompressedBreast, frame: Frame, settings: PhantomSettings, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Expose a mammogram and process it for presentation.

    Returns
    -------
    ndarray of uint16, shape (H, W)
        12 bits, 0 where there is no breast.
    """
    pixel_mm = frame.dm_pixel_mm
    detector = Detector(PHOTONS_PER_MM2 * settings.dose, pixel_mm, SCATTER_RATIO_DM, BLUR_DM_MM)
    measured = expose(paths, detector, rng, average_path=average_path(breast, settings.density))
    fat = np.float32(breast.thickness_mm * MU_FAT)
    inside = np.clip(measured / (np.float32(0.6) * fat), 0, 1)
    estimate = _smooth(measured, EQUALIZATION_MM, pixel_mm)
    equal = measured + np.maximum(_full_thickness(breast, SCATTER_RATIO_DM) - estimate, 0) * inside
    breast_pixels = equal[measured > np.float32(0.5) * fat]
    low, high = np.float32(0.80) * fat, np.quantile(breast_pixels, 0.999)
    gray = (equal - low) / (np.float32(1.12) * (high - low)) * (GRAY_LEVELS_DM - 1)
    return np.clip(np.rint(gray), 0, GRAY_LEVELS_DM - 1).astype(np.uint16)


def _full_thickness(breast: CompressedBreast, scatter_ratio: float) -> np.float32:
    """Return a little less than what is measured behind fat of the whole thickness."""
    return np.float32(EQUALIZED_SHARE * breast.thickness_mm * MU_FAT - np.log1p(scatter_ratio))


def _fill_rim_and_air(projections: Array, breast: CompressedBreast, pixel_mm: tuple[float, float]) -> Array:
    """Make the breast evenly thick and the air as dense: peripheral equalization of projections.

    Else the border of the breast would be the strongest edge by far, and different in every slice.
    """
    full = _full_thickness(breast, SCATTER_RATIO_DBT)
    estimate = _smooth(projections, EQUALIZATION_MM, pixel_mm)
    detail = (projections - estimate) * np.clip(estimate / (np.float32(0.4) * full) - np.float32(1.25), 0, 1)
    return np.maximum(estimate, full) + detail


def present_slices(volume: Array, layers: Layers) -> npt.NDArray[np.uint8]:
    """Window a volume to 8 bits: one window for all slices, which clips few voxels of the breast (0.06 %).

    Returns
    -------
    ndarray of uint8, shape (T, H, W)
        Columns behind the nipple are added in black.
    """
    path = layers.values.sum(axis=0)
    inside = path > 0.25 * path.max()
    low, high = np.quantile(volume[:, inside], [0.0005, 0.9999])
    gray = (volume - low) / (high - low) * (GRAY_LEVELS_DBT - 2) + 1
    gray = np.clip(np.rint(gray), 0, GRAY_LEVELS_DBT - 1) * (path > 0.05 * path.max())
    full = np.zeros((*volume.shape[:2], volume.shape[1]), np.uint8)
    full[:, :, : volume.shape[2]] = gray
    return full
