"""`pmx llm show`: the language models, what they said, and what that cost."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from resources.desk import Desk
    from resources.language.costs import Spent
    from resources.language.status import ModelStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModels(CommandResult):
    """Every model of llm.yaml, its calls, and how its answers ended."""

    status: str
    models: tuple["ModelStatus", ...]
    spent: tuple["Spent", ...]
    outcomes: dict[str, int]

    def render(self, console: Any) -> None:
        """The sentence, a line a model, then calls and outcomes."""
        console.print(self.status, soft_wrap=True)
        for one in self.models:
            listens = {None: "not asked", True: "listens", False: "nobody there"}[one.is_listening]
            state = "on " if one.is_on else "off"
            console.print(f"  {state} {one.name:<12} {one.model} at {one.base_url}: {listens}")
        for sum_ in self.spent:
            console.print(
                f"{sum_.model}: {sum_.calls} calls, {sum_.answered} answered, "
                f"{sum_.prompt_tokens} + {sum_.answer_tokens} tokens, {sum_.seconds:.1f} s, "
                f"{sum_.cost_usd:.4f} USD"
            )
        for outcome, count in self.outcomes.items():
            console.print(f"{count:>7} {outcome}")


def show(
    cli: Cli,
    since: Annotated[
        str | None, typer.Option(help="Only sessions from this day on (YYYY-MM-DD).")
    ] = None,
) -> LanguageModels:
    """Print the models and their record; no model is asked anything."""
    from resources.desk import Desk
    from resources.language.costs import CostLedger
    from resources.language.policy import LlmPolicy
    from resources.language.status import model_statuses, sentence

    first = day(since, option="--since") if since else None
    with Desk(cli.settings) as desk:
        models = model_statuses(desk.policy("llm", LlmPolicy), desk.flags.current().models)
        outcomes = _outcomes(desk, first) if cli.settings.paths.catalog.exists() else {}
    ledger = CostLedger(cli.settings.paths.language / "costs.jsonl")
    return LanguageModels(
        status=sentence(models),
        models=models,
        spent=ledger.spent(since=first),
        outcomes=outcomes,
    )


def _outcomes(desk: "Desk", since: dt.date | None) -> dict[str, int]:
    rows = desk.warehouse.rows(
        "SELECT model || ': ' || outcome, count(*) FROM signal.llm_answers "
        "WHERE $1::DATE IS NULL OR session >= $1 GROUP BY ALL ORDER BY ALL",
        [since],
    )
    return dict(rows)
