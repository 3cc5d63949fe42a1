"""What a night's signals rest on besides forecasts and prices, read from one state of the lake.

Belongs here: the recent market, a strategy's own record, its closed trades, its costs, its
switches; each as of the session. Does not belong here: what follows from them (quant.signals).

Own fills and cost evidence come from nights strictly before the session, so a session computed
again later reads what it could have read then.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from quant.market.panel import FloatArray
from quant.portfolio.night import trend_of
from quant.portfolio.trades import ClosedTrade, TradeFill, closed_trades
from quant.signals.recalibrate import BarSpread, CostEvidence, FillStatistics
from quant.signals.strategies import Strategy
from quant.signals.validator import Standing, ValidationPolicy, rolling_hits, standing_of
from resources.desk import Desk

if TYPE_CHECKING:
    from assets.history import History
    from resources.warehouse import Warehouse


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketFacts:
    """The recent past of the universe, its symbols in the universe's order."""

    returns: FloatArray
    trend: float


def market_facts(past: Sequence["History"], policy: ValidationPolicy) -> dict[dt.date, MarketFacts]:
    """Daily log returns of the correlation window, and the market's trend, by session."""
    return {
        session: _market(history, session, policy)
        for history in past
        for session in history.sessions
    }


def _market(history: "History", session: dt.date, policy: ValidationPolicy) -> MarketFacts:
    known = history.returns.until(session)
    # Copies of one shape, so that sums are taken in one order whatever else the run computes.
    recent = np.ascontiguousarray(known.last(policy.correlation_window_sessions).values)
    window = np.ascontiguousarray(known.last(policy.trend_window_sessions).values)
    return MarketFacts(
        returns=recent, trend=trend_of(window, window_sessions=policy.trend_window_sessions)
    )


def standings(
    lake: "Warehouse",
    past: Sequence["History"],
    strategy: Strategy,
    *,
    costs: FloatArray,
    horizon: int,
    policy: ValidationPolicy,
) -> dict[dt.date, Standing]:
    """The rolling backtest of a strategy: its forecasts whose future had arrived by each session.

    `costs` are round trips by symbol; a call counts where it beat its own.
    """
    found = {}
    for history in past:
        calls = _calls(lake, strategy, history, horizon)
        close = history.panel.close
        ahead = np.full_like(close, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            ahead[:, :-horizon] = close[:, horizon:] / close[:, :-horizon] - 1.0
        for session in history.sessions:
            day = np.datetime64(session, "D")
            end = int(np.searchsorted(history.panel.sessions, day, side="right")) - horizon
            window = slice(max(end - policy.backtest_sessions, 0), max(end, 0))
            hits = rolling_hits(calls[:, window], ahead[:, window], cost=costs[:, None])
            found[session] = standing_of(hits, policy)
    return found


def _calls(lake: "Warehouse", strategy: Strategy, history: "History", horizon: int) -> FloatArray:
    from resources.warehouse import quoted

    days, symbols = history.panel.sessions, history.panel.symbols
    rows = lake.rows(
        f"SELECT session, symbol, mean FROM {quoted('forecast.' + strategy.forecast)} "
        # As many calendar days as the longest window and horizon can span, with room to spare.
        "WHERE horizon_days = ? AND mean IS NOT NULL AND session BETWEEN ?::DATE - 420 AND ?",
        [horizon, min(history.sessions), max(history.sessions)],
    )
    column = {day: place for place, day in enumerate(days.tolist())}
    line = {symbol: place for place, symbol in enumerate(symbols)}
    calls = np.full((len(symbols), len(days)), np.nan)
    for session, symbol, mean in rows:
        if session in column and symbol in line:
            calls[line[symbol], column[session]] = np.expm1(mean)
    return calls


def closed_by_strategy(desk: Desk, lake: "Warehouse") -> Mapping[str, Sequence[ClosedTrade]]:
    """The book's closed trades as the lake has them, oldest first."""
    rows = lake.rows(
        'SELECT strategy, symbol, session, side, quantity, price, fee FROM "order".fills '
        "WHERE book = ? ORDER BY session, event_time, fill_id",
        [desk.settings.book],
    )
    fills: dict[str, list[TradeFill]] = {}
    for strategy, symbol, session, side, quantity, price, fee in rows:
        sign = Decimal(1) if side == "buy" else Decimal(-1)
        fills.setdefault(strategy, []).append(
            TradeFill(
                symbol=symbol, session=session, quantity=sign * quantity, price=price, fee=fee
            )
        )
    return {strategy: closed_trades(own) for strategy, own in fills.items()}


def profits_before(trades: Sequence[ClosedTrade], session: dt.date) -> list[float]:
    """The profits of what was closed before `session`."""
    return [float(trade.profit) for trade in trades if trade.closed < session]


def cost_evidence(
    lake: "Warehouse", sessions: Sequence[dt.date]
) -> dict[dt.date, dict[str, CostEvidence]]:
    """By session and symbol, what the latest earlier night knew of costs."""
    rows = lake.rows(
        """
        WITH night AS (SELECT unnest(?::DATE[]) AS session)
        SELECT night.session, c.symbol, c.fills, c.adverse_bps, c.fills_fee_bps, c.class_fills,
               c.class_adverse_bps, c.class_fee_bps, c.corwin_schultz_bps, c.abdi_ranaldo_bps,
               c.bars
        FROM night JOIN audit.cost_estimates AS c
          ON c.session < night.session AND c.session > night.session - 30
        QUALIFY row_number() OVER (
            PARTITION BY night.session, c.symbol ORDER BY c.session DESC) = 1
        """,
        [list(sessions)],
    )
    found: dict[dt.date, dict[str, CostEvidence]] = {}
    for session, symbol, *numbers in rows:
        known = [float("nan") if number is None else number for number in numbers]
        found.setdefault(session, {})[symbol] = CostEvidence(
            own=FillStatistics(count=known[0], adverse_bps=known[1], fee_bps=known[2]),
            of_class=FillStatistics(count=known[3], adverse_bps=known[4], fee_bps=known[5]),
            bars=BarSpread(
                corwin_schultz_bps=known[6], abdi_ranaldo_bps=known[7], bars=int(known[8])
            ),
        )
    return found


def recorded_flags(
    lake: "Warehouse", sessions: Sequence[dt.date]
) -> dict[dt.date, dict[str, bool]]:
    """The switches that each night recorded; a night without any is absent."""
    rows = lake.rows(
        "SELECT session, model, is_on FROM signal.model_flags "
        "WHERE session IN (SELECT unnest(?::DATE[]))",
        [list(sessions)],
    )
    found: dict[dt.date, dict[str, bool]] = {}
    for session, model, is_on in rows:
        found.setdefault(session, {})[model] = is_on
    return found
