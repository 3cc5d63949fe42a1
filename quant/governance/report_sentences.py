"""The sentences of the nightly report: the book, its trades, its audits and its data, each in one.

Belongs here: whole sentences that weigh several values. Single words and numbers are in
`report_words`.
"""

from decimal import Decimal

import pandas as pd

from quant.core.money import cash
from quant.governance.report_inputs import ReportInputs
from quant.governance.report_tables import exact
from quant.governance.report_words import Kind, day, is_missing, plural, text, written
from quant.portfolio.measures import Performance, performance
from quant.portfolio.trades import TradeFill, closed_trades, trade_statistics

# Below one year, annual figures are stretched from a part of it.
SESSIONS_FOR_A_YEAR = 252


def headline(inputs: ReportInputs, curve: pd.DataFrame, measured: Performance) -> str:
    """The state of the book in one sentence (and the mode and gate in a short second one)."""
    book = text(inputs.facts.get("book")) or "paper"
    if curve.empty:
        return f"The {book} book has no history yet. {_mode_and_gate(inputs)}"
    currency = text(inputs.facts.get("currency"))
    worth = " ".join(filter(None, [written(curve["equity"].iloc[-1], Kind.MONEY), currency]))
    parts = [f"The {book} book stands at {worth} after the session of {day(inputs.session)}"]
    if measured.total_return is not None:
        change = written(measured.total_return, Kind.SIGNED_PERCENT)
        parts.append(f"{change} since {day(curve['session'].iloc[0])}{_against(curve)}")
    if measured.current_drawdown is not None:
        parts.append(_below_peak(measured.current_drawdown))
    return f"{', '.join(parts)}. {_mode_and_gate(inputs)}"


def _against(curve: pd.DataFrame) -> str:
    rival = performance(curve["benchmark"]).total_return
    if rival is None:
        return ""
    return f" (equal-weight buy and hold {written(rival, Kind.SIGNED_PERCENT)})"


def _below_peak(depth: float) -> str:
    return "at its peak" if depth <= 0 else f"{written(depth, Kind.PERCENT)} below its peak"


def _mode_and_gate(inputs: ReportInputs) -> str:
    mode = text(inputs.facts.get("mode")) or "not recorded"
    decision = text(inputs.audits["decision"].iloc[-1]) if len(inputs.audits) else "no audit yet"
    return f"Mode: {mode}. Audit gate: {decision}."


def caution(inputs: ReportInputs, curve: pd.DataFrame) -> str:
    """What must not be concluded from the curve; empty once nothing speaks against it."""
    said = [text(inputs.facts.get("caution"))]
    if 0 < len(curve) < SESSIONS_FOR_A_YEAR:
        said.append(
            f"{plural(len(curve), 'session')} are too few to tell skill from luck, "
            "and annual figures from them say little."
        )
    return " ".join(filter(None, said))


def audit_sentence(audits: pd.DataFrame) -> str:
    """The latest decision of the audit gate, in one sentence."""
    if audits.empty:
        return "The audit gate has not decided yet."
    last = audits.iloc[-1]
    count = last["effective_audits"]
    rested = "" if is_missing(count) else f" on {plural(int(count), 'audit')}"
    rate = written(last["violation_rate"], Kind.PERCENT)
    return (
        f"The audit gate says {text(last['decision'])}{rested}, with violations in {rate} of them."
    )


def record_sentence(rivals: pd.DataFrame, *, limit: object = None) -> str:
    """The combined forecast's one-day error beside that of the best single model, on record.

    A combined forecast that is worse by more than the audit's limit is said to be so.
    """
    rows = rivals[pd.to_numeric(rivals["horizon_days"]) == 1]
    rows = rows[pd.to_numeric(rows["count"]) > 0]
    if rows.empty:
        return ""
    ratio = pd.to_numeric(rows["combined_rmse"]) / pd.to_numeric(rows["rmse"])
    place = int(ratio.to_numpy(dtype=float).argmax())
    excess, best = float(ratio.iloc[place]) - 1.0, rows.iloc[place]
    compared = f"{written(abs(excess), Kind.PERCENT)} {'larger' if excess > 0 else 'smaller'}"
    said = (
        f"On record, over {plural(int(best['count']), 'one-day forecast')}, the combined error is "
        f"{compared} than that of the best single model, {text(best['model'])}"
    )
    if is_missing(limit):
        return f"{said}."
    allowed = written(limit, Kind.PERCENT)
    if excess > float(str(limit)):
        return f"{said}: a violation, since the audit allows {allowed}."
    return f"{said}; the audit allows {allowed}."


def quality_sentence(inputs: ReportInputs) -> str:
    """The quality score and what was found, in one sentence."""
    found = plural(len(inputs.findings), "finding")
    touched = inputs.findings["symbol"].nunique()
    where = f" in {plural(touched, 'symbol')}" if touched else ""
    score = inputs.facts.get("quality_score")
    known = "was not recorded" if is_missing(score) else f"is {written(score, Kind.PERCENT)}"
    return f"The quality score {known}, with {found}{where}."


def closed_sentence(closed: pd.DataFrame) -> str:
    """What round trips earned and why they ended; empty while none has."""
    results = [Decimal(exact(value)) for value in closed["net_result"]]
    if not results:
        return ""
    reasons = closed["reason"].map(lambda one: text(one) or "unknown").value_counts()
    ended = ", ".join(
        f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda it: -it[1])
    )
    won = sum(result > 0 for result in results) / len(results)
    earned = written(sum(results, Decimal(0)), Kind.MONEY)
    return (
        f"{plural(len(results), 'round trip')} ended, first in first out ({ended}): "
        f"{written(won, Kind.PERCENT)} won, {earned} after all costs."
    )


def trades_sentence(fills: pd.DataFrame) -> str:
    """What closed trades earned, exactly; empty while nothing has been closed."""
    strange = sorted({text(side) for side in fills["side"]} - set(_SIGN))
    if strange:
        return f"Profits are not matched, since a fill has the side {strange[0]}."
    known = trade_statistics(closed_trades(_signed(fills)))
    if not known.count:
        return ""
    factor = "without a loss" if known.profit_factor is None else ""
    factor = factor or f"profit factor {written(known.profit_factor, Kind.RATIO)}"
    return (
        f"{plural(known.count, 'closing trade')} against average cost: "
        f"{written(known.win_rate, Kind.PERCENT)} won, {factor}, "
        f"{written(known.net_profit, Kind.MONEY)} after {written(known.fees, Kind.MONEY)} of fees."
    )


_SIGN = {"buy": 1, "sell": -1}


def _signed(fills: pd.DataFrame) -> list[TradeFill]:
    """Fills in the order of their sessions, as `trades` matches them."""
    days = pd.to_datetime(fills["session"])
    ordered = fills.iloc[days.to_numpy().argsort(kind="stable")]
    return [
        TradeFill(
            symbol=text(row.symbol),
            session=pd.Timestamp(str(row.session)).date(),
            quantity=_SIGN[text(row.side)] * Decimal(exact(row.quantity)),
            price=Decimal(exact(row.price)),
            fee=cash(exact(row.fee)),
        )
        for row in ordered.itertuples()
    ]
