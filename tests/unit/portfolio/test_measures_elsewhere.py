"""Portfolio measures against skfolio and quantstats, to 1e-10, where definitions agree.

Where they do not, the difference is stated here and tested, so that nobody compares two numbers of
one name and different meaning.
"""

import math
import warnings
from decimal import Decimal
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from quant.portfolio.measures import (
    annual_return,
    calmar,
    drawdowns,
    expected_shortfall,
    max_drawdown,
    returns_from_equity,
    sharpe,
    sortino,
    total_return,
    value_at_risk,
    volatility_annual,
)
from quant.portfolio.trades import ClosedTrade, trade_statistics
from resources.settings import project_root

CLOSE = {"rel": 0, "abs": 1e-10}


@pytest.fixture(scope="module")
def quantstats() -> ModuleType:
    """Its statistics; importing it warns about its own use of pandas and matplotlib."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantstats import stats

    return stats


@pytest.fixture(scope="module")
def skfolio() -> ModuleType:
    """Its measures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio import measures

    return measures


@pytest.fixture(scope="module", params=["AAPL", "BAC", "JNJ", "book"])
def equity(request: pytest.FixtureRequest) -> pd.Series:
    """Ten years of real closes, of three names and of a quarter of each of four."""
    path = project_root() / "data/sample/us_equity_adjclose_daily.parquet"
    table = pd.read_parquet(path)
    wide = table.pivot(index="date", columns="symbol", values="adj_close")
    wide.index = pd.to_datetime(wide.index)
    part = wide.loc["2006-01-03":"2015-12-31", ["AAPL", "BAC", "JNJ", "XOM"]].astype(float)
    names = list(part.columns) if request.param == "book" else [request.param]
    return (part[names] / part[names].iloc[0]).mean(axis=1)


@pytest.fixture
def returns(equity: pd.Series) -> pd.Series:
    """The book's own way to returns."""
    return returns_from_equity(equity)


def test_ratios_are_those_of_quantstats(equity, returns, quantstats):
    """Sharpe, Sortino, volatility, total return and growth a year."""
    assert sharpe(returns) == pytest.approx(quantstats.sharpe(returns, periods=252), **CLOSE)
    assert sortino(returns) == pytest.approx(quantstats.sortino(returns, periods=252), **CLOSE)
    assert volatility_annual(returns) == pytest.approx(
        quantstats.volatility(returns, periods=252), **CLOSE
    )
    assert total_return(equity) == pytest.approx(quantstats.comp(returns), **CLOSE)
    assert annual_return(equity) == pytest.approx(quantstats.cagr(returns, periods=252), **CLOSE)


def test_drawdown_and_calmar_are_those_of_quantstats(equity, returns, quantstats):
    """Quantstats has drawdowns below zero; ours are losses and above it."""
    assert max_drawdown(equity) == pytest.approx(-quantstats.max_drawdown(equity), **CLOSE)
    assert calmar(equity) == pytest.approx(quantstats.calmar(returns, periods=252), **CLOSE)
    series = quantstats.to_drawdown_series(returns).to_numpy()
    np.testing.assert_allclose(drawdowns(equity).to_numpy()[1:], -series, rtol=0, atol=1e-10)


def test_a_risk_free_rate_is_spread_over_sessions_as_quantstats_does(returns, quantstats):
    """Three percent a year, compounded over 252 sessions."""
    assert sharpe(returns, risk_free_annual=0.03) == pytest.approx(
        quantstats.sharpe(returns, rf=0.03, periods=252), **CLOSE
    )


def test_deviation_tail_and_drawdown_are_those_of_skfolio(equity, returns, skfolio):
    """Historical value at risk, expected shortfall after Rockafellar and Uryasev, drawdown."""
    values = returns.to_numpy()
    assert volatility_annual(returns) == pytest.approx(
        float(skfolio.standard_deviation(values)) * math.sqrt(252), **CLOSE
    )
    for confidence in (0.90, 0.95, 0.99):
        assert value_at_risk(returns, confidence=confidence) == pytest.approx(
            float(skfolio.value_at_risk(values, beta=confidence)), **CLOSE
        )
        assert expected_shortfall(returns, confidence=confidence) == pytest.approx(
            float(skfolio.cvar(values, beta=confidence)), **CLOSE
        )
    depths = -np.asarray(skfolio.get_drawdowns(values, compounded=True))
    np.testing.assert_allclose(drawdowns(equity).to_numpy()[1:], depths, rtol=0, atol=1e-10)


def test_quantstats_tail_is_a_normal_one_and_differs(returns, quantstats):
    """Its value at risk assumes a normal distribution: another thing under the same name."""
    normal = -returns.mean() + 1.6448536269514722 * returns.std(ddof=1)
    assert -quantstats.value_at_risk(returns) == pytest.approx(normal, rel=1e-9)
    assert abs(value_at_risk(returns) - normal) > 1e-4


def test_win_rate_and_profit_factor_are_those_of_quantstats(returns, quantstats):
    """Of trades without a flat one, since quantstats leaves those out of the rate and we do not."""
    profits = returns[returns.round(4) != 0].round(4)
    trades = [
        ClosedTrade(
            symbol="A",
            opened=day.date(),
            closed=day.date(),
            quantity=Decimal(1),
            gross_profit=Decimal(str(profit)),
            fees=Decimal(0),
        )
        for day, profit in profits.items()
    ]
    found = trade_statistics(trades)
    assert found.win_rate == pytest.approx(quantstats.win_rate(profits), **CLOSE)
    assert found.profit_factor == pytest.approx(quantstats.profit_factor(profits), **CLOSE)
