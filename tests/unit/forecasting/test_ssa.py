"""Singular spectrum analysis against dense linear algebra and series with a known answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError, ModelError, UsageError
from quant.forecasting.ssa import (
    antidiagonal_counts,
    components,
    continue_series,
    decompose,
    embed,
    growth_per_step,
    leading_triples,
    rank_by_energy,
    recurrence,
)
from quant.forecasting.ssa_solvers import HankelProduct

SOLVERS = ("dense", "lanczos", "randomised")


def _swings(count: int = 600, noise: float = 0.3) -> np.ndarray:
    """Three swings of different size, and noise."""
    t, rng = np.arange(count), np.random.default_rng(3)
    parts = [4 * np.sin(t / 20), 2 * np.cos(t / 7), np.sin(t / 3)]
    return np.sum(parts, axis=0) + noise * rng.standard_normal(count)


def _slow_components(series: np.ndarray, window: int, rank: int) -> np.ndarray:
    """The obvious twin: the matrix written out, its SVD, and means along every antidiagonal."""
    columns = len(series) - window + 1
    matrix = np.array([[series[i + j] for j in range(columns)] for i in range(window)])
    left, singular, right = np.linalg.svd(matrix, full_matrices=False)
    rebuilt = np.zeros((rank, len(series)))
    for number in range(rank):
        one = singular[number] * np.outer(left[:, number], right[number])
        flipped = one[::-1]
        rebuilt[number] = [np.diagonal(flipped, k).mean() for k in range(1 - window, columns)]
    return rebuilt


@pytest.mark.parametrize("solver", SOLVERS)
def test_leading_triples_are_those_of_a_dense_svd(solver):
    """Values, subspaces and components to 1e-8, whichever way they were found."""
    series = _swings()
    dense = np.linalg.svd(embed(series, window=150, kind="hankel"), full_matrices=False)
    triples = leading_triples(series, window=150, rank=6, solver=solver)
    np.testing.assert_allclose(triples.singular, dense[1][:6], rtol=1e-10)
    left = dense[0][:, :6]
    np.testing.assert_allclose(triples.left @ triples.left.T, left @ left.T, atol=1e-8)
    assert triples.energy_total == pytest.approx(float(np.sum(dense[1] ** 2)), rel=1e-12)
    np.testing.assert_allclose(components(triples), _slow_components(series, 150, 6), atol=1e-8)


@pytest.mark.parametrize("solver", ["lanczos", "randomised"])
def test_a_path_of_prices_is_decomposed_as_by_dense_svd(solver):
    """A random walk has a spectrum without a step in it; its components still agree to 1e-8."""
    series = np.cumsum(np.random.default_rng(1).standard_normal(900))
    series -= series.mean()
    dense = leading_triples(series, window=200, rank=8, solver="dense")
    quick = leading_triples(series, window=200, rank=8, solver=solver)
    np.testing.assert_allclose(quick.singular, dense.singular, rtol=1e-9)
    scale = np.abs(series).max()
    np.testing.assert_allclose(components(quick), components(dense), atol=1e-8 * scale)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_exact_rank_two_series_has_nothing_beyond_it(solver):
    """Asked for more than there is, the solvers find zeros and no more, and do not stumble."""
    series = np.sin(np.arange(300) / 9)
    triples = leading_triples(series, window=60, rank=6, solver=solver)
    assert triples.singular[1] > 1.0
    np.testing.assert_allclose(triples.singular[2:], 0.0, atol=1e-10)
    np.testing.assert_allclose(triples.left.T @ triples.left, np.eye(6), atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(5, 80),
    window_share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_by_transform_are_those_of_the_matrix(length, window_share, seed):
    """For any length and window, in both directions."""
    rng = np.random.default_rng(seed)
    series = rng.standard_normal(length)
    window = max(2, int(window_share * length))
    matrix = embed(series, window=window, kind="hankel")
    product = HankelProduct(series, window)
    right, left = rng.standard_normal((3, matrix.shape[1])), rng.standard_normal((3, window))
    np.testing.assert_allclose(product.times(right), right @ matrix.T, atol=1e-10)
    np.testing.assert_allclose(product.transposed_times(left), left @ matrix, atol=1e-10)


@pytest.mark.parametrize("kind", ["page", "hankel"])
@pytest.mark.parametrize("count", [60, 67])
def test_all_components_together_are_the_series(kind, count):
    """At full rank nothing is lost; a Page matrix leaves out the oldest that fill nothing."""
    series = np.random.default_rng(5).standard_normal(count)
    triples = leading_triples(series, window=10, rank=10, kind=kind)
    whole = components(triples).sum(axis=0)
    np.testing.assert_allclose(whole, series[triples.offset :], atol=1e-12)
    assert triples.offset == (count % 10 if kind == "page" else 0)
    assert triples.energy_shares.sum() == pytest.approx(1.0)


def test_both_matrices_of_six_values_by_hand():
    """1..6 with a window of two: three columns side by side, or five that slide."""
    series = np.arange(1.0, 7.0)
    assert embed(series, window=2, kind="page").tolist() == [[1, 3, 5], [2, 4, 6]]
    assert embed(series, window=2, kind="hankel").tolist() == [[1, 2, 3, 4, 5], [2, 3, 4, 5, 6]]
    assert antidiagonal_counts(6, 2).tolist() == [1, 2, 2, 2, 2, 1]


def test_the_rank_by_energy_is_the_first_that_suffices():
    """Singular values 3, 2, 1 hold 9, 4 and 1 of 14: two triples pass 90 %, one does not."""
    shares = np.array([9.0, 4.0, 1.0]) / 14.0
    assert rank_by_energy(shares, 0.64) == 1
    assert rank_by_energy(shares, 0.90) == 2
    assert rank_by_energy(shares, 13.0 / 14.0) == 2
    assert rank_by_energy(shares, 0.93) == 3
    assert rank_by_energy(shares[:1], 0.90) is None
    assert rank_by_energy(np.full(10, 0.1), 1.0) == 10


def test_decompose_asks_for_more_triples_until_the_energy_is_there():
    """White noise spreads its energy, so nine tenths need many triples, found by doubling."""
    series = np.random.default_rng(2).standard_normal(2000)
    triples = decompose(series, window=60, energy_share=0.9, solver="lanczos")
    dense = np.linalg.svd(embed(series, window=60, kind="hankel"), compute_uv=False) ** 2
    assert triples.rank == rank_by_energy(dense / dense.sum(), 0.9)
    assert triples.rank > 32
    with pytest.raises(ModelError, match="zero throughout"):
        decompose(np.zeros(100), window=10, energy_share=0.9)


SERIES = {
    "a swing": (lambda t: np.sin(t / 5), 2),
    "two swings": (lambda t: np.sin(t / 5) + 0.5 * np.cos(t / 3 + 1), 4),
    "growth": (lambda t: 1.01**t, 1),
    "a line": (lambda t: 3 + 0.2 * t, 2),
    "a fading swing on a line": (lambda t: 0.98**t * np.cos(t / 4) + 0.1 * t - 2, 4),
}


@pytest.mark.parametrize("kind", ["page", "hankel"])
@pytest.mark.parametrize("name", SERIES)
def test_the_recurrence_continues_what_obeys_one(name, kind):
    """Sums of exponentials, swings and polynomials go on exactly, forty steps far."""
    function, rank = SERIES[name]
    t = np.arange(160.0)
    series = function(t)
    triples = leading_triples(series[:120], window=12, rank=rank, kind=kind)
    going_on = continue_series(series[:120], recurrence(triples.left), 40)
    np.testing.assert_allclose(going_on, series[120:], rtol=1e-6, atol=1e-6)


def test_a_subspace_that_holds_the_last_unit_vector_has_no_recurrence():
    """Its last value is free of the others; the answer says so and is no number."""
    assert np.isnan(recurrence(np.eye(4)[:, 3:])).all()
    assert np.isfinite(recurrence(np.eye(4)[:, :1])).all()


def test_growth_is_the_largest_root():
    """1.05 to the t grows by 5 % a step, a swing not at all, Fibonacci by the golden mean."""
    assert growth_per_step(np.array([1.05])) == pytest.approx(1.05)
    assert growth_per_step(np.array([2 * np.cos(0.3), -1.0])) == pytest.approx(1.0)
    both = growth_per_step(np.array([[1.0, 1.0], [0.0, 0.25]]))
    assert both.tolist() == pytest.approx([(1 + 5**0.5) / 2, 0.5])


def test_what_cannot_be_decomposed_is_refused():
    """A gap, a window that does not fit, an iterative solver on a small matrix."""
    with pytest.raises(DataError, match="missing values"):
        leading_triples(np.array([1.0, np.nan, 2.0, 3.0]), window=2, rank=1)
    with pytest.raises(UsageError, match="does not fit"):
        leading_triples(np.arange(5.0), window=6, rank=1)
    with pytest.raises(UsageError, match="dense"):
        leading_triples(np.arange(8.0), window=2, rank=1, kind="page", solver="lanczos")
