"""The field of view: how much of the detector a compression paddle uses, and the pixels of both images in it."""

from dataclasses import dataclass

import numpy as np

from dmdbt.phantom.anatomy import CompressedBreast, magnification
from dmdbt.phantom.patients import PhantomSettings
from dmdbt.phantom.tissue import Doubles
from dmdbt.terms import View

# Rows, columns of the paddles of 18 x 24 and 24 x 29 cm: 3328 x 2560 and 4096 x 3328 pixels of 0.07 mm.
SMALL_FIELD_MM, LARGE_FIELD_MM = (232.96, 179.2), (286.72, 232.96)


@dataclass(frozen=True)
class Frame:
    """Contents that both images of a view share.

    Parameters
    ----------
    field_mm, dm_shape
        Rows, columns: on the detector, and of the mammogram.
    dbt_size
        Rows and columns of a slice.
    """

    field_mm: tuple[float, float]
    dm_shape: tuple[int, int]
    dbt_size: int

    @property
    def dm_pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel of the mammogram (rows, columns) on the detector."""
        return self.field_mm[0] / self.dm_shape[0], self.field_mm[1] / self.dm_shape[1]

    @property
    def dbt_pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel of a slice (rows, columns) on the detector."""
        return self.field_mm[0] / self.dbt_size, self.field_mm[1] / self.dbt_size

    def row_edges_mm(self, count: int) -> Doubles:
        """Return the borders of `count` rows, from the middle of the chest wall."""
        return np.linspace(-0.5, 0.5, count + 1) * self.field_mm[0]

    def column_edges_mm(self, count: int) -> Doubles:
        """Return the borders of `count` columns, from the chest wall."""
        return np.linspace(0, 1, count + 1) * self.field_mm[1]


def choose_frame(breast: CompressedBreast, settings: PhantomSettings) -> Frame:
    """Take the small paddle if the breast fits, as a technologist does; both have the detector's pixels."""
    field = SMALL_FIELD_MM if _fits(breast, SMALL_FIELD_MM) else LARGE_FIELD_MM
    full = (settings.dm_rows, settings.dm_columns)
    rows, columns = (round(n * mm / large) for n, mm, large in zip(full, field, LARGE_FIELD_MM, strict=True))
    return Frame(field, (rows, columns), settings.dbt_size)


def _fits(breast: CompressedBreast, field_mm: tuple[float, float]) -> bool:
    """Whether the shadow of the breast lies within a field; toward the axilla MLO runs out of every field."""
    scale = magnification(breast.top_mm)
    low, high = (row * scale for row in breast.row_range_mm)
    below = high <= field_mm[0] / 2
    above = breast.view is View.MLO or -low <= field_mm[0] / 2
    return below and above and breast.reach_mm * scale <= field_mm[1]
