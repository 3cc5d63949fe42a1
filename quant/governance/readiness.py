"""Go or no-go: a list in which every line has its value, its limit and its evidence.

Belongs here: the lines and what each asks. Does not belong here: reading the records. What is not
known fails: a list that passes because nobody looked is worth nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from quant.governance.audits import AuditDecision, AuditOutcome
from quant.governance.gate_policy import ReadinessPolicy
from quant.portfolio.trades import ClosedTrade, trade_statistics

Stage = Literal["tuning", "go"]

# Decisions that must be on record, whichever way they went.
CHOICES: Final = ("barbell", "frontier", "regime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the list."""

    name: str
    passed: bool
    value: str
    asked: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the list is about; None is "not known"."""

    audits: AuditDecision | None
    trades: Sequence[ClosedTrade]
    fills: int
    fills_attributed: int
    directional_accuracy: float | None
    tables: int
    naive_time_columns: Sequence[str]
    choices: Mapping[str, str]


def checklist(facts: Facts, policy: ReadinessPolicy, *, stage: Stage = "go") -> list[Line]:
    """Every line, in reading order."""
    last = list(facts.trades)[-policy.closed_trades :]
    enough = len(last) >= policy.closed_trades
    figures = trade_statistics(last)
    is_go = stage == "go"
    win_rate = policy.win_rate_min_fraction if is_go else policy.tuning_win_rate_min_fraction
    factor = policy.profit_factor_min if is_go else policy.tuning_profit_factor_min
    # Without a losing trade the factor has no value, and nothing is wrong with that.
    is_flawless = enough and figures.profit_factor is None and figures.wins > 0
    return [
        _audits(facts.audits, policy),
        Line(
            name="attribution",
            passed=facts.fills > 0 and facts.fills_attributed == facts.fills,
            value=f"{facts.fills_attributed} of {facts.fills} fills lead to their signal",
            asked="all, and at least one",
            evidence="ledger fills joined with signal.daily_signals",
        ),
        Line(
            name="win rate",
            passed=enough and (figures.win_rate or 0.0) >= win_rate,
            value=_of(figures.win_rate, len(last)),
            asked=f"at least {win_rate:.0%} of the last {policy.closed_trades} closed trades",
            evidence="closed trades of the ledger",
        ),
        Line(
            name="profit factor",
            passed=is_flawless or (enough and (figures.profit_factor or 0.0) >= factor),
            value="no losing trade" if is_flawless else _plain(figures.profit_factor, len(last)),
            asked=f"at least {factor:g} on the last {policy.closed_trades} closed trades",
            evidence="closed trades of the ledger",
        ),
        Line(
            name="directional accuracy",
            passed=(facts.directional_accuracy or 0.0) >= policy.directional_accuracy_min_fraction,
            value="not known"
            if facts.directional_accuracy is None
            else f"{facts.directional_accuracy:.2%}",
            asked=f"at least {policy.directional_accuracy_min_fraction:.0%}",
            evidence="audit.forecast_scores, one day ahead, combined",
        ),
        Line(
            name="UTC stamps",
            passed=facts.tables > 0 and not facts.naive_time_columns,
            value=", ".join(facts.naive_time_columns) or f"all of {facts.tables} tables",
            asked="no time without its zone",
            evidence="column types of the warehouse",
        ),
        *(_choice(topic, facts.choices) for topic in CHOICES),
    ]


def _audits(decision: AuditDecision | None, policy: ReadinessPolicy) -> Line:
    kept = decision is not None and decision.outcome is AuditOutcome.KEEP
    count = decision.effective_audits if decision else 0
    said = f"{count} effective, {decision.outcome.value}" if decision else "none"
    return Line(
        name="forecast audits",
        passed=kept and count >= policy.audits_min,
        value=said,
        asked=f"{policy.audits_min} effective and KEEP",
        evidence="audit.model_audits of combined",
    )


def _choice(topic: str, choices: Mapping[str, str]) -> Line:
    return Line(
        name=f"decision on {topic}",
        passed=topic in choices,
        value=choices.get(topic, "not on record"),
        asked="on record, either way",
        evidence=f"pmx ready --record {topic}=on|off --reason WHY",
    )


def _of(value: float | None, count: int) -> str:
    return f"{count} trades" if value is None else f"{value:.1%} of {count} trades"


def _plain(value: float | None, count: int) -> str:
    return f"{count} trades" if value is None else f"{value:.2f} on {count} trades"
