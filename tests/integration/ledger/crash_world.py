"""A small trading world that is killed at every step, one forked process a step.

Run as a program: it trades two sessions once without interruption while counting the steps, then
once a step with SIGKILL at that step and a second, undisturbed run to finish. It prints one JSON
object with the state hash of every ending. Forking keeps the imports, so a step costs milliseconds.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from apps.trader.paper_session import trade_session
from quant.core.clock import SteppedClock
from quant.execution import (
    ActionKind,
    CorporateAction,
    Outcome,
    PaperCostPolicy,
    PriceReference,
)
from resources.ledger import Ledger
from tests.execution_values import (
    BOOK,
    MONDAY,
    POLICY,
    TUESDAY,
    WEDNESDAY,
    after_close,
    intent,
    opened,
    recorded,
    reference,
    verdict,
)

PRICES = {"AAPL": "141.17", "MSFT": "240.33", "XOM": "109.81", "KO": "62.55"}


@dataclass
class Killer:
    """Counts the steps it is told of and dies at one of them."""

    at: int
    seen: list[str] = field(default_factory=list)
    torn_at: int = -1

    def step(self, name: str) -> None:
        self.seen.append(name)
        if len(self.seen) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def half_write(self, descriptor: int, data: bytes, offset: int) -> int:
        """Writes half of a commit, which is a step of its own, and then the rest."""
        if self.torn_at >= 0:
            self.torn_at = -1
            return os.pwrite(descriptor, data, offset)
        self.torn_at = offset
        written = os.pwrite(descriptor, data[: len(data) // 2], offset)
        self.step("journal.half_written")
        return written


def prices(session: object) -> dict[str, PriceReference]:
    """Tuesday lacks KO, so that one order expires."""
    names = [name for name in PRICES if name != "KO" or session == WEDNESDAY]
    return {name: reference(PRICES[name], session=session) for name in names}  # type: ignore[arg-type]


def prepare(directory: Path) -> None:
    """What nights before have recorded: a book, verdicts and the wishes of two sessions."""
    clock = SteppedClock(after_close(MONDAY))
    with Ledger.open(directory, clock=clock) as ledger:
        ledger.append_all([opened(), verdict(), verdict("mood", outcome=Outcome.FAIL)])
        ledger.append_all(
            recorded(
                intent(20, symbol="AAPL"),
                intent(15, symbol="MSFT"),
                intent(30, symbol="KO"),
                intent(9, symbol="XOM", strategy="mood"),
                intent(2000, symbol="XOM", price="109"),
                intent(-5, symbol="AAPL", session=TUESDAY, valid=WEDNESDAY),
                intent(11, symbol="KO", session=TUESDAY, valid=WEDNESDAY),
            )
        )


@contextmanager
def watched_tables(killer: Killer) -> Iterator[None]:
    """The moment before each commit of the SQL tables is a step too."""

    def step(_connection: object) -> None:
        killer.step("tables.before_commit")

    sa.event.listen(sa.Engine, "commit", step)
    yield
    sa.event.remove(sa.Engine, "commit", step)


def trade(
    directory: Path, killer: Killer, *, watch: Callable[[Ledger], None] = lambda _ledger: None
) -> str:
    """Both sessions; on Wednesday MSFT splits two for one."""
    clock = SteppedClock(after_close(WEDNESDAY))
    split = CorporateAction(
        symbol="MSFT", ex_session=WEDNESDAY, kind=ActionKind.SPLIT, value=Decimal("0.5")
    )
    with (
        watched_tables(killer),
        Ledger.open(directory, clock=clock, probe=killer.step, pwrite=killer.half_write) as ledger,
    ):
        watch(ledger)
        for session in (TUESDAY, WEDNESDAY):
            killer.step(f"before {session}")
            trade_session(
                ledger,
                BOOK,
                session,
                prices=prices(session),
                clock=clock,
                costs=PaperCostPolicy(),
                policy=POLICY,
                actions=[split],
                run_id="run-1",
                code_version="c1",
            )
        report = ledger.verify()
        assert report.is_sound, report.problems
        return ledger.state_hash()


def forked(work: Path, at: int) -> tuple[bool, str]:
    """Whether the first run was killed, and the state in which the second one ended."""
    directory = work / str(at)
    child = os.fork()
    if child == 0:
        prepare(directory)
        trade(directory, Killer(at=at))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), trade(directory, Killer(at=-1))


def main(work: Path) -> None:
    """Every step, once."""
    calm = Killer(at=-1)
    prepare(work / "calm")
    expected = trade(work / "calm", calm)
    endings = [forked(work, at) for at in range(1, len(calm.seen) + 1)]
    result = {
        "steps": calm.seen,
        "expected": expected,
        "killed": [killed for killed, _ in endings],
        "endings": [ending for _, ending in endings],
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
