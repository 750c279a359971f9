import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as reference

from dmdbt.evaluation import Bootstrap, classifier_metrics
from dmdbt.evaluation.intervals import drawn_weights, metric_draws, percentile_interval
from dmdbt.evaluation.weighted import weighted_auc, weighted_metrics

BOOTSTRAP = Bootstrap(draws=200, seed=3)


@st.composite
def weighted_pairs(draw):
    """Targets of both classes that have weight, probabilities with ties, decisions, whole weights with zeros."""
    targets = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=25))]
    size = {"min_size": len(targets), "max_size": len(targets)}
    probs = draw(st.lists(st.integers(0, 10).map(lambda k: k / 10), **size))
    decisions = draw(st.lists(st.booleans(), **size))
    weights = [1, 1, *draw(st.lists(st.integers(0, 3), min_size=len(targets) - 2, max_size=len(targets) - 2))]
    return np.array(targets, float), np.array(probs), np.array(decisions), np.array(weights, float)


def measured_once(targets, probs, decisions, weights, **options):
    found = weighted_metrics(targets, probs, decisions, weights[None], **options)
    return {name: value[0] for name, value in found.items()}


@given(weighted_pairs())
def test_a_weight_is_a_number_of_repeated_rows(pairs):
    *rows, weights = pairs
    repeated = [np.repeat(values, weights.astype(int)) for values in rows]
    once = classifier_metrics(repeated[0], repeated[1], decisions=repeated[2])
    for name, value in measured_once(*pairs).items():
        assert (None if np.isnan(value) else pytest.approx(value)) == once[name], name


@given(weighted_pairs())
def test_weights_mean_what_they_mean_to_scikit_learn(pairs):
    targets, probs, decisions, weights = pairs
    found, weighted = measured_once(*pairs), {"sample_weight": weights}
    expected = {
        "acc": reference.accuracy_score(targets, decisions, **weighted),
        "auc": reference.roc_auc_score(targets, probs, **weighted),
        "ap": reference.average_precision_score(targets, probs, **weighted),
        "ap_hard": reference.average_precision_score(targets, decisions, **weighted),
        "recall": reference.recall_score(targets, decisions, **weighted),
        "brier": reference.brier_score_loss(targets, probs, **weighted),
    }
    if weights @ decisions:
        expected["precision"] = reference.precision_score(targets, decisions, **weighted)
        expected["f1"] = reference.f1_score(targets, decisions, **weighted)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert weighted_auc(targets == 1, probs, weights[None])[0] == found["auc"]


@given(weighted_pairs())
def test_balanced_classes_weigh_one_half_each(pairs):
    targets, probs, decisions, weights = pairs
    sums = [weights[targets == target].sum() for target in (0, 1)]
    halves = weights * np.where(targets == 1, 0.5 / sums[1], 0.5 / sums[0])
    found, expected = measured_once(*pairs, balanced=True), measured_once(targets, probs, decisions, halves)
    for name in set(expected) - {"sensitivity_at_90_specificity"}:  # one tenth of a sum of halves is rounded
        assert found[name] == pytest.approx(expected[name], nan_ok=True), name
    unbalanced = measured_once(*pairs)
    for name in ("auc", "recall", "sensitivity_at_90_specificity"):
        assert found[name] == pytest.approx(unbalanced[name]), name
    precision = np.nan_to_num(found["precision"])
    assert found["ap_hard"] == pytest.approx(precision * found["recall"] + (1 - found["recall"]) / 2)


def test_whole_patients_are_drawn():
    patients = ["b", "a", "b", "c", "a", "b"]
    weights = np.vstack([*drawn_weights(patients, BOOTSTRAP)])
    assert weights.shape == (200, 6)
    assert (weights[:, [0, 0, 1]] == weights[:, [2, 5, 4]]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert 0.8 < weights[:, 0].mean() < 1.2


def test_the_draws_depend_on_the_patients_alone_and_not_on_the_chunks(monkeypatch):
    patients = [f"P{n // 2}" for n in range(40)]
    weights = np.vstack([*drawn_weights(patients, BOOTSTRAP)])
    order = np.random.default_rng(0).permutation(40)
    shuffled = np.vstack([*drawn_weights([patients[n] for n in order], BOOTSTRAP)])
    assert (shuffled == weights[:, order]).all()
    monkeypatch.setattr("dmdbt.evaluation.intervals._CHUNK", 100)
    assert (np.vstack([*drawn_weights(patients, BOOTSTRAP)]) == weights).all()


def test_an_interval_is_that_of_metrics_measured_draw_by_draw():
    rng = np.random.default_rng(1)
    targets, probs = rng.integers(0, 2, 40), rng.random(40).round(1)
    patients = [f"P{n // 2}" for n in range(40)]
    found = classifier_metrics(targets, probs, patients=patients, bootstrap=BOOTSTRAP)
    draws = []
    for weights in np.vstack([*drawn_weights(patients, BOOTSTRAP)]).astype(int):
        drawn = [np.repeat(values, weights) for values in (targets, probs)]
        draws.append(classifier_metrics(*drawn))
    for name in ("auc", "acc", "f1", "ece", "confidence", "sensitivity_at_90_specificity"):
        expected = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
        assert [found[f"{name}_low"], found[f"{name}_high"]] == pytest.approx(expected.tolist()), name


def test_an_undefined_metric_has_no_interval_for_the_same_reason():
    found = classifier_metrics([1, 1], [0.6, 0.7], patients=["a", "b"], bootstrap=BOOTSTRAP)
    assert (found["auc_low"], found["auc_high"]) == (None, None)
    assert found["undefined"]["auc_low"] == found["undefined"]["auc"] == "no benign pairs"
    assert (found["acc_low"], found["acc_high"]) == (1, 1)
    nothing = classifier_metrics([], [], patients=[], bootstrap=BOOTSTRAP)
    assert set(nothing["undefined"].values()) == {"no pairs"}
    assert nothing["brier_high"] is None


def test_an_interval_from_too_few_draws_is_none_and_counts_them():
    found = classifier_metrics([0, 1, 1], [0.2, 0.7, 0.6], patients=["a", "b", "c"], bootstrap=BOOTSTRAP)
    assert found["auc"] == 1
    assert found["auc_low"] is None
    n_draws = found["undefined"]["auc_low"].removeprefix("undefined in ").removesuffix(" of 200 draws")
    assert 10 < int(n_draws) < 200
    few = np.array([np.nan] * 5 + [0.5] * 95)
    assert percentile_interval(few) == (0.5, 0.5)


def test_draws_without_patients_are_refused():
    with pytest.raises(ValueError, match="patients: expected N names to draw from, got None"):
        classifier_metrics([0, 1], [0.2, 0.7], bootstrap=BOOTSTRAP)
    with pytest.raises(ValueError, match="patients: expected 2 names, got 1"):
        classifier_metrics([0, 1], [0.2, 0.7], patients=["a"])


@pytest.mark.slow
def test_between_93_and_97_of_100_intervals_hold_the_true_area():
    """Binormal scores of patients with one to three pairs, which a random effect of the patient moves together."""
    rng, n_patients, covered = np.random.default_rng(20), 150, []
    truth = norm.cdf(1.2 / np.sqrt(2))
    for _ in range(400):
        owner = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
        targets = rng.integers(0, 2, n_patients)[owner].astype(float)
        common, own = rng.normal(size=n_patients)[owner], rng.normal(size=len(owner))
        probs = norm.cdf(1.2 * targets + np.sqrt(0.5) * (common + own))
        draws = metric_draws(targets, probs, probs > 0.5, owner.tolist(), Bootstrap(400, 0))["auc"]
        low, high = percentile_interval(draws)
        covered.append(low <= truth <= high)
    assert 0.93 <= np.mean(covered) <= 0.97
