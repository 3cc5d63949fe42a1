"""Derives a decision again, table by table in flow order, and names the first that differs.

Belongs here: the order of the checks and what each compares. Does not belong here: how rows are
derived (`derive`), how bars are audited (`bar_audit`), and printing (`apps.cli.replay`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apps.lineage.bar_audit import BarAudit
from apps.lineage.compare import Difference, compare_hash, compare_records, compare_row
from apps.lineage.derive import Derivation
from apps.lineage.lakes import Lakes, Row, UnreadableTableError, as_date
from apps.lineage.subject import Subject, open_ledger
from apps.lineage.trail import (
    ANSWERS,
    CLEAN,
    EXITS,
    FEATURES,
    FILLS,
    INTENTS,
    RAW,
    REFUSALS,
    SIGNALS,
    Nights,
    Trail,
)
from quant.core.errors import StateError
from quant.core.money import cash as to_cents
from quant.execution.orders import Fill, Intent, Order
from resources.code_versions import code_version

if TYPE_CHECKING:
    import pandas as pd

    from quant.execution.paper import PriceReference

QUALITY = "clean.night_quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of one decision."""

    id: str
    kind: str
    decision_id: str
    match: bool
    first_difference: Difference | None
    checked: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(eq=False)
class _Case:
    """One decision on its way through the checks."""

    trail: Trail
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def has_read(self, row_or_record: Any, table: str) -> None:
        """Remember the table, and say so where other code made the row."""
        if table not in self.checked:
            self.checked.append(table)
        made, running = row_or_record.code_version, code_version(table.partition(".")[0])
        if made != running:
            self.note(f"{table} was made by code {made}, and {running} is running")


class Replay:
    """Checks decisions; what several of them rest on is derived once."""

    def __init__(self, lakes: Lakes) -> None:
        self.lakes = lakes
        self.nights = Nights(lakes)
        self.derivation = Derivation(self.nights)
        self.bars = BarAudit(lakes)
        self._prices: dict[Any, dict[str, PriceReference]] = {}

    def run(self, subjects: Sequence[Subject]) -> Iterator[Replayed]:
        """Replay every subject, in order."""
        from quant.core.compute import single_threaded

        trails = [Trail(subject, self.nights) for subject in subjects]
        for trail in trails:
            # A table that cannot be read is named by the check that needs it.
            with suppress(StateError):
                self.derivation.want(trail.rows())
        # Sums are taken in one order, or the last bit of a fit would depend on the machine.
        with single_threaded():
            for trail in trails:
                yield self._one(trail)

    def _one(self, trail: Trail) -> Replayed:
        case = _Case(trail)
        try:
            difference = self._first_difference(case)
        except UnreadableTableError as error:
            difference = Difference(table=error.table, key="", says=str(error))
        return Replayed(
            id=trail.subject.id,
            kind=trail.subject.kind,
            decision_id=trail.subject.decision_id,
            match=difference is None,
            first_difference=difference,
            checked=tuple(case.checked),
            notes=tuple(case.notes),
        )

    def _first_difference(self, case: _Case) -> Difference | None:
        by_rule: tuple[Callable[[_Case], Difference | None], ...] = (
            self._raw,
            self._clean,
            self._exit,
            self._decision,
            self._fill,
        )
        by_signal: tuple[Callable[[_Case], Difference | None], ...] = (
            self._raw,
            self._clean,
            self._fits,
            self._forecasts,
            self._verdicts,
            self._features,
            self._answers,
            self._signal,
            self._target,
            self._decision,
            self._fill,
        )
        for step in by_rule if case.trail.is_exit else by_signal:
            difference = step(case)
            if difference is not None:
                return difference
        return None

    def _raw(self, case: _Case) -> Difference | None:
        case.checked.append(RAW)
        return self.bars.first(RAW, case.trail)

    def _clean(self, case: _Case) -> Difference | None:
        case.checked.append(CLEAN)
        difference = self.bars.first(CLEAN, case.trail)
        trail = case.trail
        night = self.nights.one(QUALITY, trail.session, at=trail.signal.snapshot_id)
        return difference or (compare_hash(night, key=str(trail.session)) if night else None)

    def _exit(self, case: _Case) -> Difference | None:
        """The judgement of the position, from the book, the entry's signal and the bars."""
        row, record = case.trail.exit, case.trail.subject.record
        assert isinstance(record, Intent)
        if row is None:
            case.note(f"{EXITS} has no row of {_named(case.trail)} yet; the ledger has the intent")
            return None
        case.has_read(row, EXITS)
        if row["decision_id"] != record.decision_id:
            case.note(f"{EXITS} of {_named(case.trail)} was judged again since")
            return compare_hash(row, key=_named(case.trail))
        derived = self.derivation.exit(case.trail, until_seq=record.ledger_head.seq)
        return compare_row(row, derived, key=_named(case.trail))

    def _fits(self, case: _Case) -> Difference | None:
        for model, row in case.trail.fits.items():
            read_at = case.trail.parts[model].snapshot_id
            derived = self.derivation.fit(row, read_at=read_at)
            key = {"symbol": row["symbol"]}
            difference = self._compare(case, row, derived, key, column="fit_as_of")
            if difference is not None:
                return difference
        return None

    def _forecasts(self, case: _Case) -> Difference | None:
        trail = case.trail
        whole = trail.forecast
        rows = list(trail.parts.values())
        if whole is not None and whole not in rows:
            rows.append(whole)
        if whole is None and trail.signal["forecast_hash"]:
            table = f"forecast.{trail.strategy.forecast if trail.strategy else '?'}"
            says = "the forecast that the signal names is not there"
            return Difference(table=table, key=_named(trail), says=says)
        for row in rows:
            key = {"symbol": trail.symbol, "horizon_days": row["horizon_days"]}
            difference = self._compare(case, row, self.derivation.row(row, **key), key)
            if difference is not None:
                return difference
        return None

    def _verdicts(self, case: _Case) -> Difference | None:
        for model, row in case.trail.verdicts.items():
            key = {"model": model}
            difference = self._compare(case, row, self.derivation.row(row, **key), key)
            if difference is not None:
                return difference
        return None

    def _features(self, case: _Case) -> Difference | None:
        row = case.trail.features
        if row is None:
            case.note(f"{FEATURES} has no row of {_named(case.trail)}; the decision used none")
            return None
        key = {"symbol": case.trail.symbol}
        # The hash of the feature code is not a number that the code computes.
        is_same_code = row.code_version == code_version(row.stage)
        ignored = () if is_same_code else ("code_hash", "feature_set_version")
        return self._compare(case, row, self.derivation.row(row, **key), key, ignored=ignored)

    def _answers(self, case: _Case) -> Difference | None:
        """What a language model said cannot be computed again, only shown to be unchanged."""
        for row in case.trail.answers:
            case.has_read(row, ANSWERS)
            difference = compare_hash(row, key=f"{row['model']} {_named(case.trail)}")
            if difference is not None:
                return difference
        return None

    def _signal(self, case: _Case) -> Difference | None:
        row = case.trail.signal
        if case.trail.strategy is None:
            says = "the policy has no strategy of this name any more"
            return Difference(table=SIGNALS, key=_named(case.trail), column="strategy", says=says)
        key = {"strategy": row["strategy"], "symbol": row["symbol"]}
        return self._compare(case, row, self.derivation.row(row, **key), key)

    def _target(self, case: _Case) -> Difference | None:
        row = case.trail.target
        if row is None:
            return None
        key = {"strategy": row["strategy"], "symbol": row["symbol"]}
        return self._compare(case, row, self.derivation.row(row, **key), key)

    def _compare(
        self,
        case: _Case,
        row: Row,
        derived: dict[str, Any] | None,
        key: dict[str, Any],
        *,
        column: str = "session",
        ignored: Sequence[str] = (),
    ) -> Difference | None:
        """The row that was read then, and what stands in its place today, against the derived."""
        case.has_read(row, row.table)
        day = as_date(row[column])
        name = " ".join(str(part) for part in (*key.values(), day))
        difference = compare_row(row, derived, key=name, ignored=ignored)
        if difference is not None:
            return _with_code(difference, row)
        today = self.nights.one(row.table, day, at=None, column=column, **key)
        if today is None:
            case.note(f"{row.table} has no row of {name} any more; the recorded one was used")
            return None
        if (today.run_id, today.snapshot_id) == (row.run_id, row.snapshot_id):
            # It claims to be the same row, so it has to be.
            return compare_row(today, derived, key=name, ignored=ignored)
        case.note(f"{row.table} of {name} was written again by run {today.run_id} since")
        return compare_hash(today, key=name) if row.table != FEATURES else None

    def _decision(self, case: _Case) -> Difference | None:
        """The intent, or the night's refusal, from the book as it stood."""
        subject = case.trail.subject
        noted = subject.intent or subject.refusal
        if noted is None:
            case.note("no night has taken this signal up: there is no intent and no refusal")
            return None
        table = INTENTS if subject.intent else REFUSALS
        case.has_read(noted.record, table)
        if self._ledger_problem:
            return Difference(table=table, key="journal", says=self._ledger_problem)
        record = noted.record
        seq = record.ledger_head.seq if isinstance(record, Intent) else noted.seq - 1
        derived = self.derivation.decision(case.trail, until_seq=seq)
        difference = compare_records(table, record.decision_id, record, derived)
        if subject.intent and subject.refusal:
            case.note(
                f"the trader refused the intent at its gate {subject.refusal.record.gate}; that "
                "depended on mode, cash and verdicts of the moment and is not derived again"
            )
        return difference or self._mirrored(case, table, record)

    @cached_property
    def _ledger_problem(self) -> str:
        with open_ledger(self.lakes.desk) as ledger:
            problems = ledger.verify().problems if ledger else ()
        return problems[0] if problems else ""

    def _fill(self, case: _Case) -> Difference | None:
        """The fill, matched again against the bar that its session brought.

        What a venue filled is its own word, which nobody can compute: its money is added up again.
        """
        from apps.trader.desk_session import costs_of
        from quant.execution.paper import match

        subject = case.trail.subject
        if subject.fill is None or subject.order is None:
            return None
        fill, order = subject.fill.record, subject.order.record
        case.has_read(fill, FILLS)
        if fill.is_told:
            return _told_money(fill, order, case) or self._mirrored(case, FILLS, fill)
        reference = self._opens(order.valid_session).get(order.symbol)
        costs = costs_of(self.lakes.desk)(order.symbol)
        derived = match(order, reference, costs=costs, sequence=fill.sequence)
        difference = compare_records(FILLS, fill.fill_id, fill, derived)
        return difference or self._mirrored(case, FILLS, fill)

    def _opens(self, session: Any) -> "dict[str, PriceReference]":
        from apps.trader.desk_session import session_prices

        if session not in self._prices:
            self._prices[session] = session_prices(self.lakes.desk, session)[0]
        return self._prices[session]

    def _mirrored(self, case: _Case, table: str, record: Any) -> Difference | None:
        """The warehouse's copy of a ledger record says what the ledger says."""
        name = "fill_id" if table == FILLS else "decision_id"
        key = {name: getattr(record, name), "book": record.book}
        if table == REFUSALS:
            key["gate"] = record.gate
        where = " AND ".join(f'"{column}" = ?' for column in key)
        rows = self.lakes.rows(table, where, list(key.values()))
        if not rows:
            case.note(f"{table} has no copy of {key[name]} yet; the ledger has it")
            return None
        stored = rows[0]
        night = self._copies(table, as_date(stored["session"]), stored)
        derived = next((one for one in night if one[name] == key[name]), None)
        return compare_row(stored, derived, key=str(key[name]))

    def _copies(self, table: str, session: Any, stored: Row) -> list[dict[str, Any]]:
        from apps.lineage.derive import provenance_of
        from assets.order.mirror import fills_frame, intents_frame, refusals_frame

        frames = {FILLS: fills_frame, INTENTS: intents_frame, REFUSALS: refusals_frame}
        with self.lakes.desk.ledger() as ledger:
            frame: pd.DataFrame = frames[table](ledger, stored["book"], [session])
        return self.lakes.newest.as_stored(table, frame, provenance_of(stored))


def planned(trail: Trail) -> list[tuple[str, int | None]]:
    """The tables a replay would go through, and the snapshot that each was derived from."""
    rows = list(trail.rows())
    plan: list[tuple[str, int | None]] = [
        (RAW, trail.history_snapshot),
        (CLEAN, trail.history_snapshot),
        *dict.fromkeys((row.table, row.snapshot_id) for row in rows),
    ]
    subject = trail.subject
    if trail.exit is not None:
        plan.append((EXITS, trail.exit.snapshot_id))
    if subject.record is not None:
        table = INTENTS if subject.intent else REFUSALS
        plan.append((table, int(subject.record.snapshot_id)))
    if subject.fill is not None and isinstance(subject.fill.record, Fill):
        plan.append((FILLS, int(subject.fill.record.snapshot_id)))
    return plan


def _told_money(fill: Fill, order: Order, case: _Case) -> Difference | None:
    """What follows from a venue's quantity and price, since those two are not ours to derive."""
    source = f"execution {fill.execution_id}" if fill.execution_id else "a sum that it told"
    case.note(f"quantity and price of the fill are the venue's word ({source})")
    against = (fill.price - order.reference_price) * order.side.sign * fill.quantity
    derived = replace(
        fill,
        side=order.side,
        symbol=order.symbol,
        reference_price=order.reference_price,
        slippage_amount=to_cents(against),
        # What was inferred from a sum is what the sum was worth, to the cent.
        notional=fill.notional if fill.is_inferred else to_cents(fill.quantity * fill.price),
    )
    return compare_records(FILLS, fill.fill_id, fill, derived)


def _with_code(difference: Difference, row: Row) -> Difference:
    """Other code is the likeliest reason, so it stands beside the difference."""
    running = code_version(row.stage)
    if difference.says or row.code_version == running:
        return difference
    return replace(difference, says=f"made by code {row.code_version}, {running} is running")


def _named(trail: Trail) -> str:
    return f"{trail.symbol} {trail.session}"
