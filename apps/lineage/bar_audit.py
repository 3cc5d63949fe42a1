"""Whether the bars behind a decision are still what they were, and clean still what raw says.

Raw and clean only ever grow. So a row that stood in the lake at a recorded snapshot has to stand
there unchanged today: time travel alone would show the old row and hide that it was rewritten.
Belongs here: the two tables of bars. Does not belong here: anything that is derived from them.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.lineage.compare import HASH, Difference, is_same
from apps.lineage.lakes import Lakes, Row, as_date, named
from apps.lineage.trail import CLEAN, RAW, Trail
from quant.market.bars import Basis

_IDENTITY = ("symbol", "session", "source", "known_at")
# What a clean bar takes over from its raw row.
_TAKEN = (
    "symbol",
    "basis",
    "session",
    "event_time",
    "known_at",
    "source",
    "asset_class",
    "currency",
    "open",
    "high",
    "low",
    "close",
    "volume",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarProblem:
    """One bar that is not what it was or should be."""

    symbol: str
    session: dt.date
    known_at: dt.datetime
    difference: Difference


class BarAudit:
    """Looks at all bars of the universe at once; every decision then asks for its own."""

    def __init__(self, lakes: Lakes) -> None:
        self.lakes = lakes
        self._found: dict[tuple[str, int], list[BarProblem]] = {}
        self._standing: dict[str, list[BarProblem]] = {}

    def first(self, table: str, trail: Trail) -> Difference | None:
        """The first problem of a table that this decision rests on; its own symbol comes first."""
        problems = [one for one in self._problems(table, trail) if _concerns(one, trail)]
        problems.sort(key=lambda one: (one.symbol != trail.symbol, one.session, one.symbol))
        return problems[0].difference if problems else None

    def _problems(self, table: str, trail: Trail) -> Iterator[BarProblem]:
        if table not in self._standing:
            self._standing[table] = list(self._standing_problems(table))
        yield from self._standing[table]
        for snapshot in sorted({trail.history_snapshot, *_verdict_snapshots(trail)}):
            key = (table, snapshot)
            if key not in self._found:
                self._found[key] = list(self._problems_since(table, snapshot))
            yield from self._found[key]

    def _standing_problems(self, table: str) -> Iterator[BarProblem]:
        """What can be seen in the table as it is today."""
        for row in self._changed(table):
            yield _problem(row, self._told(row))
        if table == RAW:
            yield from self._orphans()
        else:
            yield from self._unlike_raw()
            yield from self._unpublishable()

    def _problems_since(self, table: str, snapshot: int) -> Iterator[BarProblem]:
        """Rows of a snapshot that are not in the table any more."""
        columns = ", ".join(f'"{name}"' for name in (*_TAKEN, *_raw_hash(table), "row_hash"))
        where, values = self._scope()
        with named(table):
            gone = self.lakes.newest.rows(
                f"SELECT row_hash FROM (SELECT {columns} FROM {table} "
                f"AT (VERSION => {int(snapshot)}) WHERE {where} "
                f"EXCEPT SELECT {columns} FROM {table} WHERE {where})",
                [*values, *values],
            )
        if gone:
            hashes = [text for (text,) in gone]
            for row in self._by_hash(table, hashes, at=snapshot):
                yield _problem(row, self._rewritten(row))

    def _changed(self, table: str) -> list[Row]:
        """Rows whose values do not give their hash."""
        from resources.warehouse import LINEAGE_COLUMNS, row_hash_sql

        types = self.lakes.types(table, None)
        content = {name: types[name] for name in types if name not in LINEAGE_COLUMNS}
        where, values = self._scope()
        return self.lakes.rows(
            table, f"{where} AND row_hash IS DISTINCT FROM {row_hash_sql(content)}", values
        )

    def _told(self, row: Row) -> Difference:
        """A changed row, with the column if its counterpart on the other side tells which."""
        other = self._counterpart(row)
        key = _key(row)
        for column in _TAKEN if other else ():
            if not is_same(row[column], other[column]):
                return Difference(
                    table=row.table,
                    key=key,
                    column=column,
                    stored=row[column],
                    derived=other[column],
                    says=f"the row was changed after it was written; {other.table} still has "
                    "what it was",
                )
        return Difference(
            table=row.table,
            key=key,
            column=HASH,
            stored=row.row_hash,
            derived=row.computed_hash,
            says="the row was changed after it was written: its values do not give its hash",
        )

    def _counterpart(self, row: Row) -> Row | None:
        where, values = self._scope()
        if row.table == RAW:
            found = self.lakes.rows(CLEAN, f"{where} AND raw_row_hash = ?", [*values, row.row_hash])
        else:
            found = self._by_hash(RAW, [row["raw_row_hash"]])
        return next((one for one in found if one.row_hash == one.computed_hash), None)

    def _rewritten(self, before: Row) -> Difference:
        """A row of the past beside what stands in its place today."""
        where, values = self._scope()
        identity = " AND ".join(f'"{name}" = ?' for name in _IDENTITY)
        today = self.lakes.rows(
            before.table,
            f"{where} AND {identity}",
            [*values, *(before[name] for name in _IDENTITY)],
        )
        for row in today:
            for column in (*_TAKEN, *_raw_hash(before.table)):
                if not is_same(row[column], before[column]):
                    return Difference(
                        table=before.table,
                        key=_key(before),
                        column=column,
                        stored=row[column],
                        derived=before[column],
                        says="the row was rewritten after the decision had read it",
                    )
        return Difference(
            table=before.table,
            key=_key(before),
            column="" if not today else HASH,
            stored=today[0].row_hash if today else None,
            derived=before.row_hash,
            says="the row that the decision had read is not in the table any more",
        )

    def _orphans(self) -> Iterator[BarProblem]:
        """Clean bars whose raw row is not there: the fault is raw's."""
        where, values = self._scope()
        for row in self.lakes.rows(
            CLEAN,
            f"{where} AND raw_row_hash NOT IN (SELECT row_hash FROM {RAW} WHERE {where})",
            [*values, *values],
        ):
            yield _problem(
                row,
                Difference(
                    table=RAW,
                    key=_key(row),
                    column=HASH,
                    stored=None,
                    derived=row["raw_row_hash"],
                    says=f"the raw row that {CLEAN} names is not there",
                ),
            )

    def _unlike_raw(self) -> Iterator[BarProblem]:
        """Clean bars that say something else than their raw row."""
        where, values = self._scope()
        differs = " OR ".join(f'c."{name}" IS DISTINCT FROM r."{name}"' for name in _TAKEN)
        with named(CLEAN):
            found = self.lakes.newest.rows(
                f"SELECT c.row_hash FROM (SELECT * FROM {CLEAN} WHERE {where}) AS c "
                f"JOIN (SELECT * FROM {RAW} WHERE {where}) AS r ON r.row_hash = c.raw_row_hash "
                f"WHERE {differs}",
                [*values, *values],
            )
        for row in self._by_hash(CLEAN, [text for (text,) in found]) if found else ():
            raw = self._by_hash(RAW, [row["raw_row_hash"]])[0]
            column = next(name for name in _TAKEN if not is_same(row[name], raw[name]))
            yield _problem(
                row,
                Difference(
                    table=CLEAN,
                    key=_key(row),
                    column=column,
                    stored=row[column],
                    derived=raw[column],
                    says="the bar says something else than the raw row it came from",
                ),
            )

    def _unpublishable(self) -> Iterator[BarProblem]:
        """Clean bars that the rules would not let through again."""
        from quant.market.calendars import sessions
        from quant.market.quality import measure
        from quant.market.quality_gate import is_publishable
        from quant.market.quality_rules import QualityPolicy

        desk = self.lakes.desk
        where, values = self._scope()
        with named(CLEAN):
            bars = self.lakes.newest.read(
                f"SELECT * FROM {CLEAN} WHERE {where} QUALIFY row_number() OVER "
                "(PARTITION BY symbol, session ORDER BY known_at DESC) = 1 "
                "ORDER BY symbol, session",
                values,
            )
        if bars.empty:
            return
        policy = desk.policy("quality", QualityPolicy)
        days = sessions(
            desk.universe.calendar, bars["session"].min().date(), bars["session"].max().date()
        )
        measured = measure(bars, sessions=days, actions=self._actions(), policy=policy)
        refused = bars["row_hash"].to_numpy()[~np.asarray(is_publishable(measured, policy=policy))]
        for row in self._by_hash(CLEAN, list(refused)) if len(refused) else ():
            says = "the quality rules would not publish this bar again"
            yield _problem(row, Difference(table=CLEAN, key=_key(row), says=says))

    def _actions(self) -> Any:
        """Actions explain jumps in raw prices; adjusted prices have none left to explain."""
        if self.lakes.desk.universe.basis is not Basis.RAW:
            return None
        with named("raw.corporate_actions"):
            return self.lakes.newest.read(
                "SELECT symbol, ex_session, kind, value, known_at, source "
                "FROM raw.corporate_actions"
            )

    def _by_hash(self, table: str, hashes: Sequence[str], *, at: int | None = None) -> list[Row]:
        where, values = self._scope()
        return self.lakes.rows(
            table,
            f"{where} AND row_hash IN (SELECT unnest(?::VARCHAR[]))",
            [*values, list(hashes)],
            at=at,
        )

    def _scope(self) -> tuple[str, list[object]]:
        universe = self.lakes.desk.universe
        return (
            "basis = ? AND session >= ? AND symbol IN (SELECT unnest(?::VARCHAR[]))",
            [str(universe.basis), universe.history_start, list(universe.symbols)],
        )


def _concerns(problem: BarProblem, trail: Trail) -> bool:
    """Own bars up to the decision, the bar the order met, and all bars behind the verdicts."""
    desk = trail.desk
    if problem.symbol == trail.symbol:
        fill = trail.subject.fill
        traded = fill.record.event_time.date() if fill else None
        if problem.session == traded:
            return True
        if problem.session <= trail.session:
            return problem.known_at <= desk.as_of(trail.session)
    judged = [as_date(row["session"]) for row in trail.verdicts.values()]
    return any(
        problem.session <= session and problem.known_at <= desk.as_of(session) for session in judged
    )


def _verdict_snapshots(trail: Trail) -> set[int]:
    return {row.snapshot_id for row in trail.verdicts.values()}


def _problem(row: Row, difference: Difference) -> BarProblem:
    return BarProblem(
        symbol=row["symbol"],
        session=as_date(row["session"]),
        known_at=row["known_at"],
        difference=difference,
    )


def _raw_hash(table: str) -> tuple[str, ...]:
    return ("raw_row_hash",) if table == CLEAN else ()


def _key(row: Row) -> str:
    return f"{row['symbol']} {row['session']}"
