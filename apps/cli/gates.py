"""`pmx gates`: the limits in force, and the two steps by which one is loosened."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates(CommandResult):
    """Limits in force by key; `held_back` has the looser value of the file that does not hold."""

    is_accepted: bool
    in_force: dict[str, float]
    held_back: dict[str, float]
    note: str = ""

    def render(self, console: Any) -> None:
        """One line a limit."""
        for key, value in self.in_force.items():
            more = f"  (the file says {self.held_back[key]:g})" if key in self.held_back else ""
            console.print(f"{key:<48} {value:g}{more}", markup=False, soft_wrap=True)
        if self.note:
            console.print(self.note, soft_wrap=True)


By = Annotated[str, typer.Option("--by", help="Who; it is recorded.")]


def show(cli: Cli) -> Gates:
    """What is judged by, and what of config/gates.yaml does not hold yet."""
    return _standing(cli, "")


def loosen(cli: Cli, by: By, reason: Annotated[str, typer.Option(help="Why.")]) -> Gates:
    """Ask for the looser values of config/gates.yaml; they hold after a pause and a second yes."""
    from assets.governing import accept_gates, journal_of
    from quant.governance.audits import GatesPolicy
    from quant.governance.gate_changes import request_loosening
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        accept_gates(desk, actor=by)
        journal = journal_of(desk)
        file = desk.policy("gates", GatesPolicy)
        asked = request_loosening(
            file, journal.records(), now=desk.clock.now(), actor=by, reason=reason
        )
        journal.append([asked])
    pause = dt.timedelta(hours=file.loosening_cooling_off_hours)
    return _standing(
        cli,
        f"asked for; confirm after {asked.requested_at + pause:%Y-%m-%d %H:%M} UTC with "
        "pmx gates confirm",
    )


def confirm(cli: Cli, by: By) -> Gates:
    """The second yes, once the pause is over."""
    from assets.governing import journal_of
    from quant.governance.audits import GatesPolicy
    from quant.governance.gate_changes import confirm_loosening
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        journal = journal_of(desk)
        file = desk.policy("gates", GatesPolicy)
        journal.append(confirm_loosening(file, journal.records(), now=desk.clock.now(), actor=by))
    return _standing(cli, "the looser values hold from now on")


def _standing(cli: Cli, note: str) -> Gates:
    from assets.governing import journal_of, standing_gates
    from quant.governance.gate_policy import flat
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        found = standing_gates(desk, journal_of(desk).records())
    return Gates(
        is_accepted=found.is_accepted,
        in_force=flat(found.policy),
        held_back={key: new for key, (_old, new) in found.held_back.items()},
        note=note,
    )
