"""`pmx models`: who leads, on which certificate; certify, promote, roll back."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from assets.governing import Acted


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """One model: its role, its newest certificate, and why it could not lead today."""

    model: str
    role: str
    certificate: str
    outcome: str
    valid_until: str
    objection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Models(CommandResult):
    """Every model that has forecasts, a role or a certificate."""

    champion: str
    models: tuple[ModelLine, ...]

    def render(self, console: Any) -> None:
        """One line a model."""
        console.print(f"Champion: {self.champion or 'nobody'}")
        console.print(
            f"{'model':<16} {'role':<11} {'certificate':<15} may it lead?", soft_wrap=True
        )
        for one in self.models:
            said = one.objection or f"may lead until {one.valid_until}"
            outcome = one.outcome or "-"
            console.print(
                f"{one.model:<16} {one.role or '-':<11} {outcome:<15} {said}",
                markup=False,
                soft_wrap=True,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified(CommandResult):
    """A certificate with every gate."""

    subject: str
    session: str
    valid_until: str
    outcome: str
    certificate_hash: str
    key_id: str
    trials: float
    reason: str
    gates: tuple[dict[str, Any], ...]

    @property
    def exit_code(self) -> int:
        """0 for PASS only."""
        return exit_codes.OK if self.outcome == "PASS" else exit_codes.DOES_NOT_HOLD

    def render(self, console: Any) -> None:
        """One line a gate, then where all of them can be looked up."""
        from quant.governance.certification import GATE_WORDS, plain_value

        for gate in self.gates:
            mark = "pass" if gate["passed"] else "FAIL"
            asked = f"{gate['bound']} {gate['limit']:g}"
            console.print(
                f"{mark}  {plain_value(gate['value']):>9}  {asked:<14}  {GATE_WORDS[gate['gate']]}",
                markup=False,
                soft_wrap=True,
            )
            if "looks ahead" in gate["words"]:
                console.print(f"      {gate['words']}", markup=False, soft_wrap=True)
        for evidence in dict.fromkeys(gate["evidence"] for gate in self.gates):
            console.print(f"see   {evidence}", markup=False, soft_wrap=True)
        signed = f"signed by {self.key_id}" if self.key_id else "not signed"
        console.print(
            f"{self.subject}: {self.outcome} on {self.session}, discounted by {self.trials:.1f} "
            f"independent trials; certificate {self.certificate_hash}, {signed}",
            soft_wrap=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAct(CommandResult):
    """What was done."""

    model: str
    role: str
    reason: str
    is_change: bool
    aliases: dict[str, str]
    registry_problem: str

    def render(self, console: Any) -> None:
        """What was done, then what MLflow shows."""
        known = f"{self.model} is {self.role or 'without a role'}: " if self.model else ""
        console.print(known + self.reason, soft_wrap=True)
        for model, said in self.aliases.items():
            console.print(f"  MLflow, {model}: {said}", markup=False, soft_wrap=True)
        if self.registry_problem:
            console.print(self.registry_problem, soft_wrap=True)


By = Annotated[str, typer.Option("--by", help="Who does this; it is recorded.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
Name = Annotated[str, typer.Argument(help="A model, such as garch.")]


def show(cli: Cli) -> Models:
    """Read the journal; MLflow is not asked."""
    from assets.governing import certificates, journal_of, newest_session, objections
    from quant.governance.selection import champion, roles
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        records = journal_of(desk).records()
        scored = desk.warehouse.rows("SELECT DISTINCT model FROM audit.forecast_scores")
        held, issued = roles(records), certificates(records)
        names = sorted({*(name for (name,) in scored), *held, *issued})
        why = objections(desk, names, on=newest_session(desk), records=records) if names else {}
    lines = [
        ModelLine(
            model=name,
            role=held[name].value if name in held else "",
            certificate=issued[name].certificate_hash if name in issued else "",
            outcome=issued[name].outcome if name in issued else "",
            valid_until=_until(issued[name].text) if name in issued else "",
            objection=why[name],
        )
        for name in names
    ]
    return Models(champion=champion(records), models=tuple(lines))


def certify(cli: Cli, model: Name, by: By = "person") -> Certified:
    """Judge a model by every gate and write the certificate down, whatever it says."""
    from assets.governing import certify_model
    from resources.desk import Desk

    with Desk(cli.settings) as desk, cli.console.progress("judging", total=1) as progress:
        found = certify_model(desk, model, actor=by)
        progress.advance()
    return Certified(
        subject=found.subject,
        session=found.session.isoformat(),
        valid_until=found.valid_until.isoformat(),
        outcome=found.outcome.value,
        certificate_hash=found.content_hash,
        key_id=found.key_id,
        trials=found.trials,
        reason=found.reason,
        gates=tuple(asdict(gate) for gate in found.gates),
    )


def promote(
    cli: Cli,
    model: Name,
    role: Annotated[str, typer.Option(help="champion, challenger or shadow.")] = "champion",
    by: By = "person",
    reason: Reason = "",
) -> RoleAct:
    """Give a model a role; a champion needs a certificate that counts today."""
    from assets.governing import promote as act
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        return _told(act(desk, model, actor=by, reason=reason, role=role))


def rollback(cli: Cli, by: By = "person", reason: Reason = "asked for") -> RoleAct:
    """Back to the champion before this one, if its certificate still counts."""
    from assets.governing import roll_back
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        return _told(roll_back(desk, actor=by, reason=reason))


def sync(cli: Cli) -> RoleAct:
    """Make MLflow's aliases say what the journal says."""
    from assets.governing import show_roles
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        return _told(show_roles(desk))


def _told(acted: "Acted") -> RoleAct:
    return RoleAct(
        model=acted.model,
        role=acted.role,
        reason=acted.reason,
        is_change=acted.is_change,
        aliases=dict(acted.aliases),
        registry_problem=acted.registry_problem,
    )


def _until(text: str) -> str:
    import json

    return str(json.loads(text)["valid_until"])
