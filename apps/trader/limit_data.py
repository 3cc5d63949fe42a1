"""What the last gate judges an order's limits on: equity, prices, sectors, correlations.

Belongs here: reading them as they were known before the session. Does not belong here: the limits
themselves (`quant.execution.limits`), or those that shape a night's weights
(`quant.portfolio.limits`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING

from quant.core.money import price as exact_price
from quant.execution.actions import ActionKind, CorporateAction, split_ratio
from quant.execution.book import Book
from quant.execution.limits import LimitData
from quant.market.calendars import previous_session
from quant.portfolio.limits import LimitsPolicy
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from resources.ledger.ledger import Ledger

# About a year of sessions, as the night's own limits see it.
HISTORY_DAYS = 370


def limit_data(
    desk: Desk, ledger: "Ledger", session: dt.date, actions: Sequence[CorporateAction]
) -> LimitData:
    """For all that the book holds or wants, from closes before `session`."""
    name = desk.settings.book
    book = ledger.book(name)
    symbols = {*book.positions, *(one.symbol for one in ledger.pending_intents(name))}
    closes = _closes(desk, session, sorted(symbols))
    last = {
        symbol: exact_price(float(closes[symbol].dropna().iloc[-1])) for symbol in closes.columns
    }
    policy = desk.policy("limits", LimitsPolicy)
    return LimitData(
        equity=book.equity({**book.prices, **last}),
        prices=_after_splits({**book.prices, **last}, book, session, actions),
        sectors={symbol: policy.sector_of(symbol) for symbol in symbols},
        correlations=_correlations(closes, policy.correlation_observations_min),
    )


def _closes(desk: Desk, session: dt.date, symbols: Sequence[str]) -> "pd.DataFrame":
    """Closes as (sessions, symbols), as they were known when the orders were decided."""
    import pandas as pd

    before = previous_session(desk.universe.calendar, session)
    rows = desk.warehouse.rows(
        "SELECT session, symbol, close FROM clean.daily_bars "
        "WHERE basis = ? AND session <= ? AND session > ? AND known_at <= ? AND close > 0 "
        "AND symbol IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY symbol, session ORDER BY known_at DESC) = 1",
        [
            str(desk.universe.basis),
            before,
            before - dt.timedelta(days=HISTORY_DAYS),
            desk.as_of(before),
            list(symbols),
        ],
    )
    frame = pd.DataFrame(rows, columns=["session", "symbol", "close"])
    return frame.pivot(index="session", columns="symbol", values="close").sort_index()


def _after_splits(
    prices: Mapping[str, Decimal],
    book: Book,
    session: dt.date,
    actions: Sequence[CorporateAction],
) -> dict[str, Decimal]:
    """Prices on the scale of the shares that the session counts."""
    found = dict(prices)
    for action in actions:
        is_met = action.kind is ActionKind.SPLIT and book.takes(action.kind)
        if is_met and action.ex_session == session and action.symbol in found:
            ratio = split_ratio(action.value)
            found[action.symbol] *= Decimal(ratio.numerator) / Decimal(ratio.denominator)
    return found


def _correlations(closes: "pd.DataFrame", observations_min: int) -> dict[tuple[str, str], Decimal]:
    """Of daily log returns; a pair with too little common history has none."""
    import numpy as np

    from quant.portfolio.limits import correlations

    returns = np.diff(np.log(closes.to_numpy(dtype=float)), axis=0).T
    matrix = correlations(np.ascontiguousarray(returns), observations_min=observations_min)
    return {
        (closes.columns[i], closes.columns[j]): Decimal(repr(round(float(matrix[i, j]), 6)))
        for i, j in combinations(range(len(closes.columns)), 2)
        if np.isfinite(matrix[i, j])
    }
