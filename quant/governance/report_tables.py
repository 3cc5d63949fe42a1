"""The tables of the nightly report: which columns, in which order, under which words.

Belongs here: captions, columns, the sentence that stands in for an empty table, the newest rows
first. Does not belong here: markup, or numbers that are computed over several tables (`report`).
"""

import shlex
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from quant.core.money import cash
from quant.governance.report_words import Kind, gate_words, is_missing, text

# A page stays readable and small; the newest rows are kept, and the page says how many there are.
ROWS_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table: its name in the frame, its heading, how its values are written."""

    name: str
    label: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportTable:
    """Rows to show, the words above them, and the words instead of them when there are none."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: pd.DataFrame
    empty: str
    total: int


def positions_table(positions: pd.DataFrame) -> ReportTable:
    """Holdings, the largest first."""
    rows = positions.assign(_size=pd.to_numeric(positions["weight"]).abs())
    return _table(
        "positions",
        "Positions after the session, the largest first",
        rows.sort_values("_size", ascending=False),
        [
            Column(name="symbol", label="Symbol", kind=Kind.TEXT),
            Column(name="quantity", label="Quantity", kind=Kind.QUANTITY),
            Column(name="average_cost", label="Average cost", kind=Kind.PRICE),
            Column(name="price", label="Price", kind=Kind.PRICE),
            Column(name="market_value", label="Market value", kind=Kind.MONEY),
            Column(name="weight", label="Weight", kind=Kind.PERCENT),
            Column(name="unrealised", label="Unrealised", kind=Kind.MONEY),
        ],
        empty="No positions after this session.",
    )


def trades_table(fills: pd.DataFrame) -> ReportTable:
    """Fills, the newest first, each with the command that explains it."""
    paid = [
        cash(exact(fee)) + cash(exact(slippage))
        for fee, slippage in zip(fills["fee"], fills["slippage"], strict=True)
    ]
    rows = fills.assign(paid=pd.Series(paid, index=fills.index, dtype=object))
    return _table(
        "trades",
        "Trades, the newest first; cost is fee and slippage together",
        newest_first(rows.assign(why=_why(fills["decision_id"]))),
        [
            Column(name="session", label="Date", kind=Kind.DATE),
            Column(name="symbol", label="Symbol", kind=Kind.TEXT),
            Column(name="side", label="Side", kind=Kind.TEXT),
            Column(name="quantity", label="Quantity", kind=Kind.QUANTITY),
            Column(name="price", label="Price", kind=Kind.PRICE),
            Column(name="notional", label="Amount", kind=Kind.MONEY),
            Column(name="paid", label="Cost", kind=Kind.MONEY),
            Column(name="why", label="Why", kind=Kind.CODE),
        ],
        empty="No trades yet.",
    )


def closed_table(closed: pd.DataFrame) -> ReportTable:
    """Round trips, the newest first: why each ended and what it left after its costs."""
    parts = ("spread", "slippage", "impact", "fee")
    costs = [
        sum((Decimal(exact(value)) for value in values), Decimal(0))
        for values in closed[list(parts)].itertuples(index=False)
    ]
    rows = closed.assign(costs=pd.Series(costs, index=closed.index, dtype=object))
    return _table(
        "closed",
        "Round trips, the newest first; cost is spread, slippage, impact and fees of both sides",
        newest_first(rows.assign(why=_why(closed["exit_decision_id"]))),
        [
            Column(name="entry_session", label="From", kind=Kind.DATE),
            Column(name="session", label="To", kind=Kind.DATE),
            Column(name="symbol", label="Symbol", kind=Kind.TEXT),
            Column(name="side", label="Side", kind=Kind.TEXT),
            Column(name="quantity", label="Quantity", kind=Kind.QUANTITY),
            Column(name="entry_price", label="Entry", kind=Kind.PRICE),
            Column(name="exit_price", label="Exit", kind=Kind.PRICE),
            Column(name="sessions_held", label="Sessions", kind=Kind.COUNT),
            Column(name="reason", label="Reason", kind=Kind.TEXT),
            Column(name="costs", label="Cost", kind=Kind.MONEY),
            Column(name="dividends", label="Dividends", kind=Kind.MONEY),
            Column(name="net_result", label="Result", kind=Kind.MONEY),
            Column(name="why", label="Why", kind=Kind.CODE),
        ],
        empty="No round trip has ended yet.",
    )


def refusals_table(refusals: pd.DataFrame) -> ReportTable:
    """Refused signals, the newest first, with the gate in plain words."""
    rows = refusals.assign(
        words=[gate_words(gate) for gate in refusals["gate"]],
        why=_why(refusals["decision_id"]),
    )
    return _table(
        "refusals",
        "Refused signals, the newest first",
        newest_first(rows),
        [
            Column(name="session", label="Date", kind=Kind.DATE),
            Column(name="symbol", label="Symbol", kind=Kind.TEXT),
            Column(name="gate", label="Gate", kind=Kind.TEXT),
            Column(name="words", label="In plain words", kind=Kind.TEXT),
            Column(name="reason", label="Reason given", kind=Kind.TEXT),
            Column(name="expected_return", label="Expected", kind=Kind.SIGNED_PERCENT),
            Column(name="cost", label="Cost", kind=Kind.PERCENT),
            Column(name="why", label="Why", kind=Kind.CODE),
        ],
        empty="No refusals: every signal became a trade, or there were no signals.",
    )


def outcomes_table(outcomes: pd.DataFrame) -> ReportTable:
    """What became of what was refused, gate by gate."""
    shown = outcomes.assign(words=[gate_words(gate) for gate in outcomes["gate"]])
    return _table(
        "outcomes",
        "Refusals whose horizon has passed: what the refused trades would have made",
        shown,
        [
            Column(name="words", label="Gate", kind=Kind.TEXT),
            Column(name="judged", label="Judged", kind=Kind.COUNT),
            Column(name="right_share", label="Spared a loss", kind=Kind.PERCENT),
            Column(name="mean_forgone_return", label="Forgone", kind=Kind.SIGNED_PERCENT),
        ],
        empty="No horizon of a refusal has passed yet.",
    )


def signals_table(signals: pd.DataFrame) -> ReportTable:
    """Tonight's signals and what became of each."""
    return _table(
        "signals",
        "Signals of the last session",
        signals.assign(why=_why(signals["decision_id"])),
        [
            Column(name="symbol", label="Symbol", kind=Kind.TEXT),
            Column(name="action", label="Action", kind=Kind.TEXT),
            Column(name="outcome", label="Outcome", kind=Kind.TEXT),
            Column(name="expected_return", label="Expected", kind=Kind.SIGNED_PERCENT),
            Column(name="volatility", label="Volatility", kind=Kind.PERCENT),
            Column(name="confidence", label="Confidence", kind=Kind.RATIO),
            Column(name="why", label="Why", kind=Kind.CODE),
        ],
        empty="No signals in the last session.",
    )


def scores_table(scores: pd.DataFrame) -> ReportTable:
    """Forecasts against what happened, and against the naive forecast."""
    ratio = pd.to_numeric(scores["rmse"]) / pd.to_numeric(scores["naive_rmse"])
    pinball = pd.to_numeric(scores["pinball"]) / pd.to_numeric(scores["naive_pinball"])
    words = [_against_naive(model, r) for model, r in zip(scores["model"], ratio, strict=True)]
    return _table(
        "scores",
        "Forecasts whose future has arrived, against a naive forecast",
        scores.assign(ratio=ratio, against=words, pinball_ratio=pinball),
        [
            Column(name="model", label="Model", kind=Kind.TEXT),
            Column(name="horizon_days", label="Days", kind=Kind.COUNT),
            Column(name="count", label="Scored", kind=Kind.COUNT),
            Column(name="rmse", label="RMSE", kind=Kind.PERCENT),
            Column(name="naive_rmse", label="Naive RMSE", kind=Kind.PERCENT),
            Column(name="ratio", label="Ratio", kind=Kind.RATIO),
            Column(name="against", label="Against naive", kind=Kind.TEXT),
            Column(name="pinball_ratio", label="Pinball ratio", kind=Kind.RATIO),
            Column(name="coverage_50", label="In 50 % band", kind=Kind.PERCENT),
            Column(name="coverage_90", label="In 90 % band", kind=Kind.PERCENT),
            Column(name="directional_accuracy", label="Direction", kind=Kind.PERCENT),
        ],
        empty="No forecast has met its future yet; scores appear once a horizon has passed.",
    )


def regimes_table(regimes: pd.DataFrame) -> ReportTable:
    """The same one-day forecasts by how wild the times were in which they were made."""
    ratio = pd.to_numeric(regimes["pinball"]) / pd.to_numeric(regimes["naive_pinball"])
    return _table(
        "regimes",
        "One-day forecasts by regime: the month before against the two years before",
        regimes.assign(ratio=ratio),
        [
            Column(name="model", label="Model", kind=Kind.TEXT),
            Column(name="regime", label="Regime", kind=Kind.TEXT),
            Column(name="count", label="Scored", kind=Kind.COUNT),
            Column(name="ratio", label="Pinball ratio", kind=Kind.RATIO),
            Column(name="coverage_90", label="In 90 % band", kind=Kind.PERCENT),
        ],
        empty="No forecast has met its future yet.",
    )


def weights_table(weights: pd.DataFrame) -> ReportTable:
    """Who counts how much in tonight's combined forecast."""
    return _table(
        "weights",
        "Weights in tonight's combined forecast, over the symbols",
        weights,
        [
            Column(name="part", label="Part", kind=Kind.TEXT),
            Column(name="model", label="Model", kind=Kind.TEXT),
            Column(name="mean", label="Mean weight", kind=Kind.PERCENT),
            Column(name="lowest", label="Lowest", kind=Kind.PERCENT),
            Column(name="highest", label="Highest", kind=Kind.PERCENT),
        ],
        empty="No weights are recorded for this session.",
    )


def _against_naive(model: object, ratio: float) -> str:
    """In a word; a difference that the printed ratio does not show is none."""
    if text(model) == "naive":
        return "the yardstick"
    if is_missing(ratio):
        return "unknown"
    return "better" if round(ratio, 2) < 1 else "worse" if round(ratio, 2) > 1 else "the same"


def verdicts_table(verdicts: pd.DataFrame) -> ReportTable:
    """Which models may trade, and why."""
    return _table(
        "verdicts",
        "Verdicts on models",
        verdicts,
        [
            Column(name="model", label="Model", kind=Kind.TEXT),
            Column(name="passed", label="Verdict", kind=Kind.VERDICT),
            Column(name="reason", label="Reason", kind=Kind.TEXT),
        ],
        empty="No model has been judged yet.",
    )


def audits_table(audits: pd.DataFrame) -> ReportTable:
    """Decisions of the audit gate, the latest first."""
    return _table(
        "audits",
        "Decisions of the audit gate, the latest first",
        audits.iloc[::-1],
        [
            Column(name="session", label="Date", kind=Kind.DATE),
            Column(name="decision", label="Decision", kind=Kind.TEXT),
            Column(name="violation_rate", label="Violations", kind=Kind.PERCENT),
            Column(name="effective_audits", label="Audits that count", kind=Kind.COUNT),
            Column(name="reason", label="Reason", kind=Kind.TEXT),
        ],
        empty="No audit has been decided yet.",
    )


def findings_table(findings: pd.DataFrame) -> ReportTable:
    """What the data quality rules found, the newest first."""
    return _table(
        "findings",
        "Findings of the data quality rules, the newest first",
        newest_first(findings),
        [
            Column(name="symbol", label="Symbol", kind=Kind.TEXT),
            Column(name="session", label="Date", kind=Kind.DATE),
            Column(name="rule", label="Rule", kind=Kind.TEXT),
            Column(name="severity", label="Severity", kind=Kind.TEXT),
            Column(name="value", label="Value", kind=Kind.NUMBER),
            Column(name="message", label="In words", kind=Kind.TEXT),
        ],
        empty="No findings were recorded.",
    )


def why_command(decision: str) -> str:
    """The command that explains a decision; nothing where there is no id."""
    # Ids come from hashes, but the page invites to paste this into a shell, so it is quoted anyway.
    return f"pmx why {shlex.quote(decision)}" if decision else ""


def _why(decisions: pd.Series) -> pd.Series:
    commands = [why_command(text(decision)) for decision in decisions]
    return pd.Series(commands, index=decisions.index, dtype=object)


def exact(value: object) -> str | Decimal:
    """A money cell as it is, or zero where nothing was charged."""
    if is_missing(value):
        return Decimal(0)
    return value if isinstance(value, Decimal) else str(value)


def newest_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by session, the newest first; within a session, the last row first."""
    order = pd.to_datetime(frame["session"]).to_numpy().argsort(kind="stable")[::-1]
    return frame.iloc[order]


def _table(
    name: str, caption: str, rows: pd.DataFrame, columns: list[Column], *, empty: str
) -> ReportTable:
    shown = rows.loc[:, [column.name for column in columns]].head(ROWS_MAX)
    return ReportTable(
        name=name,
        caption=caption,
        columns=tuple(columns),
        rows=shown.reset_index(drop=True),
        empty=empty,
        total=len(rows),
    )
