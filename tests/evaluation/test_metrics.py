import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.evaluation import (
    calibration_points,
    classifier_metrics,
    precision_recall_points,
    roc_points,
)

COUNTS = {"n", "n_malignant", "tp", "fp", "tn", "fn"}
OF_DECISIONS = {"acc", "precision", "recall", "f1", "ap_hard"}
OF_PROBS = {"auc", "ap", "confidence", "ece", "brier", "sensitivity_at_90_specificity"}


@st.composite
def scored_pairs(draw):
    """Targets of both classes, probabilities with many ties, decisions of a vote."""
    targets = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=30))]
    size = {"min_size": len(targets), "max_size": len(targets)}
    probs = draw(st.lists(st.integers(0, 20).map(lambda k: k / 20) | st.floats(0, 1), **size))
    decisions = draw(st.lists(st.booleans(), **size))
    return np.array(targets), np.array(probs), np.array(decisions)


def average_precision(targets, scores):
    """Sum over the thresholds of the gain in recall times the precision."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = scores >= threshold
        gained = targets[called].sum() / targets.sum()
        total += (gained - recall) * targets[called].mean()
        recall = gained
    return total


@given(scored_pairs())
def test_auc_is_the_share_of_concordant_pairs(pairs):
    targets, probs, _ = pairs
    differences = probs[targets == 1][:, None] - probs[targets == 0]
    concordant = (differences > 0).mean() + (differences == 0).mean() / 2
    assert classifier_metrics(targets, probs)["auc"] == pytest.approx(concordant)


@given(scored_pairs())
def test_ap_sums_precision_over_gains_in_recall(pairs):
    targets, probs, _ = pairs
    assert classifier_metrics(targets, probs)["ap"] == pytest.approx(average_precision(targets, probs))


@given(scored_pairs())
def test_ap_hard_is_the_papers_formula(pairs):
    targets, probs, decisions = pairs
    metrics = classifier_metrics(targets, probs, decisions=decisions)
    precision, recall, prevalence = metrics["precision"] or 0.0, metrics["recall"], targets.mean()
    assert metrics["ap_hard"] == pytest.approx(precision * recall + (1 - recall) * prevalence)


@given(scored_pairs())
def test_decisions_are_counted_one_by_one(pairs):
    targets, probs, decisions = pairs
    metrics = classifier_metrics(targets, probs, decisions=decisions)
    outcomes = [(bool(target), bool(decision)) for target, decision in zip(targets, decisions, strict=True)]
    tp, fp, tn, fn = (outcomes.count(o) for o in ((True, True), (False, True), (False, False), (True, False)))
    assert [metrics[name] for name in ("tp", "fp", "tn", "fn")] == [tp, fp, tn, fn]
    assert (metrics["n"], metrics["n_malignant"]) == (len(targets), tp + fn)
    assert metrics["acc"] == (tp + tn) / len(targets)
    if tp:
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        assert (metrics["precision"], metrics["recall"]) == (precision, recall)
        assert metrics["f1"] == pytest.approx(2 * precision * recall / (precision + recall))


@given(scored_pairs())
def test_confidence_is_the_mean_of_the_larger_softmax_over_correct_pairs(pairs):
    targets, probs, decisions = pairs
    correct = [max(p, 1 - p) for t, p, d in zip(targets, probs, decisions, strict=True) if t == d]
    metrics = classifier_metrics(targets, probs, decisions=decisions)
    assert metrics["confidence"] == (pytest.approx(sum(correct) / len(correct)) if correct else None)


@given(scored_pairs())
def test_brier_is_the_mean_squared_distance(pairs):
    targets, probs, _ = pairs
    expected = sum((p - t) ** 2 for p, t in zip(probs, targets, strict=True)) / len(probs)
    assert classifier_metrics(targets, probs)["brier"] == pytest.approx(expected)


@given(scored_pairs())
def test_ece_is_the_distance_of_each_bin_weighted_by_its_size(pairs):
    targets, probs, _ = pairs
    expected = 0.0
    for bin_ in range(15):
        inside = np.floor(probs * 15) == bin_
        inside |= (bin_ == 14) & (probs == 1)
        if inside.any():
            expected += inside.mean() * abs(probs[inside].mean() - targets[inside].mean())
    assert classifier_metrics(targets, probs)["ece"] == pytest.approx(expected)


@given(scored_pairs())
def test_sensitivity_is_the_best_of_all_thresholds_with_nine_tenths_specificity(pairs):
    targets, probs, _ = pairs
    best = 0.0
    for threshold in set(probs):
        called = probs >= threshold
        if 10 * (called & (targets == 0)).sum() <= (targets == 0).sum():
            best = max(best, called[targets == 1].mean())
    assert classifier_metrics(targets, probs)["sensitivity_at_90_specificity"] == pytest.approx(best)


@given(scored_pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pairs, random):
    order = random.sample(range(len(pairs[0])), len(pairs[0]))
    targets, probs, decisions = (values[order] for values in pairs)
    expected = classifier_metrics(pairs[0], pairs[1], decisions=pairs[2])
    found = classifier_metrics(targets, probs, decisions=decisions)
    assert found.pop("undefined", {}) == expected.pop("undefined", {})
    assert found == pytest.approx(expected)


@given(scored_pairs())
def test_the_area_under_the_roc_points_is_the_auc(pairs):
    targets, probs, _ = pairs
    points = roc_points(targets, probs)
    area = np.trapezoid(points["true_positive_rate"], points["false_positive_rate"])
    assert area == pytest.approx(classifier_metrics(targets, probs)["auc"])


@given(scored_pairs())
def test_the_precision_recall_points_rise_in_recall_and_are_reached_by_a_threshold(pairs):
    targets, probs, _ = pairs
    points = precision_recall_points(targets, probs)
    reached = {(0.0, 1.0)}
    for threshold in set(probs):
        called = probs >= threshold
        reached.add((round(targets[called].sum() / targets.sum(), 9), round(targets[called].mean(), 9)))
    assert points["recall"].is_monotonic_increasing
    assert set(zip(points["recall"].round(9), points["precision"].round(9), strict=True)) <= reached


def test_every_metric_is_there_when_all_are_defined():
    metrics = classifier_metrics([0, 1, 1], [0.2, 0.7, 0.4], patients=["a", "b", "b"])
    assert metrics.keys() == COUNTS | OF_DECISIONS | OF_PROBS | {"n_patients"}
    assert metrics["n_patients"] == 2


RANKINGS = ("auc", "ap", "ap_hard", "sensitivity_at_90_specificity")


@pytest.mark.parametrize(
    ("targets", "probs", "reasons"),
    [
        ([], [], dict.fromkeys(OF_DECISIONS | OF_PROBS, "no pairs")),
        ([1, 1], [0.6, 0.7], dict.fromkeys(RANKINGS, "no benign pairs")),
        ([0, 0], [0.6, 0.3], dict.fromkeys((*RANKINGS, "recall", "f1"), "no malignant pairs")),
        ([0, 1], [0.1, 0.2], dict.fromkeys(("precision", "f1"), "nothing is called malignant")),
        ([0, 1], [0.8, 0.2], {"confidence": "nothing is correct"}),
        (
            [1],
            [0.2],
            dict.fromkeys(RANKINGS, "no benign pairs")
            | {
                "precision": "nothing is called malignant",
                "f1": "nothing is called malignant",
                "confidence": "nothing is correct",
            },
        ),
        (
            [0],
            [0.2],
            dict.fromkeys((*RANKINGS, "recall", "f1"), "no malignant pairs")
            | {"precision": "nothing is called malignant"},
        ),
    ],
)
def test_an_undefined_metric_is_none_and_says_why(targets, probs, reasons):
    metrics = classifier_metrics(targets, probs)
    assert metrics["undefined"] == reasons
    assert {name for name in OF_DECISIONS | OF_PROBS if metrics[name] is None} == set(reasons)


def test_balanced_classes_need_both():
    metrics = classifier_metrics([1, 1], [0.6, 0.7], balanced=True)
    assert metrics["undefined"] == dict.fromkeys(OF_DECISIONS | OF_PROBS, "no benign pairs")
    assert metrics["tp"] == 2


def test_an_empty_bin_is_no_point():
    points = calibration_points([0, 1, 1], [0.05, 0.01, 1.0])
    assert points.to_dict("list") == {
        "bin": [0, 14],
        "mean_probability": [pytest.approx(0.03), 1.0],
        "malignant": [0.5, 1.0],
        "pairs": [2, 1],
    }
    assert calibration_points([], []).empty


def test_a_curve_of_one_class_has_no_points():
    assert roc_points([1, 1], [0.2, 0.3]).empty
    assert precision_recall_points([0, 0], [0.2, 0.3]).empty


def test_the_last_bin_holds_one():
    assert classifier_metrics([1, 0], [0.95, 1.0])["ece"] == pytest.approx(abs(0.95 + 1.0 - 1) / 2)


def test_a_specificity_of_exactly_nine_tenths_counts():
    targets, probs = [1, 0, 1] + [0] * 9, [0.9, 0.8, 0.7] + [0.1] * 9
    assert classifier_metrics(targets, probs)["sensitivity_at_90_specificity"] == 1


def test_one_half_is_malignant():
    assert classifier_metrics([1], [0.5])["tp"] == 1


@pytest.mark.parametrize(
    ("targets", "probs", "message"),
    [
        ([0, 1, 1], [0.5, np.nan, np.nan], "probs: expected 0 to 1, got NaN in 2 of 3. Leave out the pairs"),
        ([0, 1], [0.5, 1.1], "probs: expected 0 to 1, got 0.5 to 1.1"),
        ([0, 1], [-0.1, 1.0], "probs: expected 0 to 1, got -0.1"),
        ([0, 2], [0.5, 0.5], "targets: expected 0 or 1"),
        ([0, 1, 1], [0.5, 0.5], r"one shape \(N,\), got \(3,\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(targets, probs, message):
    with pytest.raises(ValueError, match=message):
        classifier_metrics(targets, probs)
