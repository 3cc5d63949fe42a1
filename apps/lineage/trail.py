"""The stored rows behind one decision, each read at the snapshot that its consumer read.

A row says which snapshot it was derived from; its inputs are what stood there. So the trail walks
backwards: the intent names the snapshot of the signal, the signal that of the forecast, and so on.
Belongs here: finding the rows. Does not belong here: judging or describing them.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apps.lineage.lakes import Lakes, Row, as_date, named
from apps.lineage.subject import Subject
from assets.model.zoo import ENSEMBLED, FITTED
from quant.core.errors import StateError
from quant.execution.orders import Intent
from quant.signals.strategies import StrategiesPolicy, Strategy
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

SIGNALS = "signal.daily_signals"
ANSWERS = "signal.llm_answers"
TARGETS = "target.daily_weights"
VERDICTS = "model.verdicts"
FEATURES = "feature.daily_features"
CLEAN = "clean.daily_bars"
RAW = "raw.daily_bars"
INTENTS = "order.intents"
FILLS = "order.fills"
REFUSALS = "order.refusals"
EXITS = "order.exits"


class Nights:
    """Whole nights of tables, read once and found by key: many decisions share them."""

    def __init__(self, lakes: Lakes) -> None:
        self.lakes = lakes
        self._nights: dict[tuple[str, int | None, dt.date], list[Row]] = {}

    def rows(
        self, table: str, session: dt.date, *, at: int | None, column: str = "session"
    ) -> list[Row]:
        """All rows of a table for one session, as of a snapshot."""
        key = (table, at, session)
        if key not in self._nights:
            self._nights[key] = self.lakes.rows(table, f'"{column}" = ?', [session], at=at)
        return self._nights[key]

    def one(
        self,
        table: str,
        session: dt.date,
        *,
        at: int | None,
        column: str = "session",
        **key: Any,
    ) -> Row | None:
        """The row with this key, or None."""
        for row in self.rows(table, session, at=at, column=column):
            if all(row[name] == value for name, value in key.items()):
                return row
        return None


@dataclass(frozen=True, eq=False)
class Trail:
    """The rows of one decision; each is looked up when it is first asked for."""

    subject: Subject
    nights: Nights
    _absent: dict[str, str] = field(default_factory=dict)

    @property
    def lakes(self) -> Lakes:
        """The lake, now and at snapshots."""
        return self.nights.lakes

    @property
    def desk(self) -> Desk:
        """The installation."""
        return self.nights.lakes.desk

    @property
    def snapshot_id(self) -> int | None:
        """What the night that decided had read; None for a signal that no night took up."""
        record = self.subject.record
        return int(record.snapshot_id) if record else None

    @property
    def is_exit(self) -> bool:
        """Whether an exit rule decided, and no signal."""
        return isinstance(self.subject.record, Intent) and bool(self.subject.record.exit_reason)

    @cached_property
    def exit(self) -> Row | None:
        """How the position was judged; written after its intent, so it is read as it is now."""
        if not self.is_exit:
            return None
        return self.nights.one(
            EXITS, self.session, at=None, book=self.desk.settings.book, symbol=self.symbol
        )

    def _entry_signal(self) -> Row | None:
        """The signal that opened the position which an exit leaves."""
        if self.exit is None:
            return None
        entered = [self.exit["entry_decision_id"]]
        for at in (self.exit.snapshot_id, None):
            found = self.lakes.rows(SIGNALS, "decision_id = ?", entered, at=at)
            if found:
                return found[0]
        return None

    @cached_property
    def signal(self) -> Row:
        """The signal itself, for an exit that of the entry; without it there is no decision."""
        record, decision = self.subject.record, self.subject.decision_id
        if self.is_exit:
            row = self._entry_signal()
        elif record is not None:
            at = self.snapshot_id
            row = self.nights.one(SIGNALS, record.session, at=at, decision_id=decision)
            # A changed row may have lost its id; its place in the night still finds it.
            row = row or self.nights.one(
                SIGNALS, record.session, at=at, strategy=record.strategy, symbol=record.symbol
            )
        else:
            found = self.lakes.rows(SIGNALS, "decision_id = ?", [decision])
            row = found[0] if found else None
        if row is None:
            raise StateError(
                f"{SIGNALS} has no row of decision {decision} at snapshot {self.snapshot_id}",
                remedy="restore the lake from a backup: the ledger and it do not belong together",
            )
        return row

    @property
    def symbol(self) -> str:
        """What was decided on."""
        record = self.subject.record
        return str(record.symbol if record else self.signal["symbol"])

    @property
    def session(self) -> dt.date:
        """The session after which it was decided."""
        record = self.subject.record
        return record.session if record else as_date(self.signal["session"])

    @cached_property
    def strategy(self) -> Strategy | None:
        """The strategy as policy has it now; None when it has been removed."""
        name = self.signal["strategy"]
        strategies = self.desk.policy("strategies", StrategiesPolicy).strategies
        return next((one for one in strategies if one.name == name), None)

    @cached_property
    def target(self) -> Row | None:
        """The weight wanted; a refused signal and an exit have none."""
        if self.is_exit:
            return None
        return self.nights.one(
            TARGETS, self.session, at=self.snapshot_id, decision_id=self.signal["decision_id"]
        )

    @cached_property
    def forecast(self) -> Row | None:
        """The forecast that the strategy trades on; an exit rule asks none."""
        if self.is_exit or self.strategy is None:
            return None
        return self._forecast(self.strategy.forecast, self.signal.snapshot_id)

    @cached_property
    def parts(self) -> Mapping[str, Row]:
        """The forecasts of single models, by model: the combined one's parts, or itself."""
        whole = self.forecast
        if whole is None or self.strategy is None:
            return {}
        if self.strategy.forecast != "combined":
            return {self.strategy.forecast: whole}
        found = {part: self._forecast(part, whole.snapshot_id) for part in ENSEMBLED}
        return {part: row for part, row in found.items() if row is not None}

    def _forecast(self, model: str, at: int) -> Row | None:
        return self.nights.one(
            f"forecast.{model}",
            self.session,
            at=at,
            symbol=self.symbol,
            horizon_days=self.signal["horizon_days"],
        )

    @cached_property
    def fits(self) -> Mapping[str, Row]:
        """The parameters behind the parts, by model."""
        found = {
            model: self.nights.one(
                f"model.{model}_fits",
                as_date(self.parts[model]["fit_as_of"]),
                at=self.parts[model].snapshot_id,
                column="fit_as_of",
                symbol=self.symbol,
            )
            for model in FITTED
            if model in self.parts
        }
        return {model: row for model, row in found.items() if row is not None}

    @cached_property
    def verdicts(self) -> Mapping[str, Row]:
        """The verdict that bound on each model of the strategy; an exit needs none."""
        models = self.strategy.models if self.strategy and not self.is_exit else ()
        found = {model: self._verdict(model) for model in models}
        return {model: row for model, row in found.items() if row is not None}

    def _verdict(self, model: str) -> Row | None:
        at = self.signal.snapshot_id
        with named(VERDICTS):
            rows = self.lakes.at(at).rows(
                "SELECT max(session) FROM model.verdicts WHERE model = ? AND session <= ?",
                [model, self.session],
            )
        session = rows[0][0]
        return self.nights.one(VERDICTS, session, at=at, model=model) if session else None

    @cached_property
    def answers(self) -> tuple[Row, ...]:
        """What language models said of a symbol on which the forecasts were silent."""
        rows = self.nights.rows(ANSWERS, self.session, at=self.signal.snapshot_id)
        own = [row for row in rows if row["symbol"] == self.symbol]
        return tuple(sorted(own, key=lambda row: int(row["place"])))

    @cached_property
    def features(self) -> Row | None:
        """The features of the night; no decision waits for them, so they may be younger."""
        if self.is_exit:
            return None
        for at in (self.signal.snapshot_id, None):
            row = self.nights.one(FEATURES, self.session, at=at, symbol=self.symbol)
            if row is not None:
                return row
        return None

    @cached_property
    def history_snapshot(self) -> int:
        """The snapshot at which the models, or the exit rules, read their bars."""
        if self.snapshot_id is not None and self.is_exit:
            return self.snapshot_id
        rows = list(self.parts.values())
        return rows[0].snapshot_id if rows else self.signal.snapshot_id

    def bars(self) -> "pd.DataFrame":
        """The clean bars that the models could see, one version a session."""
        from quant.market.vintages import known_bars
        from resources.reads import bar_versions

        universe = self.desk.universe
        as_of = self.desk.as_of(self.session)
        with named(CLEAN):
            versions = bar_versions(
                self.lakes.at(self.history_snapshot),
                CLEAN,
                basis=universe.basis,
                symbols=[self.symbol],
                start=universe.history_start,
                end=self.session,
                known_by=as_of,
            )
        return known_bars(versions, as_of=as_of)

    def rows(self) -> Iterator[Row]:
        """Every row found between the target and the fits, in flow order; an exit has none."""
        if self.is_exit:
            return
        yield from (self.fits[model] for model in FITTED if model in self.fits)
        yield from self.parts.values()
        if self.forecast is not None and self.forecast.table == "forecast.combined":
            yield self.forecast
        yield from self.verdicts.values()
        yield from (row for row in (self.features, self.signal, self.target) if row is not None)
