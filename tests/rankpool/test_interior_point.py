"""Below a rho of 1: against two independent solvers, in exact arithmetic, and on volumes made to be hard."""

from fractions import Fraction

import clarabel
import numpy as np
import pytest
from scipy.sparse import csc_matrix
from sklearn.svm import LinearSVC

from dmdbt.errors import InputDataError
from dmdbt.rankpool import interior_point as solver
from dmdbt.rankpool import rank_pool
from dmdbt.rankpool.gram import slice_gram
from dmdbt.rankpool.objective import minimize
from tests.support.volumes import edge_cases, exact_image, objective, pair_differences, smooth_volume

RHOS = [1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8]
SMALL = {f"{name} {n}": slices for n in (3, 8, 20) for name, slices in edge_cases(n).items()}


@pytest.mark.parametrize("n_slices", [2, 3, 5, 13, 40, 82, 120])
def test_the_gap_is_small_on_hard_volumes_at_every_rho(n_slices):
    volumes = {**edge_cases(n_slices), **({} if n_slices > 40 else edge_cases(n_slices, seed=1))}
    for slices in volumes.values():
        for rho in RHOS:
            pooling = rank_pool(slices, rho)
            assert 0 <= pooling.gap <= 1e-6
            assert abs(pooling.weights.sum()) <= 1e-12 * np.abs(pooling.weights).sum()
            assert np.isfinite(pooling.image).all()
            assert not pooling.image[(slices == slices[0]).all(axis=0)].any()


@pytest.mark.parametrize("name", SMALL)
def test_the_image_is_optimal_when_recomputed_from_pixels(name):
    slices = SMALL[name]
    for rho in (0.5, 0.1, 1e-3, 1e-6):
        pooling = rank_pool(slices, rho)
        primal = objective(exact_image(pooling, slices), slices, pooling.lam)
        assert (primal - pooling.dual) / primal <= 1e-6


@pytest.mark.parametrize("name", SMALL)
def test_the_certificate_holds_in_exact_arithmetic(name):
    slices = SMALL[name]
    for rho in (0.1, 1e-4, 1e-8):
        pooling = rank_pool(slices, rho)
        primal = exact_objective(slices, pooling.weights, pooling.lam)
        assert (primal - Fraction(pooling.dual)) / primal <= Fraction(1, 10**6)


def exact_objective(slices, weights, lam):
    """Equation (1) of the image with these weights, in rational numbers."""
    n_slices = len(slices)
    gram = slice_gram(slices).tolist()
    alpha = [Fraction(weight) for weight in weights.tolist()]
    products = [sum(g * a for g, a in zip(row, alpha, strict=True)) for row in gram]  # <d, I_t - I_1>
    scores = [sum(products[: t + 1], Fraction(0)) / (t + 1) for t in range(n_slices)]
    hinges = sum(max(Fraction(0), 1 - scores[q] + scores[t]) for q in range(n_slices) for t in range(q))
    norm = sum(a * p for a, p in zip(alpha, products, strict=True))
    return Fraction(lam) / 2 * norm + Fraction(2, n_slices * (n_slices - 1)) * hinges


@pytest.mark.parametrize("rho", [3.0, 1.0, 0.3, 0.1, 1e-2])
@pytest.mark.parametrize("name", ["smooth", "noise", "every slice twice", "static start", "fewer pixels than slices"])
def test_it_is_the_minimizer_that_liblinear_finds_on_explicit_pairs(name, rho):
    slices = edge_cases(12)[name]
    pooling = rank_pool(slices, rho)
    differences = pair_differences(slices)
    # A zero difference cannot be ranked: it adds a constant to E, and liblinear has no use for it.
    ranked = differences[differences.any(axis=1)] / np.sqrt(pooling.lam_max)
    sides = np.where(np.arange(len(ranked)) % 2, 1, -1)
    machine = LinearSVC(
        loss="hinge", C=1 / (rho * len(differences)), fit_intercept=False, tol=1e-10, max_iter=100_000, random_state=0
    )
    theirs = machine.fit(ranked * sides[:, None], sides).coef_[0] / np.sqrt(pooling.lam_max)
    ours = exact_image(pooling, slices).ravel()
    assert pooling.primal == pytest.approx(objective(theirs, slices, pooling.lam), rel=1e-7)
    assert np.linalg.norm(theirs - ours) <= 1e-6 * np.linalg.norm(ours)


@pytest.mark.parametrize("rho", [0.5, 1e-2, 1e-4])
@pytest.mark.parametrize("name", edge_cases(8))
def test_the_objective_is_the_one_that_a_general_solver_of_quadratic_programs_finds(name, rho):
    slices = edge_cases(8)[name]
    pooling = rank_pool(slices, rho)
    assert pooling.primal == pytest.approx(quadratic_program(slices, pooling.lam_max, rho), rel=1e-6)


def quadratic_program(slices, lam_max, rho):
    """Smallest value of equation (1) by Clarabel: |d|^2 / 2 and slack variables, d in coordinates that span it."""
    differences = pair_differences(slices)
    differences = differences @ np.linalg.svd(differences, full_matrices=False)[2].T / np.sqrt(lam_max)
    n_pairs, size = differences.shape
    identity = np.eye(n_pairs)
    quadratic = csc_matrix(np.diag(np.repeat([rho, 0.0], [size, n_pairs])))
    linear = np.repeat([0.0, 1 / n_pairs], [size, n_pairs])
    constraints = csc_matrix(np.block([[-differences, -identity], [np.zeros_like(differences), -identity]]))
    bounds = np.repeat([-1.0, 0.0], [n_pairs, n_pairs])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-11
    cones = [clarabel.NonnegativeConeT(2 * n_pairs)]
    solution = clarabel.DefaultSolver(quadratic, linear, constraints, bounds, cones, settings).solve()
    return solution.obj_val


def test_a_small_rho_gives_the_hard_margin():
    slices = edge_cases(20)["noise"]
    pooling = rank_pool(slices, 1e-8)
    margins = pair_differences(slices) @ exact_image(pooling, slices).ravel()
    assert margins.min() >= 1 - 1e-6
    assert pooling.misranked == 0


@pytest.mark.parametrize("rho", [5.0, 1.0, 0.9, 1e-3])
def test_two_slices_have_their_closed_form_at_every_rho(rho):
    slices = edge_cases(2)["noise"]
    pooling = rank_pool(slices, rho)
    difference = (slices[1].astype(float) - slices[0]) / 2
    scale = min(1 / pooling.lam, 1 / np.sum(difference**2))
    np.testing.assert_allclose(exact_image(pooling, slices), scale * difference, rtol=1e-9)
    assert pooling.iterations == 0


def test_the_objective_falls_and_more_pairs_are_ranked_as_rho_falls():
    poolings = [rank_pool(smooth_volume(), rho) for rho in RHOS]
    assert (np.diff([pooling.primal for pooling in poolings]) < 0).all()
    assert (np.diff([pooling.misranked for pooling in poolings]) <= 0).all()


def test_just_below_a_rho_of_one_the_closed_form_is_approached():
    expected = rank_pool(smooth_volume()).weights
    weights = rank_pool(smooth_volume(), 1 - 1e-9).weights
    np.testing.assert_allclose(weights, expected, atol=1e-5 * np.abs(expected).max())


def test_an_image_without_certificate_is_never_returned(monkeypatch):
    monkeypatch.setattr(solver, "_MOST_ITERATIONS", 3)
    with pytest.raises(
        InputDataError,
        match=r"E-RANKPOOL-UNCERTIFIED .*gap of at most 1e-06, found \d.* at rho 0.001 .*Raise rankpool.rho",
    ):
        rank_pool(smooth_volume(), 1e-3)


@pytest.mark.parametrize("dual", [0.0, np.nan])
def test_the_volume_at_fault_is_named(dual):
    def stuck(grams, n_slices, rho):
        pairs, iterations = solver.solve(grams, n_slices, rho)
        pairs[1] *= dual
        return pairs, iterations

    static, moving = slice_gram(np.zeros((4, 2, 2), np.uint8)), slice_gram(smooth_volume())
    with pytest.raises(InputDataError, match="E-RANKPOOL-UNCERTIFIED case=volume 2 "):
        minimize([moving, static, moving], 0.1, stuck)
