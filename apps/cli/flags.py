"""`pmx flags set` and `pmx flags show`: which models may be traded on, and who decided that."""

import datetime as dt
import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError

if TYPE_CHECKING:
    from resources.flags import FlagChange

_WORDS = {"on": True, "off": False}
# Sessions whose routing `show` counts.
_ROUTED_SESSIONS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSet(CommandResult):
    """What a switch was moved to."""

    model: str
    is_on: bool
    was_changed: bool
    changed_by: str
    effective_within_seconds: int
    file: str

    def render(self, console: Any) -> None:
        """One sentence."""
        word = "on" if self.is_on else "off"
        if not self.was_changed:
            console.print(f"{self.model} was {word} already; nothing was changed.")
            return
        console.print(
            f"{self.model} is {word}. Running processes see it within "
            f"{self.effective_within_seconds} seconds; the next night decides with it."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags(CommandResult):
    """The switches now, their history, and what the router made of them."""

    models: dict[str, bool]
    changes: tuple[Mapping[str, Any], ...]
    routed: dict[str, int]
    routed_since: dt.date | None

    def render(self, console: Any) -> None:
        """Switches, then changes, newest last, then routing."""
        for model, is_on in self.models.items():
            console.print(f"  {'on ' if is_on else 'off'}  {model}")
        for one in self.changes:
            word = "on" if one["after"] else "off"
            why = f": {one['reason']}" if one["reason"] else ""
            console.print(
                f"{one['changed_at'][:19]}Z {one['changed_by']} switched "
                f"{one['model']} {word}{why}",
                soft_wrap=True,
                markup=False,
            )
        for model, count in self.routed.items():
            console.print(f"{count:>7} signals routed to {model} since {self.routed_since}")


def set_(
    cli: Cli,
    model: Annotated[str, typer.Argument(help="Such as sarimax.")],
    state: Annotated[str, typer.Argument(help="on or off.", metavar="on|off")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the change.")] = "",
) -> FlagSet:
    """Move the switch of a model, and record who did it when."""
    from quant.core.clock import SystemClock
    from quant.signals.strategies import StrategiesPolicy
    from resources.desk import Desk
    from resources.flags import FILE_NAME, set_flag

    if state not in _WORDS:
        raise UsageError(f"{state!r} is neither on nor off", remedy=f"pmx flags set {model} off")
    with Desk(cli.settings) as desk:
        strategies = desk.policy("strategies", StrategiesPolicy).strategies
        known = set(desk.flags.current().models)
        known |= {name for strategy in strategies for name in strategy.models}
        if model not in known:
            raise UsageError(
                f"no strategy knows a model {model!r}",
                remedy=f"choose one of: {', '.join(sorted(known))}",
            )
        change = set_flag(
            cli.settings.config_dir,
            desk.flags_record,
            model,
            is_on=_WORDS[state],
            changed_by=getpass.getuser(),
            reason=reason,
            now=SystemClock().now(),
        )
        seconds = desk.flags.current().recheck_seconds
    return FlagSet(
        model=model,
        is_on=_WORDS[state],
        was_changed=change is not None,
        changed_by=getpass.getuser(),
        effective_within_seconds=seconds,
        file=str(cli.settings.config_dir / FILE_NAME),
    )


def show(cli: Cli) -> Flags:
    """Print the switches, who moved them, and how signals were routed."""
    from resources.desk import Desk
    from resources.flags import history

    with Desk(cli.settings) as desk:
        models = dict(sorted(desk.flags.current().models.items()))
        changes = tuple(_told(change) for change in history(desk.flags_record))
        since, routed = _routing(desk) if cli.settings.paths.catalog.exists() else (None, {})
    return Flags(models=models, changes=changes, routed=routed, routed_since=since)


def _told(change: "FlagChange") -> dict[str, Any]:
    names = ("model", "before", "after", "changed_by", "changed_at", "reason")
    return {name: getattr(change, name) for name in names}


def _routing(desk: Any) -> tuple[dt.date | None, dict[str, int]]:
    rows = desk.warehouse.rows(
        "WITH recent AS (SELECT DISTINCT session FROM signal.daily_signals "
        "ORDER BY session DESC LIMIT ?) "
        "SELECT min(session), coalesce(nullif(source_model, ''), 'none'), count(*) "
        "FROM signal.daily_signals WHERE session IN (SELECT session FROM recent) "
        "GROUP BY ALL ORDER BY ALL",
        [_ROUTED_SESSIONS],
    )
    counts: dict[str, int] = {}
    for _, model, count in rows:
        counts[model] = counts.get(model, 0) + count
    return min((row[0] for row in rows), default=None), counts
