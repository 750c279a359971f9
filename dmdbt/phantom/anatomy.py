"""The breast: random tissue in unit coordinates, and the same tissue compressed for a view. Arrays only."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dmdbt.phantom.patients import Patient
from dmdbt.phantom.tissue import FLATNESS, Array, Doubles, Tissue, Triple, draw_tissue, gland_share
from dmdbt.terms import View

Heights = TypeVar("Heights", float, Doubles)

# Linear attenuation at 20 keV (1/mm): Johns and Yaffe 1987 (fat, gland, carcinoma), NIST tables (the others).
MU_FAT, MU_GLAND, MU_CARCINOMA = 0.0456, 0.0802, 0.0844
MU_SKIN, MU_MUSCLE, MU_CALCIFICATION = 0.0800, 0.0810, 2.08
# Gland with some fat: as dense as the glandular tissue around it, as most fibroadenomas are.
MU_FIBROADENOMA = MU_FAT + 0.85 * (MU_GLAND - MU_FAT)

SKIN_MM = 1.7  # Mean of published breast CT measurements, 1.4 to 1.9 mm.
SUPPORT_MM = 20.0  # From the detector's plane to the underside of the breast.
MLO_ANGLE_DEG = 50.0  # Turn of the compression about the nipple's axis between CC and MLO.
SOURCE_MM = 650.0  # From the source to the detector (SID).

_MLO_UPPER_MM = 205.0  # Above the nipple MLO reaches toward the axilla, beyond the image.
_BULGES = np.array([0.02, 0.03, 0.012])  # Standard deviations; see `CompressedBreast.bulges`.
_NIPPLE_MM = (6.0, 7.5, 6.0)  # Half axes: rows, columns, height.
_MUSCLE_SHARE = 0.42  # Of the thickness at the chest wall; fat lies in front of and behind the muscle.
_SUBCUTANEOUS_MM = 3.5  # Decay of what keeps gland away from the skin.


@dataclass(frozen=True)
class Layer:
    """One layer of the breast parallel to the detector; shares of 0 to 1, each of shape (H, W).

    Parameters
    ----------
    inside, skin
        Share of a cell within the skin, and in the skin or the nipple.
    gland, muscle
        Share of what is within the skin; the rest is fat.
    """

    inside: Array
    skin: Array
    gland: Array
    muscle: Array

    def attenuation(self) -> Array:
        """Return the linear attenuation at 20 keV in 1/mm, shape (H, W)."""
        soft = np.float32(MU_FAT) + np.float32(MU_GLAND - MU_FAT) * self.gland
        soft += self.muscle * (np.float32(MU_MUSCLE) - soft)
        return self.inside * soft + self.skin * np.float32(MU_SKIN)


@dataclass(frozen=True)
class LayerGrid:
    """Cells of layers whose pixels lie on the rays from the source to the pixels of the detector.

    So the projection of the layers is their sum, pixel by pixel. Positions on the detector are those of
    `CompressedBreast`; the source stands over the chest wall in the middle of the rows.

    Parameters
    ----------
    row_edges_mm, column_edges_mm
        Borders of the pixels on the detector, shapes (H + 1,) and (W + 1,).
    height_edges_mm
        Borders of the layers, shape (T + 1,).
    """

    row_edges_mm: Doubles
    column_edges_mm: Doubles
    height_edges_mm: Doubles

    @property
    def heights_mm(self) -> Doubles:
        """Height of the middle of each layer, shape (T,)."""
        return (self.height_edges_mm[1:] + self.height_edges_mm[:-1]) / 2

    @property
    def spacing_mm(self) -> float:
        """Thickness of a layer."""
        return float(self.height_edges_mm[1] - self.height_edges_mm[0])

    def cell_mm(self, scale: float) -> Triple:
        """Return the size of a cell (rows, columns, height) where the magnification is `scale`."""
        row, column = (float(edges[1] - edges[0]) / scale for edges in (self.row_edges_mm, self.column_edges_mm))
        return row, column, self.spacing_mm

    def positions_mm(self, index: int) -> tuple[Array, Array]:
        """Return the rows and columns of the cells of a layer in mm, shapes (H,) and (W,)."""
        scale = magnification(self.heights_mm[index])
        middles = ((edges[1:] + edges[:-1]) / 2 for edges in (self.row_edges_mm, self.column_edges_mm))
        rows, columns = ((middle / scale).astype(np.float32) for middle in middles)
        return rows, columns

    def box(self, center_mm: Triple, reach_mm: float) -> tuple[slice, slice, slice]:
        """Return the layers, and the rows and columns of the detector, that hold a box about a place in the breast."""
        low, high = center_mm[2] - reach_mm, center_mm[2] + reach_mm
        scale = magnification(high)
        slices = [cells_within(self.height_edges_mm, low, high)]
        for edges, center in zip((self.row_edges_mm, self.column_edges_mm), center_mm[:2], strict=True):
            reach = reach_mm * scale + abs(center) * (scale - magnification(low))
            middle = center * magnification(center_mm[2])
            slices.append(cells_within(edges, middle - reach, middle + reach))
        return slices[0], slices[1], slices[2]


@dataclass(frozen=True)
class CompressedBreast:
    """A breast between the paddles. Positions are mm: row along the chest wall, column from it, height over detector.

    The chest wall is column 0, the nipple points to growing columns, row 0 is the middle of the detector and growing
    rows are medial (CC) or toward the feet (MLO): a left breast as it is displayed.

    Parameters
    ----------
    bulges
        Relative departures of the outline from an ellipse, once, twice and three times around it.
    """

    tissue: Tissue
    view: View
    depth_mm: float
    half_width_mm: float
    thickness_mm: float
    bulges: tuple[float, ...]

    @property
    def nipple_row_mm(self) -> float:
        """Row of the nipple; below the middle in MLO, where the axilla takes the upper part."""
        return 12.0 if self.view is View.MLO else 0.0

    @property
    def top_mm(self) -> float:
        """Height of the upper paddle over the detector."""
        return SUPPORT_MM + self.thickness_mm

    @property
    def reach_mm(self) -> float:
        """Column of the tip of the nipple."""
        return self.depth_mm * (1 + sum(map(abs, self.bulges))) + _NIPPLE_MM[1]

    @property
    def row_range_mm(self) -> tuple[float, float]:
        """Rows between which the breast lies."""
        bulge = 1 + sum(map(abs, self.bulges))
        return self.nipple_row_mm - bulge * self._upper_mm, self.nipple_row_mm + bulge * self.half_width_mm

    @property
    def _upper_mm(self) -> float:
        return _MLO_UPPER_MM if self.view is View.MLO else self.half_width_mm

    def locate(self, position: Triple) -> Triple:
        """Return (row, column, height) in mm of unit coordinates (toward nipple, lateral, superior)."""
        toward_nipple, lateral, superior = position
        across, through = rotation(self.view) @ np.array([lateral, superior])
        height = SUPPORT_MM + self.thickness_mm / 2 * (1 + through / FLATNESS)
        return float(self.nipple_row_mm + across * self.half_width_mm), toward_nipple * self.depth_mm, float(height)

    def layer(self, rows_mm: Array, columns_mm: Array, height_mm: float, cell_mm: Triple) -> Layer:
        """Cut the layer at a height.

        Parameters
        ----------
        rows_mm, columns_mm
            Positions, shapes (H,) and (W,).
        height_mm
            Height of the middle of the layer over the detector.
        cell_mm
            Size of a cell (rows, columns, height), for surfaces that cut through it.
        """
        margin = self._margin(rows_mm, columns_mm)
        depth_below_skin, outer = self._cover(margin, height_mm, cell_mm, inset=0.0)
        _, inside = self._cover(margin, height_mm, cell_mm, inset=SKIN_MM)
        skin = np.maximum(outer, self._nipple(rows_mm, columns_mm, height_mm)) - inside
        unit = self._unit(rows_mm, columns_mm, height_mm)
        near_skin = np.exp(-depth_below_skin / np.float32(_SUBCUTANEOUS_MM))
        logit = self.tissue.gland_logit(*unit) - np.float32(12) * near_skin
        gland = gland_share(logit, self.tissue.ligament_share(*unit))
        return Layer(inside, skin, gland, self._muscle(rows_mm, columns_mm, height_mm, gland))

    def _unit(self, rows_mm: Array, columns_mm: Array, height_mm: float) -> tuple[Array, Array, Array]:
        across = (rows_mm - np.float32(self.nipple_row_mm)) / np.float32(self.half_width_mm)
        through = FLATNESS * (2 * (height_mm - SUPPORT_MM) / self.thickness_mm - 1)
        turn = rotation(self.view).T.astype(np.float32)
        lateral = turn[0, 0] * across + np.float32(turn[0, 1] * through)
        superior = turn[1, 0] * across + np.float32(turn[1, 1] * through)
        return lateral, superior, columns_mm / np.float32(self.depth_mm)

    def _margin(self, rows_mm: Array, columns_mm: Array) -> Array:
        """Return the distance from the outline in mm, positive within, shape (H, W); far within it is only large."""
        from_nipple = (rows_mm - np.float32(self.nipple_row_mm))[:, None]
        half_width = np.where(from_nipple < 0, np.float32(self._upper_mm), np.float32(self.half_width_mm))
        depth = np.float32(self.depth_mm)
        y, x = from_nipple / half_width, columns_mm[None, :] / depth
        radius = np.sqrt(x * x + y * y) + np.float32(1e-3)
        sine = y / radius
        first, second, third = (np.float32(bulge) for bulge in self.bulges)
        bulge = 1 + first * sine + second * sine * sine + third * sine * (3 - 4 * sine * sine)
        slope = np.sqrt((x / depth) ** 2 + (y / half_width) ** 2) / radius + np.float32(1e-4)
        return np.asarray((bulge - radius) / slope, np.float32)

    def _cover(self, margin: Array, height_mm: float, cell_mm: Triple, *, inset: float) -> tuple[Array, Array]:
        """Return the depth below a rounded surface (mm) and the share of each cell below it, shapes (H, W).

        The rim is a quarter of an ellipse, as high as half the thickness. A share instead of a hard surface: voxel
        steps on the rim would be seen as rings in every slice.
        """
        half = self.thickness_mm / 2 - inset
        rim = np.float32(0.8 * half)
        above = np.float32((height_mm - SUPPORT_MM - self.thickness_mm / 2) / half)
        inward = np.maximum(rim - (margin - np.float32(inset)), 0) / rim
        radius = np.sqrt(inward * inward + above * above) + np.float32(1e-6)
        # The gradient's components say how far a cell reaches across the surface.
        steep, flat = inward / (radius * rim), np.abs(above) / (radius * np.float32(half))
        reach = steep * np.float32(max(cell_mm[:2])) + flat * np.float32(cell_mm[2])
        depth: Array = (1 - radius) / (np.sqrt(steep * steep + flat * flat) + np.float32(1e-6))
        share: Array = np.clip((1 - radius) / (reach + np.float32(1e-6)) + np.float32(0.5), 0, 1)
        return np.maximum(depth, 0), share

    def _nipple(self, rows_mm: Array, columns_mm: Array, height_mm: float) -> Array:
        y = (rows_mm - np.float32(self.nipple_row_mm))[:, None] / np.float32(_NIPPLE_MM[0])
        x = (columns_mm - np.float32(self.depth_mm - 2))[None, :] / np.float32(_NIPPLE_MM[1])
        z = np.float32((height_mm - SUPPORT_MM - self.thickness_mm / 2) / _NIPPLE_MM[2])
        return np.clip((1 - np.sqrt(x * x + y * y + z * z)) * 5, 0, 1)

    def _muscle(self, rows_mm: Array, columns_mm: Array, height_mm: float, gland: Array) -> Array:
        """Return the share of pectoral muscle: a wedge at the chest wall, from the top to below the nipple's row."""
        if self.view is not View.MLO:
            return np.zeros_like(gland)
        through = (height_mm - SUPPORT_MM) / self.thickness_mm - 0.45
        above = np.maximum(np.float32(self.nipple_row_mm + 12.0) - rows_mm, 0)
        edge = np.float32(0.95) * above ** np.float32(0.85)
        # It thins out toward its edge.
        inward = (edge[:, None] - columns_mm[None, :]) / (edge[:, None] + 1)
        half = np.float32(_MUSCLE_SHARE / 2) * np.sqrt(np.clip(2 * inward, 0, 1))
        share: Array = np.clip((half - np.float32(abs(through))) * np.float32(self.thickness_mm / 3), 0, 1)
        return share * (np.float32(0.85) + np.float32(0.15) * gland)


def compress(patient: Patient, view: View) -> CompressedBreast:
    """Draw a patient's breast and compress it for a view: every view of a patient shows the same tissue."""
    tissue = draw_tissue(patient.generator("tissue"), density=patient.density)
    bulges = np.clip(patient.generator(f"outline {view}").normal(size=3), -2, 2) * _BULGES
    return CompressedBreast(tissue, view, patient.depth_mm, patient.half_width_mm, patient.thickness_mm, tuple(bulges))


def cells_within(edges: Doubles, low: float, high: float) -> slice:
    """Return the cells between ascending `edges`, shape (N + 1,), that reach into a range."""
    start, stop = np.searchsorted(edges, [low, high])
    return slice(max(int(start) - 1, 0), min(int(stop), len(edges) - 1))


def magnification(height_mm: Heights) -> Heights:
    """Return how much larger than itself something at a height is on the detector."""
    return SOURCE_MM / (SOURCE_MM - height_mm)


def rotation(view: View) -> Doubles:
    """Return the matrix from (lateral, superior) to (across, through) the compressed breast of a view."""
    angle = np.deg2rad(MLO_ANGLE_DEG) if view is View.MLO else 0.0
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
