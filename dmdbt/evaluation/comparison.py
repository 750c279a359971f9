"""Paired comparisons of two classifiers that were measured on the same pairs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dmdbt.evaluation.intervals import CONFIDENCE, percentile_interval
from dmdbt.evaluation.weighted import Floats

DELONG, BOOTSTRAP = "DeLong, patients as clusters", "patient bootstrap"
# Components are multiples of 1/2n: a variance that is not 0 is far above this, rounding is far below.
_NO_VARIANCE = 1e-24
# Two draws' metrics that are equal may differ in the last digits.
_DIGITS = 12


class Comparison(NamedTuple):
    """Difference `first` - `second` of a metric, its 95 % interval and its two-sided p-value; None where undefined."""

    test: str
    first: float | None = None
    second: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str | None = None


def delong_test(
    targets: ArrayLike, first: ArrayLike, second: ArrayLike, *, patients: Sequence[str] | None = None
) -> Comparison:
    """Compare the areas under two ROC curves of the same N pairs, the pairs of a patient being one cluster.

    Parameters
    ----------
    targets
        Shape (N,), 1 malignant and 0 benign.
    first, second
        Shape (N,), scores that rise with malignancy.
    patients
        N pseudonyms; without them each pair is its own cluster, and the test is that of DeLong et al.

    Returns
    -------
    Comparison
        The interval is the normal one. Where both rank all pairs alike the difference is 0 and the p-value 1.
        Without a variance, or with fewer than two patients of a class, there is neither interval nor p-value.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, 837-845.
    Obuchowski, Biometrics 53, 1997, 567-578, section 2: the clustered variance.
    Sun and Xu, IEEE Signal Processing Letters 21, 2014, 1389-1393: the components from midranks.
    """
    malignant = np.asarray(targets) == 1
    clusters = np.arange(len(malignant)) if patients is None else np.unique(patients, return_inverse=True)[1]
    if malignant.all() or not malignant.any():
        return Comparison(DELONG, reason=f"no {'benign' if len(malignant) and malignant.all() else 'malignant'} pairs")
    components = [_components(malignant, np.asarray(scores, dtype=np.float64)) for scores in (first, second)]
    areas = [float(of_one[malignant].mean()) for of_one in components]
    untested = Comparison(DELONG, areas[0], areas[1], areas[0] - areas[1])
    if any(len(np.unique(clusters[of_class])) < 2 for of_class in (malignant, ~malignant)):
        return untested._replace(reason="fewer than two patients of a class")
    differences = components[0] - components[1]
    if not differences.any():
        return untested._replace(difference=0.0, low=0.0, high=0.0, p_value=1.0, reason="both rank all pairs alike")
    variance = _clustered_variance(malignant, differences, clusters)
    if variance < _NO_VARIANCE:
        return untested._replace(reason="the estimated variance is zero")
    return _normal(untested, areas[0] - areas[1], float(np.sqrt(variance)))


def bootstrap_test(first: float | None, second: float | None, first_draws: Floats, second_draws: Floats) -> Comparison:
    """Compare any metric of two classifiers by draws of patients that both share.

    Parameters
    ----------
    first, second
        The metric on all pairs; None where undefined.
    first_draws, second_draws
        Shape (D,), the metric in each draw (`metric_draws`); NaN where undefined.

    Returns
    -------
    Comparison
        The interval is the percentile one. The p-value is twice the smaller share of draws on a side of 0, draws at 0
        belonging to both and the observed one counting as a draw: never below 2 / (D + 1).

    References
    ----------
    Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sections 4.2 (the added one) and 5.
    """
    if first is None or second is None:
        return Comparison(BOOTSTRAP, first, second, reason="undefined for one of the two")
    untested = Comparison(BOOTSTRAP, first, second, first - second)
    differences = np.round(first_draws - second_draws, _DIGITS)
    interval = percentile_interval(differences)
    if isinstance(interval, str):
        return untested._replace(reason=interval)
    defined = differences[~np.isnan(differences)]
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    p_value = min(1.0, 2 * (1 + smaller) / (1 + len(defined)))
    return untested._replace(low=interval[0], high=interval[1], p_value=p_value)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values so that the chance of one false finding among all of them stays at the level.

    None, where nothing was tested, stays None and is not counted.

    References
    ----------
    Holm, Scandinavian Journal of Statistics 6, 1979, 65-70.
    """
    tested = [(p_value, place) for place, p_value in enumerate(p_values) if p_value is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p_value, place) in enumerate(sorted(tested)):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_value))
        adjusted[place] = largest
    return adjusted


def _normal(comparison: Comparison, difference: float, deviation: float) -> Comparison:
    """Return the comparison with the normal interval and p-value of a difference of such a standard deviation."""
    from scipy.stats import norm  # here, for importing it takes half a second

    reach = float(norm.ppf((1 + CONFIDENCE) / 2)) * deviation
    p_value = float(2 * norm.sf(abs(difference) / deviation))
    return comparison._replace(low=difference - reach, high=difference + reach, p_value=p_value)


def _components(malignant: np.ndarray, scores: Floats) -> Floats:
    """Share of the pairs of the other class that each pair is ranked correctly against, ties counting one half."""
    from scipy.stats import rankdata

    overall = rankdata(scores)
    components = np.empty(len(scores))
    for of_class, n_others in ((malignant, (~malignant).sum()), (~malignant, malignant.sum())):
        components[of_class] = (overall[of_class] - rankdata(scores[of_class])) / n_others
    components[~malignant] = 1 - components[~malignant]
    return components


def _clustered_variance(malignant: np.ndarray, components: Floats, clusters: np.ndarray) -> float:
    """Variance of the mean component, Obuchowski's sums over clusters of the deviations of both classes.

    Of the components of a difference it is the variance of the difference: her formula is bilinear.
    """
    n_clusters = len(np.unique(clusters))
    sums = []
    for of_class in (malignant, ~malignant):
        deviations = components[of_class] - components[of_class].mean()
        sums.append(np.bincount(clusters[of_class], weights=deviations, minlength=n_clusters))
    variance = 2 * n_clusters / (n_clusters - 1) * (sums[0] @ sums[1]) / (malignant.sum() * (~malignant).sum())
    for of_class, summed in zip((malignant, ~malignant), sums, strict=True):
        n = len(np.unique(clusters[of_class]))
        variance += n / (n - 1) * (summed @ summed) / of_class.sum() ** 2
    return float(variance)
