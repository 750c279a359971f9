import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.baselines.slices import choose_slices

SLICES = st.integers(1, 120)


@given(SLICES, SLICES, st.sampled_from(["even", "central"]))
def test_chosen_slices_are_in_order_in_the_volume_and_as_often_as_each_other(n_slices, number, choice):
    chosen = choose_slices(n_slices, number, choice)
    assert len(chosen) == number
    assert (np.diff(chosen) >= 0).all()
    assert set(chosen) <= set(range(n_slices))
    counts = np.bincount(chosen, minlength=n_slices)
    if number >= n_slices:
        assert counts.max() - counts.min() <= 1  # every slice is there
    else:
        assert counts.max() == 1


@given(SLICES, SLICES)
def test_evenly_spaced_slices_are_the_middles_of_equal_parts(n_slices, number):
    for part, chosen in enumerate(choose_slices(n_slices, number, "even")):
        middle = (part + 0.5) * n_slices / number  # slice t reaches from t to t + 1
        assert chosen <= middle < chosen + 1


@given(SLICES, SLICES)
def test_central_slices_are_neighbors_in_the_middle(n_slices, number):
    chosen = choose_slices(n_slices, number, "central")
    if number <= n_slices:
        assert (np.diff(chosen) == 1).all()
        assert abs(chosen[0] - (n_slices - 1 - chosen[-1])) <= 1


def test_one_evenly_spaced_slice_is_the_middle_one():
    assert choose_slices(31, 1, "even").tolist() == [15]


@pytest.mark.parametrize(("n_slices", "number", "choice"), [(0, 3, "even"), (3, 0, "central"), (3, 3, "last")])
def test_a_choice_that_does_not_exist_is_refused(n_slices, number, choice):
    with pytest.raises(ValueError, match="choose_slices: expected 1 or more slices, even or central, got"):
        choose_slices(n_slices, number, choice)
