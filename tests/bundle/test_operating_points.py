import numpy as np
import pytest

from dmdbt.bundle import calibrated
from dmdbt.bundle.operating_points import operating_points

# Two folds. Sorted by p: benign .1 .2, malignant .3, benign .4, malignant .6 .7 .8 .9
TARGETS = np.array([0, 0, 1, 0, 1, 1, 1, 1])
PROBS = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
FOLDS = np.array([0, 1, 0, 1, 0, 1, 0, 1])


def test_youden_and_the_sensitivity_are_those_of_a_count_by_hand():
    points = operating_points(TARGETS, PROBS, FOLDS)
    # From .6 upwards: 4 of 5 malignant, 0 of 3 benign: .8 + 1. From .3: 1 + 2/3.
    assert points.thresholds["youden"] == pytest.approx(0.6)
    # 90 % of 5 needs all 5.
    assert points.thresholds["sensitivity_90"] == pytest.approx(0.3)


def test_the_threshold_of_a_fold_is_chosen_without_its_patients():
    points = operating_points(TARGETS, PROBS, FOLDS)
    other = FOLDS == 1  # for fold 0: benign .2 .4, malignant .7 .9
    assert points.of_fold["youden"][0] == pytest.approx(0.7)
    assert points.of_fold["sensitivity_90"][0] == pytest.approx(PROBS[other & (TARGETS == 1)].min())
    changed = PROBS.copy()
    changed[FOLDS == 0] = changed[FOLDS == 0][::-1]
    assert operating_points(TARGETS, changed, FOLDS).of_fold["youden"][0] == points.of_fold["youden"][0]


def test_sensitivity_and_specificity_are_those_under_the_thresholds_of_the_folds():
    points = operating_points(TARGETS, PROBS, FOLDS)
    # Fold 0 from .7: malignant .3 .6 no, .8 yes; benign .1 no. Fold 1 from .6 (benign .1, malignant .3 .6 .8: from .3).
    assert points.of_fold["youden"] == {0: pytest.approx(0.7), 1: pytest.approx(0.3)}
    # Malignant: .8 (fold 0), .7 .9 (fold 1) of 5. Benign below: .1 (fold 0), .2 (fold 1) of 3; .4 is above .3.
    assert points.sensitivity["youden"] == pytest.approx(3 / 5)
    assert points.specificity["youden"] == pytest.approx(2 / 3)


def test_one_tested_fold_has_no_threshold_of_other_folds():
    points = operating_points(TARGETS, PROBS, np.zeros(8, int))
    assert points.of_fold == {"youden": {}, "sensitivity_90": {}}
    assert points.sensitivity["youden"] is None


def test_where_a_class_is_missing_there_is_no_threshold_and_calibration_changes_nothing():
    points = operating_points(np.zeros(8, int), PROBS, FOLDS)
    assert points.thresholds == {"youden": None, "sensitivity_90": None}
    assert calibrated(0.3, points) == pytest.approx(0.3)


def test_calibration_gives_back_the_odds_that_probabilities_were_distorted_by():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, 20_000)
    targets = (rng.random(20_000) < 1 / (1 + np.exp(-odds))).astype(int)
    told = 1 / (1 + np.exp(-(2 * odds + 1)))  # too sure of itself, and shifted
    points = operating_points(targets, told, np.arange(20_000) % 5)
    assert points.slope == pytest.approx(0.5, abs=0.02)
    assert points.intercept == pytest.approx(-0.5, abs=0.05)
    assert calibrated(1 / (1 + np.exp(-3.0)), points) == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.02)


def test_a_probability_of_0_or_1_stays_a_number():
    points = operating_points(TARGETS, PROBS, FOLDS)
    assert 0 <= calibrated(0.0, points) <= calibrated(1.0, points) <= 1
