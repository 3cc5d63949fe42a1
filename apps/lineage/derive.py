"""Derives rows again with the functions that the assets use, from what they read then.

Belongs here: one call an asset and snapshot, shared by all decisions that rest on it.
Does not belong here: comparing (`compare`), or which rows matter (`trail`).
"""

import dataclasses
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from apps.lineage.lakes import Lakes, Row, as_date, named
from apps.lineage.trail import EXITS, FEATURES, SIGNALS, TARGETS, VERDICTS, Nights, Trail
from quant.execution.events import Event, IntentRecorded, RefusalRecorded
from quant.execution.orders import Intent, LedgerHead, Refusal

if TYPE_CHECKING:
    import pandas as pd

    from resources.warehouse import Provenance, Warehouse

# Which rows are derived together: table, snapshot, code version of the stored row.
Origin = tuple[str, int, str]
Derived = dict[str, Any]


def origin_of(row: Row) -> Origin:
    """What has to be equal for two rows to come out of one call."""
    return (row.table, row.snapshot_id, row.code_version)


class Derivation:
    """Rows as they come out today; every call is made once."""

    def __init__(self, nights: Nights) -> None:
        self.nights = nights
        self._wanted: dict[Origin, set[dt.date]] = defaultdict(set)
        self._made: dict[Origin, dict[dt.date, list[Derived]]] = defaultdict(dict)
        self._fits: dict[tuple[str, dt.date, int, int], list[Derived]] = {}
        self._orders: dict[tuple[dt.date, str, int], dict[str, Intent | Refusal]] = {}
        self._exits: dict[tuple[dt.date, str, int], list[Derived]] = {}

    @property
    def lakes(self) -> Lakes:
        """Where the inputs are read."""
        return self.nights.lakes

    def want(self, rows: Iterable[Row]) -> None:
        """Say what will be asked for, so that nights of one run are derived in one call."""
        for row in rows:
            if not row.table.endswith("_fits"):
                self._wanted[origin_of(row)].add(as_date(row["session"]))

    def row(self, stored: Row, **key: Any) -> Derived | None:
        """The row with this key in the night of a stored row, derived again."""
        session, origin = as_date(stored["session"]), origin_of(stored)
        if session not in self._made[origin]:
            self._make(origin, sorted(self._wanted[origin] | {session}), stored)
        return _find(self._made[origin][session], key)

    def _make(self, origin: Origin, sessions: list[dt.date], stored: Row) -> None:
        table, snapshot, _ = origin
        with named(table):
            lake = self.lakes.at(snapshot)
            frame = self._frame(table, lake, sessions, provenance_of(stored))
            rows = lake.as_stored(table, frame, provenance_of(stored))
        nights: dict[dt.date, list[Derived]] = {session: [] for session in sessions}
        for row in rows:
            nights[as_date(row["session"])].append(row)
        self._made[origin] |= nights

    def _frame(
        self, table: str, lake: "Warehouse", sessions: list[dt.date], provenance: "Provenance"
    ) -> "pd.DataFrame":
        import pandas as pd

        from assets.feature.rows import feature_rows
        from assets.forecast.combined import combined_rows
        from assets.forecast.running import model_batches
        from assets.history import histories
        from assets.model.verdicts import COLUMNS, judge
        from assets.signal.decide import signal_rows
        from assets.target.sizing import target_rows

        desk = self.lakes.desk
        makers: dict[str, Callable[[], pd.DataFrame]] = {
            FEATURES: lambda: feature_rows(desk, sessions, warehouse=lake),
            SIGNALS: lambda: signal_rows(desk, sessions, provenance, warehouse=lake),
            TARGETS: lambda: target_rows(desk, sessions, warehouse=lake),
            VERDICTS: lambda: pd.DataFrame(
                [
                    row
                    for history in histories(desk, sessions, warehouse=lake)
                    for row in judge(history)
                ],
                columns=COLUMNS,
            ),
            "forecast.combined": lambda: combined_rows(desk, sessions, warehouse=lake),
        }
        if table in makers:
            return makers[table]()
        model = table.removeprefix("forecast.")
        batches = model_batches(desk, model, sessions, warehouse=lake)
        return pd.concat([rows for _, rows in batches], ignore_index=True)

    def fit(self, stored: Row, *, read_at: int) -> Derived | None:
        """A fit estimated again: the same history, and the recorded start of the search.

        `read_at` is the snapshot at which the stored fit itself was read. The start of every
        symbol is taken from there, since the fit before may have been made in the same run.
        """
        from assets.history import histories
        from assets.model.fitting import fit_rows
        from assets.model.zoo import build_model

        session, model = as_date(stored["fit_as_of"]), stored["model"]
        key = (model, session, stored.snapshot_id, read_at)
        if key not in self._fits:
            peers = self.nights.rows(stored.table, session, at=read_at, column="fit_as_of")
            start = {row["symbol"]: json.loads(row["start_params"]) for row in peers}
            with named("clean.daily_bars"):
                lake = self.lakes.at(stored.snapshot_id)
                (history,) = histories(self.lakes.desk, [session], warehouse=lake)
            frame = fit_rows(
                history,
                build_model(self.lakes.desk, model),
                session,
                {symbol: params for symbol, params in start.items() if params is not None},
            )
            self._fits[key] = lake.as_stored(stored.table, frame, provenance_of(stored))
        return _find(self._fits[key], {"symbol": stored["symbol"]})

    def decision(self, trail: Trail, *, until_seq: int) -> Intent | Refusal | None:
        """The intent or refusal that comes out of the book as it stood after a record."""
        from assets.order.decide import decide_orders, night_inputs, standing

        record = trail.subject.record
        assert record is not None
        key = (record.session, record.snapshot_id, until_seq)
        if key not in self._orders:
            desk = self.lakes.desk
            lake = self.lakes.at(int(record.snapshot_id))
            with named(SIGNALS):
                inputs = night_inputs(desk, lake, record.session)
            provenance = _provenance_of_record(record)
            with desk.ledger() as ledger:
                before = standing(desk, ledger, inputs, until_seq=until_seq)
                head = getattr(record, "ledger_head", LedgerHead(seq=until_seq, hash=""))
                before = dataclasses.replace(before, head=head)
                decided = decide_orders(desk, ledger, lake, inputs, before, provenance)
            self._orders[key] = dict(_decided(event) for event in decided.events)
            self._exits[key] = [dict(row) for row in decided.exits]
        return self._orders[key].get(record.decision_id)

    def exit(self, trail: Trail, *, until_seq: int) -> Derived | None:
        """The judgement of a position, as it comes out of the book and the bars of its night."""
        from assets.order.exits import exits_frame

        self.decision(trail, until_seq=until_seq)
        stored, record = trail.exit, trail.subject.record
        assert stored is not None
        assert record is not None
        rows = self._exits[(record.session, record.snapshot_id, until_seq)]
        lake = self.lakes.at(int(record.snapshot_id))
        made = lake.as_stored(EXITS, exits_frame(rows), provenance_of(stored))
        return _find(made, {"symbol": stored["symbol"]})


def _decided(event: Event) -> tuple[str, Intent | Refusal]:
    assert isinstance(event, IntentRecorded | RefusalRecorded)
    record = event.intent if isinstance(event, IntentRecorded) else event.refusal
    return record.decision_id, record


def _find(rows: Iterable[Derived], key: dict[str, Any]) -> Derived | None:
    matching = (row for row in rows if all(row[name] == value for name, value in key.items()))
    return next(matching, None)


def provenance_of(row: Row) -> "Provenance":
    """The origin that a stored row states: a decision's id contains the code version of its day."""
    from resources.warehouse import Provenance

    return Provenance(run_id=row.run_id, snapshot_id=row.snapshot_id, code_version=row.code_version)


def _provenance_of_record(record: Intent | Refusal) -> "Provenance":
    from resources.warehouse import Provenance

    return Provenance(
        run_id=record.run_id,
        snapshot_id=int(record.snapshot_id),
        code_version=record.code_version,
    )
