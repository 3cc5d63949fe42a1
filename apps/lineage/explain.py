"""The chain of one decision as steps, from what was asked about back to the raw rows.

Belongs here: which steps there are, in which order, and what each carries.
Does not belong here: their wording (`words`), and printing (`apps.cli.why`).
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.lineage import words
from apps.lineage.lakes import Lakes, Row, named
from apps.lineage.subject import Noted, Subject, find_subject
from apps.lineage.trail import CLEAN, FILLS, INTENTS, RAW, REFUSALS, Nights, Trail
from quant.core.identity import chain_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One link: a row, a record, or a stretch of bars."""

    stage: str
    table: str
    key: str
    row_hash: str
    run_id: str
    snapshot_id: int | None
    code_version: str
    says: str
    values: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole chain."""

    id: str
    kind: str
    decision_id: str
    steps: tuple[Step, ...]


def explain(lakes: Lakes, identity: str) -> Explanation:
    """The chain behind an id."""
    subject = find_subject(lakes, identity)
    trail = Trail(subject, Nights(lakes))
    return Explanation(
        id=subject.id,
        kind=subject.kind,
        decision_id=subject.decision_id,
        steps=tuple(_steps(trail)),
    )


def _steps(trail: Trail) -> Iterator[Step]:
    subject = trail.subject
    yield from _ledger_steps(subject)
    yield from _met_bar_step(trail)
    if trail.exit is not None:
        yield _row_step(trail.exit, _key(trail.exit), words.of_exit(trail.exit))
    if trail.target is not None:
        yield _row_step(trail.target, _key(trail.target), words.of_target(trail.target))
    yield _row_step(trail.signal, _key(trail.signal), words.of_signal(trail.signal))
    for row in trail.answers:
        yield _row_step(row, f"{row['model']} {_key(row)}", words.of_answer(row))
    for model, row in trail.verdicts.items():
        yield _row_step(row, f"{model} {row['session']}", words.of_verdict(row))
    if trail.forecast is not None and trail.forecast.table not in _tables(trail.parts):
        yield _row_step(trail.forecast, _key(trail.forecast), words.of_forecast(trail.forecast))
    for row in trail.parts.values():
        yield _row_step(row, _key(row), words.of_forecast(row))
    for row in trail.fits.values():
        yield _row_step(row, f"{row['symbol']} {row['fit_as_of']}", words.of_fit(row))
    if trail.features is not None:
        yield _row_step(trail.features, _key(trail.features), words.of_features(trail.features))
    yield from _bar_steps(trail)


def _tables(rows: Mapping[str, Row]) -> set[str]:
    return {row.table for row in rows.values()}


def _ledger_steps(subject: Subject) -> Iterator[Step]:
    """What the ledger holds, last event first; its own chain is the record's hash."""
    for noted, table, key, say in (
        (subject.fill, FILLS, "fill_id", words.of_fill),
        (subject.order, "order.orders", "client_order_id", words.of_order),
        (subject.refusal, REFUSALS, "refusal_id", words.of_refusal),
        (subject.intent, INTENTS, "decision_id", words.of_intent),
    ):
        if noted is not None:
            yield _record_step(noted, table, getattr(noted.record, key), say(noted.record))


def _met_bar_step(trail: Trail) -> Iterator[Step]:
    """The raw row that gave the fill its price."""
    fill = trail.subject.fill
    if fill is not None:
        rows = trail.lakes.rows(RAW, "row_hash = ?", [fill.record.price_row_hash])
        for row in rows[:1]:
            yield _row_step(row, _key(row), words.of_met_bar(row))


def _record_step(noted: Noted, table: str, key: str, says: str) -> Step:
    record = noted.record
    values = {item.name: getattr(record, item.name) for item in dataclasses.fields(record)}
    return Step(
        stage="order",
        table=table,
        key=key,
        row_hash=noted.hash,
        run_id=record.run_id,
        snapshot_id=int(record.snapshot_id),
        code_version=record.code_version,
        says=says,
        values=_plain(values | {"ledger_record": noted.seq}),
    )


def _row_step(row: Row, key: str, says: str) -> Step:
    return Step(
        stage=row.stage,
        table=row.table,
        key=key,
        row_hash=row.row_hash,
        run_id=row.run_id,
        snapshot_id=row.snapshot_id,
        code_version=row.code_version,
        says=says,
        values=_plain(row.values),
    )


def _key(row: Row) -> str:
    words_of = [row.values.get("strategy"), row["symbol"], row["session"]]
    days = row.values.get("horizon_days") if row.stage == "forecast" else None
    return " ".join(str(word) for word in [*words_of, f"{days}d" if days else None] if word)


def _bar_steps(trail: Trail) -> Iterator[Step]:
    """The clean bars, and the raw rows that each of them names."""
    bars = trail.bars()
    if bars.empty:
        return
    hashes = bars["row_hash"].tolist()
    clean = _rows_by_hash(trail, CLEAN, hashes)
    newest = clean[hashes[-1]]
    yield dataclasses.replace(
        _row_step(
            newest,
            f"{trail.symbol} up to {trail.session}",
            words.of_bars(len(bars), bars["session"].iloc[0], newest["session"], newest.values),
        ),
        rows=len(bars),
        values=_plain({**newest.values, "rows_hash": chain_hash(hashes)}),
    )
    raw_hashes = [clean[text]["raw_row_hash"] for text in hashes]
    raw = _rows_by_hash(trail, RAW, raw_hashes)
    found = [raw[text] for text in raw_hashes if text in raw]
    if found:
        yield _raw_step(trail, found)


def _raw_step(trail: Trail, found: list[Row]) -> Step:
    last = found[-1]
    sources = ", ".join(sorted({str(row["source"]) for row in found}))
    says = words.of_raw(len(found), found[0]["session"], last["session"], sources, last.values)
    return dataclasses.replace(
        _row_step(last, f"{trail.symbol} up to {last['session']}", says),
        rows=len(found),
        values=_plain(
            {
                **last.values,
                "sources": sources,
                "first_session": found[0]["session"],
                "last_session": last["session"],
                "runs": sorted({row.run_id for row in found}),
                "rows_hash": chain_hash(row.row_hash for row in found),
            }
        ),
    )


def _rows_by_hash(trail: Trail, table: str, hashes: list[str]) -> dict[str, Row]:
    with named(table):
        rows = trail.lakes.rows(
            table,
            "symbol = ? AND row_hash IN (SELECT unnest(?::VARCHAR[]))",
            [trail.symbol, hashes],
            at=trail.history_snapshot,
        )
    return {row.row_hash: row for row in rows}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN; a missing number is null there."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
