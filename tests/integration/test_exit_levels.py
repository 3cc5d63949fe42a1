"""Levels and bars of a position are brought to one unit, whatever its prices are adjusted for."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.order.exits import entry_levels
from quant.core.clock import SteppedClock
from quant.execution import ActionApplied, ActionKind, Side
from quant.execution.attribution import attribute
from quant.execution.exit_history import HeldHistory, first_fired
from quant.execution.exits import ExitPolicy, ExitReason
from quant.market.bars import Basis
from quant.market.panel import BarPanel
from resources.ledger import Ledger
from tests.execution_values import BOOK, MONDAY, TUESDAY, WEDNESDAY, after_close, fill, opened

DAYS = np.array([MONDAY, TUESDAY, WEDNESDAY], dtype="datetime64[D]")
SIGNAL: dict[str, Any] = {
    "session": MONDAY,
    "reference_price": 100.0,
    "stop_price": 90.0,
    "target_price": 130.0,
}


def panel(closes: list[float], symbol: str = "AAPL") -> BarPanel:
    """Three sessions with ranges of two, Monday to Wednesday."""
    close = np.array([closes])
    return BarPanel(
        symbols=(symbol,),
        sessions=DAYS,
        open=close,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.full_like(close, 1_000.0),
    )


def held(folder: Path, bars: BarPanel, basis: Basis, *, split: str = "") -> HeldHistory:
    """Ten shares bought on Tuesday, and a split on Wednesday if there was one."""
    with Ledger.open(folder, clock=SteppedClock(after_close(WEDNESDAY))) as ledger:
        ledger.append_all([opened(), fill(Side.BUY, "10", "100")])
        if split:
            action = ActionApplied(
                book=BOOK,
                symbol="AAPL",
                ex_session=WEDNESDAY,
                action=ActionKind.SPLIT,
                value=Decimal(split),
                row_hash="row",
                run_id="run",
            )
            ledger.append_all([action])
        events = ledger.events(book=BOOK)
        [lot] = attribute(events, BOOK, calendar="XNYS").open_lots
        return entry_levels(
            ledger, bars, [(lot, SIGNAL)], basis=basis, book=BOOK, policy=ExitPolicy()
        )


def test_a_split_between_entry_and_tonight_moves_levels_and_past_bars(tmp_path: Path) -> None:
    """Two for one: the stop of 90 is 45 now, Tuesday's 100 is 50, and 46 is no stop-out."""
    found = held(tmp_path, panel([100, 100, 47]), Basis.RAW, split="0.5")
    assert found.stop_price.tolist() == [45.0]
    assert found.bars["close"].tolist() == [[50.0, 50.0, 47.0]]
    assert first_fired(found, ExitPolicy())[0].reason is None


def test_a_fall_below_the_split_stop_is_a_stop_out(tmp_path: Path) -> None:
    """A low of 43 is below 45; the open of 44 is where it is filled."""
    found = held(tmp_path, panel([100, 100, 44]), Basis.RAW, split="0.5")
    [fired] = first_fired(found, ExitPolicy())
    assert (fired.reason, fired.session) == (ExitReason.STOP_LOSS, dt.date(2022, 11, 30))
    assert fired.price == 44.0


@pytest.mark.parametrize("basis", [Basis.SPLIT_ADJUSTED, Basis.TOTAL_RETURN])
def test_a_series_that_was_rewritten_tells_its_own_unit(tmp_path: Path, basis: Basis) -> None:
    """Monday's close was 100 when the stop was set and reads 98 now: the stop reads 88.2."""
    found = held(tmp_path, panel([98, 98, 98]), basis)
    assert found.stop_price.tolist() == pytest.approx([88.2])
    assert found.target_price.tolist() == pytest.approx([127.4])


def test_a_symbol_that_left_the_universe_is_unknown_and_not_safe(tmp_path: Path) -> None:
    """No bar, no level judged, and it says so."""
    found = held(tmp_path, panel([100, 100, 20], symbol="MSFT"), Basis.RAW)
    [fired] = first_fired(found, ExitPolicy())
    assert fired.reason is None
    assert any("no bar" in doubt for doubt in fired.doubts)
