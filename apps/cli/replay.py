"""`pmx replay ID --verify`: derive a decision again at its recorded snapshots."""

import dataclasses
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError

if TYPE_CHECKING:
    from apps.lineage.lakes import Lakes
    from apps.lineage.replay import Replayed
    from apps.lineage.subject import Subject

WIDTH = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays(CommandResult):
    """MATCH, or the first table that differs."""

    results: "tuple[Replayed, ...]"

    @property
    def failed(self) -> "tuple[Replayed, ...]":
        """The decisions that came out otherwise."""
        return tuple(one for one in self.results if not one.match)

    @property
    def exit_code(self) -> int:
        """1 when anything differs."""
        return 1 if self.failed else 0

    def to_json(self) -> dict[str, Any]:
        """The verdict first, then every decision."""
        first = self.failed[0].first_difference if self.failed else None
        return {
            "verdict": "DIFFERS" if self.failed else "MATCH",
            "match": not self.failed,
            "first_difference": first,
            "decisions": len(self.results),
            "matches": len(self.results) - len(self.failed),
            "results": [
                {item.name: getattr(one, item.name) for item in dataclasses.fields(one)}
                for one in self.results
            ],
        }

    def render(self, console: Any) -> None:
        """One decision in full; of many the differing ones and a count."""
        if len(self.results) == 1:
            _render_one(console, self.results[0])
            return
        for one in self.failed:
            _render_one(console, one)
            console.print("")
        for note in dict.fromkeys(note for one in self.results for note in one.notes):
            _wrapped(console, f"note: {note}")
        matches = len(self.results) - len(self.failed)
        word = "DIFFERS" if self.failed else "MATCH"
        console.print(f"{word}: {matches} of {len(self.results)} fills come out as recorded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(CommandResult):
    """What --verify would derive; nothing has been."""

    id: str
    decision_id: str
    verified: bool
    would_verify: list[tuple[str, int | None]]

    def render(self, console: Any) -> None:
        """The tables in flow order, and how to go on."""
        console.print(f"{self.id} would be derived again in this order:")
        for table, snapshot in self.would_verify:
            console.print(f"  {table:<24} from snapshot {snapshot}")
        console.print(f"nothing was derived yet: pmx replay {self.id} --verify")


def run(
    cli: Cli,
    identity: Annotated[
        str, typer.Argument(metavar="[ID]", help="As for `pmx why`; left out with --all.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Derive and compare; without it, print the plan.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every fill of the book, instead of one ID.")
    ] = False,
) -> CommandResult:
    """Derive what was asked for; reads the past, writes nothing."""
    from apps.lineage.lakes import open_lakes
    from resources.desk import Desk

    if every == bool(identity):
        raise UsageError(
            "name one id, or use --all",
            remedy="pmx replay ID --verify, or pmx replay --all --verify",
        )
    # Fits come out the same on any number of processes; one needs no start-up.
    settings = dataclasses.replace(cli.settings, workers=1)
    with Desk(settings) as desk, open_lakes(desk) as lakes:
        subjects = _subjects(lakes, identity)
        if not verify:
            return _plan(lakes, subjects[0])
        return _replayed(cli, lakes, subjects)


def _subjects(lakes: "Lakes", identity: str) -> "Sequence[Subject]":
    from apps.lineage.subject import fill_subjects, find_subject

    if identity:
        return [find_subject(lakes, identity)]
    subjects = fill_subjects(lakes.desk)
    if not subjects:
        book = lakes.desk.settings.book
        raise UsageError(f"the book {book} has no fills yet", remedy="run `pmx demo` first")
    return subjects


def _plan(lakes: "Lakes", subject: "Subject") -> Plan:
    from apps.lineage.replay import planned
    from apps.lineage.trail import Nights, Trail

    trail = Trail(subject, Nights(lakes))
    return Plan(
        id=subject.id,
        decision_id=subject.decision_id,
        verified=False,
        would_verify=planned(trail),
    )


def _replayed(cli: Cli, lakes: "Lakes", subjects: "Sequence[Subject]") -> Replays:
    from apps.lineage.replay import Replay

    replays = Replay(lakes).run(subjects)
    found = tuple(cli.console.track(replays, "deriving again", total=len(subjects)))
    return Replays(results=found)


def _render_one(console: Any, one: "Replayed") -> None:
    console.print(f"{one.kind} {one.id}")
    console.print(f"decision {one.decision_id}")
    difference = one.first_difference
    tables = [table for table in one.checked if difference is None or table != difference.table]
    for table in tables:
        console.print(f"  same     {table}")
    if difference is not None:
        console.print(f"  DIFFERS  {difference.table}  {difference.key}", style="bold")
        if difference.column:
            console.print(f"           column   {difference.column}")
            console.print(f"           stored   {_shown(difference.stored)}")
            console.print(f"           derived  {_shown(difference.derived)}")
        for line in textwrap.wrap(difference.says, WIDTH - 11):
            console.print(f"           {line}")
    for note in one.notes:
        _wrapped(console, f"note: {note}")
    verdict = "MATCH" if one.match else f"DIFFERS: {difference.table if difference else ''}"
    console.print(verdict, style="bold")


def _wrapped(console: Any, text: str) -> None:
    for line in textwrap.wrap(text, WIDTH, subsequent_indent="      "):
        console.print(line)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, float | str) else str(value)
