"""Every held position judged by the exit rules, before any signal is looked at.

Belongs here: what a judgement rests on (entries from the ledger, levels from the signal that opened
the position, bars from the lake), and the rows and intents that come of it. Does not belong here:
the rules (`quant.execution.exits`), or sending.

A rule that has once fired since the entry stays fired: an exit that could not be sent on its night
is wanted again on the next one. All levels are in the units of tonight's bars.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from assets.order.lots import attribution_of
from quant.core.identity import content_hash, decision_id
from quant.core.money import price as exact_price
from quant.execution.actions import ActionKind, split_ratio
from quant.execution.attribution import OpenLot, sessions_after
from quant.execution.exit_history import (
    PRICES,
    Fired,
    HeldHistory,
    first_fired,
    held_history,
    split_factors,
)
from quant.execution.exits import ExitPolicy, exit_quantity
from quant.execution.orders import Intent
from quant.market.bars import Basis
from quant.market.calendars import next_session
from quant.market.panel import FloatArray
from resources.desk import Desk

if TYPE_CHECKING:
    from assets.order.decide import NightInputs, Standing
    from quant.market.panel import BarPanel
    from resources.ledger.ledger import Ledger
    from resources.warehouse import Provenance, Warehouse

NAN: Final = float("nan")
# Sessions before the entry that the average true range is warmed up with; after 250 of them
# Wilder's recursion has forgotten its start to eight digits.
_WARM_UP_SESSIONS: Final = 250
COLUMNS: Final = (
    *("decision_id", "book", "strategy", "symbol", "session", "reason", "judged_at"),
    *("fired_session", "trigger_price", "refused", "quantity", "entry_decision_id"),
    *("entry_session", "entry_price", "stop_price", "target_price", "trailing_price", "atr"),
    *("close", "sessions_held", "calendar_days_held", "doubts", "bars_hash", "signal_hash"),
    "parameters",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What opened a position: its oldest lot, and that lot's signal where it is still there."""

    lot: OpenLot
    quantity: Decimal  # of the whole position
    signal: Mapping[str, Any]

    @property
    def symbol(self) -> str:
        return self.lot.fill.symbol


def judged_positions(
    desk: Desk,
    ledger: "Ledger",
    lake: "Warehouse",
    inputs: "NightInputs",
    before: "Standing",
    provenance: "Provenance",
) -> list[dict[str, Any]]:
    """One row a held position, by symbol; `reason` is empty where it may stay."""
    from assets.history import histories

    entries = _entries(desk, ledger, lake, before)
    if not entries:
        return []
    policy = desk.policy("exits", ExitPolicy)
    [history] = histories(desk, [inputs.session], warehouse=lake)
    held = _history(desk, ledger, history.panel, entries, policy, before.head.seq)
    hashes = history.input_hashes(inputs.session)
    judged = first_fired(held, policy)
    return [
        _row(desk, inputs, entry, held, place, fired, hashes, policy, provenance)
        for place, (entry, fired) in enumerate(zip(entries, judged, strict=True))
    ]


def exit_intents(
    desk: Desk,
    rows: Sequence[Mapping[str, Any]],
    inputs: "NightInputs",
    before: "Standing",
    provenance: "Provenance",
) -> Iterator[Intent]:
    """The wish to leave, for every row that says so."""
    tonight = {
        row["symbol"]: exact_price(row["reference_price"])
        for row in inputs.signals
        if row["reference_price"] > 0
    }
    for row in rows:
        if not row["reason"] or row["refused"]:
            continue
        symbol = row["symbol"]
        yield Intent(
            decision_id=row["decision_id"],
            book=row["book"],
            strategy=row["strategy"],
            symbol=symbol,
            session=inputs.session,
            as_of=desk.as_of(inputs.session),
            run_id=provenance.run_id,
            snapshot_id=str(provenance.snapshot_id),
            code_version=provenance.code_version,
            valid_session=next_session(desk.universe.calendar, inputs.session),
            quantity=exit_quantity(before.book.quantity(symbol)),
            target_weight=Decimal(0),
            # Without a price tonight the last mark is what is known of its worth.
            reference_price=tonight.get(symbol, before.book.prices[symbol]),
            equity=before.equity,
            ledger_head=before.head,
            exit_reason=row["reason"],
        )


def exits_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """The rows as the warehouse takes them."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def _entries(desk: Desk, ledger: "Ledger", lake: "Warehouse", before: "Standing") -> list[_Entry]:
    found = attribution_of(desk, ledger, before.book.name, until_seq=before.head.seq)
    oldest: dict[str, OpenLot] = {}
    for lot in found.open_lots:
        oldest.setdefault(lot.fill.symbol, lot)
    signals = _signals(lake, list(oldest.values()))
    return [
        _Entry(
            lot=lot,
            quantity=before.book.quantity(symbol),
            signal=signals.get(lot.fill.decision_id, {}),
        )
        for symbol, lot in sorted(oldest.items())
    ]


def _signals(lake: "Warehouse", lots: Sequence[OpenLot]) -> dict[str, dict[str, Any]]:
    """The signals that opened these lots; one computed again since is read as it was then."""
    found = _signal_rows(lake, [lot.fill.decision_id for lot in lots])
    for lot in lots:
        if lot.fill.decision_id not in found:
            with lake.at(int(lot.fill.snapshot_id)) as past:
                found |= _signal_rows(past, [lot.fill.decision_id])
    return found


def _signal_rows(lake: "Warehouse", decisions: Sequence[str]) -> dict[str, dict[str, Any]]:
    names = ("decision_id", "session", "stop_price", "target_price", "reference_price", "row_hash")
    rows = lake.rows(
        f"SELECT {', '.join(names)} FROM signal.daily_signals "
        "WHERE decision_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(decisions)],
    )
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


def _history(
    desk: Desk,
    ledger: "Ledger",
    panel: "BarPanel",
    entries: Sequence[_Entry],
    policy: ExitPolicy,
    until_seq: int,
) -> HeldHistory:
    entered = np.array([np.datetime64(entry.lot.session, "D") for entry in entries])
    start = max(int(np.searchsorted(panel.sessions, entered.min())) - _WARM_UP_SESSIONS, 0)
    days = panel.sessions[start:]
    place = {symbol: row for row, symbol in enumerate(panel.symbols)}
    # A symbol that has left the universe has no bars: unknown, and said so.
    rows = np.array([place.get(entry.symbol, -1) for entry in entries])
    splits = _splits(ledger, desk.settings.book, until_seq)
    scale = np.array([split_factors(splits.get(entry.symbol, ()), days) for entry in entries])
    bars = {
        name: np.where(rows[:, None] < 0, NAN, getattr(panel, name)[rows, start:]) * scale
        for name in PRICES
    }
    factors = [
        _level_factor(desk.universe.basis, entry, bars["close"][row], days)
        for row, entry in enumerate(entries)
    ]
    stop, target = (
        np.array([f * _level(e.signal, name) for e, f in zip(entries, factors, strict=True)])
        for name in ("stop_price", "target_price")
    )
    return held_history(
        days=days,
        bars=bars,
        side=np.array([entry.lot.sign for entry in entries]),
        entry=np.searchsorted(days, entered),
        stop_price=stop,
        target_price=target,
        policy=policy,
    )


def _level(signal: Mapping[str, Any], name: str) -> float:
    value = signal.get(name)
    return NAN if value is None or not value > 0 else float(value)


def _level_factor(basis: Basis, entry: _Entry, close: FloatArray, days: Any) -> float:
    """What turns a level of the entry's night into tonight's units.

    Raw prices change their unit by splits. A series adjusted backwards is rewritten as a whole, so
    its unit is told by what the same close was then and is now.
    """
    if basis is Basis.RAW:
        return float(entry.lot.ratio)
    if not entry.signal:
        return 1.0
    day = np.datetime64(entry.signal["session"], "D")
    column = int(np.searchsorted(days, day))
    if column >= len(days) or days[column] != day or np.isnan(close[column]):
        return 1.0
    return float(close[column] / entry.signal["reference_price"])


def _splits(
    ledger: "Ledger", book: str, until_seq: int
) -> dict[str, list[tuple[dt.date, Fraction]]]:
    found: dict[str, list[tuple[dt.date, Fraction]]] = {}
    for event in ledger.events(book=book, kinds=("action_applied",), until_seq=until_seq):
        action: Any = event
        if action.action is ActionKind.SPLIT:
            found.setdefault(action.symbol, []).append(
                (action.ex_session, split_ratio(action.value))
            )
    return found


def _row(
    desk: Desk,
    inputs: "NightInputs",
    entry: _Entry,
    held: HeldHistory,
    place: int,
    fired: Fired,
    hashes: Mapping[str, str],
    policy: ExitPolicy,
    provenance: "Provenance",
) -> dict[str, Any]:
    lot, parameters = entry.lot, policy.model_dump(mode="json")
    row = {
        "book": lot.fill.book,
        "strategy": lot.fill.strategy,
        "symbol": entry.symbol,
        "session": inputs.session,
        "reason": fired.reason.value if fired.reason else "",
        "judged_at": fired.judged_at.value if fired.judged_at else "",
        "fired_session": fired.session,
        "trigger_price": fired.price,
        "refused": inputs.stops_trading if fired.reason else "",
        "quantity": entry.quantity,
        "entry_decision_id": lot.fill.decision_id,
        "entry_session": lot.session,
        "entry_price": lot.entry_price,
        "stop_price": float(held.stop_price[place]),
        "target_price": float(held.target_price[place]),
        "trailing_price": float(held.trailing_price[place, -1]),
        "atr": float(held.atr[place, -1]),
        "close": float(held.bars["close"][place, -1]),
        "sessions_held": sessions_after(desk.universe.calendar, lot.session, inputs.session),
        "calendar_days_held": (inputs.session - lot.session).days,
        "doubts": "; ".join(fired.doubts),
        "bars_hash": hashes.get(entry.symbol, ""),
        "signal_hash": entry.signal.get("row_hash", ""),
        "parameters": json.dumps(parameters, sort_keys=True),
    }
    return row | {"decision_id": _identity(desk, inputs.session, row, lot, parameters, provenance)}


def _identity(
    desk: Desk,
    session: dt.date,
    row: Mapping[str, Any],
    lot: OpenLot,
    parameters: Mapping[str, Any],
    provenance: "Provenance",
) -> str:
    inputs = {
        "entry": lot.fill.fill_id,
        "quantity": format(row["quantity"], "f"),
        "bars": row["bars_hash"],
        "signal": row["signal_hash"],
        "split": content_hash(str(lot.ratio)),
    }
    return decision_id(
        strategy=lot.fill.strategy,
        symbol=lot.fill.symbol,
        as_of=desk.as_of(session),
        inputs=inputs,
        code_version=provenance.code_version,
        parameters={"exits": parameters},
    )
