"""Glandular tissue and Cooper's ligaments of a breast, as random fields with a power law."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Triple = tuple[float, float, float]

# Unit coordinates: 1 is a half width across the nipple's axis, and the depth along it. Compression flattens the tissue,
# which is `FLATNESS` as thick as wide before.
FLATNESS = 0.55

_PERIOD, _COARSE = (2.4, 2.4, 1.2), (80, 80, 40)
_FINE_PERIOD, _FINE = (0.36, 0.36, 0.36), (48, 48, 48)
_POWER_AT_1 = 0.15  # Makes the variance of the two bands together about 1.
_EXPONENT = 3.9  # Power law of the glandular field before the threshold; projected, mammograms come to about 3.1.
_LOBULE_FREQUENCY = 2.5  # Cycles per unit below which the power law levels off: gland comes in lobes, not halves.
_CROSSOVER = 11.0  # Cycles per unit: below it the coarse field, above it the tiled fine one.
_SOFTNESS = 0.35  # Of the threshold, in standard deviations of the field.
_GLAND_SHARE = 0.75  # Share of gland in glandular tissue, which fat pervades.
_LIGAMENT_FREQUENCY = 5.0  # Cycles per unit of the field whose zero set are Cooper's ligaments.
_LIGAMENT_WIDTH = 0.09  # In standard deviations of that field; about 1 mm.
_LIGAMENT_SHARE = 0.35  # Collagen within a ligament.


@dataclass(frozen=True)
class PeriodicField:
    """A random field by its cubic spline coefficients, shape (lateral, superior, toward nipple), and its periods."""

    coefficients: Array
    period: Triple

    def sample(self, lateral: Array, superior: Array, toward_nipple: Array) -> Array:
        """Sample rows that run toward the nipple, shape (H, W).

        Parameters
        ----------
        lateral, superior
            Unit coordinates of the rows, shape (H,).
        toward_nipple
            Unit coordinates of the columns, shape (W,).
        """
        shape = self.coefficients.shape
        axes = zip((lateral, superior, toward_nipple), self.period, shape, strict=True)
        (i, wi), (j, wj), (k, wk) = (_spline_taps(place / period * count, count) for place, period, count in axes)
        taps = self.coefficients[i[:, :, None], j[:, None, :]].reshape(len(lateral), 16, shape[2])
        rows = ((wi[:, :, None] * wj[:, None, :]).reshape(-1, 1, 16) @ taps)[:, 0]
        columns = np.zeros((shape[2], len(toward_nipple)), np.float32)
        np.add.at(columns, (k.T, np.arange(len(toward_nipple))), wk.T)
        return np.asarray(rows @ columns, np.float32)


@dataclass(frozen=True)
class Tissue:
    """Tissue of a breast, in unit coordinates that do not depend on the view."""

    coarse: PeriodicField
    fine: PeriodicField
    ligaments: PeriodicField
    threshold: float

    def gland_logit(self, lateral: Array, superior: Array, toward_nipple: Array) -> Array:
        """Return how glandular the tissue is: above 0 gland, below 0 fat; shape (H, W)."""
        field = self.coarse.sample(lateral, superior, toward_nipple)
        field += self.fine.sample(lateral, superior, toward_nipple)
        field += _glandular_prior(lateral, superior, toward_nipple) - np.float32(self.threshold)
        return field / np.float32(_SOFTNESS)

    def ligament_share(self, lateral: Array, superior: Array, toward_nipple: Array) -> Array:
        """Return the share of collagen in Cooper's ligaments, shape (H, W)."""
        field = self.ligaments.sample(lateral, superior, toward_nipple)
        return np.float32(_LIGAMENT_SHARE) * np.exp(-((field / np.float32(_LIGAMENT_WIDTH)) ** 2))


def gland_share(logit: Array, ligaments: Array) -> Array:
    """Return the share of gland or collagen in the tissue."""
    return np.maximum(np.float32(_GLAND_SHARE) / (1 + np.exp(np.clip(-logit, -30, 30))), ligaments)


def draw_tissue(rng: np.random.Generator, *, density: float) -> Tissue:
    """Draw the tissue of a breast with a given glandular share of its volume."""
    coarse = _power_law_field(rng, _COARSE, _PERIOD, band=(0.0, _CROSSOVER))
    fine = _power_law_field(rng, _FINE, _FINE_PERIOD, band=(_CROSSOVER, np.inf))
    ligaments = _power_law_field(rng, _COARSE, _PERIOD, band=(_LIGAMENT_FREQUENCY * 0.6, _LIGAMENT_FREQUENCY))
    ligaments = PeriodicField(ligaments.coefficients / ligaments.coefficients.std(), _PERIOD)
    tissue = Tissue(coarse, fine, ligaments, threshold=0.0)
    return replace(tissue, threshold=_threshold(tissue, density))


def _threshold(tissue: Tissue, density: float) -> float:
    """Return the threshold of the field at which the breast has the given share of gland."""
    lateral, superior = np.meshgrid(np.linspace(-0.9, 0.9, 37), np.linspace(-FLATNESS, FLATNESS, 15))
    rows = lateral.ravel().astype(np.float32), superior.ravel().astype(np.float32)
    toward_nipple = np.linspace(0.02, 0.95, 32, dtype=np.float32)
    inside = np.hypot(rows[0][:, None], toward_nipple[None, :]) < 0.95
    logit = tissue.gland_logit(*rows, toward_nipple)[inside]
    ligaments = tissue.ligament_share(*rows, toward_nipple)[inside]

    def excess(threshold: float) -> float:
        return float(gland_share(logit - np.float32(threshold / _SOFTNESS), ligaments).mean()) - density

    return float(brentq(excess, -30, 30, xtol=1e-3))


def _glandular_prior(lateral: Array, superior: Array, toward_nipple: Array) -> Array:
    """Return where gland is likely, shape (H, W): in a cone toward the nipple, with fat behind and around it."""
    width = np.float32(0.60) * (1 - toward_nipple) + np.float32(0.22)
    cone = (lateral**2 + superior**2)[:, None] / (width**2)[None, :]
    behind = np.exp(-toward_nipple / np.float32(0.12))[None, :]
    return -np.float32(1.15) * cone - np.float32(2.5) * behind


def _power_law_field(
    rng: np.random.Generator, shape: tuple[int, int, int], period: Triple, *, band: tuple[float, float]
) -> PeriodicField:
    """Draw a periodic Gaussian field with a power-law spectrum within a band (cycles per unit).

    The amplitude is the same continuous law for every grid, so that bands of different grids join.
    """
    spectrum = np.fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    cycles = np.ix_(np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2]))
    x, y, z = (c * n / p for c, n, p in zip(cycles, shape, period, strict=True))
    frequency = np.sqrt(x**2 + y**2 + z**2)
    inside = (frequency >= band[0]) & (frequency < band[1]) & (frequency > 0)
    cell = np.prod(period) / np.prod(shape)
    gain: Doubles = np.zeros(frequency.shape)
    gain[inside] = np.sqrt(_POWER_AT_1 / cell) * (frequency[inside] ** 2 + _LOBULE_FREQUENCY**2) ** (-_EXPONENT / 4)
    for c in cycles:
        # Sampled cubic B-spline: dividing by it makes the coefficients of the interpolating spline.
        gain /= (2 + np.cos(2 * np.pi * c)) / 3
    return PeriodicField(np.fft.irfftn(spectrum * gain, s=shape, axes=(0, 1, 2)).astype(np.float32), period)


def _spline_taps(position: Array, count: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Return the indices and weights of the four cubic B-splines at positions in samples; shapes (N, 4)."""
    base = np.floor(position)
    f = (position - base)[:, None]
    weights = np.concatenate(
        [(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=1
    ) / np.float32(6)
    return (base.astype(np.intp)[:, None] + np.arange(-1, 3)) % count, weights.astype(np.float32)
