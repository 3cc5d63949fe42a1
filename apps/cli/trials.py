"""`pmx trials`: how many hypotheses were tried, and what that does to the best of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from quant.governance.trials import FamilyStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLine:
    """One family. Sharpe ratios are annualised; `luck` is what the best would show by chance."""

    family: str
    trials: int
    abandoned: int
    effective: float
    best_sharpe: float | None
    luck_sharpe: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials(CommandResult):
    """Every family that has had a trial."""

    families: tuple[FamilyLine, ...]

    def render(self, console: Any) -> None:
        """One line a family."""
        if not self.families:
            console.print("Nothing was tried yet.")
        for one in self.families:
            console.print(
                f"{one.family:<28} {one.trials:>6} trials, {one.abandoned} abandoned, worth "
                f"{one.effective:.1f}; best Sharpe ratio {_said(one.best_sharpe)}, "
                f"by luck alone {_said(one.luck_sharpe)}",
                markup=False,
                soft_wrap=True,
            )


def run(
    cli: Cli,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
) -> Trials:
    """Read the journal's count."""
    from quant.governance.trials import families
    from resources.governance_journal import GovernanceJournal

    journal = GovernanceJournal(cli.settings.paths.ledger)
    names = [name for name in families(journal.records()) if family in (None, name)]
    return Trials(families=tuple(_line(journal.standing(name)) for name in names))


def _line(standing: "FamilyStanding") -> FamilyLine:
    from quant.governance.overfitting import expected_best_sharpe
    from quant.portfolio.measures import SESSIONS_PER_YEAR

    year = SESSIONS_PER_YEAR**0.5
    deviation, best = standing.deviation, standing.best_sharpe
    luck = (
        expected_best_sharpe(trials=max(1.0, standing.effective), deviation=deviation) * year
        if deviation is not None
        else None
    )
    return FamilyLine(
        family=standing.family,
        trials=standing.opened,
        abandoned=standing.abandoned,
        effective=round(standing.effective, 3),
        best_sharpe=None if best is None else best * year,
        luck_sharpe=luck,
    )


def _said(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f}"
