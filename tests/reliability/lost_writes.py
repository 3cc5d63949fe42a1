"""What a power cut and a bad disk do to a ledger's files, replayed from a log of its writes.

Belongs here: everything after the last fsync may be gone, there in part, or a hole of zeros; a
database file may be cut short or have a bit flipped. Does not belong here: processes that are
killed (`crash_points`), after which the files are whole.
"""

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quant.core.clock import SteppedClock
from quant.core.errors import LedgerDamagedError
from resources.ledger import Ledger, journal
from resources.ledger.journal import JOURNAL_NAME, scan
from resources.ledger.salvage import salvage
from resources.ledger.seal import seal_path
from tests.execution_values import MONDAY, after_close, intent, opened, recorded
from tests.integration.ledger.crash_world import Killer, prepare, trade
from tests.reliability.progress import counted

CLOCK = SteppedClock(after_close(MONDAY))
TABLES = "projection.sqlite"
WAL = f"{TABLES}-wal"


@dataclass(slots=True)
class Score:
    """What was found after each harm."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def require(self, is_so: bool, what: str) -> None:
        self.wrong[what] += not is_so


# Lost writes


@dataclass(slots=True)
class Trace:
    """Every write, every fsync and every acknowledgement, in order, of one journal."""

    steps: list[tuple[Any, ...]] = field(default_factory=list)
    calls: int = 0

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        # A disk takes a commit in pieces now and then, and so does this one.
        self.calls += 1
        size = len(data) if self.calls % 3 else max(1, len(data) // 2)
        self.steps.append(("write", offset, bytes(data[:size])))
        return os.pwrite(descriptor, data[:size], offset)

    def sync(self, descriptor: int) -> None:
        self.steps.append(("sync",))
        os.fdatasync(descriptor)

    def acknowledged(self, seq: int, digest: str, head: bytes) -> None:
        self.steps.append(("ack", seq, digest, head))


@contextmanager
def traced(trace: Trace) -> Iterator[None]:
    """The journal's own fsync, noted."""
    sound = journal._sync_data
    journal._sync_data = trace.sync  # type: ignore[misc]
    try:
        yield
    finally:
        journal._sync_data = sound  # type: ignore[misc]


def written(folder: Path, commits: int) -> Trace:
    """A ledger that grew by commits of one to six records."""
    trace, draw = Trace(), random.Random(1)
    with traced(trace), Ledger.open(folder, clock=CLOCK, pwrite=trace.pwrite) as ledger:
        for number in range(commits):
            size = draw.randint(1, 6)
            wishes = [intent(1, salt=f"{number}-{part}") for part in range(size)]
            done = ledger.append_all(recorded(*wishes) if number else [opened()])
            head = (folder / "head").read_bytes()
            trace.acknowledged(done[-1].seq, done[-1].hash, head)
    return trace


def after_power_cut(trace: Trace, at: int, draw: random.Random) -> tuple[bytes, bytes]:
    """The journal and a head file as a disk may have them when the power went before step `at`."""
    steps = trace.steps[:at]
    synced = max((i for i, one in enumerate(steps) if one[0] == "sync"), default=-1)
    image = bytearray()
    for place, step in enumerate(steps):
        if step[0] != "write":
            continue
        _, offset, data = step
        if place > synced:
            kept = draw.choice(("none", "all", "part", "zeros"))
            if kept == "none":
                continue
            data = data[: draw.randrange(len(data))] if kept == "part" else data
            data = bytes(len(data)) if kept == "zeros" else data
        end = offset + len(data)
        image.extend(bytes(max(0, end - len(image))))
        image[offset:end] = data
    # The head file is never synced: any that was written may be what is left of it.
    heads = [one[3] for one in steps if one[0] == "ack"]
    return bytes(image), draw.choice([b"", *heads[-3:]])


def cut_power(work: Path, score: Score, *, times: int, commits: int) -> None:
    """At moments drawn at random; what had been acknowledged has to be there."""
    trace = written(work / "whole", commits)
    for number in counted(range(times), "power cuts"):
        at = score.draw.randrange(1, len(trace.steps) + 1)
        image, head = after_power_cut(trace, at, score.draw)
        folder = work / f"cut-{number}"
        folder.mkdir()
        (folder / JOURNAL_NAME).write_bytes(image)
        if head:
            (folder / "head").write_bytes(head)
        promised = {one[1]: one[2] for one in trace.steps[:at] if one[0] == "ack"}
        score.counts["power cuts"] += 1
        _reopen(folder, promised, score)
        shutil.rmtree(folder)


def _reopen(folder: Path, promised: dict[int, str], score: Score) -> None:
    try:
        with Ledger.open(folder, clock=CLOCK) as ledger:
            score.counts["torn tails cut off"] += ledger.torn is not None
            # Where even the book's opening had not been acknowledged, it is recorded again.
            ledger.append_all([opened(), *recorded(intent(1, salt="afterwards"))])
            score.require(ledger.verify().is_sound, "a ledger is not sound after a power cut")
    except LedgerDamagedError:
        # Zeros before a line's end look like damage, and a person decides; nothing is lost by it.
        score.counts["refused until salvaged"] += 1
        salvage(folder, clock=CLOCK)
    hashes: dict[int, str] = {}
    found = scan(folder / JOURNAL_NAME, lambda one: hashes.update({one.seq: one.hash}))
    score.require(not found.damage, "a ledger is damaged after a power cut")
    kept = all(hashes.get(seq) == digest for seq, digest in promised.items())
    score.require(kept, "an acknowledged record is lost to a power cut")
    score.counts["records acknowledged before the power went"] += max(promised, default=0)


# Damaged tables


def images(work: Path) -> dict[str, Path]:
    """A ledger that was closed, and the same as it lay when its writer died."""
    closed, died = work / "closed", work / "died"
    prepare(closed)
    trade(closed, Killer(at=-1))
    with Ledger.open(closed, clock=CLOCK) as ledger:
        for number in range(12):
            wishes = [intent(1, salt=f"{number}-{part}") for part in range(5)]
            ledger.append_all(recorded(*wishes))
            ledger.state_hash()
        shutil.copytree(closed, died)
    return {"closed": closed, "died": died}


def harm(folder: Path, draw: random.Random) -> str:
    """One file cut short, or one bit of it flipped."""
    name = draw.choice([one for one in (TABLES, WAL) if _size(folder / one)])
    path = folder / name
    data = bytearray(path.read_bytes())
    kind = draw.choice(("cut", "flip"))
    if kind == "cut":
        del data[draw.randrange(len(data)) :]
    else:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    return f"{name} {kind}"


def damage_tables(work: Path, score: Score, *, times: int) -> None:
    """Every harm is found or harmless: the ledger opens in the state that its journal gives."""
    sources = images(work)
    with Ledger.open(sources["closed"], clock=CLOCK) as ledger:
        truth = ledger.state_hash()
    for number in counted(range(times), "damaged tables"):
        name = "closed" if number % 2 else "died"
        folder = work / f"harm-{number}"
        shutil.copytree(sources[name], folder)
        score.counts[harm(folder, score.draw)] += 1
        score.counts[f"damaged, {name}"] += 1
        if name == "closed":
            with Ledger.read(folder) as reader:
                score.require(reader.state_hash() == truth, "a reader believed damage")
        _open_again(folder, name, truth, score)
        shutil.rmtree(folder)


def _open_again(folder: Path, name: str, truth: str, score: Score) -> None:
    # Held open, so that a new file cannot get the number of the old one.
    with (folder / TABLES).open("rb") as old, Ledger.open(folder, clock=CLOCK) as ledger:
        score.require(ledger.state_hash() == truth, "a ledger opened in another state")
        score.require(ledger.verify().is_sound, "damage stayed in the tables")
        is_new = os.fstat(old.fileno()).st_ino != (folder / TABLES).stat().st_ino
        score.counts["derived again"] += is_new
        score.require(is_new, "damage was not found")
    if name == "closed":
        told = (folder / f"damaged-{TABLES}").exists()
        score.require(told, "damage was taken for a writer's death")
    score.require(bool(seal_path(folder / TABLES).read_bytes()), "a closed ledger has no seal")


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
