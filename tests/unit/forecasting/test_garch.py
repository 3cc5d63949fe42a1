"""The GARCH family against arch, against simulated truth, and where it must say no."""

import numpy as np
import pandas as pd
import pytest

from quant.forecasting.fitting import FitTask
from quant.forecasting.garch import GarchForecaster
from quant.forecasting.garch_fit import VolatilityFit, fit_garch, fit_kinds, kind_of, kinds_of
from quant.forecasting.garch_likelihood import (
    GarchSeries,
    VolatilityKind,
    forgets_its_start,
    log_likelihood,
    negative,
    variance_path,
)
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState, start_params
from quant.forecasting.volatility_kernels import (
    EgarchParams,
    GarchParams,
    egarch_filter,
    egarch_forecast,
    egarch_start,
    garch_filter,
    garch_forecast,
    garch_start,
)

KINDS = [
    VolatilityKind(model=model, distribution=distribution)
    for model in ("garch", "gjr", "egarch")
    for distribution in ("normal", "t")
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
TYPICAL = {
    "garch": {"mean": 0.05, "omega": 0.04, "alpha": 0.08, "beta": 0.88, "nu": 6.0},
    "gjr": {"mean": 0.05, "omega": 0.04, "alpha": 0.03, "gamma": 0.1, "beta": 0.88, "nu": 6.0},
    "egarch": {"mean": 0.05, "omega": 0.01, "alpha": 0.15, "gamma": -0.1, "beta": 0.96, "nu": 6.0},
}


def _theta(kind: VolatilityKind) -> np.ndarray:
    return np.array([TYPICAL[kind.model][name] for name in kind.names()])


def _arch(kind: VolatilityKind, values: np.ndarray):
    from arch import arch_model

    return arch_model(
        values,
        mean="Constant",
        vol="EGARCH" if kind.model == "egarch" else "GARCH",
        p=1,
        o=int(kind.has_gamma),
        q=1,
        dist=kind.distribution,
        rescale=False,
    )


def _simulated(kind: VolatilityKind, count: int, seed: int) -> np.ndarray:
    """By arch's own generator, in percent."""
    model = _arch(kind, np.zeros(10) + np.arange(10))
    model.distribution._generator = np.random.default_rng(seed)
    return model.simulate(_theta(kind), count, burn=500)["data"].to_numpy()


@every_kind
def test_the_likelihood_is_that_of_arch_to_1e_8(few, kind):
    """At typical parameters, on calm and on wild returns, in total and session by session."""
    for values in (few.values[1] * 100, few.values[3, :60] * 64):
        series, theta = GarchSeries(values=values), _theta(kind)
        reference = _arch(kind, values).fix(theta)
        assert log_likelihood(kind, theta, series) == pytest.approx(
            reference.loglikelihood, abs=1e-8
        )
        np.testing.assert_allclose(
            variance_path(kind, theta, series), reference.conditional_volatility**2, rtol=1e-8
        )


@every_kind
def test_the_bounds_on_the_variance_are_those_of_arch(few, kind):
    """Parameters that let the variance fall to nothing: arch holds it up, and so do we."""
    values = few.values[0, -300:] * 100
    theta = _theta(kind)
    theta[1:3] = (-25.0, 0.0) if kind.model == "egarch" else (1e-12, 0.0)
    theta[kind.names().index("beta")] = 0.01
    if kind.has_gamma:
        theta[3] = 0.0
    series = GarchSeries(values=values)
    reference = _arch(kind, values).fix(theta).loglikelihood
    assert log_likelihood(kind, theta, series) == pytest.approx(reference, rel=1e-10)
    assert (variance_path(kind, theta, series) == series.variance_bounds[0]).any()


@every_kind
def test_the_gradient_is_the_likelihoods_difference(few, kind):
    """The recursion run backwards against central differences."""
    series, theta = GarchSeries(values=few.values[2, -504:] * 100), _theta(kind)
    _, gradient = negative(kind, theta, series)
    for place in range(len(theta)):
        aside = np.zeros(len(theta))
        aside[place] = 1e-6
        above, below = (negative(kind, theta + sign * aside, series)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-4)


@every_kind
@pytest.mark.parametrize("row", [0, 3])
def test_a_cold_fit_is_as_likely_as_archs(few, kind, row):
    """Within 0.01 of arch, or above it; EGARCH within what is reasonable may lose a little."""
    values = few.values[row, -504:] * 64
    [fit] = fit_kinds(GarchSeries(values=values), [kind])
    reference = _arch(kind, values).fit(disp="off", show_warning=False)
    assert fit.converged
    allowed = 0.01 if kind.model != "egarch" or reference.params["alpha[1]"] >= 0 else 3.0
    assert fit.log_likelihood > reference.loglikelihood - allowed
    assert fit.aic == pytest.approx(2 * len(fit.theta) - 2 * fit.log_likelihood)


@every_kind
def test_parameters_are_recovered_within_three_standard_errors(kind):
    """3,000 simulated sessions; the errors are arch's robust ones at our estimates."""
    values = _simulated(kind, 3000, seed=4)
    [fit] = fit_kinds(GarchSeries(values=values), [kind])
    reference = _arch(kind, values).fit(disp="off", show_warning=False, starting_values=fit.theta)
    np.testing.assert_allclose(fit.theta, reference.params, rtol=0.02, atol=0.01)
    distance = np.abs(fit.theta - _theta(kind)) / reference.std_err.to_numpy()
    assert distance.max() < 3.0, dict(zip(kind.names(), distance, strict=True))


@pytest.mark.parametrize("truth", ["garch", "gjr", "egarch"])
def test_the_criterion_finds_the_kind_that_made_the_returns(truth):
    """Four paths of 3,000 sessions with Student-t shocks: BIC is right on most."""
    policy = ForecastPolicy()
    hits = 0
    for seed in range(4):
        values = _simulated(VolatilityKind(model=truth, distribution="t"), 3000, seed) / 100
        outcome = fit_garch(FitTask(values=values, start=None, policy=policy))
        hits += outcome.diagnostics["kind"] == f"{truth}-t"
    assert hits >= 3


def test_fewer_kinds_are_fitted_when_the_policy_names_fewer(few):
    """One kind, no choice; the record says what was fitted."""
    policy = ForecastPolicy(garch_models=("gjr",), garch_distributions=("t",))
    assert [str(kind) for kind in kinds_of(policy)] == ["gjr-t"]
    outcome = fit_garch(FitTask(values=few.values[0, -504:], start=None, policy=policy))
    assert outcome.diagnostics["kind"] == "gjr-t"
    assert outcome.diagnostics["kinds_fitted"] == 1
    assert set(outcome.params) == {"mean", "omega", "alpha", "gamma", "beta", "nu", "backcast"}


@pytest.mark.parametrize("model", ["garch", "gjr", "egarch"])
def test_returns_in_other_units_give_the_same_model(few, model):
    """A hundredfold return has a hundredfold deviation; shapes stay."""
    policy = ForecastPolicy(garch_models=(model,), garch_distributions=("t",))
    values = few.values[1, -504:]
    small, large = (
        fit_garch(FitTask(values=values * unit, start=None, policy=policy)).params
        for unit in (1.0, 128.0)
    )
    for name in ("alpha", "beta", "nu"):
        assert large[name] == pytest.approx(small[name], abs=1e-9)
    assert large["mean"] == pytest.approx(small["mean"] * 128, rel=1e-9)
    if model == "egarch":
        shift = (1 - small["beta"]) * 2 * np.log(128)
        assert large["log_omega"] == pytest.approx(small["log_omega"] + shift, abs=1e-9)
    else:
        assert large["omega"] == pytest.approx(small["omega"] * 128**2, rel=1e-9)


def test_a_warm_start_reaches_the_cold_optimum_for_every_stock(stocks, policy):
    """A week later, from the stored parameters: as likely to 0.01, and the same each time."""
    model = GarchForecaster(policy=policy)
    ten = stocks.rows(stocks.symbols[:10])
    session = ten.sessions[-1].item()
    first = start_params(model.fit(ten, session=ten.sessions[-6].item()))
    cold = model.fit(ten, session=session)
    warm = model.fit(ten, session=session, start=first)
    assert warm == model.fit(ten, session=session, start=first)
    for one, other in zip(cold, warm, strict=True):
        gap = other.diagnostics["log_likelihood"] - one.diagnostics["log_likelihood"]
        assert gap > -0.01, one.symbol
        assert one.diagnostics["kind"] == other.diagnostics["kind"], one.symbol


def test_a_fit_that_does_not_converge_keeps_the_last_one_and_says_so(few, policy, monkeypatch):
    """Every kind stopped after one iteration: flagged, with the previous parameters in force."""
    from quant.forecasting import garch_fit

    model = GarchForecaster(policy=policy)
    one = few.rows(("AAPL",))
    before = model.fit(one, session=one.sessions[-6].item())
    monkeypatch.setattr(garch_fit, "_ITERATIONS_MAX", 1)
    [kept] = model.fit(one, session=one.sessions[-1].item(), start=start_params(before))
    assert not kept.converged
    assert kept.params == before[0].params
    assert kept.diagnostics["kept_previous"] is True
    assert "Iteration limit reached" in kept.reason


def test_an_egarch_that_does_not_forget_is_refused(monkeypatch):
    """Low and lopsided enough, each step magnifies what was carried: by hand from the path."""
    from quant.forecasting import garch_fit

    kind = VolatilityKind(model="egarch", distribution="normal")
    series = GarchSeries(values=np.random.default_rng(0).standard_t(6, 400))
    wild = np.array([0.0, -1.5, 0.3, -1.0, 0.9])
    for theta, forgets in ((_theta(kind), True), (wild, False)):
        shocks = (series.values - theta[0]) / np.sqrt(variance_path(kind, theta, series))
        factors = theta[4] - 0.5 * (theta[2] * np.abs(shocks) + theta[3] * shocks)
        assert bool(np.log(np.abs(factors)).mean() < 0.0) is forgets
        assert forgets_its_start(kind, theta, series) is forgets

    monkeypatch.setattr(garch_fit, "forgets_its_start", lambda *_: False)
    [refused] = fit_kinds(series, [kind])
    assert not refused.converged
    assert refused.message == "the variance does not forget its start"


def _arrays(**numbers: float) -> dict[str, np.ndarray]:
    return {name: np.array([value]) for name, value in numbers.items()}


def _egarch(nu: float = np.inf, **changes: float) -> EgarchParams:
    size = np.sqrt(2 / np.pi)
    if np.isfinite(nu):
        draws = np.random.default_rng(0).standard_t(nu, 2_000_000) * np.sqrt((nu - 2) / nu)
        size = np.abs(draws).mean()
    numbers = {"mean": 0.05, "log_omega": 0.01, "alpha": 0.15, "gamma": -0.1, "beta": 0.96}
    return EgarchParams(
        **_arrays(**{**numbers, "backcast": 1.5, **changes}, expected_size=float(size))
    )


@every_kind
def test_the_nightly_filter_walks_the_path_of_the_likelihood(few, kind):
    """Vectorised over symbols and without bounds, it gives what the fit has seen."""
    values = few.values[1, -504:] * 100
    series, theta = GarchSeries(values=values), _theta(kind)
    named = {name: np.array([value]) for name, value in TYPICAL[kind.model].items() if name != "nu"}
    named["backcast"] = np.array([series.backcast])
    start = np.zeros(1, dtype=np.int64)
    if kind.model == "egarch":
        named["log_omega"] = named.pop("omega")
        params = EgarchParams(**named, expected_size=np.array([np.sqrt(2 / np.pi)]))
        path = np.exp(egarch_filter(params, values[:, None], egarch_start(params), start)[0])
    else:
        params = GarchParams(**{"gamma": np.zeros(1), **named})
        path = garch_filter(params, values[:, None], garch_start(params), start)[0]
    np.testing.assert_allclose(path[:, 0], variance_path(kind, theta, series), rtol=1e-10)


def test_a_gjr_forecast_is_archs_analytic_one(few):
    """Twenty expected variances and their running sum, to 1e-8."""
    kind = VolatilityKind(model="gjr", distribution="t")
    values = few.values[1, -504:] * 100
    steps = _arch(kind, values).fix(_theta(kind)).forecast(horizon=20).variance.to_numpy()[-1]
    numbers = {name: value for name, value in TYPICAL["gjr"].items() if name != "nu"}
    params = GarchParams(**_arrays(**numbers, backcast=GarchSeries(values=values).backcast))
    _, last = garch_filter(
        params, values[:, None], garch_start(params), np.zeros(1, dtype=np.int64)
    )
    means, variances = garch_forecast(params, last, 20)
    np.testing.assert_allclose(variances[0], np.cumsum(steps), rtol=1e-8)
    np.testing.assert_allclose(means[0], 0.05 * np.arange(1, 21))


@pytest.mark.parametrize("nu", [np.inf, 7.0])
def test_an_egarch_forecast_is_near_a_simulation(nu):
    """20 days, 200,000 paths: normal shocks within 1 %, t shocks within 3 % of the total."""
    params = _egarch(nu)
    draws = np.random.default_rng(1)
    shape = (20, 200_000)
    if np.isfinite(nu):
        shocks = draws.standard_t(nu, shape) * np.sqrt((nu - 2) / nu)
    else:
        shocks = draws.standard_normal(shape)
    logs, total, sums = np.full(shape[1], np.log(2.0)), np.zeros(shape[1]), []
    for shock in shocks:
        total += np.exp(logs)
        sums.append(total.mean())
        push = 0.15 * (np.abs(shock) - np.sqrt(2 / np.pi)) - 0.1 * shock
        logs = 0.01 + push + 0.96 * logs
    _, variances = egarch_forecast(params, np.log(np.array([2.0])), 20)
    assert variances[0, 0] == pytest.approx(2.0)
    np.testing.assert_allclose(variances[0], sums, rtol=0.01 if np.isinf(nu) else 0.03)


def test_a_missing_return_leaves_an_egarch_at_its_expectation():
    """By hand: ln 2 goes to 0.01 + 0.96 ln 2 when the shock is of expected size."""
    path, after = egarch_filter(
        _egarch(), np.array([[np.nan]]), np.log(np.array([2.0])), np.zeros(1, dtype=np.int64)
    )
    assert path[0, 0] == np.log(2.0)
    assert after[0] == pytest.approx(0.01 + 0.96 * np.log(2.0), rel=1e-15)


def test_a_split_like_jump_does_not_blow_an_egarch_up():
    """70 deviations in a day: the variance grows as after ten, to nine times; a rise less."""
    params = _egarch(mean=0.0)
    start = np.zeros(1, dtype=np.int64)
    begin = np.log(np.array([2.0]))
    _, fall = egarch_filter(params, np.array([[-70 * np.sqrt(2.0)]]), begin, start)
    _, ten = egarch_filter(params, np.array([[-10 * np.sqrt(2.0)]]), begin, start)
    _, rise = egarch_filter(params, np.array([[70 * np.sqrt(2.0)]]), begin, start)
    assert fall[0] == pytest.approx(ten[0])
    push = 0.15 * (10 - np.sqrt(2 / np.pi)) + 0.1 * 10
    assert fall[0] == pytest.approx(0.01 + push + 0.96 * np.log(2.0))
    assert rise[0] == pytest.approx(fall[0] - 2.0)


def test_egarch_symbols_do_not_touch_each_other():
    """Alone, among others, in two halves or with history before the start: equal bits."""
    count = 37
    grow = 1 + np.arange(count) / 100
    whole = EgarchParams(
        mean=0.05 * grow,
        log_omega=0.01 * grow,
        alpha=0.1 * grow,
        gamma=-0.05 * grow,
        beta=0.96 / grow,
        backcast=1.5 * grow,
        expected_size=np.full(count, 0.8),
    )
    returns = np.random.default_rng(2).normal(0, 1.2, (60, count))
    returns[10:14, ::5] = np.nan
    start = np.arange(count, dtype=np.int64) // 4
    _, last = egarch_filter(whole, returns, egarch_start(whole), start)
    _, half = egarch_filter(whole, returns[:30], egarch_start(whole), start)
    np.testing.assert_array_equal(
        egarch_filter(whole, returns[30:], half, np.zeros(count, dtype=np.int64))[1], last
    )
    for row in (0, 7, 36):
        one = EgarchParams(**{name: getattr(whole, name)[[row]] for name in whole.__slots__})
        alone = egarch_filter(one, returns[:, [row]], egarch_start(one), start[[row]])
        np.testing.assert_array_equal(alone[1], last[[row]])
        _, late = egarch_filter(
            one, returns[start[row] :, [row]], egarch_start(one), np.zeros(1, dtype=np.int64)
        )
        np.testing.assert_array_equal(late, last[[row]])
    variances = egarch_forecast(whole, last, 20)[1]
    alone = egarch_forecast(one, last[[36]], 20)[1]
    np.testing.assert_array_equal(alone[0], variances[36])


def test_kinds_live_side_by_side_in_one_forecast(few, as_of, policy):
    """A GARCH, a GJR and an EGARCH state in one batch: each as it would be alone."""
    states, session = [], few.sessions[-1].item()
    for symbol, model in zip(("AAPL", "GE", "XOM"), ("garch", "gjr", "egarch"), strict=True):
        only = policy.model_copy(update={"garch_models": (model,)})
        states += GarchForecaster(policy=only).fit(few.rows((symbol,)), session=session)
    model = GarchForecaster(policy=policy)

    def ask(some: list[FittedState]) -> pd.DataFrame:
        return model.forecast(
            some, few, session=session, as_of=as_of, horizons=(1, 5, 20)
        ).forecasts

    together = ask(states)
    for place, state in enumerate(states):
        expected = together.iloc[3 * place : 3 * place + 3].reset_index(drop=True)
        pd.testing.assert_frame_equal(ask([state]), expected, check_exact=True)
    assert [kind_of(state.params).model for state in states] == ["garch", "gjr", "egarch"]


def test_the_criteria_weigh_parameters_as_they_should():
    """AIC 2 k, BIC k ln n, for a likelihood of -100 with four parameters and 504 sessions."""
    fit = VolatilityFit(
        kind=KINDS[0],
        theta=np.zeros(4),
        log_likelihood=-100.0,
        observations=504,
        converged=True,
        evaluations=1,
        message="",
    )
    assert fit.aic == 208.0
    assert fit.bic == pytest.approx(200 + 4 * np.log(504))
