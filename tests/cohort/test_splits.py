import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.cohort import assign_folds
from dmdbt.errors import InputDataError


@st.composite
def cohorts(draw):
    """Patients with one to four pairs each, and enough of each class for the folds."""
    folds = draw(st.integers(2, 6))
    benign, malignant = (draw(st.integers(folds, folds + 9)) for _ in range(2))
    patients, targets = [], []
    for number in range(benign + malignant):
        pairs = draw(st.integers(1, 4))
        patients += [f"p{number}"] * pairs
        of_patient = draw(st.lists(st.integers(0, 1), min_size=pairs, max_size=pairs))
        if number < malignant:
            of_patient[draw(st.integers(0, pairs - 1))] = 1
        targets += of_patient if number < malignant else [0] * pairs
    order = draw(st.permutations(range(len(patients))))
    return [patients[i] for i in order], [targets[i] for i in order], folds, draw(st.integers(0, 2**31 - 1))


@given(cohorts())
def test_no_patient_is_in_two_folds(cohort):
    patients, targets, folds, seed = cohort
    assigned = assign_folds(patients, targets, folds=folds, seed=seed)
    assert len(set(zip(patients, assigned, strict=True))) == len(set(patients))


@given(cohorts())
def test_folds_differ_by_at_most_one_patient_of_each_class_and_in_all(cohort):
    patients, targets, folds, seed = cohort
    assigned = assign_folds(patients, targets, folds=folds, seed=seed)
    malignant = {patient for patient, target in zip(patients, targets, strict=True) if target}
    fold_of = dict(zip(patients, assigned, strict=True))
    for group in (malignant, set(patients) - malignant, set(patients)):
        sizes = np.bincount([fold_of[patient] for patient in group], minlength=folds)
        assert len(sizes) == folds
        assert sizes.max() - sizes.min() <= 1


@given(cohorts(), st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(cohort, random):
    patients, targets, folds, seed = cohort
    order = random.sample(range(len(patients)), len(patients))
    assigned = assign_folds(patients, targets, folds=folds, seed=seed)
    shuffled = assign_folds([patients[i] for i in order], [targets[i] for i in order], folds=folds, seed=seed)
    assert shuffled.tolist() == assigned[order].tolist()


def test_another_seed_gives_another_split():
    patients, targets = [f"p{i}" for i in range(40)], [i % 2 for i in range(40)]
    first, again, other = (assign_folds(patients, targets, folds=5, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_class_with_fewer_patients_than_folds_is_named():
    patients, targets = [f"p{i}" for i in range(10)], [1, 1, 1] + [0] * 7
    with pytest.raises(
        InputDataError, match=r"SPLIT-FEW-PATIENTS .*at least 5 malignant patients.*got 3 .*split.folds"
    ):
        assign_folds(patients, targets, folds=5, seed=0)


def test_one_fold_is_no_split():
    with pytest.raises(ValueError, match="folds: expected at least 2, got 1"):
        assign_folds(["a", "b"], [0, 1], folds=1, seed=0)
