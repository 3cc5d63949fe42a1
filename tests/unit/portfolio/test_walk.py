"""Years of decisions with and without the cost gate, on prices that are made here."""

import math

import numpy as np
import pytest
from scipy import stats

from quant.forecasting.policy import ForecastPolicy
from quant.portfolio.night import NightPolicies
from quant.portfolio.walk import Prices, nights_of, outlooks_of, scaled, walk_path
from quant.portfolio.walk_figures import StartingDays, finding, steps_of, summary, walk
from quant.signals.costs import CostPrior
from quant.signals.validator import ValidationPolicy

COSTS = CostPrior(spread_bps=2, slippage_bps=1, fee_bps=1.5, impact_bps=0.5)
START = np.datetime64("2001-01-01")


def prices_of(*, symbols: int = 8, sessions: int = 900, seed: int = 3) -> Prices:
    """Random walks with a small drift, one of which is delisted half-way."""
    rng = np.random.default_rng(seed)
    drift = rng.normal(0.0003, 0.0006, (symbols, 1))
    closes = 50 * np.exp(np.cumsum(drift + rng.normal(0, 0.012, (symbols, sessions)), axis=1))
    closes[0, sessions // 2 :] = np.nan
    days = np.datetime64("2000-01-03") + np.arange(sessions)
    return Prices(closes=closes, sessions=days, symbols=tuple(f"S{i}" for i in range(symbols)))


def paths_of(prices: Prices, costs: CostPrior = COSTS):
    """Before and after the gate."""
    policies = NightPolicies()
    nights = nights_of(prices, START, horizon=20)
    outlooks = outlooks_of(prices, nights, horizon=20)
    return [
        walk_path(prices, outlooks, believed=believed, paid=costs, policies=policies)
        for believed in (None, costs)
    ]


def test_a_night_sees_the_window_of_the_products_naive_drift_and_no_more():
    """Mean and deviation by hand; the doubt about the mean belongs to the deviation."""
    prices = prices_of()
    (outlook,) = outlooks_of(prices, [300], horizon=20)
    returns = np.diff(np.log(prices.closes[1, 48:301]))
    assert len(returns) == ForecastPolicy().naive_window_sessions
    assert math.isclose(outlook.mean[1], 20 * returns.mean(), rel_tol=1e-12)
    variance = returns.var(ddof=1) * (20 + 20 * 20 / len(returns))
    assert math.isclose(outlook.std[1], math.sqrt(variance), rel_tol=1e-12)


def test_another_future_changes_no_decision_before_it():
    """What is bought up to a night is the same whatever comes after it."""
    prices = prices_of()
    before, after = paths_of(prices)
    cut = 700
    closes = prices.closes.copy()
    closes[:, cut:] *= np.random.default_rng(9).uniform(0.5, 2.0, closes[:, cut:].shape)
    changed = Prices(closes=closes, sessions=prices.sessions, symbols=prices.symbols)
    known = [night < cut for night in nights_of(prices, START, horizon=20)]
    assert any(known)
    assert not all(known)
    for old, new in zip((before, after), paths_of(changed), strict=True):
        np.testing.assert_array_equal(old.bought[known], new.bought[known])


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_dearer_trading_never_adds_a_purchase(seed):
    """Every purchase at four times the costs is one at the costs, and one if trading were free."""
    prices = prices_of(seed=seed)
    free, usual = paths_of(prices)
    _, dear = paths_of(prices, scaled(COSTS, 4.0))
    assert not (usual.bought & ~free.bought).any()
    assert not (dear.bought & ~usual.bought).any()
    assert dear.bought.sum() < free.bought.sum()


def test_every_decision_ends_as_a_purchase_an_exit_or_a_refusal():
    """Nothing is lost between the gates."""
    prices = prices_of()
    for path in paths_of(prices):
        refused = [sum(night.values()) for night in path.refusals]
        total = path.bought.sum(axis=1) + path.exits + np.array(refused)
        np.testing.assert_array_equal(total, np.full(len(total), path.decisions_a_night))


def test_one_purchase_by_hand():
    """A steady climber of 1 % a day, filled at the next close, held for the horizon."""
    sessions = 320
    wobble = np.where(np.arange(sessions) % 2, 0.001, -0.001)
    closes = np.exp(0.01 * np.arange(sessions) + wobble)[None, :]
    days = np.datetime64("2000-01-03") + np.arange(sessions)
    prices = Prices(closes=closes, sessions=days, symbols=("UP",))
    outlooks = outlooks_of(prices, [260], horizon=20)
    path = walk_path(prices, outlooks, believed=COSTS, paid=COSTS, policies=NightPolicies())
    gain = closes[0, 281] / closes[0, 261] - 1.0
    assert math.isclose(path.trade_returns[0, 0], gain - 0.0008, rel_tol=1e-12)
    # A tenth of equity is the cap of one position; half a round trip is paid to get in.
    assert math.isclose(path.traded[0], 0.05, rel_tol=1e-9)
    assert math.isclose(path.cost[0], 0.1 * 0.0004, rel_tol=1e-9)
    assert math.isclose(path.net[0], 0.1 * gain - 0.1 * 0.0004, rel_tol=1e-9)


def test_the_figures_are_those_of_the_trades_and_the_test_is_scipys():
    """Hit rate, profit factor and t against independent formulas on the same path."""
    prices = prices_of()
    report = walk(
        prices, costs=COSTS, policies=NightPolicies(), start=START, cost_multiples=(1.0, 20.0)
    )
    whole = next(one for one in report.comparisons if one.name == "all")
    before, after = paths_of(prices)
    trades = after.trade_returns[after.bought]
    assert whole.after.trades == len(trades)
    assert whole.after.hit_rate == (trades > 0).sum() / len(trades)
    wins, losses = trades[trades > 0].sum(), -trades[trades < 0].sum()
    assert math.isclose(whole.after.profit_factor or 0, wins / losses)
    assert math.isclose(whole.t_statistic or 0, stats.ttest_rel(after.net, before.net).statistic)
    low, high = whole.interval_90_annual or (0.0, 0.0)
    assert low < whole.difference_annual < high
    gone = before.bought & ~after.bought
    assert whole.spared.trades == gone.sum() == whole.before.trades - whole.after.trades
    assert report.starting_days.starts == 20


def test_progress_is_told_as_often_as_it_is_announced():
    """One call a level of costs and one a starting day."""
    calls: list[int] = []
    walk(
        prices_of(sessions=420),
        costs=COSTS,
        policies=NightPolicies(),
        start=START,
        on_step=lambda: calls.append(1),
    )
    assert len(calls) == steps_of(NightPolicies())


@pytest.mark.parametrize(
    ("difference", "t_statistic", "interval", "said"),
    [
        (0.010, 3.0, (0.004, 0.016), "helps by 1.00% a year"),
        (-0.010, -3.0, (-0.016, -0.004), "hurts by 1.00% a year"),
        (0.010, 1.5, (0.001, 0.019), "not to be told from chance"),
        (0.010, 2.5, (-0.001, 0.021), "not to be told from chance"),
        (0.0, None, None, "changed nothing"),
    ],
)
def test_a_finding_is_no_kinder_than_its_numbers(difference, t_statistic, interval, said):
    """Both the paired test and the bootstrap have to agree before anything is called a help."""
    assert said in finding(difference, t_statistic, interval)


def test_too_little_history_says_so():
    """A walk without a night has figures of nothing and no finding."""
    report = walk(prices_of(sessions=250), costs=COSTS, policies=NightPolicies(), start=START)
    assert report.summary == "there is too little history to say anything"
    assert {one.before.trades for one in report.comparisons} == {0}
    nothing = StartingDays(
        starts=0, gains=0, lowest_annual=0.0, mean_annual=0.0, highest_annual=0.0
    )
    assert summary([], nothing) == report.summary


def test_a_closed_market_lets_nobody_in_on_the_way():
    """With a trend demanded that no market has, the regime layer refuses what the edge lets by."""
    strict = NightPolicies(
        validation=ValidationPolicy(trend_deviations_min=5.0, trend_deviations_warn=5.0)
    )
    prices = prices_of()
    outlooks = outlooks_of(prices, nights_of(prices, START, horizon=20), horizon=20)
    path = walk_path(prices, outlooks, believed=COSTS, paid=COSTS, policies=strict)
    assert not path.bought.any()
    assert sum(night["regime"] for night in path.refusals) > 0
    assert not path.net.any()
