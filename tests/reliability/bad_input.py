"""Goal 11: bad input, through every door, is one clear error; nothing is ordered or half written.

The corpus stands in `tests/reliability/bad`, one module a door. Every refusal is judged by the same
rules (`case.complaints`): typed, one printable paragraph, a documented exit code, the source and
the field by name, the class of the value in words, and what to do. One message of each kind is kept
in `golden_messages.txt`, where a person has read it.
"""

import hashlib
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from quant.core.identity import content_hash
from resources.desk import Desk
from resources.settings import Settings
from tests.reliability.bad import (
    answers,
    arguments,
    fault_files,
    policies,
    settings,
    tables,
    wire,
)
from tests.reliability.bad.case import HARMLESS, Case, Workshop, complaints
from tests.reliability.bad.fuzz import FuzzTally, fuzz
from tests.reliability.goal import Form, Found
from tests.support.quiet_pmx import environment, quiet_pmx

GOLDEN: Final = Path(__file__).with_name("golden_messages.txt")
# Folders of single cases are numbered in the order in which they were made.
_CASE: Final = re.compile(r"FOLDER/case\d+")
Corpus = Callable[[Workshop], Iterator[Case]]
# The doors, and which part of each the short form opens (the first case of a kind always).
DOORS: Final[Mapping[str, tuple[Corpus, int]]] = {
    "policy files": (policies.cases, 40),
    "bars and news": (tables.cases, 6),
    "vendors' answers": (answers.cases, 8),
    "venues' answers": (wire.cases, 24),
    "fault files": (fault_files.cases, 2),
    "settings": (settings.cases, 1),
    "command lines": (arguments.cases, 24),
}
FUZZ_SECONDS: Final[Mapping[Form, float]] = {Form.SHORT: 1.0, Form.LONG: 600.0}
# The corpus must not shrink behind the claim's back.
CASES_MIN: Final[Mapping[Form, int]] = {Form.SHORT: 500, Form.LONG: 5_000}
# How many in sixteen kinds of message are kept for a person to read.
SIXTEENTHS: Final[Mapping[str, int]] = {
    **{"policy": 5, "bars": 2, "news": 3, "vendor": 6, "wire": 3},
    **{"faults": 1, "environment": 1, "argument": 2},
}
SHOWN: Final = 5


@dataclass(slots=True)
class Tally:
    """What became of the corpus."""

    cases: Counter[str] = field(default_factory=Counter)
    tracebacks: int = 0
    # Answers that say the same without the field, or say that they do not know.
    harmless: int = 0
    unclear: list[str] = field(default_factory=list)
    # The first of each kind, as a person reads it, without what differs from run to run.
    messages: list[str] = field(default_factory=list)


def run(form: Form, *, fuzz_seconds: float | None = None, write_golden: bool = False) -> Found:
    """Every door with its wrong things; then good files, damaged at random.

    `write_golden` replaces the reviewed messages, for a person to read the difference.
    """
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        stack.enter_context(environment({}))
        stack.enter_context(warnings.catch_warnings())
        # Importing vendors' SDKs warns of their own dependencies.
        warnings.simplefilter("ignore")
        place = Path(folder)
        home = make_home(place / "home")
        before = footprint(home)
        shop = Workshop(folder=place, call=partial(quiet_pmx, home.home), stack=stack)
        tally = Tally()
        for door in DOORS:
            ask_all(tally, shop, door, form)
        written = len(before ^ footprint(home))
        seconds = FUZZ_SECONDS[form] if fuzz_seconds is None else fuzz_seconds
        found = fuzz(shop.new_folder(), seconds=seconds)
    if write_golden:
        GOLDEN.write_text("\n".join(golden(tally.messages)) + "\n", encoding="utf-8")
    return _found(form, tally, found, written)


def ask_all(tally: Tally, shop: Workshop, door: str, form: Form) -> None:
    """One door."""
    corpus, step = DOORS[door]
    seen: set[str] = set()
    for place, case in enumerate(corpus(shop)):
        is_first = case.sample not in seen
        seen.add(case.sample)
        if form is Form.SHORT and not is_first and place % step:
            continue
        refused = case.ask()
        tally.cases[door] += 1
        tally.tracebacks += refused is not None and refused.has_traceback
        if wrong := complaints(case, refused):
            tally.unclear.append(f"{case.name}: {', '.join(wrong)}: {refused}")
        tally.harmless += refused is not None and refused.kind == HARMLESS
        if is_first and refused is not None and refused.kind != HARMLESS:
            text = f"{refused.message} | {refused.remedy}".replace(str(shop.folder), "FOLDER")
            text = _CASE.sub("FOLDER", text)
            tally.messages.append(f"[{case.kind}] {case.sample}: {refused.kind}: {text}")


def make_home(home: Path) -> Settings:
    """A home with a warehouse and a ledger, whose tables nothing may touch."""
    made = Settings.from_env({"PMX_HOME": str(home), "PMX_WORKERS": "1"})
    with Desk(made) as desk:
        desk.warehouse.snapshot_id()
        with desk.ledger(write=True):
            pass
    return made


def footprint(made: Settings) -> set[tuple[str, str]]:
    """Every file of the home by its bytes, but for logs and what may be deleted at any time."""
    skipped = {made.paths.logs, made.paths.cache}
    return {
        (str(path.relative_to(made.home)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in made.home.rglob("*")
        if path.is_file() and not skipped & set(path.parents)
    }


def golden(messages: Iterable[str]) -> list[str]:
    """Some of each door, chosen by what they are about, so that a new kind moves no other."""
    return sorted(one for one in messages if _digit(one) < SIXTEENTHS[one[1 : one.index("]")]])


def _digit(message: str) -> int:
    return int(content_hash(message.split(": ")[:2])[0], 16)


def _found(form: Form, tally: Tally, fuzzed: FuzzTally, written: int) -> Found:
    count = sum(tally.cases.values())
    changed = set(golden(tally.messages)) ^ set(GOLDEN.read_text(encoding="utf-8").splitlines())
    holds = (
        count >= CASES_MIN[form]
        and not changed
        and not tally.unclear
        and not tally.tracebacks
        and not written
        and not fuzzed.crashes
    )
    shown = (*tally.unclear[:SHOWN], *sorted(changed)[:SHOWN], *fuzzed.crashes[:SHOWN])
    return Found(
        goal=11,
        title="Bad input gets a clear error",
        claim="every one of at least 500 wrong inputs is a typed error that names source, field, "
        "kind of value and remedy; no traceback, no order, nothing written",
        form=form,
        holds=holds,
        figures={
            "wrong inputs": count,
            **{f"of them: {door}": asked for door, asked in tally.cases.items()},
            "fields nobody reads, or told as not known": tally.harmless,
            "kinds of message": len(tally.messages),
            "messages that differ from the reviewed ones": len(changed),
            "unclear or taken": len(tally.unclear),
            "tracebacks": tally.tracebacks,
            "files of the home that changed": written,
            "damaged files (fuzz)": fuzzed.inputs,
            "of them refused": fuzzed.refused,
            "crashes (fuzz)": len(fuzzed.crashes),
        },
        notes=(
            "A field of a venue's answer that nobody reads, or without which the adapter says that "
            "it does not know, is counted apart: nothing is refused there and nothing claimed.",
            *shown,
        ),
    )
