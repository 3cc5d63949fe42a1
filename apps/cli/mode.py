"""`pmx mode`: what the books may send, who said so and why; and the switch itself."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError
from quant.execution.events import EVERY_BOOK, Mode, ModeChanged

if TYPE_CHECKING:
    from quant.execution.broker_events import BreakerChanged
    from quant.execution.event_base import Event
    from resources.desk import Desk
    from resources.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes(CommandResult):
    """The mode of the book in use, and everything that it follows from."""

    book: str
    mode: Mode
    changes: tuple[dict[str, str], ...]
    breakers: tuple[dict[str, str], ...]
    damage: str

    def render(self, console: Any) -> None:
        """The mode, then its reasons."""
        console.print(f"book {self.book} is in mode {self.mode.value}")
        for one in self.changes:
            scope = "every book" if one["scope"] == EVERY_BOOK else f"book {one['scope']}"
            console.print(
                f"  {scope}: {one['mode']} since {one['changed_at']} by {one['changed_by']}: "
                f"{one['reason']}",
                soft_wrap=True,
                markup=False,
            )
        for one in self.breakers:
            console.print(
                f"  breaker {one['breaker']} of {one['book']} tripped by {one['changed_by']}: "
                f"{one['reason']}",
                soft_wrap=True,
                markup=False,
            )
        if self.damage:
            console.print(f"  the ledger is damaged: {self.damage}", soft_wrap=True, markup=False)


def run(
    cli: Cli,
    mode: Annotated[
        Mode | None, typer.Argument(help="What may be sent from now on; nothing: only look.")
    ] = None,
    *,
    by: Annotated[str, typer.Option(help="Who; it is recorded.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    book: Annotated[str, typer.Option(help="One book; default: every book.")] = "",
    reset: Annotated[
        bool, typer.Option("--reset", help="Reset the breakers that have tripped, too.")
    ] = False,
) -> Modes:
    """Show the mode, or set it: normal, reduce (only smaller), pause, emergency (cancel all)."""
    from resources.desk import Desk

    if not (cli.settings.paths.ledger / "journal.jsonl").exists():
        raise UsageError(
            f"there is no ledger in {cli.settings.paths.ledger}",
            remedy="run pmx nightly or pmx demo, or name --home",
        )
    with Desk(cli.settings) as desk:
        if mode is not None or reset:
            _change(desk, mode, scope=book or EVERY_BOOK, by=by, reason=reason, resets=reset)
        with desk.ledger() as ledger:
            return _standing(ledger, book or desk.settings.book)


def _change(
    desk: "Desk", mode: Mode | None, *, scope: str, by: str, reason: str, resets: bool
) -> None:
    if not by.strip() or not reason.strip():
        raise UsageError(
            "a mode is changed by somebody and for a reason",
            remedy="add --by NAME --reason 'why': both stand in the ledger for good",
        )
    moment = desk.clock.now()
    with desk.ledger(write=True) as ledger:
        if scope != EVERY_BOOK:
            ledger.book(scope)  # raises where there is no such book
        events: list[Event] = []
        if mode is not None:
            events.append(
                ModeChanged(scope=scope, mode=mode, reason=reason, changed_by=by, changed_at=moment)
            )
        if resets:
            events += _resets(ledger, scope, by=by, reason=reason, moment=moment)
        ledger.append_all(events)


def _resets(
    ledger: "Ledger", scope: str, *, by: str, reason: str, moment: dt.datetime
) -> "Iterable[BreakerChanged]":
    from dataclasses import replace

    control = ledger.control()
    for one in control.breakers.values():
        if one.is_tripped and scope in {EVERY_BOOK, one.book}:
            yield replace(
                one,
                is_tripped=False,
                reason=reason,
                changed_by=by,
                changed_at=moment,
                sequence=one.sequence + 1,
            )


def _standing(ledger: "Ledger", book: str) -> Modes:
    control = ledger.control()
    last: dict[str, ModeChanged] = {}
    for event in ledger.mode_changes():
        if event.scope in {book, EVERY_BOOK}:
            last[event.scope] = event
    return Modes(
        book=book,
        mode=ledger.mode(book),
        changes=tuple(
            {
                "scope": one.scope,
                "mode": one.mode.value,
                "changed_at": f"{one.changed_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
                "changed_by": one.changed_by,
                "reason": one.reason,
            }
            for one in last.values()
        ),
        breakers=tuple(
            {
                "book": one.book,
                "breaker": one.breaker.value,
                "changed_by": one.changed_by,
                "reason": one.reason,
            }
            for one in control.tripped(book)
        ),
        damage=ledger.damage,
    )
