"""The shape of a finding, drawn once per patient, and its insertion into the layers of a view. Arrays only."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import erf

from dmdbt.phantom.anatomy import (
    MU_CALCIFICATION,
    MU_CARCINOMA,
    MU_FAT,
    MU_FIBROADENOMA,
    CompressedBreast,
    Layer,
    LayerGrid,
    cells_within,
    magnification,
    rotation,
)
from dmdbt.phantom.patients import FindingType
from dmdbt.phantom.tissue import Array, Doubles, Triple

_REACH = 3.5  # Standard deviations after which a Gaussian is cut off.
_STRAND_STEP_MM = 0.4  # Distance of the Gaussians that make a strand.


@dataclass(frozen=True)
class Gaussians:
    """Small bodies of material, blurred at their surface.

    Parameters
    ----------
    centers, widths
        Centers and standard deviations in mm, shape (N, 3).
    volumes
        mm3 of material, shape (N,).
    """

    centers: Doubles
    widths: Doubles
    volumes: Doubles

    def turned(self, turn: Doubles) -> "Gaussians":
        """Turn the centers; of the widths only those along the new axes are kept."""
        return replace(self, centers=self.centers @ turn.T, widths=np.sqrt(self.widths**2 @ (turn**2).T))


_NOTHING = Gaussians(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))


@dataclass(frozen=True)
class Mass:
    """The union of ellipsoids.

    Parameters
    ----------
    centers
        In mm, shape (N, 3).
    maps
        From an offset in mm to the unit ball, shape (N, 3, 3).
    edge_mm
        Width of the margin.
    halo
        Share of the tissue right around that fat replaces.
    mu
        Attenuation (1/mm).
    """

    centers: Doubles
    maps: Doubles
    edge_mm: float
    halo: float
    mu: float

    def turned(self, turn: Doubles) -> "Mass":
        """Turn about the finding's center."""
        return replace(self, centers=self.centers @ turn.T, maps=self.maps @ turn.T)

    def depth(self, rows: Array, columns: Array, height: float) -> Array:
        """Return the approximate depth below the surface in mm, negative outside, shape (H, W)."""
        depth = np.full((len(rows), len(columns)), -np.inf, np.float32)
        for center, matrix in zip(self.centers, self.maps.astype(np.float32), strict=True):
            y, x, z = rows[:, None] - center[0], columns[None, :] - center[1], np.float32(height - center[2])
            squares = sum((m[0] * y + m[1] * x + m[2] * z) ** 2 for m in matrix)
            radius = np.float32(abs(np.linalg.det(matrix)) ** (-1 / 3))
            depth = np.maximum(depth, (1 - np.sqrt(squares)) * radius)
        return depth


@dataclass(frozen=True)
class FindingShape:
    """A finding in mm about its center. Axes: across (rows), toward the nipple (columns), through (height).

    As drawn the axes are those of CC: lateral, toward the nipple, superior.

    Parameters
    ----------
    reach_mm
        Half the side of a box around all of it.
    mass
        If there is one.
    strands
        Spicules, of the attenuation of carcinoma.
    grains
        Calcifications.
    retraction
        Share by which the tissue around is pulled to the center.
    """

    reach_mm: float
    mass: Mass | None = None
    strands: Gaussians = _NOTHING
    grains: Gaussians = _NOTHING
    retraction: float = 0.0

    def turned(self, turn: Doubles) -> "FindingShape":
        """Turn about the center."""
        mass = self.mass.turned(turn) if self.mass else None
        return replace(self, mass=mass, strands=self.strands.turned(turn), grains=self.grains.turned(turn))


def draw_shape(rng: np.random.Generator, finding: FindingType, radius_mm: float) -> FindingShape:
    """Draw a finding of a type and a size."""
    draw = {
        FindingType.CIRCUMSCRIBED_MASS: _circumscribed_mass,
        FindingType.SPICULATED_MASS: _spiculated_mass,
        FindingType.DISTORTION: _distortion,
        FindingType.COARSE_CALCIFICATIONS: _coarse_calcifications,
        FindingType.FINE_CALCIFICATIONS: _fine_calcifications,
    }
    return draw[finding](rng, radius_mm)


def _circumscribed_mass(rng: np.random.Generator, radius: float) -> FindingShape:
    """Draw a round, oval or gently lobulated mass with a sharp margin and a halo."""
    radii = radius * rng.uniform(0.65, 0.95, (3, 3))
    maps = np.stack([_random_rotation(rng) / radii_of_lobe[:, None] for radii_of_lobe in radii])
    mass = Mass(0.2 * radius * _directions(rng, 3), maps, edge_mm=0.8, halo=0.4, mu=MU_FIBROADENOMA)
    return FindingShape(1.3 * radius + 3, mass)


def _spiculated_mass(rng: np.random.Generator, radius: float) -> FindingShape:
    """Draw a lobulated mass with tapered spicules that pulls at the tissue around it."""
    count = int(rng.integers(9, 15))
    radii = radius * rng.uniform(0.25, 0.45, count)
    maps = np.eye(3) / radii[:, None, None]
    centers = 0.5 * radius * np.cbrt(rng.random((count, 1))) * _directions(rng, count)
    mass = Mass(centers, maps, edge_mm=1.2, halo=0.0, mu=MU_CARCINOMA)
    strands = _draw_strands(rng, start=0.25 * radius, lengths=(1.0 * radius, 2.2 * radius), width=1.5)
    return FindingShape(2.8 * radius, mass, strands, retraction=0.25)


def _distortion(rng: np.random.Generator, radius: float) -> FindingShape:
    """Draw long thin strands toward a point and the retraction of the tissue, without a mass."""
    strands = _draw_strands(rng, start=0.1 * radius, lengths=(1.2 * radius, 2.4 * radius), width=0.85)
    return FindingShape(2.8 * radius, strands=strands, retraction=0.45)


def _coarse_calcifications(rng: np.random.Generator, radius: float) -> FindingShape:
    """Draw a few large round calcifications."""
    count = int(rng.integers(3, 9))
    centers = 0.8 * radius * np.cbrt(rng.random((count, 1))) * _directions(rng, count)
    widths = np.repeat(rng.uniform(0.30, 0.75, (count, 1)), 3, axis=1)
    return FindingShape(radius + 4, grains=_gaussians(centers, widths, peak=0.35))


def _fine_calcifications(rng: np.random.Generator, radius: float) -> FindingShape:
    """Draw a cluster of small calcifications of different shapes."""
    count = int(rng.integers(24, 61))
    spread = radius * np.array([0.35, 0.45, 0.35])
    centers = (np.clip(rng.normal(size=(count, 3)), -2.2, 2.2) * spread) @ _random_rotation(rng)
    widths = rng.uniform(0.07, 0.20, (count, 1)) * rng.uniform(0.7, 1.8, (count, 3))
    return FindingShape(1.3 * radius + 4, grains=_gaussians(centers, widths, peak=0.8))


def _draw_strands(rng: np.random.Generator, *, start: float, lengths: tuple[float, float], width: float) -> Gaussians:
    """Draw 20 to 38 slightly curved strands that run outward and taper."""
    points, widths = [], []
    for direction in _directions(rng, int(rng.integers(20, 39))):
        length = rng.uniform(*lengths)
        along = np.arange(0, length, _STRAND_STEP_MM)[:, None]
        bend = 0.12 * np.cross(direction, rng.normal(size=3)) * along**2 / length
        points.append((start + along) * direction + bend)
        widths.append(width * rng.uniform(0.7, 1.2) * (1 - 0.8 * along / length))
    width_of_all = np.concatenate(widths)
    volumes = 2 * np.pi * width_of_all[:, 0] ** 2 * _STRAND_STEP_MM
    return Gaussians(np.concatenate(points), np.repeat(width_of_all, 3, axis=1), volumes)


def _gaussians(centers: Doubles, widths: Doubles, *, peak: float) -> Gaussians:
    return Gaussians(centers, widths, peak * (2 * np.pi) ** 1.5 * widths.prod(axis=1))


def _directions(rng: np.random.Generator, count: int) -> Doubles:
    vectors = rng.normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _random_rotation(rng: np.random.Generator) -> Doubles:
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


@dataclass(frozen=True)
class PlacedFinding:
    """A finding on the grid of a view: its window, and the shares of strands and grains of its cells.

    Parameters
    ----------
    shape, center_mm
        Turned for the view; row, column and height of the center.
    layers, rows, columns
        The window in `grid`.
    strands, grains
        Shares of 0 to 1 of each cell in the window, shape (T, H, W).
    contrast
        Strength of it all; 0 changes nothing.
    """

    shape: FindingShape
    center_mm: Triple
    grid: LayerGrid
    layers: slice
    rows: slice
    columns: slice
    strands: Array
    grains: Array
    contrast: float

    def disturb(self, layer: Layer, index: int) -> Layer:
        """Return the layer with its tissue pulled toward the finding and fat in the finding's halo."""
        if not self._reaches(index):
            return layer
        gland = layer.gland.copy()
        window = gland[self.rows, self.columns]
        if self.shape.retraction > 0:
            window = self._retract(window, index)
        if self.shape.mass and self.shape.mass.halo > 0:
            around = np.exp(-((np.minimum(self.shape.mass.depth(*self._offsets(index)), 0) / 1.5) ** 2))
            window = window * (1 - np.float32(self.contrast * self.shape.mass.halo) * around)
        gland[self.rows, self.columns] = np.clip(window, 0, 1)
        return replace(layer, gland=gland)

    def insert(self, mu: Array, index: int) -> Array:
        """Return the attenuation (1/mm) of the layer with the finding in it."""
        if not self._reaches(index):
            return mu
        mu = mu.copy()
        window = mu[self.rows, self.columns]
        # Outside the breast there is nothing to replace.
        tissue = np.clip(window / np.float32(MU_FAT), 0, 1) * np.float32(self.contrast)
        if mass := self.shape.mass:
            share = np.clip(mass.depth(*self._offsets(index)) / np.float32(mass.edge_mm) + np.float32(0.5), 0, 1)
            window = window + share * tissue * (np.float32(mass.mu) - window)
        within = index - self.layers.start
        window = window + self.strands[within] * tissue * (np.float32(MU_CARCINOMA) - window)
        mu[self.rows, self.columns] = window + self.grains[within] * tissue * (np.float32(MU_CALCIFICATION) - window)
        return mu

    def _reaches(self, index: int) -> bool:
        return self.contrast != 0 and self.layers.start <= index < self.layers.stop

    def _offsets(self, index: int) -> tuple[Array, Array, float]:
        rows, columns = self.grid.positions_mm(index)
        y, x, z = self.center_mm
        height = float(self.grid.heights_mm[index] - z)
        return rows[self.rows] - np.float32(y), columns[self.columns] - np.float32(x), height

    def _retract(self, gland: Array, index: int) -> Array:
        """Show at each place the tissue of a place farther out."""
        y, x, z = self._offsets(index)
        reach = np.float32(self.shape.reach_mm / 2.2)
        pull = np.exp(-(y[:, None] ** 2 + x[None, :] ** 2 + np.float32(z**2)) / reach**2)
        pull *= np.float32(min(self.contrast, 1.0) * self.shape.retraction)
        i, j = np.arange(len(y), dtype=np.float32)[:, None], np.arange(len(x), dtype=np.float32)[None, :]
        row_step, column_step = y[1] - y[0], x[1] - x[0]
        where = np.stack([i + pull * y[:, None] / row_step, j + pull * x[None, :] / column_step])
        return map_coordinates(gland, where, order=1, mode="nearest", output=np.float32)


def place(
    shape: FindingShape, breast: CompressedBreast, position: Triple, grid: LayerGrid, *, contrast: float
) -> PlacedFinding:
    """Put a finding at a position (unit coordinates) of a compressed breast."""
    turn = np.eye(3)
    turn[np.ix_([0, 2], [0, 2])] = rotation(breast.view)
    turned = shape.turned(turn)
    center = breast.locate(position)
    box = grid.box(center, turned.reach_mm)
    strands, grains = (_shares(bodies, center, grid, box) for bodies in (turned.strands, turned.grains))
    return PlacedFinding(turned, center, grid, *box, strands, grains, contrast)


def _shares(bodies: Gaussians, center: Triple, grid: LayerGrid, box: tuple[slice, slice, slice]) -> Array:
    """Return which share of each cell in a box the bodies fill.

    Each Gaussian is integrated over the cells exactly, so that the material is conserved at every pixel size.
    """
    edges_of_grid = (grid.height_edges_mm, grid.row_edges_mm, grid.column_edges_mm)
    edges = [all_edges[cells.start : cells.stop + 1] for all_edges, cells in zip(edges_of_grid, box, strict=True)]
    shares = np.zeros([len(borders) - 1 for borders in edges], np.float32)
    centers = bodies.centers + np.array(center)
    # On the cone-beam grid everything is magnified as at the body's own height.
    scales = magnification(center[2] + bodies.centers[:, 2])
    for (y, x, z), (dy, dx, dz), volume, scale in zip(centers, bodies.widths, bodies.volumes, scales, strict=True):
        t, layer_part = _cell_parts(z, dz, edges[0])
        r, row_part = _cell_parts(y * scale, dy * scale, edges[1])
        c, column_part = _cell_parts(x * scale, dx * scale, edges[2])
        cell_mm3 = np.prod(grid.cell_mm(scale))
        shares[t, r, c] += (volume / cell_mm3) * layer_part[:, None, None] * row_part[:, None] * column_part
    return np.minimum(shares, 1)


def _cell_parts(center: float, width: float, edges: Doubles) -> tuple[slice, Array]:
    """Return the cells that a Gaussian reaches along an axis, and the part of it in each."""
    cells = cells_within(edges, center - _REACH * width, center + _REACH * width)
    cumulative = erf((edges[cells.start : cells.stop + 1] - center) / (np.sqrt(2) * width)) / 2
    return cells, np.diff(cumulative).astype(np.float32)
