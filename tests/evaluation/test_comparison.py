import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from dmdbt.evaluation import bootstrap_test, delong_test, holm


@st.composite
def compared_pairs(draw):
    """Targets with at least two pairs of each class, two scores with ties, patients with several pairs."""
    targets = np.array([0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), max_size=20))])
    size = {"min_size": len(targets), "max_size": len(targets)}
    scores = [np.array(draw(st.lists(st.integers(0, 8), **size))) / 8 for _ in range(2)]
    patients = np.array(draw(st.lists(st.integers(0, 11), **size)))
    patients[:4] = [20, 21, 20, 22]
    return targets, *scores, [f"P{patient}" for patient in patients]


def concordance(malignant, benign):
    return (malignant > benign) + (malignant == benign) / 2


def structural_components(targets, scores):
    """Equations (4) and (5) of DeLong et al.: loops over all pairs of pairs."""
    malignant, benign = scores[targets == 1], scores[targets == 0]
    return (
        np.array([np.mean([concordance(x, y) for y in benign]) for x in malignant]),
        np.array([np.mean([concordance(x, y) for x in malignant]) for y in benign]),
    )


def delong_variance(targets, first, second):
    """Their covariance matrix S10/m + S01/n, and the contrast (1, -1) of it."""
    components = [structural_components(targets, scores) for scores in (first, second)]
    matrix = sum(np.cov([c[k] for c in components]) / len(components[0][k]) for k in (0, 1))
    return np.array([1, -1]) @ matrix @ np.array([1, -1])


def obuchowski_variance(targets, first, second, patients):
    """Her S10, S01 and S11, entry by entry of the covariance matrix, by loops over patients."""
    owners = np.array(patients)
    of_malignant, of_benign = owners[targets == 1], owners[targets == 0]
    m, n, everybody = len(of_malignant), len(of_benign), sorted(set(patients))
    v10, v01 = zip(*(structural_components(targets, scores) for scores in (first, second)), strict=True)
    areas = [v.mean() for v in v10]

    def deviation(values, owners, patient, area):
        return sum(value - area for value, owner in zip(values, owners, strict=True) if owner == patient)

    matrix = np.empty((2, 2))
    for r in (0, 1):
        for s in (0, 1):
            d10, d01 = (
                {k: [deviation(v[k], own, p, areas[k]) for p in everybody] for k in (r, s)}
                for v, own in ((v10, of_malignant), (v01, of_benign))
            )
            i10, i01, i = len(set(of_malignant)), len(set(of_benign)), len(everybody)
            s10 = i10 / ((i10 - 1) * m) * np.dot(d10[r], d10[s])
            s01 = i01 / ((i01 - 1) * n) * np.dot(d01[r], d01[s])
            s11 = [i / (i - 1) * np.dot(d10[a], d01[b]) for a, b in ((r, s), (s, r))]
            matrix[r, s] = s10 / m + s01 / n + sum(s11) / (m * n)
    return matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]


def agrees(found, targets, first, second, variance):
    areas = [structural_components(targets, scores)[0].mean() for scores in (first, second)]
    assert (found.first, found.second) == pytest.approx(areas)
    if found.low is None:
        assert found.reason == "the estimated variance is zero"
        assert variance == pytest.approx(0, abs=1e-12)
    elif found.reason is None:
        difference, reach = areas[0] - areas[1], norm.ppf(0.975) * np.sqrt(variance)
        assert found.difference == pytest.approx(difference, abs=1e-12)
        assert (found.low, found.high) == pytest.approx((difference - reach, difference + reach), abs=1e-6)
        assert found.p_value == pytest.approx(2 * norm.sf(abs(difference) / np.sqrt(variance)), abs=1e-6)


@given(compared_pairs())
def test_with_one_pair_per_patient_the_test_is_delongs(pairs):
    targets, first, second, _ = pairs
    variance = delong_variance(targets, first, second)
    for patients in (None, [f"P{n}" for n in range(len(targets))]):
        agrees(delong_test(targets, first, second, patients=patients), targets, first, second, variance)


@given(compared_pairs())
def test_with_patients_as_clusters_the_variance_is_obuchowskis(pairs):
    targets, first, second, patients = pairs
    variance = obuchowski_variance(targets, first, second, patients)
    agrees(delong_test(targets, first, second, patients=patients), targets, first, second, variance)


@given(compared_pairs())
def test_exchanging_the_two_changes_the_sign_alone(pairs):
    targets, first, second, patients = pairs
    one, other = (delong_test(targets, *both, patients=patients) for both in ((first, second), (second, first)))
    assert one.difference == -other.difference
    assert (one.low is None and other.low is None) or one.low == -other.high
    assert one.p_value == other.p_value


@pytest.mark.parametrize(
    ("targets", "first", "second", "patients", "reason"),
    [
        ([], [], [], [], "no malignant pairs"),
        ([0, 0], [0.1, 0.2], [0.2, 0.1], ["a", "b"], "no malignant pairs"),
        ([1, 1], [0.1, 0.2], [0.2, 0.1], ["a", "b"], "no benign pairs"),
        ([0, 1, 1], [0.1, 0.2, 0.3], [0.2, 0.1, 0.3], ["a", "b", "c"], "fewer than two patients of a class"),
        ([0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], ["a", "b", "c", "d"], "the estimated variance is zero"),
    ],
)
def test_what_cannot_be_tested_says_why(targets, first, second, patients, reason):
    found = delong_test(targets, first, second, patients=patients)
    assert (found.low, found.high, found.p_value, found.reason) == (None, None, None, reason)


def test_two_that_rank_alike_differ_by_nothing():
    scores = np.array([0.1, 0.5, 0.3, 0.9])
    found = delong_test([0, 1, 0, 1], scores, scores**2, patients=["a", "b", "c", "d"])
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.reason == "both rank all pairs alike"


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
def test_a_bootstrapped_p_value_counts_the_draws_beyond_zero_and_the_observed_one(differences):
    draws = np.round(differences, 3)
    found = bootstrap_test(0.5, 0.4, draws, np.zeros(len(draws)))
    beyond = min(sum(d <= 0 for d in draws), sum(d >= 0 for d in draws))
    assert found.p_value == min(1, 2 * (1 + beyond) / (1 + len(draws)))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=1e-9)


def test_a_bootstrapped_difference_of_equals_is_no_finding():
    found = bootstrap_test(0.5, 0.5, np.full(99, 0.1) + 0.2, np.full(99, 0.3))
    assert (found.low, found.high, found.p_value) == (0, 0, 1)


def test_a_bootstrapped_difference_without_a_metric_or_with_too_few_draws_says_why():
    draws = np.array([np.nan] * 6 + [0.1] * 94)
    assert bootstrap_test(None, 0.5, draws, draws).reason == "undefined for one of the two"
    found = bootstrap_test(0.6, 0.5, draws, draws)
    assert (found.p_value, found.reason) == (None, "undefined in 6 of 100 draws")


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
    # The example of the step-down: 0.01 * 4, 0.02 * 3, then the third may not fall below the second.
    assert holm([0.02, None, 0.01, 0.04, 0.022]) == pytest.approx([0.06, None, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
