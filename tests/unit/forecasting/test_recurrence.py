"""The filter and the estimates behind the low-rank models, each against its slow, obvious twin."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.forecasting.decomposers import NumpyDecomposer
from quant.forecasting.doubt import doubt_and_trust, record_slope
from quant.forecasting.lowrank import (
    RESIDUAL_ORDERS,
    embed_all,
    leading_subspaces,
    paths_of,
    residual_model,
    stable_recurrences,
)
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.port import FittedState
from quant.forecasting.recurrence import (
    Recurrence,
    anchor_param,
    filter_rows,
    forecast_sums,
    impulse_response,
    product_coefficients,
    recurrence_of,
    recurrence_params,
    sweep,
    weights_ahead,
)
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.ssa import embed
from quant.forecasting.ssa_policy import SsaPolicy


def _params(symbols: int = 2, **changes) -> Recurrence:
    signal = np.tile([0.5, 0.2, 0.1], (symbols, 1))
    numbers = {
        "drift": np.full(symbols, 0.001),
        "deviation": np.full(symbols, 0.03),
        "signal": signal,
        "residual": np.tile([0.6, -0.1], (symbols, 1)),
        "variance": np.full(symbols, 1e-4),
        "shock_alpha": np.full(symbols, 0.05),
        "shock_beta": np.full(symbols, 0.9),
        "doubt": np.zeros((symbols, HORIZON_DAYS_MAX)),
        "trust": np.ones((symbols, HORIZON_DAYS_MAX)),
        "lags": np.full(symbols, 5),
    }
    return Recurrence(**(numbers | changes))


def _slow_means(params: Recurrence, returns: np.ndarray, anchor: int) -> list[float]:
    """One symbol, one session at a time: signal, then what it misses, then the AR of that."""
    path, level = [], 0.0
    for value in returns:
        level += 0.0 if np.isnan(value) else value - params.drift[0]
        path.append(level)
    y = [0.0] * 8 + [value - path[anchor] + params.deviation[0] for value in path]
    signal = [0.0] * 8
    for t in range(8, len(y) + 1):
        signal.append(sum(c * y[t - 1 - lag] for lag, c in enumerate(params.signal[0])))
    missed = [a - b for a, b in zip(y, signal, strict=False)]
    means = []
    for t in range(8, len(y)):
        residual = sum(c * missed[t - 1 - lag] for lag, c in enumerate(params.residual[0]))
        means.append(params.drift[0] + signal[t] + residual - y[t - 1])
    return means


def test_a_sweep_is_signal_and_residual_one_session_at_a_time():
    """With gaps; and the surprises of the first sessions, which lack a past, are not counted."""
    rng = np.random.default_rng(0)
    returns = 0.01 * rng.standard_normal((60, 2))
    returns[20:23, 0] = np.nan
    params = _params()
    course = sweep(params, returns, np.zeros(2, dtype=np.int64), np.array([40, 40]))
    for row in range(2):
        slow = _slow_means(params, returns[:, row], 40)
        np.testing.assert_allclose(course.means[:, row], slow, rtol=1e-12, atol=1e-15)
    assert np.isnan(course.errors[:5]).all()
    assert np.isnan(course.errors[20:23, 0]).all()
    np.testing.assert_allclose(course.errors[5:20], returns[5:20] - course.means[5:20], atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 12))
def test_weights_ahead_are_the_recurrence_applied_to_itself(seed, steps):
    """And the response to one surprise is the recurrence run on from a single one."""
    rng = np.random.default_rng(seed)
    coefficients = rng.uniform(-0.4, 0.4, 5)
    history = rng.standard_normal(5)  # newest first
    known = list(history[::-1])
    for _ in range(steps):
        known.append(float(coefficients @ np.array(known[::-1][:5])))
    np.testing.assert_allclose(weights_ahead(coefficients, steps) @ history, known[5:], atol=1e-12)
    alone = [0.0] * 4 + [1.0]
    for _ in range(steps - 1):
        alone.append(float(coefficients @ np.array(alone[::-1][:5])))
    np.testing.assert_allclose(impulse_response(coefficients, steps), alone[4:], atol=1e-12)


def test_the_product_of_two_polynomials_by_hand():
    """(1 - 0.6 B)(1 - 0.5 B - 0.2 B^2) = 1 - 1.1 B + 0.1 B^2 + 0.12 B^3."""
    product = product_coefficients(np.array([0.5, 0.2]), np.array([0.6]))
    np.testing.assert_allclose(product, [1.1, -0.1, -0.12], atol=1e-15)


def test_variances_over_horizons_are_those_of_simulated_futures():
    """Two hundred thousand futures of the recurrence itself, with surprises of one variance."""
    params = _params(1, shock_alpha=np.zeros(1), shock_beta=np.zeros(1))
    returns = 0.01 * np.random.default_rng(1).standard_normal((50, 1))
    course = sweep(params, returns, np.zeros(1, dtype=np.int64), np.array([49]))
    means, surprise, doubt = forecast_sums(params, course, 20)
    rng, coefficients = np.random.default_rng(2), params.coefficients()[0]
    futures = np.tile(course.history[0], (100_000, 1))
    for _ in range(20):
        value = futures[:, :5] @ coefficients + 0.01 * rng.standard_normal(len(futures))
        futures = np.concatenate([value[:, None], futures[:, :-1]], axis=1)
        sums = value - course.history[0, 0]
    assert means[0, 19] == pytest.approx(float(sums.mean()) + 20 * 0.001, abs=4e-4)
    assert surprise[0, 19] == pytest.approx(float(sums.var()), rel=0.02)
    assert (doubt == 0.0).all()


def test_a_shorter_recurrence_beside_a_longer_one_keeps_its_bits():
    """After a change of the window both kinds of state live side by side until the next fit."""
    rng = np.random.default_rng(3)
    days = np.datetime64("2022-01-03") + np.arange(80)
    panel = ReturnPanel(
        symbols=("A", "B"), sessions=days, values=0.01 * rng.standard_normal((2, 80))
    )
    long = _params(1, signal=np.full((1, 9), 0.1), lags=np.array([11]))
    states = [
        FittedState(
            symbol=symbol,
            model="samossa",
            version="1",
            fit_as_of=days[70].item(),
            filter_from=days[0].item(),
            params={**recurrence_params(params, 0), **anchor_param(days[70].item())},
        )
        for symbol, params in (("A", _params(1)), ("B", long))
    ]

    def run(some: list[FittedState]) -> list[np.ndarray]:
        values = panel.rows(tuple(state.symbol for state in some)).values
        params, (begin, start, anchor) = recurrence_of(some), filter_rows(some, panel)
        course = sweep(params, values.T[begin:], start, anchor)
        sums = forecast_sums(params, course, 20)
        return [
            course.means[:, 0],
            course.variances[:, 0],
            course.errors[:, 0],
            sums[0][0],
            sums[1][0],
        ]

    for alone, together in zip(run(states[:1]), run(states), strict=True):
        np.testing.assert_array_equal(alone, together)
    early = {**states[0].params, **anchor_param(dt.date(2021, 1, 4))}
    with pytest.raises(DataError, match="stated for a session before its filter starts"):
        filter_rows([replace(states[0], params=early)], panel)


def _slow_residual_model(x: np.ndarray, first: int) -> tuple[float, tuple[int, int]]:
    """Every order by least squares on its own, and the one with the smallest BIC."""
    best = []
    for lags, differences in RESIDUAL_ORDERS:
        z = np.diff(x) if differences else x
        target = z[first - differences :]
        rss = float(target @ target)
        columns = [z[first - differences - k : len(z) - k] for k in range(1, lags + 1)]
        if columns:
            fit = np.linalg.lstsq(np.array(columns).T, target, rcond=None)[0]
            rss = float(np.sum((target - np.array(columns).T @ fit) ** 2))
        count = len(target)
        best.append((count * np.log(rss / count) + lags * np.log(count), (lags, differences)))
    return min(best)


@pytest.mark.parametrize("ar", [(0.0, 0.0), (0.7, 0.0), (1.1, -0.3), (1.0, 0.0)])
def test_the_residual_model_is_the_best_of_least_squares_fits(ar):
    """Noise, two stationary models and a random walk; the order that made them is found."""
    rng, x = np.random.default_rng(4), np.zeros((3, 600))
    for t in range(2, 600):
        x[:, t] = ar[0] * x[:, t - 1] + ar[1] * x[:, t - 2] + 0.01 * rng.standard_normal(3)
    returns = np.diff(x, axis=1, prepend=0.0)
    paths = paths_of(returns, np.zeros(3, dtype=np.int64))
    signal = np.zeros((3, 4))
    found = residual_model(paths, signal)
    for row in range(3):
        bic, order = _slow_residual_model(paths.deviations[row], 6)
        assert RESIDUAL_ORDERS[found.order[row]] == order
        assert found.bic[row] == pytest.approx(bic, rel=1e-9)
        np.testing.assert_allclose(found.coefficients[row], ar, atol=0.12)
    assert found.variance == pytest.approx(np.full(3, 1e-4), rel=0.2)


@pytest.mark.parametrize("kind", ["page", "hankel"])
def test_matrices_of_many_paths_are_those_of_each(kind):
    """The batch holds what `embed` makes of one path; columns before a late start are zero."""
    returns = 0.01 * np.random.default_rng(5).standard_normal((3, 67))
    start = np.array([0, 0, 30])
    paths = paths_of(returns, start)
    columns = embed_all(paths, window=8, kind=kind)
    for row in range(2):
        np.testing.assert_array_equal(
            columns[row].T, embed(paths.deviations[row], window=8, kind=kind)
        )
    late = embed(
        paths.deviations[2, 30:] if kind == "hankel" else paths.deviations[2, 35:],
        window=8,
        kind=kind,
    ).T
    np.testing.assert_array_equal(columns[2, -len(late) :], late)
    assert (columns[2, : -len(late)] == 0.0).all()
    np.testing.assert_allclose(paths.deviations[2, 30:].mean(), 0.0, atol=1e-15)
    np.testing.assert_allclose(paths.drift[2], returns[2, 30:].mean())


def test_a_recurrence_that_explodes_loses_rank_until_it_does_not():
    """A path that doubles every ten steps is refused its own direction; noise keeps a rank."""
    t = np.arange(100.0)
    growing = np.linalg.svd(embed(2.0 ** (t / 10), window=10, kind="hankel"))[0][:, :2]
    swing = np.linalg.svd(embed(np.sin(t / 5), window=10, kind="hankel"))[0][:, :2]
    vectors, asked = np.stack([growing, swing]), np.array([1, 2])
    coefficients, rank = stable_recurrences(vectors, asked, growth_max=1.01)
    assert rank.tolist() == [0, 2]
    assert (coefficients[0] == 0.0).all()
    _, rank = stable_recurrences(vectors, asked, growth_max=1.1)
    assert rank.tolist() == [1, 2]


def test_a_matrix_of_zeros_has_rank_zero():
    """A symbol whose window holds no whole column still has its drift."""
    found = leading_subspaces(
        np.zeros((1, 4)), np.eye(4)[None], energy_share_min=0.9, growth_max=1.01
    )
    assert (found.rank.tolist(), found.energy.tolist()) == ([0], [0.0])
    assert (found.coefficients == 0.0).all()


def test_on_a_random_walk_hardly_any_promise_is_trusted_and_the_doubt_is_that_of_the_drift():
    """Forty walks, whose best forecast is their drift: every promise beside it is an error.

    What is let through is a twentieth of its square, and the doubt over a day stays near that about
    a mean of 504 returns.
    """
    ssa, rng = SsaPolicy(), np.random.default_rng(6)
    returns = 0.01 * rng.standard_normal((40, 504))
    paths = paths_of(returns, np.zeros(40, dtype=np.int64))
    columns = embed_all(paths, window=ssa.window_sessions, kind=ssa.matrix)
    spaces = leading_subspaces(
        *NumpyDecomposer().eigen(columns, np.arange(40)),
        energy_share_min=ssa.energy_share_min,
        growth_max=ssa.growth_per_session_max,
    )
    trusts, doubts = [], []
    for row in range(40):
        one = paths_of(returns[row : row + 1], np.zeros(1, dtype=np.int64))
        signal = spaces.coefficients[row : row + 1]
        doubt, trust = doubt_and_trust(one, signal, residual_model(one, signal), ssa)
        doubts.append(doubt)
        trusts.append(trust)
    assert np.mean(np.square(trusts)[:, 0]) < 0.05
    of_mean = 1e-4 / 504
    assert of_mean * 0.8 < np.median(doubts, axis=0)[0] < of_mean * 2
    assert np.max(doubts, axis=0)[0] < 1e-4 * 0.05


def test_a_promise_is_trusted_as_far_as_its_record_goes():
    """Returns that follow half of what was promised, by construction: a slope of one half."""
    rng = np.random.default_rng(9)
    promised, noise = 0.01 * rng.standard_normal((2, 1, 2001))
    noise = noise - promised * np.sum(noise * promised) / np.sum(promised**2)
    came = 0.5 * promised + noise
    came[0, 0] = 0.0
    paths = paths_of(came - came.mean(), np.zeros(1, dtype=np.int64))
    fitted = residual_model(paths, np.zeros((1, 2)))
    surprises = came - came.mean() - promised
    assert record_slope(paths, replace(fitted, surprises=surprises)) == pytest.approx(0.5, abs=0.01)
    against = came - came.mean() + promised
    assert record_slope(paths, replace(fitted, surprises=against)) == 0.0
    assert record_slope(paths, replace(fitted, surprises=came - paths.drift[0])) == 0.0
