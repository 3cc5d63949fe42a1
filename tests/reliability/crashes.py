"""Goal 6: what was acknowledged survives, and nothing is sent twice, whenever a process dies.

Belongs here: the proof's figures. What dies, and how, is in `crash_points` (processes) and
`lost_writes` (files).
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.reliability import lost_writes
from tests.reliability.goal import Form, Found

ROOT = Path(__file__).parents[2]
SEED = 6
KILLS_MIN = {Form.SHORT: 15, Form.LONG: 500}
CUTS = {Form.SHORT: 20, Form.LONG: 1_000}
HARMS = {Form.SHORT: 16, Form.LONG: 1_000}
LOST = ("an acknowledged record is lost", "an acknowledged record is lost to a power cut")
GAPS = ("a journal has a gap", "a journal is damaged", "a ledger is damaged after a power cut")
BELIEVED = (
    "damage was not found",
    "damage stayed in the tables",
    "damage was taken for a writer's death",
    "a reader believed damage",
)
DOUBLED = "an intent became two orders"


def run(form: Form) -> Found:
    """Killed processes first, in a process that has no threads; then files."""
    with tempfile.TemporaryDirectory(prefix="pmx-crashes-") as name:
        work = Path(name)
        for part in ("killed", "cut", "harmed"):
            (work / part).mkdir()
        counts, wrong = _killed(work / "killed", form)
        score = lost_writes.Score(SEED)
        lost_writes.cut_power(work / "cut", score, times=CUTS[form], commits=40)
        lost_writes.damage_tables(work / "harmed", score, times=HARMS[form])
    return _found(form, counts + score.counts, +(wrong + score.wrong))


def _killed(work: Path, form: Form) -> tuple[Counter[str], Counter[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.crash_points", str(work), form, str(SEED)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    return Counter(told["counts"]), Counter(told["wrong"])


def _found(form: Form, counts: Counter[str], wrong: Counter[str]) -> Found:
    kills = {name: count for name, count in sorted(counts.items()) if name.startswith("kills ")}
    lost = sum(wrong[one] for one in LOST)
    gaps = sum(wrong[one] for one in GAPS)
    believed = sum(wrong[one] for one in BELIEVED)
    others = wrong.total() - lost - gaps - believed - wrong[DOUBLED]
    harms = {f"tables harmed: {one}": counts[one] for one in sorted(counts) if "sqlite" in one}
    return Found(
        goal=6,
        title="Crash safety",
        claim="A process may be killed at any step, in its recovery too, the power may go and a "
        "disk may spoil the tables: no acknowledged record is lost, the journal has no gap, no "
        "intent becomes two orders, and damaged tables are never believed.",
        form=form,
        holds=not wrong and counts["kills"] >= KILLS_MIN[form],
        figures={
            "seed": SEED,
            "kills (signal 9)": counts["kills"],
            **kills,
            "acknowledged records, told by those that died": counts["acknowledged records"],
            "acknowledged records that were lost": lost,
            "gaps and damage in journals": gaps,
            "orders at the venue": counts["orders at the venue"],
            "intents that became two orders": wrong[DOUBLED],
            "order desks that ended as if never killed": counts[
                "order desks that ended as if never killed"
            ],
            "intents that a restart refused on record": counts["intents refused after a restart"],
            "power cuts that dropped what was not synced": counts["power cuts"],
            "of these, with a torn tail cut off": counts["torn tails cut off"],
            "of these, refused until salvaged": counts["refused until salvaged"],
            **harms,
            "damaged or unsealed tables derived again": counts["derived again"],
            "damaged tables that were believed": believed,
            "anything wrong beside these": others,
        },
        notes=(
            "The paper session and the order desk die at each of their steps: before, within, "
            "between and after every write, fsync and commit, and before and after every request. "
            "The desk speaks through alpaca-py to a simulated venue in another process, which "
            "outlives it and whose books are the judge; each life begins as a restart does. Half "
            "of the desk's recoveries, and three of every paper session's, are killed as well.",
            "A power cut is replayed from the log of a journal's writes and fsyncs: everything "
            "after the last fsync is gone, there, there in part or a hole of zeros. Zeros before "
            "the end of a line look like damage: then the ledger refuses until a person salvages "
            "it, and still has everything that was acknowledged.",
            "Half of the damaged tables were closed, half lay as their writer had died; both are "
            "derived again. A reader finds damage in tables that were closed; beside a writer "
            "that died it believes the tables until the next writer comes.",
            *(f"Wrong {count} times: {what}." for what, count in sorted(wrong.items())),
        ),
    )
