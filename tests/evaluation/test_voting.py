from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dmdbt.evaluation import decide, majority_vote

shares = st.integers(0, 4)
percents = st.integers(0, 100)


@st.composite
def ballots(draw):
    """One pair: relative weights, and probabilities in hundredths, None for a head that cannot run."""
    heads = draw(st.integers(1, 5))
    weights = draw(st.lists(shares, min_size=heads, max_size=heads))
    probs = draw(st.lists(st.none() | percents, min_size=heads, max_size=heads))
    assume(any(weight for weight, prob in zip(weights, probs, strict=True) if prob is not None))
    return weights, probs


def vote(weights, probs):
    row = [np.nan if prob is None else prob / 100 for prob in probs]
    result = majority_vote([row], np.array(weights) / sum(weights))
    return bool(result.decisions[0]), result.fraction[0], result.mean[0]


@given(ballots())
def test_the_vote_is_equation_2_in_exact_arithmetic(ballot):
    weights, probs = ballot
    running = [(Fraction(w), Fraction(p, 100)) for w, p in zip(weights, probs, strict=True) if p is not None]
    total = sum(weight for weight, _ in running)
    share = {side: sum(w for w, p in running if (p >= Fraction(1, 2)) is side) / total for side in (True, False)}
    mean = sum(w * p for w, p in running) / total
    decision, fraction, average = vote(weights, probs)
    expected = mean >= Fraction(1, 2) if share[True] == share[False] else max(share, key=share.__getitem__)
    assert decision is bool(expected)
    assert fraction == pytest.approx(float(share[True]), abs=1e-11)
    assert average == pytest.approx(float(mean), abs=1e-11)


@given(st.lists(st.tuples(percents, percents, percents), min_size=1, max_size=20))
def test_three_equal_heads_decide_as_two_of_three(rows):
    probs = np.array(rows) / 100
    result = majority_vote(probs, [1 / 3] * 3)
    assert result.decisions.tolist() == (decide(probs).sum(axis=1) >= 2).tolist()
    assert len(np.unique(result.fraction)) <= 4


def test_in_a_tie_the_mean_probability_decides():
    probs = [[0.9, 0.4], [0.6, 0.1], [0.6, 0.4]]
    assert majority_vote(probs, [0.5, 0.5]).decisions.tolist() == [True, False, True]


def test_a_head_without_weight_has_no_influence():
    probs = np.linspace(0, 1, 22).reshape(11, 2)
    assert majority_vote(probs, [1.0, 0.0]).mean == pytest.approx(probs[:, 0])


def test_no_pair_gives_no_vote():
    assert majority_vote(np.empty((0, 3)), [1 / 3] * 3).decisions.shape == (0,)


@pytest.mark.parametrize(
    ("probs", "weights", "message"),
    [
        ([[0.5, 0.5]], [0.5, 0.6], "sum to 1, got"),
        ([[0.5, 0.5]], [1.5, -0.5], "at least 0"),
        ([[0.5, 0.5]], [np.nan, 1.0], "at least 0"),
        ([[0.5, 0.5]], [1.0], r"shapes \(N, K\) and \(K,\), got \(1, 2\) and \(1,\)"),
        ([0.5, 0.5], [0.5, 0.5], "shapes"),
        ([[0.5, 1.5]], [0.5, 0.5], "expected 0 to 1, got 0.5 to 1.5"),
        ([[0.5, 0.5], [np.nan, 0.5]], [1.0, 0.0], "none in row 1"),
    ],
)
def test_what_is_no_vote_is_refused(probs, weights, message):
    with pytest.raises(ValueError, match=message):
        majority_vote(probs, weights)
