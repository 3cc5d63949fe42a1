"""Processes that are killed: at every step of a session, of an order's life, and at random.

Belongs here: the two worlds that are killed, and who counts what they had been told was safe. Every
life is a forked child, since forking keeps the imports; run this in a process without threads. The
venue lives in a process of its own and outlives them all. Does not belong here: what a power cut
does to files (`lost_writes`).
"""

import datetime as dt
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from apps.simulator.server import Venue, VenueOptions, running
from apps.trader.order_desk import OrderDesk
from quant.core.clock import SteppedClock
from quant.execution import IntentRecorded, OrderState
from quant.execution.manager_state import state_from
from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions, _import_quietly
from resources.brokers.credentials import Credentials
from resources.brokers.egress import Environment
from resources.ledger import Ledger
from resources.ledger.journal import JOURNAL_NAME, Record, scan
from tests.execution_values import BOOK, TUESDAY, intent, opened, recorded, verdict
from tests.integration.ledger.crash_world import Killer, prepare, trade, watched_tables
from tests.reliability.progress import counted
from tests.support.manager_bench import around

MOMENT = dt.datetime.combine(TUESDAY, dt.time(15), tzinfo=dt.UTC)
ACCOUNT = "alpaca"
FIRST = {"AAPL": ("20", "190"), "MSFT": ("15", "410"), "KO": ("30", "60")}
SECOND = {"AAPL": ("-7", "190"), "SPY": ("4", "500")}
PATIENCE_S = 600


@dataclass(slots=True)
class Score:
    """What all killed processes left behind."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def require(self, is_so: bool, what: str) -> None:
        self.wrong[what] += not is_so


# Lives


def life_of(work: Callable[[Connection], None], *, kill_after_s: float = -1.0) -> list[Any]:
    """What a forked child told before it died or ended; the last word is how."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            here.close()
            work(there)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(70)
    there.close()
    if kill_after_s >= 0:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    told = []
    try:
        while True:
            told.append(here.recv())
    except (EOFError, OSError):
        pass
    _, status = os.waitpid(child, 0)
    told.append("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}")
    return told


def reporting(ledger: Ledger, there: Connection) -> None:
    """Say of each record that it was acknowledged, at the moment at which it was."""
    append_all = ledger.append_all

    def told(events: Any) -> Any:
        answer = append_all(events)
        there.send([(one.seq, one.hash) for one in answer])
        return answer

    ledger.append_all = told  # type: ignore[method-assign]


def require_kept(folder: Path, told: list[Any], score: Score) -> None:
    """Whatever was acknowledged is in the journal, whole and in order."""
    records: dict[int, str] = {}

    def note(record: Record) -> None:
        records[record.seq] = record.hash

    found = scan(folder / JOURNAL_NAME, note)
    score.require(not found.damage, "a journal is damaged")
    score.require(list(records) == list(range(1, len(records) + 1)), "a journal has a gap")
    for batch in told:
        for seq, digest in batch if isinstance(batch, list) else ():
            score.counts["acknowledged records"] += 1
            score.require(records.get(seq) == digest, "an acknowledged record is lost")


def is_killed(told: list[Any]) -> bool:
    return told[-1] == "killed"


# The paper session


def paper(folder: Path, killer: Killer, there: Connection) -> None:
    """Two sessions of the paper book; tells its state hash at the end."""
    if not (folder / JOURNAL_NAME).exists():
        prepare(folder)
    there.send(trade(folder, killer, watch=lambda ledger: reporting(ledger, there)))
    there.send(len(killer.seen))


def kill_paper(work: Path, score: Score, *, every: int, again: int) -> None:
    """At every step, and then in each of `again` recoveries at a step of theirs."""
    calm = life_of(lambda there: paper(work / "calm-paper", Killer(at=-1), there))
    expected, steps = calm[-3], calm[-2]
    for at in counted(range(1, steps + 1, every), "steps of a paper session"):
        for number in range(again + 1):
            folder = work / f"paper-{at}-{number}"
            told = life_of(lambda there, f=folder, n=at: paper(f, Killer(at=n), there))
            _count(told, score, "kills at a step of a paper session")
            if number:
                step = score.draw.randint(1, steps)
                more = life_of(lambda there, f=folder, n=step: paper(f, Killer(at=n), there))
                # A recovery has fewer steps than a whole life: some end before theirs.
                if is_killed(more):
                    _count(more, score, "kills inside a recovery of a paper session")
                told += more
            last = life_of(lambda there, f=folder: paper(f, Killer(at=-1), there))
            score.require(last[-3] == expected, "a paper session ended in another state")
            require_kept(folder, [*told, *last], score)
            shutil.rmtree(folder)


def _count(told: list[Any], score: Score, what: str) -> None:
    score.counts[what] += 1
    score.counts["kills"] += 1
    score.require(is_killed(told), "a process was not killed where it should")


# The order desk


class Stepping:
    """The broker port with a step before each request and one before its answer is heard."""

    name = "stepping"

    def __init__(self, broker: AlpacaBroker, step: Callable[[str], None]) -> None:
        self._broker = broker
        self._step = step

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._broker, name)

        def stepped(*args: Any, **named: Any) -> Any:
            self._step(f"{name}.before")
            try:
                return call(*args, **named)
            finally:
                self._step(f"{name}.answered")

        return stepped


def desk_life(folder: Path, url: str, killer: Killer, there: Connection) -> None:
    """Three buys, then a sale and a buy; a life that begins late goes on where the last ended."""
    options = AlpacaOptions(environment=Environment.SIMULATED, url=url, resend_after_s=0.0)
    told = VenueOptions()
    broker = AlpacaBroker(Credentials(told.key_id, told.secret), options)
    now = [0.0]
    with (
        watched_tables(killer),
        Ledger.open(folder, probe=killer.step, pwrite=killer.half_write) as ledger,
    ):
        reporting(ledger, there)
        if not ledger.books():
            ledger.append_all([opened(), verdict()])
        state = state_from(ledger.events(), BOOK)
        desk = OrderDesk(
            state,
            broker=Stepping(broker, killer.step),  # type: ignore[arg-type]
            ledger=ledger,
            monotonic=lambda: now[0],
        )
        desk.offer(TUESDAY, around())
        _settle(desk, now)
        for wishes in (FIRST, SECOND):
            _wish(ledger, desk, wishes)
            desk.offer(TUESDAY, around())
            _settle(desk, now)
        there.send(_ending(ledger, desk))
    there.send(len(killer.seen))


def _settle(desk: OrderDesk, now: list[float]) -> None:
    """Until nothing is open, and the account was read once more."""
    for _ in range(PATIENCE_S):
        if not desk.manager.state.open and not desk.manager.state.held:
            break
        now[0] += 1
        desk.tick()


def _wish(ledger: Ledger, desk: OrderDesk, wishes: dict[str, tuple[str, str]]) -> None:
    for symbol, (quantity, price) in wishes.items():
        wish = intent(quantity, symbol=symbol, price=price, salt=quantity)
        event = IntentRecorded(intent=wish)
        with ledger.turn():
            [done] = ledger.append_all([event])
        if done.is_new:
            desk.manager.observe(event)


def _ending(ledger: Ledger, desk: OrderDesk) -> dict[str, Any]:
    """What has to be the same however often it was killed."""
    lives = desk.manager.state.lives
    return {
        "refused": len(ledger.refusals(book=BOOK)),
        "orders": {key: [one.state.value, str(one.filled)] for key, one in sorted(lives.items())},
        "positions": {s: str(p.quantity) for s, p in ledger.book(BOOK).positions.items()},
        # Alpaca tells no fee, so that ours is an estimate: what was paid is compared without it.
        "paid": str(sum(one.side.sign * one.notional for one in ledger.fills(book=BOOK))),
        "held": dict(desk.manager.state.held),
        "problems": list(ledger.verify().problems),
    }


def venue_process(there: Connection) -> None:
    """Serves one fresh venue after the other; tells the books of the present one."""
    while there.recv() == "open":
        venue = Venue(VenueOptions(seed=1), clock=SteppedClock(MOMENT))
        with running(venue, {ACCOUNT: 0}) as urls:
            there.send(urls[ACCOUNT])
            while there.recv() == "books":
                account = venue.exchange.accounts[ACCOUNT]
                there.send(
                    {
                        "orders": {k: len(ids) for k, ids in account.by_client_id.items()},
                        "filled": {
                            one.request.client_id: str(one.filled)
                            for one in account.orders.values()
                        },
                        "positions": {
                            name: str(held)
                            for name, held in account.balances.items()
                            if held and name != account.cash_asset
                        },
                        "cash": str(account.balance(account.cash_asset)),
                    }
                )


@contextmanager
def venue_apart() -> Iterator[Connection]:
    """Forked before this process has anything that a child should not share."""
    here, there = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        here.close()
        try:
            venue_process(there)
        except (EOFError, KeyboardInterrupt):
            pass
        finally:
            os._exit(0)
    there.close()
    try:
        yield here
    finally:
        here.send("end")
        here.close()
        os.waitpid(child, 0)


@contextmanager
def fresh_venue(control: Connection) -> Iterator[str]:
    """A venue without any orders, and its address."""
    control.send("open")
    yield control.recv()
    control.send("close")


def kill_desk(work: Path, control: Connection, score: Score, *, every: int, at_random: int) -> None:
    """At every step, half of them also in the recovery; then at random moments."""
    with fresh_venue(control) as url:
        start = time.monotonic()
        calm = life_of(lambda there: desk_life(work / "calm-desk", url, Killer(at=-1), there))
        lasted_s = time.monotonic() - start
        expected, steps = calm[-3], calm[-2]
        _judge(expected, control, score)
    for number in counted(range(1, steps + 1, every), "steps of an order desk"):
        lives = [Killer(at=number)]
        if number % 2:
            lives.append(Killer(at=score.draw.randint(1, steps)))
        _kill_one(work, control, score, expected, lives)
    for _ in counted(range(at_random), "kills of an order desk at random"):
        _kill_one(work, control, score, expected, [], after_s=score.draw.uniform(0, lasted_s))


def _kill_one(
    work: Path,
    control: Connection,
    score: Score,
    expected: dict[str, Any],
    lives: list[Killer],
    *,
    after_s: float = -1.0,
) -> None:
    """Lives that are killed, one that is not, and what the venue has in the end."""
    folder, told = work / "desk", []
    with fresh_venue(control) as url:
        if after_s >= 0:
            told += life_of(
                lambda there: desk_life(folder, url, Killer(at=-1), there), kill_after_s=after_s
            )
            score.counts["kills of an order desk at random"] += 1
            score.counts["kills"] += 1
        for place, killer in enumerate(lives):
            one = life_of(lambda there, k=killer: desk_life(folder, url, k, there))
            if is_killed(one) or not place:
                what = "kills inside a recovery of one" if place else "kills at a step of one"
                _count(one, score, what.replace("one", "an order desk"))
            told += one
        last = life_of(lambda there: desk_life(folder, url, Killer(at=-1), there))
        ending = last[-3] if len(last) > 2 else {}
        _judge(ending, control, score)
        same = all(ending.get(name) == expected[name] for name in ("orders", "positions"))
        score.counts["order desks that ended as if never killed"] += same
        score.require(
            same or bool(ending.get("refused")),
            "an order desk ended with other orders or positions",
        )
        require_kept(folder, [*told, *last], score)
    shutil.rmtree(folder)


def _judge(ending: dict[str, Any], control: Connection, score: Score) -> None:
    """The venue's books: one order an intent, and everything as the ledger has it."""
    control.send("books")
    books = control.recv()
    score.counts["orders at the venue"] += len(books["orders"])
    doubled = sum(number > 1 for number in books["orders"].values())
    score.wrong["an intent became two orders"] += doubled
    orders = ending.get("orders", {})
    # After a restart the gates may refuse what reconciliation holds; a refusal is on record, too.
    known = len(orders) + ending.get("refused", 0)
    score.require(known == len(FIRST) + len(SECOND), "an intent is neither order nor refusal")
    score.counts["intents refused after a restart"] += ending.get("refused", 0)
    ours = {key: filled for key, (_, filled) in orders.items()}
    score.require(_numbers(ours) == _numbers(books["filled"]), "ledger and venue fills differ")
    states = {state for state, _ in orders.values()}
    score.require(states == {OrderState.FILLED.value}, "an order never came to its end")
    positions = _numbers(ending.get("positions", {}))
    score.require(positions == _numbers(books["positions"]), "ledger and venue positions differ")
    paid = VenueOptions().cash_usd - Decimal(books["cash"])
    score.require(Decimal(ending.get("paid", "0")) == paid, "ledger and venue tell other prices")
    clean = not ending.get("held") and not ending.get("problems")
    score.require(clean, "something is held, or the ledger's audit finds something")


def _numbers(texts: dict[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(text) for name, text in texts.items()}


# A writer that does nothing else


def write_on(folder: Path, there: Connection) -> None:
    """Commits of one to five records, as fast as the disk takes them."""
    with Ledger.open(folder) as ledger:
        reporting(ledger, there)
        if not ledger.books():
            ledger.append_all([opened()])
        draw = random.Random(ledger.head().seq)
        while True:
            batch = [intent(1, salt=str(draw.random())) for _ in range(draw.randint(1, 5))]
            ledger.append_all(recorded(*batch))


def kill_writer(work: Path, score: Score, *, times: int) -> None:
    """The same ledger again and again, killed within the first moments of each life."""
    folder, told = work / "writer", []
    for number in counted(range(times), "kills of a writer"):
        after_s = score.draw.uniform(0.0, 0.12)
        told += life_of(lambda there: write_on(folder, there), kill_after_s=after_s)
        score.counts["kills of a writer at random"] += 1
        score.counts["kills"] += 1
        if number % 10 == 9:
            require_kept(folder, told, score)
            with Ledger.open(folder) as ledger:
                score.require(not ledger.verify().problems, "a writer's ledger is not sound")
            told.clear()
            # Small again, so that opening it stays quick.
            shutil.rmtree(folder)


def main(work: Path, form: str, seed: int) -> None:
    """Everything, and one JSON object of counts."""
    score = Score(seed)
    is_long = form == "long"
    _import_quietly()  # once, so that no child has to
    with venue_apart() as control:
        kill_desk(
            work,
            control,
            score,
            every=1 if is_long else 33,
            at_random=150 if is_long else 2,
        )
    kill_paper(work, score, every=1 if is_long else 26, again=3 if is_long else 1)
    kill_writer(work, score, times=150 if is_long else 10)
    sys.stdout.write(json.dumps({"counts": score.counts, "wrong": +score.wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
