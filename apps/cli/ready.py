"""`pmx ready`: go or no-go, each line with its value and where to look."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError

if TYPE_CHECKING:
    from quant.governance.audits import AuditDecision
    from quant.governance.readiness import Facts, Line
    from resources.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(CommandResult):
    """The list."""

    stage: str
    is_ready: bool
    lines: "tuple[Line, ...]"

    @property
    def exit_code(self) -> int:
        """1 when any line fails."""
        return exit_codes.OK if self.is_ready else exit_codes.DOES_NOT_HOLD

    def render(self, console: Any) -> None:
        """One line each."""
        for line in self.lines:
            console.print(
                f"{'pass' if line.passed else 'FAIL'}  {line.name}: {line.value}; asked: "
                f"{line.asked}  [{line.evidence}]",
                markup=False,
                soft_wrap=True,
            )
        missing = sum(not line.passed for line in self.lines)
        console.print("GO" if self.is_ready else f"NO-GO: {missing} of {len(self.lines)} fail")


def run(
    cli: Cli,
    stage: Annotated[str, typer.Option(help="tuning or go.")] = "go",
    record: Annotated[
        str | None, typer.Option(help="First put a decision on record, such as barbell=off.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it was decided so.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who decided; it is recorded.")] = "person",
) -> Ready:
    """Look at everything; what is not known fails."""
    from assets.governing import gates_of
    from quant.governance.readiness import checklist
    from resources.desk import Desk

    if stage not in ("tuning", "go"):
        raise UsageError(
            f"there is no stage {stage!r}", remedy="write --stage tuning or --stage go"
        )
    with Desk(cli.settings) as desk:
        if record is not None:
            _record(desk, record, reason=reason, actor=by)
        facts = _facts(desk)
        lines = checklist(facts, gates_of(desk).readiness, stage=stage)  # type: ignore[arg-type]
    return Ready(stage=stage, is_ready=all(line.passed for line in lines), lines=tuple(lines))


def _facts(desk: "Desk") -> "Facts":
    from apps.book_facts import book_facts, naive_time_columns
    from assets.governing import journal_of
    from quant.governance.readiness import Facts
    from quant.governance.records import ChoiceRecorded

    book = book_facts(desk)
    tables, naive = naive_time_columns(desk)
    rows = desk.warehouse.rows(
        "SELECT avg(direction_hit) FROM audit.forecast_scores "
        "WHERE model = 'combined' AND horizon_days = 1 AND NOT isnan(direction_hit)"
    )
    choices = {
        one.topic: f"{one.choice}: {one.reason}"
        for one in journal_of(desk).records()
        if isinstance(one, ChoiceRecorded)
    }
    return Facts(
        audits=_audits(desk),
        trades=book.trades,
        fills=book.fills,
        fills_attributed=book.attributed,
        directional_accuracy=rows[0][0] if rows else None,
        tables=tables,
        naive_time_columns=naive,
        choices=choices,
    )


def _audits(desk: "Desk") -> "AuditDecision | None":
    """The gate over the latest audits of the combined forecast, as many as the list asks for."""
    from assets.governing import gates_of
    from quant.governance.audits import Audit, decide

    policy = gates_of(desk)
    names = ("session", "baseline", "horizon_days", "observations", "rmse", "rmse_baseline")
    rows = desk.warehouse.rows(
        f"SELECT {', '.join(names)} FROM audit.model_audits WHERE model = 'combined' "
        "ORDER BY session DESC LIMIT ?",
        [policy.readiness.audits_min],
    )
    audits = [Audit(model="combined", **dict(zip(names, row, strict=True))) for row in rows]
    return decide(audits, policy) if audits else None


def _record(desk: "Desk", text: str, *, reason: str, actor: str) -> None:
    from assets.governing import journal_of
    from quant.governance.readiness import CHOICES
    from quant.governance.records import ChoiceRecorded

    topic, _, choice = text.partition("=")
    if topic not in CHOICES or choice not in {"on", "off"} or not reason.strip():
        raise UsageError(
            f"{text[:40]!r} is no decision with a reason",
            remedy=f"--record TOPIC=on|off --reason WHY, of {', '.join(CHOICES)}",
        )
    journal_of(desk).append(
        [
            ChoiceRecorded(
                topic=topic,
                choice=choice,
                reason=reason,
                actor=actor,
                recorded_at=desk.clock.now(),
            )
        ]
    )
