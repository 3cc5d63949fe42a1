"""The journal against a bare loop of write and fsync; the order manager in its simulated worlds.

The rival writes each ready-made line and syncs it, and does nothing else: no hash, no encoding, no
head file, and nobody could ask it anything. The product takes events, encodes and chains them, and
acknowledges each commit when it is on disk. Ratios are times, product over rival, so the shares of
the rival's speed are their inverses: 0.7 of it is a ratio of 1.43, five times it is 0.2.

The worlds have no rival: the ratio is of 20,000 events a second of one core to what is reached.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks._execution_fills import fills_row
from quant.core.clock import SystemClock
from quant.core.identity import decision_id
from quant.execution import Refusal, RefusalRecorded, to_payload
from resources.ledger.journal import JOURNAL_NAME, Journal, Record, WriterLock

RECORDS: Final = 600
ROUNDS: Final = 7
GROUP_RECORDS: Final = 64
ALONE_LIMIT: Final = 1 / 0.7
GROUP_LIMIT: Final = 1 / 5
# Worlds of ten sessions, their faults drawn by seed; ticks in which nothing is due are not counted.
WORLDS: Final = 10
EVENTS_PER_S_MIN: Final = 20_000


def run(*, records: int = RECORDS, rounds: int = ROUNDS) -> list[dict[str, object]]:
    """Ratios of time: one record a commit, and commits of many records."""
    return [
        _journal("journal_commit_each", records, rounds, group=1, limit=ALONE_LIMIT),
        _journal("journal_group_commit", records, rounds, group=GROUP_RECORDS, limit=GROUP_LIMIT),
        _worlds(WORLDS),
        *fills_row(),
    ]


def _worlds(worlds: int) -> dict[str, object]:
    from apps.simulation.run import simulate

    tally = simulate(range(worlds), 10)
    ratio = EVENTS_PER_S_MIN / tally.events_per_s
    return {
        "name": "simulated_events",
        "ratio": round(ratio, 4),
        "limit": 1.0,
        "holds": ratio <= 1.0 and not tally.violations,
        "events_per_s_of_one_core": round(tally.events_per_s),
        "events": tally.events,
        "records": tally.records,
        "orders": tally.orders,
        "violations": len(tally.violations),
    }


def _journal(
    name: str, records: int, rounds: int, *, group: int, limit: float
) -> dict[str, object]:
    spent: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="pmx-bench-journal-") as folder:
        for number in range(rounds + 1):
            lines: list[bytes] = []
            place = Path(folder) / str(number)
            calls: list[Callable[[], float]] = [
                lambda place=place, lines=lines: _ours(place, records, group, lines),  # type: ignore[misc]
                lambda place=place, lines=lines: _bare(place, lines),  # type: ignore[misc]
            ]
            # The rival writes the product's own bytes of this round, so it comes second.
            for which, call in enumerate(calls):
                spent[which].append(call())
    product, rival = (statistics.median(seconds[1:]) for seconds in spent)
    ratio = product / rival
    return {
        "name": name,
        "ratio": round(ratio, 4),
        "limit": round(limit, 4),
        "holds": ratio <= round(limit, 4),
        "at_least": round(1 / limit, 2),
        "share_of_bare_speed": round(rival / product, 2),
        "records": records,
        "records_a_commit": group,
        "product_records_per_s": round(records / product),
        "rival_records_per_s": round(records / rival),
    }


def _ours(place: Path, records: int, group: int, lines: list[bytes]) -> float:
    events = [_event(number) for number in range(records)]
    lock = WriterLock.take(place)
    journal = Journal.open(place, clock=SystemClock(), lock=lock, visit=_pass_over)
    start = time.perf_counter()
    for first in range(0, records, group):
        journal.append_all([to_payload(event) for event in events[first : first + group]])
    spent = time.perf_counter() - start
    journal.close()
    lines += (place / JOURNAL_NAME).read_bytes().splitlines(keepends=True)
    return spent


def _pass_over(_record: Record) -> None:
    """A new journal has no record to visit."""


def _bare(place: Path, lines: list[bytes]) -> float:
    descriptor = os.open(place / "bare.jsonl", os.O_WRONLY | os.O_CREAT, 0o640)
    start = time.perf_counter()
    for line in lines:
        os.write(descriptor, line)
        os.fsync(descriptor)
    spent = time.perf_counter() - start
    os.close(descriptor)
    return spent


def _event(number: int) -> RefusalRecorded:
    """What a ledger holds most of."""
    moment = SystemClock().now()
    identity = decision_id(
        strategy="trend",
        symbol="AAPL",
        as_of=moment,
        inputs={},
        code_version="c",
        parameters={"n": number},
    )
    return RefusalRecorded(
        refusal=Refusal(
            decision_id=identity,
            book="paper",
            strategy="trend",
            symbol="AAPL",
            session=moment.date(),
            as_of=moment,
            run_id="run",
            snapshot_id="1",
            code_version="c",
            gate="edge",
            reason="expects less than the round trip costs",
            numbers={"expected_return": "0.000100", "required_return": "0.000900"},
        )
    )


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
