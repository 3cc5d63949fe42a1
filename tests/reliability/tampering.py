"""Goal 7: whatever is changed in a journal is found, against one checkpoint kept elsewhere.

Belongs here: ways to change a journal, and the stand-alone verifier as their judge. The judge is
`docs/verify_ledger.py`, which shares no code with the ledger. A flip changes one line only, and the
verifier stops at the first line that is wrong; so most flips are judged by its own function for a
line, and a sample of them by the whole tool on the whole file, which must say the same.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from quant.core.clock import SteppedClock
from resources.ledger import Checkpointer, Ledger
from resources.ledger.journal import GENESIS, JOURNAL_NAME, Record, line_of, parse, render
from tests.execution_values import MONDAY, after_close, intent, opened, recorded
from tests.reliability.goal import Form, Found
from tests.reliability.progress import counted
from tests.support.verifier import load_verifier

CLOCK = SteppedClock(after_close(MONDAY))
SEED = 11
KINDS = (
    "delete", "insert", "duplicate", "swap", "truncate", "cut", "append", "rewrite", "drop",
)  # fmt: skip
# After these the chain is whole again: only the checkpoint can tell.
RESTAMPED = frozenset({"append", "rewrite", "drop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of everything one form does."""

    exhaustive_records: int
    random_records: int
    random_flips: int
    whole_flips: int
    edits: int
    clean_logs: int


AMOUNTS = {
    Form.SHORT: Amount(
        exhaustive_records=6,
        random_records=40,
        random_flips=1_000,
        whole_flips=60,
        edits=90,
        clean_logs=6,
    ),
    Form.LONG: Amount(
        exhaustive_records=200,
        random_records=1_000,
        random_flips=100_000,
        whole_flips=20_000,
        edits=10_000,
        clean_logs=1_000,
    ),
}


def signer(home: Path, **options: Any) -> Checkpointer:
    return Checkpointer(
        home / "ledger",
        key_file=home / "keys" / "k",
        second_place=home / "elsewhere",
        clock=CLOCK,
        **options,
    )


def signed_ledger(home: Path, records: int = 30, *, seed: int = 3) -> Path:
    """A ledger in commits of one to three records, signed every eight, and at its close."""
    drawn = random.Random(seed)
    checkpoints = signer(home, records_max=8)
    with Ledger.open(home / "ledger", clock=CLOCK, checkpoints=checkpoints) as ledger:
        ledger.append_all([opened()])
        while (missing := records - ledger.head().seq) > 0:
            size = min(missing, drawn.randint(1, 3))
            batch = [intent(1, salt=str(drawn.random())) for _ in range(size)]
            ledger.append_all(recorded(*batch))
    assert checkpoints.trouble == ""
    return home / "ledger" / JOURNAL_NAME


def exported(home: Path) -> Path:
    """The copy of the checkpoints that lies where the journal's writer cannot write."""
    return next((home / "elsewhere").iterdir())


def printout(home: Path) -> Path:
    """One checkpoint, the newest, by itself."""
    kept = home / "printout.jsonl"
    kept.write_bytes(exported(home).read_bytes().splitlines(keepends=True)[-1])
    return kept


def restamp(records: list[Record]) -> list[bytes]:
    """The whole chain computed again, as anybody can who may write the file."""
    lines, previous = [], GENESIS
    for number, one in enumerate(records, start=1):
        fresh = render(
            seq=number,
            prev_hash=previous,
            recorded_at=one.recorded_at,
            left=0,
            payload=one.payload,
        )
        previous = fresh.hash
        lines.append(line_of(fresh))
    return lines


def mutate(kind: str, clean: bytes, drawn: random.Random) -> bytes:
    """One way of tampering, at a place drawn at random."""
    lines = clean.splitlines(keepends=True)
    at = drawn.randrange(len(lines))
    other = drawn.choice([i for i in range(len(lines)) if i != at])
    match kind:
        case "delete":
            del lines[at]
        case "insert":  # a record of another place, as it is
            lines.insert(at, lines[other])
        case "duplicate":
            lines.insert(at, lines[at])
        case "swap":
            lines[at], lines[other] = lines[other], lines[at]
        case "truncate":
            lines = lines[:at]
        case "cut":
            return clean[: drawn.randrange(len(clean))]
        case "append":  # a shorter past, and another future of the old length
            records = [parse(line) for line in lines]
            return b"".join(restamp([*records[:at], *(records[0] for _ in records[at:])]))
        case "rewrite":
            records = [parse(line) for line in lines]
            payload = {**records[at].payload, "key": "another"}
            fields = ("seq", "recorded_at", "prev_hash", "left")
            values = {name: getattr(records[at], name) for name in fields}
            records[at] = render(payload=payload, **values)
            return b"".join(restamp(records))
        case "drop":
            records = [parse(line) for line in lines]
            return b"".join(restamp(records[:at] + records[at + 1 :]))
    return b"".join(lines)


@dataclass(slots=True)
class Lines:
    """A sound journal line by line, so that a flip is judged where it is."""

    verifier: ModuleType
    clean: bytes
    lines: list[bytes] = field(init=False)
    starts: list[int] = field(init=False)
    before: list[tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.clean.splitlines(keepends=True)
        self.starts, self.before = [], []
        place, known = 0, (GENESIS, 0)
        for number, line in enumerate(self.lines, start=1):
            self.starts.append(place)
            self.before.append(known)
            problem, record = self.verifier.check_line(line, number, *known)
            assert not problem, problem
            known = (line[9:73].decode(), record["left"])
            place += len(line)

    def problem(self, number: int, place: int, bit: int) -> str:
        """What the verifier says of record `number` when a bit of its line is another."""
        changed = bytearray(self.lines[number - 1])
        changed[place] ^= 1 << bit
        # The line's end may have gone, or come to be inside of it.
        text = bytes(changed) + b"".join(self.lines[number : number + 1])
        line = text[: text.index(b"\n") + 1] if b"\n" in text else text
        if not line.endswith(b"\n"):
            return "is not complete"
        found: str = self.verifier.check_line(line, number, *self.before[number - 1])[0]
        return found and f": {found}"

    def flipped(self, number: int, place: int, bit: int) -> bytes:
        """The whole file with that bit changed."""
        changed = bytearray(self.clean)
        changed[self.starts[number - 1] + place] ^= 1 << bit
        return bytes(changed)

    def every_bit(self) -> Iterator[tuple[int, int, int]]:
        """Record, place in its line, bit."""
        for number, line in enumerate(self.lines, start=1):
            for place in range(len(line)):
                for bit in range(8):
                    yield number, place, bit

    def any_bit(self, drawn: random.Random) -> tuple[int, int, int]:
        """One of them by chance; each line is as likely as any other."""
        number = drawn.randrange(len(self.lines)) + 1
        return number, drawn.randrange(len(self.lines[number - 1])), drawn.randrange(8)


@dataclass(slots=True)
class Score:
    """What was tried, and what was found."""

    verifier: ModuleType = field(default_factory=load_verifier)
    drawn: random.Random = field(default_factory=lambda: random.Random(SEED))
    counts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def require(self, is_so: bool, what: str) -> None:
        self.wrong[what] += not is_so

    def exhaustive(self, home: Path, amount: Amount) -> None:
        """Every bit of a short log, and a sample of them by the whole tool."""
        journal = signed_ledger(home, amount.exhaustive_records)
        log = Lines(self.verifier, journal.read_bytes())
        for number, place, bit in log.every_bit():
            self.counts["every bit"] += 1
            self.require(bool(log.problem(number, place, bit)), "a flipped bit passed")
        kept = printout(home)
        for _ in counted(range(amount.whole_flips), "flips by the whole tool"):
            number, place, bit = log.any_bit(self.drawn)
            journal.write_bytes(log.flipped(number, place, bit))
            found = self.verifier.verify(journal, kept)
            self.counts["whole"] += 1
            said = found["problems"][0] if found["problems"] else ""
            expected = f"record {number}{_joined(log.problem(number, place, bit))}"
            self.require(said == expected, "line and whole tool differ")
            self.require(found["covered"] == number - 1, "another record is named")

    def at_random(self, home: Path, amount: Amount) -> None:
        """Many bits of a longer log."""
        log = Lines(self.verifier, signed_ledger(home, amount.random_records).read_bytes())
        for _ in range(amount.random_flips):
            self.counts["random"] += 1
            self.require(bool(log.problem(*log.any_bit(self.drawn))), "a flipped bit passed")

    def edits(self, home: Path, amount: Amount) -> None:
        """Each kind of edit by the whole tool, against one checkpoint."""
        journal = signed_ledger(home, 60)
        clean, kept = journal.read_bytes(), printout(home)
        for number in counted(range(amount.edits), "edits"):
            kind = KINDS[number % len(KINDS)]
            changed = mutate(kind, clean, self.drawn)
            journal.write_bytes(changed)
            found = self.verifier.verify(journal, kept)
            self.counts[kind] += 1
            self.require(not found["sound"], f"{kind} passed")
            if kind not in RESTAMPED:
                is_named = found["records"] == _common_lines(clean, changed)
                self.require(is_named, "another record is named")
            else:
                alone = self.verifier.verify(journal)
                self.counts["sound without a checkpoint"] += bool(alone["sound"])
        self._roll_back(journal, clean, home)

    def _roll_back(self, journal: Path, clean: bytes, home: Path) -> None:
        """Journal and its own checkpoints taken back to any earlier day: both look sound, alone."""
        lines = exported(home).read_bytes().splitlines(keepends=True)
        records = clean.splitlines(keepends=True)
        here = home / "ledger" / "checkpoints.jsonl"
        for count in range(1, len(lines)):
            here.write_bytes(b"".join(lines[:count]))
            covered = self.verifier.json.loads(lines[count - 1])["size"]
            journal.write_bytes(b"".join(records[:covered]))
            self.counts["rollback"] += 1
            alone = self.verifier.verify(journal, here)["sound"]
            self.counts["sound by its own checkpoints"] += bool(alone)
            found = self.verifier.verify(journal, home / "printout.jsonl")
            self.require(not found["sound"], "a rollback passed")

    def clean(self, home: Path, amount: Amount) -> None:
        """Nothing was done, so nothing may be said."""
        for number in counted(range(amount.clean_logs), "clean logs"):
            place = home / str(number)
            journal = signed_ledger(place, 1 + number % 24, seed=number)
            self.counts["clean"] += 1
            sound = self.verifier.verify(journal, exported(place))["sound"]
            self.require(sound, "a false alarm")


def _joined(problem: str) -> str:
    return problem if problem.startswith(":") else f" {problem}"


def _common_lines(clean: bytes, changed: bytes) -> int:
    """How many records stand before the first that is another or missing."""
    pairs = zip(clean.splitlines(True), changed.splitlines(True), strict=False)
    common = 0
    for one, other in pairs:
        if one != other:
            break
        common += 1
    return common


def run(form: Form) -> Found:
    """Flips, edits, rollbacks, and logs to which nothing was done."""
    amount, score = AMOUNTS[form], Score()
    with tempfile.TemporaryDirectory(prefix="pmx-tampering-") as folder:
        home = Path(folder)
        score.exhaustive(home / "short", amount)
        score.at_random(home / "long", amount)
        score.edits(home / "edits", amount)
        score.clean(home / "clean", amount)
    return _found(form, amount, score)


def _found(form: Form, amount: Amount, score: Score) -> Found:
    counts, wrong = score.counts, +score.wrong
    done = ("every bit", "random", "rollback", *KINDS)
    tried = sum(counts[one] for one in done)
    missed = sum(count for what, count in wrong.items() if what.endswith("passed"))
    return Found(
        goal=7,
        title="The audit log shows tampering",
        claim="Every change of a journal, also one whose chain was computed again from the start, "
        "is found by a stand-alone verifier against one checkpoint that was kept elsewhere.",
        form=form,
        holds=not wrong,
        figures={
            "seed": SEED,
            f"every single bit of a log of {amount.exhaustive_records} records": counts[
                "every bit"
            ],
            f"random bits of a log of {amount.random_records:,} records": counts["random"],
            "of these flips, judged again by the whole tool on the whole file": counts["whole"],
            "judged otherwise by it": wrong["line and whole tool differ"],
            **{f"edits of 60 records: {kind}": counts[kind] for kind in KINDS},
            "rollbacks of journal and its own checkpoints": counts["rollback"],
            "changes tried": tried,
            "changes that were not found": missed,
            "changes after which another than the first bad record was named": wrong[
                "another record is named"
            ],
            "clean logs": counts["clean"],
            "false alarms": wrong["a false alarm"],
        },
        notes=(
            "The judge is `docs/verify_ledger.py`, which shares no code with the ledger. A flip "
            "touches one line, and the tool stops at the first that is wrong: single bits are "
            "judged by its function for one line, and a sample by the whole tool.",
            f"Control: {counts['sound without a checkpoint']} restamped chains look sound without "
            f"a checkpoint, and {counts['sound by its own checkpoints']} rollbacks look sound by "
            "the checkpoints beside them; in both cases the exported one alone tells, and it "
            "names the record that was signed and not the one that was changed.",
            "Tamper-evident against anyone who cannot rewrite the exported checkpoint, and "
            "nothing stronger.",
        ),
    )
