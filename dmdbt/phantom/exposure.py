"""X-rays through the breast onto the detector: line integrals, scatter, blur and noise."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.sparse import csr_array

from dmdbt.phantom.anatomy import MU_FAT, MU_GLAND, SUPPORT_MM, CompressedBreast, LayerGrid, cells_within, magnification
from dmdbt.phantom.findings import draw_shape, place
from dmdbt.phantom.paddles import Frame
from dmdbt.phantom.patients import Patient, PhantomSettings
from dmdbt.phantom.tissue import Array, Doubles

# Photons per mm2 that reach the detector behind the breast in a mammogram of normal dose (about 80 uGy).
PHOTONS_PER_MM2 = 4.0e5
# Electronic noise in photons, per native pixel of 0.07 mm.
ELECTRONIC_PHOTONS, NATIVE_PIXEL_MM = 5.0, 0.07
# Scatter to primary ratio: with a grid (mammogram), and without (tomosynthesis); and the width of scatter.
SCATTER_RATIO_DM, SCATTER_RATIO_DBT, SCATTER_MM = 0.10, 0.45, 30.0
# Standard deviation of the blur: focal spot and detector; in tomosynthesis also the moving tube.
BLUR_DM_MM, BLUR_DBT_MM = 0.12, 0.35
# Rows added for the reconstruction at each border, where the breast is taken to go on unchanged.
PADDING_MM = 20.0
# Peripheral equalization: width over which the thickness at the rim is estimated, and the share that is filled up.
EQUALIZATION_MM, EQUALIZED_SHARE = 2.0, 0.97


@dataclass(frozen=True)
class Layers:
    """Attenuation of the breast on the tomosynthesis detector's cone-beam grid.

    Parameters
    ----------
    values
        Line integrals through each layer, dimensionless, shape (T, H, W), where W ends behind the nipple.
    heights_mm
        Heights of the middles of the layers over the detector, shape (T,).
    """

    values: Array
    heights_mm: Doubles


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
    under = cells_within(rows, low, high)
    behind = int(np.searchsorted(columns, breast.reach_mm * scale))
    count = round(breast.thickness_mm / settings.slice_spacing_mm)
    heights = SUPPORT_MM + np.arange(count + 1, dtype=np.float64) * settings.slice_spacing_mm
    return LayerGrid(rows[under.start : under.stop + 1], columns[: behind + 1], heights)


def area_weights(fine: Doubles, coarse: Doubles) -> csr_array:
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
    photons_per_mm2, scatter_ratio
        Photons, and scatter to primary, behind an average breast.
    pixel_mm
        Rows, columns.
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
        Source of the noise; as many numbers are drawn as there are pixels, whatever is imaged.
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
    scattered = smooth(primary * np.minimum(paths / np.float32(average_path), 1), SCATTER_MM, pixel_mm)
    sigma = [0.0] * (paths.ndim - 2) + [detector.blur_mm / pixel for pixel in pixel_mm]
    signal = gaussian_filter(primary, sigma, mode="nearest", truncate=3)
    signal = signal + np.float32(detector.scatter_ratio) * scattered
    signal *= np.float32(open_field)
    electronic = ELECTRONIC_PHOTONS**2 * area_mm2 / NATIVE_PIXEL_MM**2
    # Hundreds of photons reach each pixel, where Poisson's law is normal; and a normal draw takes the same random
    # numbers with and without a finding.
    signal += np.sqrt(signal + np.float32(electronic)) * rng.standard_normal(signal.shape, dtype=np.float32)
    return -np.log(np.maximum(signal, 1) / np.float32(open_field))


def smooth(image: Array, width_mm: float, pixel_mm: tuple[float, float]) -> Array:
    """Blur the last two axes by two running means: in effect a wide bell, at a cost that does not grow with it."""
    # An even number of cells would shift the image.
    size = [1] * (image.ndim - 2) + [2 * round(width_mm / pixel / 2) + 1 for pixel in pixel_mm]
    return uniform_filter(uniform_filter(image, size, mode="nearest"), size, mode="nearest")


def average_path(breast: CompressedBreast, density: float) -> float:
    """Return the line integral through an average breast of this thickness."""
    return breast.thickness_mm * (MU_FAT + density * (MU_GLAND - MU_FAT))


def full_thickness(breast: CompressedBreast, scatter_ratio: float) -> np.float32:
    """Return a little less than what is measured behind fat of the whole thickness."""
    return np.float32(EQUALIZED_SHARE * breast.thickness_mm * MU_FAT - np.log1p(scatter_ratio))
