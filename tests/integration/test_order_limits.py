"""The last gate's limits, on the data of a real home: judged when an order leaves, and refused."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from apps.trader.desk_session import trade_on_desk
from apps.trader.limit_data import limit_data
from quant.execution.actions import ActionKind, CorporateAction
from resources.desk import Desk
from resources.settings import Settings
from tests.support.small_home import SYMBOLS, UNTIL, small_bundle

NEXT = dt.date(2022, 12, 29)


def test_limits_are_judged_on_what_was_known_before_the_session(small_home: Settings) -> None:
    """Prices are the last closes, correlations those of pandas over the same year of returns."""
    with Desk(small_home) as desk, desk.ledger() as ledger:
        data = limit_data(desk, ledger, NEXT, [])
        book = ledger.book(small_home.book)
        rows = desk.warehouse.rows(
            "SELECT session, symbol, close FROM clean.daily_bars WHERE session > ?",
            [UNTIL - dt.timedelta(days=370)],
        )
    closes = pd.DataFrame(rows, columns=["session", "symbol", "close"]).pivot(
        index="session", columns="symbol", values="close"
    )
    wanted = np.log(closes.sort_index()).diff().corr()
    assert data.correlations
    for (one, other), value in data.correlations.items():
        assert float(value) == pytest.approx(wanted.loc[one, other], abs=2e-6)
    for symbol in book.positions:
        assert float(data.prices[symbol]) == pytest.approx(closes[symbol].iloc[-1], abs=1e-4)
    worth = sum(held.quantity * data.prices[name] for name, held in book.positions.items())
    assert data.equity == round(book.cash + worth, 2)


def test_a_split_on_the_morning_rescales_the_price(small_home: Settings) -> None:
    """Shares doubled overnight are worth half each; a book on adjusted prices takes no split."""
    with Desk(small_home) as desk, desk.ledger() as ledger:
        symbol = next(iter(ledger.book(small_home.book).positions))
        action = CorporateAction(
            symbol=symbol, ex_session=NEXT, kind=ActionKind.SPLIT, value=Decimal("0.5")
        )
        takes = ledger.book(small_home.book).takes(ActionKind.SPLIT)
        plain = limit_data(desk, ledger, NEXT, []).prices[symbol]
        split = limit_data(desk, ledger, NEXT, [action]).prices[symbol]
    assert split == (plain / 2 if takes else plain)


def test_an_order_beyond_a_limit_is_refused_by_the_trader_and_says_by_how_much(
    own_home: Settings,
) -> None:
    """The night had decided it; the limit was tightened since, and the limit has the last word."""
    path = own_home.config_dir / "order_limits.yaml"
    path.write_text(path.read_text().replace("position_max: 0.15", "position_max: 0.0001"))
    with small_bundle(own_home), Desk(own_home) as desk:
        with desk.ledger() as ledger:
            pending = ledger.pending_intents(own_home.book)
        summary = trade_on_desk(desk, NEXT)
    bought = {one.symbol for one in pending if one.quantity > 0 and not one.exit_reason}
    assert bought <= set(SYMBOLS)
    assert bought, "the small home has no pending purchase any more: choose another night"
    assert summary is not None
    refused = {one.symbol: one for one in summary.refusals if one.gate == "position_limit"}
    assert set(refused) == bought
    assert all("of equity, above 0.01%" in one.reason for one in refused.values())
