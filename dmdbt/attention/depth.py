"""From the heat map of a dynamic image back to the slices of its volume."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dmdbt.attention.original import Box, stretched

_LEAST_SHARE = 0.05  # of the mean share: below it, a ratio of two shares is noise
_TENTH = 10


def slice_evidence(slices: np.ndarray, weights: np.ndarray | None, heat: np.ndarray, box: Box) -> np.ndarray:
    r"""Return the share of each slice in what makes the dynamic image differ from gray under a heat map.

    .. math:: e_t \propto \sum_p \max(0, h_p) \, |w_t (V_{tp} - \bar V_p)|

    The dynamic image of rank pooling is :math:`\sum_t w_t V_t` with weights that sum to 0, so that the mean over the
    slices may be subtracted from each: what remains is the part of slice t. The sum is over the pixels p of the crop
    box, over which the cells of the heat map are spread evenly.

    A large share says that the slice shapes the dynamic image where the head looked, not that a finding lies in it. The
    first slice has the largest weight and, in the simulated cohort, always the largest share. What the heat adds,
    `relative_evidence` tells: little, see docs/attention.md.

    Parameters
    ----------
    slices
        uint8, shape (T, H, W).
    weights
        Shape (T,), of any scale, see `pooling_weights`. None counts every slice alike: its difference from the mean.
    heat
        shape (h, w); negative values count as 0.
    box
        First row, end of rows, first column, end of columns of the crop box, within the slices.

    Returns
    -------
    ndarray of float64, shape (T,)
        At least 0, with the sum 1; all 0 if no slice has any evidence.

    Raises
    ------
    ValueError
        There is not one weight per slice, or the box is empty or exceeds the slices.
    """
    first_row, end_row, first_column, end_column = box
    n_slices, rows, columns = slices.shape
    weights = np.ones(n_slices) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (n_slices,):
        raise ValueError(f"slice_evidence: expected {n_slices} weights, got an array of shape {weights.shape}")
    if not (0 <= first_row < end_row <= rows and 0 <= first_column < end_column <= columns):
        raise ValueError(f"slice_evidence: expected a box within {rows} x {columns} pixels, got {box}")
    inside = slices[:, first_row:end_row, first_column:end_column]
    heat = np.maximum(stretched(heat, inside.shape[1:]), 0)
    mean = np.zeros(heat.shape, np.float32)
    for current in inside:
        mean += current
    mean /= n_slices
    evidence = np.empty(n_slices)
    difference = np.empty_like(mean)
    for t, current in enumerate(inside):  # one slice at a time: the volume as float32 would take four times its memory
        np.abs(np.subtract(current, mean, out=difference), out=difference)
        evidence[t] = abs(weights[t]) * np.vdot(heat, difference)
    total = evidence.sum()
    return evidence / total if total > 0 else evidence


def relative_evidence(evidence: np.ndarray, even: np.ndarray) -> np.ndarray:
    """Divide the evidence of slices by that under an even heat map, which does not depend on where the head looked.

    A slice that has less than a twentieth of the mean share under the even map counts as 0: its ratio would be that of
    two numbers near 0, which noise decides.

    Parameters
    ----------
    evidence, even
        Shape (T,): `slice_evidence` under a heat map, and under ``np.ones((1, 1))``.

    Returns
    -------
    ndarray of float64, shape (T,)
        At least 0, with the sum 1; all 0 if no slice has any evidence, as under a heat map of 0: none stands out.
    """
    ratios = np.divide(evidence, even, out=np.zeros(len(even)), where=even > _LEAST_SHARE * even.mean())
    total = ratios.sum()
    return np.asarray(ratios / total if total > 0 else ratios)


def top_slices(evidence: np.ndarray, n: int = 3) -> list[int]:
    """Return the indices of at most `n` slices with most evidence, from 0, most first; of equal ones the first.

    They are at least a tenth of the volume apart, because neighbors show the same. Slices without evidence are left
    out: under a heat map of 0 there is none.
    """
    apart, found = len(evidence) // _TENTH, list[int]()
    for index in np.argsort(-evidence, kind="stable").tolist():
        if len(found) < n and evidence[index] > 0 and all(abs(index - other) >= apart for other in found):
            found.append(index)
    return found


def pooling_weights(record: Mapping[str, Any]) -> np.ndarray | None:
    """Return the weights of the slices in a pooled image, float64 of shape (T,); None if it is not a weighted sum.

    `record` is what the stage rankpool writes beside the image: ``pooler``, ``slices``, and ``weights`` if there are.
    The maximum, the standard deviation and ``svr`` are not weighted sums.
    """
    n_slices = record["slices"]
    if "weights" in record:
        return np.array(record["weights"], np.float64)
    if record["pooler"] == "mean":
        return np.full(n_slices, 1 / n_slices)
    if record["pooler"] == "central":
        return np.eye(n_slices)[n_slices // 2]
    return None
