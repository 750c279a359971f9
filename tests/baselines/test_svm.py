import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dmdbt.baselines.svm import SvmSettings, fit_svm, inner_folds, normalized

SETTINGS = SvmSettings(folds=3, c=(0.1, 1.0, 10.0), gamma=(0.1, 1.0), seed=1)


def test_every_block_of_normalized_features_has_the_same_length_and_zeros_stay():
    features = np.random.default_rng(0).normal(size=(4, 7)) * 100
    features[1, :3] = 0
    found = normalized(features, (3, 4))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(found[0, :3]), np.sqrt(0.5))
    assert (found[1, :3] == 0).all()
    np.testing.assert_allclose(normalized(features * 3, (3, 4)), found)


def separable(n_patients=16, shift=1.0, seed=0):
    """Features of two pairs per patient, and their classes and patients."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(n_patients) % 2, 2)
    features = rng.normal(size=(len(targets), 6))
    features[:, 0] += shift * (2 * targets - 1)
    return features, targets, [f"P{n // 2}" for n in range(len(targets))]


def test_an_svm_learns_what_can_be_learned():
    svm = fit_svm(*separable(shift=3), SETTINGS)
    features, targets, _ = separable(shift=3, seed=1)
    probs = svm.probabilities(features)
    assert roc_auc_score(targets, probs) > 0.95
    assert ((probs > 0.5) == targets).mean() > 0.85


def test_the_choice_of_an_svm_is_the_best_of_an_independent_cross_validation_by_patients():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from dmdbt.cohort import assign_folds

    features, targets, patients = separable()
    fold_of = assign_folds(patients, targets, folds=3, seed=SETTINGS.seed)
    for patient in set(patients):  # no patient on both sides of an inner fold
        assert len({fold for fold, other in zip(fold_of, patients, strict=True) if other == patient}) == 1
    aucs = {}
    for c in SETTINGS.c:
        for gamma in SETTINGS.gamma:
            values = np.zeros(len(targets))
            for fold in range(3):
                machine = make_pipeline(StandardScaler(), SVC(C=c, gamma=gamma / 6, class_weight="balanced"))
                machine.fit(features[fold_of != fold], targets[fold_of != fold])
                values[fold_of == fold] = machine.decision_function(features[fold_of == fold])
            aucs[c, gamma] = roc_auc_score(targets, values)
    svm = fit_svm(features, targets, patients, SETTINGS)
    assert svm.inner_auc == pytest.approx(max(aucs.values()))
    assert aucs[svm.c, svm.gamma] == max(aucs.values())


def test_without_anything_to_learn_an_svm_keeps_its_order_and_says_about_one_half():
    features, targets, patients = separable(shift=0)
    svm = fit_svm(features, targets, patients, SETTINGS)
    probs = svm.probabilities(features)
    order = np.argsort(svm.pipeline.decision_function(features))
    assert (np.diff(probs[order]) >= 0).all()


def test_no_inner_fold_can_lack_a_class():
    _, targets, patients = separable(6)
    assert inner_folds(targets, patients, 5) == 3
    assert inner_folds(targets, patients, 2) == 2
    assert inner_folds(np.ones(4), ["a", "b", "c", "d"], 5) == 0
