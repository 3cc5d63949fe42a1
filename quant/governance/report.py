"""The nightly report as a value: what it says, before anybody decides how it looks.

Belongs here: the sentence about the book, the key figures, the tables with their captions, and what
is said when there is nothing to show. Does not belong here: HTML, charts (`resources.report_page`).
"""

import datetime as dt
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from quant.core.money import cash
from quant.governance.report_inputs import ReportInputs
from quant.governance.report_sentences import (
    audit_sentence,
    caution,
    closed_sentence,
    headline,
    quality_sentence,
    record_sentence,
    trades_sentence,
)
from quant.governance.report_tables import (
    ReportTable,
    audits_table,
    closed_table,
    exact,
    findings_table,
    newest_first,
    outcomes_table,
    positions_table,
    refusals_table,
    regimes_table,
    scores_table,
    signals_table,
    trades_table,
    verdicts_table,
    weights_table,
    why_command,
)
from quant.governance.report_words import Kind, gate_words, plural, text, written
from quant.portfolio.measures import Performance, drawdowns, performance, turnover_annual


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One number with its name and, where it needs one, a word of context."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextCommand:
    """A command worth typing, and what it is good for."""

    command: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What trading cost, exactly; `share` is of the notional traded."""

    fees: Decimal
    slippage: Decimal
    notional: Decimal

    @property
    def total(self) -> Decimal:
        """Fees and slippage together."""
        return self.fees + self.slippage

    @property
    def share(self) -> float | None:
        """Total cost as a fraction of what was traded; `None` without a trade."""
        return float(self.total / self.notional) if self.notional else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NightlyReport:
    """Everything the page says."""

    session: dt.date | None
    book: str
    currency: str
    headline: str
    figures: tuple[KeyFigure, ...]
    performance: Performance
    equity: pd.DataFrame  # session, equity, benchmark, drawdown, benchmark_drawdown, gross_exposure
    positions: ReportTable
    measures: tuple[KeyFigure, ...]
    caution: str
    trades: ReportTable
    trades_sentence: str
    closed: ReportTable
    closed_sentence: str
    refusals: ReportTable
    refusals_by_gate: pd.DataFrame  # gate, words, count
    outcomes: ReportTable
    signals: ReportTable
    scores: ReportTable
    scored: pd.DataFrame  # model, horizon_days, coverage_50, coverage_90, pinball_ratio
    regimes: ReportTable
    weights: ReportTable
    record_sentence: str
    pit: pd.DataFrame
    verdicts: ReportTable
    audits: ReportTable
    audit_sentence: str
    findings: ReportTable
    quality_sentence: str
    costs: Costs
    facts: tuple[tuple[str, str], ...]
    next_commands: tuple[NextCommand, ...]


def build_report(inputs: ReportInputs) -> NightlyReport:
    """Turn frames into what is said of them; nothing is read but `inputs`."""
    curve = equity_curve(inputs.equity)
    measured = performance(curve["equity"])
    costs = total_costs(inputs.fills)
    return NightlyReport(
        session=inputs.session,
        book=text(inputs.facts.get("book")) or "paper",
        currency=text(inputs.facts.get("currency")),
        headline=headline(inputs, curve, measured),
        figures=key_figures(inputs, curve, measured, costs),
        performance=measured,
        equity=curve,
        positions=positions_table(inputs.positions),
        measures=further_measures(inputs, curve, measured),
        caution=caution(inputs, curve),
        trades=trades_table(inputs.fills),
        trades_sentence=trades_sentence(inputs.fills),
        closed=closed_table(inputs.closed),
        closed_sentence=closed_sentence(inputs.closed),
        refusals=refusals_table(inputs.refusals),
        refusals_by_gate=refusals_by_gate(inputs.refusals),
        outcomes=outcomes_table(inputs.outcomes),
        signals=signals_table(inputs.signals),
        scores=scores_table(inputs.scores),
        scored=scored_figures(inputs.scores),
        regimes=regimes_table(inputs.regimes),
        weights=weights_table(inputs.weights),
        record_sentence=record_sentence(
            inputs.rivals, limit=inputs.facts.get("rmse_excess_max_fraction")
        ),
        pit=inputs.pit.loc[:, ["model", "bin", "share"]],
        verdicts=verdicts_table(inputs.verdicts),
        audits=audits_table(inputs.audits),
        audit_sentence=audit_sentence(inputs.audits),
        findings=findings_table(inputs.findings),
        quality_sentence=quality_sentence(inputs),
        costs=costs,
        facts=run_facts(inputs.facts),
        next_commands=next_commands(inputs),
    )


def equity_curve(equity: pd.DataFrame) -> pd.DataFrame:
    """Sessions in order with drawdowns of the book and of the benchmark, as floats for charts."""
    curve = pd.DataFrame({"session": pd.to_datetime(equity["session"])})
    for name in ("equity", "benchmark", "cash", "gross_exposure"):
        curve[name] = pd.to_numeric(equity[name]).astype(float)
    curve = curve.sort_values("session", ignore_index=True)
    curve["drawdown"] = drawdowns(curve["equity"])
    curve["benchmark_drawdown"] = drawdowns(curve["benchmark"])
    return curve


def scored_figures(scores: pd.DataFrame) -> pd.DataFrame:
    """Coverage and pinball loss relative to naive drift's, as floats for charts."""
    figures = pd.DataFrame({"model": scores["model"], "horizon_days": scores["horizon_days"]})
    for name in ("coverage_50", "coverage_90"):
        figures[name] = pd.to_numeric(scores[name]).astype(float)
    pinball, naive = (pd.to_numeric(scores[name]) for name in ("pinball", "naive_pinball"))
    figures["pinball_ratio"] = (pinball / naive).astype(float)
    return figures.reset_index(drop=True)


def total_costs(fills: pd.DataFrame) -> Costs:
    """Exact sums over all fills, each rounded to the cent before it is added."""

    def total(name: str) -> Decimal:
        return sum((cash(exact(value)) for value in fills[name]), Decimal(0))

    return Costs(fees=total("fee"), slippage=total("slippage"), notional=total("notional"))


def key_figures(
    inputs: ReportInputs, curve: pd.DataFrame, measured: Performance, costs: Costs
) -> tuple[KeyFigure, ...]:
    """The handful of numbers a reader looks for first."""
    equity = curve["equity"].iloc[-1] if len(curve) else None
    exposure = curve["gross_exposure"].iloc[-1] if len(curve) else None
    sessions = plural(len(curve), "session")
    rival = performance(curve["benchmark"]).total_return
    return (
        KeyFigure(
            label="Equity",
            value=written(equity, Kind.MONEY),
            note=text(inputs.facts.get("currency")),
        ),
        KeyFigure(
            label="Return",
            value=written(measured.total_return, Kind.SIGNED_PERCENT),
            note=f"over {sessions}",
        ),
        KeyFigure(
            label="Buy and hold",
            value=written(rival, Kind.SIGNED_PERCENT),
            note="equal weight of the universe",
        ),
        KeyFigure(
            label="Deepest drawdown",
            value=written(measured.max_drawdown, Kind.PERCENT),
            note=f"now {written(measured.current_drawdown, Kind.PERCENT)}",
        ),
        KeyFigure(
            label="Sharpe",
            value=written(measured.sharpe, Kind.RATIO),
            note=f"annual, from {sessions}",
        ),
        KeyFigure(
            label="Volatility",
            value=written(measured.volatility_annual, Kind.PERCENT),
            note="annual",
        ),
        KeyFigure(
            label="Loss on a bad day",
            value=written(measured.value_at_risk_95, Kind.PERCENT),
            note="exceeded on one day in 20",
        ),
        KeyFigure(label="Invested", value=written(exposure, Kind.PERCENT), note="gross, of equity"),
        KeyFigure(
            label="Trades",
            value=written(len(inputs.fills), Kind.COUNT),
            note=plural(len(inputs.refusals), "refusal"),
        ),
        KeyFigure(
            label="Costs paid",
            value=written(costs.total, Kind.MONEY),
            note="" if costs.share is None else f"{costs.share * 1e4:.1f} bps of what was traded",
        ),
    )


def further_measures(
    inputs: ReportInputs, curve: pd.DataFrame, measured: Performance
) -> tuple[KeyFigure, ...]:
    """The measures behind the first row of numbers, with their conventions."""
    turnover = turnover_annual(pd.to_numeric(inputs.fills["notional"]), curve["equity"])
    return (
        KeyFigure(
            label="Growth a year",
            value=written(measured.annual_return, Kind.SIGNED_PERCENT),
            note=f"compound, from {plural(len(curve), 'session')}",
        ),
        KeyFigure(
            label="Sortino",
            value=written(measured.sortino, Kind.RATIO),
            note="annual, over downside deviation",
        ),
        KeyFigure(
            label="Calmar",
            value=written(measured.calmar, Kind.RATIO),
            note="growth over deepest drawdown",
        ),
        KeyFigure(
            label="Mean of bad days",
            value=written(measured.expected_shortfall_95, Kind.PERCENT),
            note="loss on the worst 5 % of days",
        ),
        KeyFigure(
            label="Turnover",
            value=written(turnover, Kind.RATIO),
            note="times the book a year, one way",
        ),
    )


def refusals_by_gate(refusals: pd.DataFrame) -> pd.DataFrame:
    """How many signals each gate refused, the busiest gate first."""
    counted = refusals.groupby("gate", sort=True).size().rename("count").reset_index()
    counted = counted.sort_values("count", ascending=False, kind="stable", ignore_index=True)
    return counted.assign(words=[gate_words(gate) for gate in counted["gate"]])


_FACT_LABELS: Mapping[str, str] = {
    "run_id": "Run",
    "snapshot_id": "Snapshot of the warehouse",
    "code_version": "Code version",
    "data_start": "Data from",
    "data_end": "Data to",
    "universe": "Symbols in the universe",
    "mlflow_url": "Models in MLflow",
}
_SAID_ELSEWHERE = frozenset(
    {"book", "mode", "currency", "session", "quality_score", "caution", "rmse_excess_max_fraction"}
)


def run_facts(facts: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Where the numbers come from; a known fact that is missing says so."""
    known = [(label, text(facts.get(key)) or "not recorded") for key, label in _FACT_LABELS.items()]
    extra = [
        (key.replace("_", " ").capitalize(), text(value) or "not recorded")
        for key, value in facts.items()
        if key not in _FACT_LABELS and key not in _SAID_ELSEWHERE
    ]
    return tuple(known + extra)


def next_commands(inputs: ReportInputs) -> tuple[NextCommand, ...]:
    """What to type next, with ids from this very night."""
    commands = []
    for frame, what in ((inputs.fills, "trade"), (inputs.refusals, "refusal")):
        if len(frame):
            newest = text(newest_first(frame)["decision_id"].iloc[0])
            commands.append(
                NextCommand(
                    command=why_command(newest),
                    purpose=f"from the newest {what} back to the raw prices it rests on",
                )
            )
    if len(inputs.fills):
        newest = text(newest_first(inputs.fills)["decision_id"].iloc[0])
        commands.append(
            NextCommand(
                command=f"pmx replay {shlex.quote(newest)} --verify",
                purpose="derive that decision again and compare it, table by table",
            )
        )
    commands += [
        NextCommand(command="pmx data quality", purpose="every finding with its symbol and date"),
        NextCommand(command="pmx up", purpose="Dagster, MLflow and the dashboard in the browser"),
        NextCommand(command="pmx nightly", purpose="run the next session"),
    ]
    return tuple(commands)
