"""`pmx audit`: sprints of forecast audits, and two arms side by side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.days import day
from apps.cli.result import Cli, CommandResult
from quant.market.symbols import check_symbol

if TYPE_CHECKING:
    from quant.governance.audits import Audit
    from resources.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprint(CommandResult):
    """A sprint's answer; money is of the book's own trades in the sprint's sessions."""

    model: str
    arm: str
    first_session: str
    last_session: str
    asked: int
    counted: int
    effective_audits: int
    decision: str
    violation_rate: float | None
    lift_fraction: float | None
    reason: str
    closed_trades: int
    profit_per_trade: str | None
    premature_exits: int
    fills: int
    fills_attributed: int

    @property
    def exit_code(self) -> int:
        """0 for KEEP only: anything else is no permission."""
        return exit_codes.OK if self.decision == "KEEP" else exit_codes.DOES_NOT_HOLD

    def render(self, console: Any) -> None:
        """The decision first."""
        arm = f" ({self.arm})" if self.arm else ""
        console.print(f"{self.model}{arm}: {self.decision}. {self.reason}", soft_wrap=True)
        console.print(
            f"{self.counted} of {self.asked} audits, {self.first_session} to {self.last_session}; "
            f"{self.effective_audits} effective.",
            soft_wrap=True,
        )
        if self.lift_fraction is not None:
            better = "smaller" if self.lift_fraction >= 0 else "larger"
            console.print(
                f"Error {abs(self.lift_fraction):.2%} {better} than that of each session's best "
                "single model, which is known only afterwards.",
                soft_wrap=True,
            )
        console.print(
            f"{self.closed_trades} trades closed in these sessions, "
            f"{self.profit_per_trade or 'no'} net profit each, "
            f"{self.premature_exits} before their horizon; "
            f"{self.fills_attributed} of the book's {self.fills} fills lead to their signal.",
            soft_wrap=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms(CommandResult):
    """Two paired sprints."""

    model: str
    arm_a: str
    arm_b: str
    pairs: int
    uplift_fraction: float | None
    p_value: float | None
    winner: str
    reason: str

    @property
    def exit_code(self) -> int:
        """1 when neither arm won."""
        return exit_codes.OK if self.winner else exit_codes.DOES_NOT_HOLD

    def render(self, console: Any) -> None:
        """Who won, and why."""
        console.print(f"{self.winner or 'Neither'} wins: {self.reason}", soft_wrap=True)


Audits = Annotated[int, typer.Option(min=1, max=2500, help="How many of the latest windows.")]
Symbols = Annotated[
    str | None, typer.Option(help="Only these, with commas; default: the universe.")
]
Model = Annotated[str, typer.Option(help="Whose forecasts are audited.")]


def sprint(
    cli: Cli,
    audits: Audits = 20,
    symbols: Symbols = None,
    arm: Annotated[str, typer.Option(help="A flag's side, such as regime=on.")] = "",
    model: Model = "combined",
    compute: Annotated[
        str | None,
        typer.Option(help="First compute what is missing up to this day (YYYY-MM-DD)."),
    ] = None,
) -> Sprint:
    """Count the latest audits and decide; the same window is the same audit, always."""
    from apps.sprints import compute_missing
    from resources.desk import Desk

    if compute is not None:
        with cli.console.progress("research of the sprint's sessions") as progress:
            compute_missing(
                cli.settings,
                until=day(compute, option="--compute"),
                audits=audits,
                on_step=lambda words: progress.advance(note=words),
            )
    with Desk(cli.settings) as desk:
        names = _symbols(desk, symbols)
        found = _run(cli, desk, model=model, arm=arm, audits=audits, symbols=names)
        return _answer(desk, found, arm=arm, asked=audits)


def compare(
    cli: Cli,
    flag: Annotated[str, typer.Argument(help="A flag, such as regime.")],
    audits: Audits = 20,
    symbols: Symbols = None,
    model: Model = "combined",
) -> Arms:
    """Audit both sides of a flag over the same windows; more than a tenth better wins."""
    from assets.governing import gates_of
    from quant.governance.sprints import compare_arms
    from resources.desk import Desk

    arms = (f"{flag}=off", f"{flag}=on")
    with Desk(cli.settings) as desk:
        names = _symbols(desk, symbols)
        sides = [
            _run(cli, desk, model=model, arm=arm, audits=audits, symbols=names) for arm in arms
        ]
        found = compare_arms(sides[0], sides[1], arms=arms, policy=gates_of(desk))
    return Arms(
        model=model,
        arm_a=found.arm_a,
        arm_b=found.arm_b,
        pairs=found.pairs,
        uplift_fraction=found.uplift_fraction,
        p_value=found.test.p_value if found.test else None,
        winner=found.winner,
        reason=found.reason,
    )


def _run(
    cli: Cli, desk: "Desk", *, model: str, arm: str, audits: int, symbols: list[str]
) -> "list[Audit]":
    from apps.sprints import run_sprint

    with cli.console.progress("auditing", total=audits) as progress:
        return run_sprint(
            desk, model=model, arm=arm, asked=audits, symbols=symbols, on_audit=progress.advance
        )


def _symbols(desk: "Desk", text: str | None) -> list[str]:
    if text is None:
        return sorted(desk.universe.symbols)
    return sorted({check_symbol(name.strip()).upper() for name in text.split(",")})


def _answer(desk: "Desk", audits: "list[Audit]", *, arm: str, asked: int) -> Sprint:
    from apps.book_facts import book_facts
    from assets.governing import gates_of
    from quant.governance.sprints import sprint as decide_sprint
    from quant.market.calendars import sessions
    from quant.portfolio.trades import trade_statistics
    from quant.signals.edge import EdgePolicy

    found = decide_sprint(audits, arm=arm, asked=asked, policy=gates_of(desk))
    first, last = audits[0].session, audits[-1].session
    facts = book_facts(desk)
    closed = facts.closed_between(first, last)
    money = trade_statistics(closed)
    horizon, calendar = desk.policy("signals", EdgePolicy).horizon_days, desk.universe.calendar
    per_trade = money.net_profit / money.count if money.count else None
    return Sprint(
        model=found.model,
        arm=arm,
        first_session=first.isoformat(),
        last_session=last.isoformat(),
        asked=asked,
        counted=found.counted,
        effective_audits=found.decision.effective_audits,
        decision=found.decision.outcome.value,
        violation_rate=found.decision.violation_rate,
        lift_fraction=found.lift_fraction,
        reason=found.decision.reason,
        closed_trades=money.count,
        profit_per_trade=None if per_trade is None else f"{per_trade:.2f}",
        premature_exits=sum(
            len(sessions(calendar, one.opened, one.closed)) - 1 < horizon for one in closed
        ),
        fills=facts.fills,
        fills_attributed=facts.attributed,
    )
