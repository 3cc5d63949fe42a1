"""Measures of an equity curve: by hand, against independent formulas, and as invariants."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.portfolio.measures import (
    annual_return,
    calmar,
    drawdowns,
    equal_weight_buy_and_hold,
    expected_shortfall,
    max_drawdown,
    performance,
    returns_from_equity,
    sharpe,
    sortino,
    total_return,
    turnover_annual,
    value_at_risk,
    volatility_annual,
)

# In billionths: finer differences between returns are rounding of prices, not facts.
BILLIONTHS = st.integers(-200_000_000, 200_000_000).map(lambda billionths: billionths / 1e9)
RETURNS = st.lists(BILLIONTHS, min_size=2, max_size=60).map(pd.Series)
EQUITY = st.lists(st.floats(0.01, 1e9), min_size=1, max_size=60).map(pd.Series)


@pytest.fixture(scope="module")
def real_returns() -> pd.Series:
    """Ten years of Apple, from the bundled data."""
    bars = pd.read_parquet("data/sample/us_equity_adjclose_daily.parquet")
    closes = bars[bars["symbol"] == "AAPL"].set_index("date")["adj_close"].sort_index()
    return returns_from_equity(closes.tail(2521).astype(float))


def test_returns_drawdown_and_growth_of_a_four_day_book():
    """100 -> 110 -> 88 -> 99: plus ten, minus twenty, plus twelve and a half percent."""
    equity = pd.Series([100.0, 110.0, 88.0, 99.0])
    assert returns_from_equity(equity).tolist() == pytest.approx([0.10, -0.20, 0.125])
    assert drawdowns(equity).tolist() == pytest.approx([0.0, 0.0, 0.2, 0.1])
    assert max_drawdown(equity) == pytest.approx(0.2)
    assert total_return(equity) == pytest.approx(-0.01)
    assert annual_return(equity) == pytest.approx(0.99 ** (252 / 3) - 1)
    assert calmar(equity) == pytest.approx((0.99**84 - 1) / 0.2)


def test_sharpe_and_sortino_of_three_returns_by_hand():
    """Returns 1 %, -1 %, 3 %: mean 1 %, deviation 2 %, downside deviation 1 % / sqrt 3."""
    returns = pd.Series([0.01, -0.01, 0.03])
    assert sharpe(returns) == pytest.approx(0.5 * math.sqrt(252))
    assert sortino(returns) == pytest.approx(math.sqrt(3) * math.sqrt(252))
    assert volatility_annual(returns) == pytest.approx(0.02 * math.sqrt(252))


def test_the_risk_free_rate_is_annual_and_compounds_over_252_sessions():
    """A book that earns exactly the rate has no excess return; half a percent more shows."""
    daily = 1.05 ** (1 / 252) - 1
    returns = pd.Series([daily + 0.01, daily - 0.01, daily, daily])
    assert sharpe(returns, risk_free_annual=0.05) == pytest.approx(0.0, abs=1e-9)


def test_value_at_risk_is_an_order_statistic_and_shortfall_the_mean_beyond_it():
    """Of 40 returns the worst two are -8 % and -4 %: VaR 4 %, shortfall 6 % at 95 %."""
    returns = pd.Series([-0.08, -0.04, *np.linspace(0.0, 0.05, 38)])
    assert value_at_risk(returns) == pytest.approx(0.04)
    assert expected_shortfall(returns) == pytest.approx(0.06)


def test_a_fractional_tail_counts_its_edge_with_a_fraction():
    """5 % of 30 returns is one and a half: the worst in full, the second worst by half."""
    returns = pd.Series([-0.09, -0.03, *[0.01] * 28])
    assert expected_shortfall(returns) == pytest.approx((0.09 + 0.5 * 0.03) / 1.5)


def test_twenty_returns_have_exactly_one_in_their_tail():
    """0.05 x 20 is a little above one in floats; the tail must not grow by that."""
    returns = pd.Series([-0.10, -0.05, *[0.0] * 18])
    assert value_at_risk(returns) == pytest.approx(0.10)
    assert value_at_risk(returns.iloc[1:]) is None


def test_real_returns_agree_with_formulas_written_independently(real_returns):
    """pandas and scipy, with nothing of the product in between."""
    from scipy import optimize, stats

    values = real_returns.to_numpy()
    assert sharpe(real_returns) == pytest.approx(
        math.sqrt(252) / stats.variation(values, ddof=1), rel=1e-12
    )
    downside = real_returns.where(real_returns < 0, 0.0)
    assert sortino(real_returns) == pytest.approx(
        real_returns.mean() / downside.pow(2).mean() ** 0.5 * 252**0.5, rel=1e-12
    )
    wealth = (1 + real_returns).cumprod()
    wealth = pd.concat([pd.Series([1.0]), wealth], ignore_index=True)
    assert max_drawdown(wealth) == pytest.approx(-(wealth / wealth.cummax() - 1).min(), rel=1e-12)
    assert annual_return(wealth) == pytest.approx(stats.gmean(1 + values) ** 252 - 1, rel=1e-9)
    assert value_at_risk(real_returns) == pytest.approx(
        -real_returns.quantile(0.05, interpolation="lower"), rel=1e-12
    )

    # Rockafellar and Uryasev: the shortfall is the minimum over t of t + E[loss above t] / 5 %.
    def objective(threshold: float) -> float:
        return threshold + np.maximum(-values - threshold, 0).mean() / 0.05

    best = optimize.minimize_scalar(objective, bounds=(0, 0.2), method="bounded")
    assert expected_shortfall(real_returns) == pytest.approx(best.fun, rel=1e-5)


@given(RETURNS, st.floats(0.01, 100.0))
def test_sharpe_does_not_depend_on_the_size_of_the_bets(returns, scale):
    """Twice the leverage doubles mean and deviation alike."""
    before, after = sharpe(returns), sharpe(returns * scale)
    assert (before is None) == (after is None)
    if before is not None:
        assert after == pytest.approx(before, rel=1e-6, abs=1e-6)


@given(EQUITY)
def test_drawdowns_of_a_solvent_book_lie_between_zero_and_one(equity):
    """And they vanish exactly where equity makes a new high."""
    depths = drawdowns(equity)
    assert depths.between(0.0, 1.0).all()
    assert (depths[equity >= equity.cummax()] == 0).all()


@given(st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=200).map(pd.Series))
def test_the_shortfall_is_never_smaller_than_the_value_at_risk(returns):
    """It is the mean of losses that are all at least as large."""
    assert expected_shortfall(returns) >= value_at_risk(returns)


@given(st.lists(st.floats() | st.none(), max_size=40))
def test_no_history_whatever_causes_a_warning_or_a_number_that_is_not_finite(values):
    """Warnings are errors here; NaN, infinities, zeros and subnormal numbers all come by."""
    measured = performance(pd.Series(values, dtype=float))
    for name in type(measured).__slots__:
        value = getattr(measured, name)
        assert value is None or math.isfinite(value), name


@pytest.mark.parametrize("values", [[], [100.0], [math.nan, math.nan], [0.0, 0.0]])
def test_a_history_without_two_values_has_no_ratio(values):
    """Unknown is None, and never zero."""
    measured = performance(pd.Series(values, dtype=float))
    assert (measured.sharpe, measured.sortino, measured.annual_return) == (None, None, None)
    assert measured.observations == 0


def test_a_constant_history_has_volatility_zero_and_no_ratio():
    """Ten equal returns of one percent differ by rounding only, so no ratio is made of that."""
    returns = pd.Series([0.01] * 10)
    assert volatility_annual(returns) == 0.0
    assert sharpe(returns) is None
    assert sortino(returns) is None
    assert calmar(pd.Series([1.0, 1.01, 1.02])) is None


def test_a_gap_is_left_out_and_never_read_as_zero():
    """A missing equity takes two returns with it; the drawdown after the gap still sees the
    peak."""
    equity = pd.Series([100.0, 120.0, math.nan, 90.0, 99.0])
    assert returns_from_equity(equity).round(12).tolist()[0] == pytest.approx(0.2)
    assert performance(equity).observations == 2
    assert drawdowns(equity).iloc[3] == pytest.approx(0.25)
    assert math.isnan(drawdowns(equity).iloc[2])


def test_an_infinite_value_makes_the_answer_unknown():
    """An infinity is a defect upstream, not an observation."""
    assert sharpe(pd.Series([0.01, math.inf, 0.02])) is None


def test_turnover_halves_buying_and_selling_and_annualises():
    """Selling everything and buying it back once in 126 sessions is a turnover of two a year."""
    equity = pd.Series([100.0] * 127)
    assert turnover_annual(pd.Series([100.0, -100.0]), equity) == pytest.approx(2.0)
    assert turnover_annual(pd.Series([100.0, math.nan]), equity) is None


def test_buy_and_hold_lets_winners_run_and_keeps_a_delisted_name_at_its_last_value():
    """Half the money doubles, the other half stays where the price was last seen."""
    closes = pd.DataFrame({"A": [10.0, 15.0, 20.0], "B": [5.0, 4.0, math.nan], "C": [math.nan] * 3})
    held = equal_weight_buy_and_hold(closes, capital=1000.0)
    assert held.tolist() == pytest.approx([1000.0, 1150.0, 1400.0])
