"""One plain sentence for a row or record of each stage, with the numbers that matter.

Belongs here: wording. Does not belong here: finding the rows (`trail`), or their order (`explain`).
"""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from apps.lineage.lakes import Row, as_date
from quant.execution.orders import Fill, Intent, Order, Refusal
from quant.signals.costs import BPS

# A model may keep a hundred numbers; nobody reads them in a sentence.
PARAMETERS_SHOWN: Final = 8


def bps(fraction: float) -> str:
    """`0.0142` as `142`."""
    return f"{fraction / BPS:.0f}"


def percent(fraction: float, digits: int = 2) -> str:
    """`0.0489` as `4.89 %`."""
    return f"{100 * fraction:.{digits}f} %"


def exact(number: Decimal) -> str:
    """`240.670000` as `240.67`."""
    return f"{number.normalize():f}"


def of_fill(fill: Fill) -> str:
    """What was traded and what it cost."""
    verb = "bought" if fill.side.sign > 0 else "sold"
    return (
        f"{verb} {exact(fill.quantity)} {fill.symbol} at {exact(fill.price)} "
        f"(the market stood at {exact(fill.reference_price)}) for {fill.notional:,.2f} on "
        f"{fill.event_time:%Y-%m-%d}; fee {fill.fee_amount:.2f}, spread {fill.spread_amount:.2f}, "
        f"slippage {fill.slippage_amount:.2f}, impact {fill.impact_amount:.2f}"
    )


def of_order(order: Order) -> str:
    """What was sent."""
    return (
        f"sent for session {order.valid_session} only: {order.side} {exact(order.quantity)} "
        f"{order.symbol}, decided at {exact(order.reference_price)}"
    )


def of_intent(intent: Intent) -> str:
    """What was wanted, and of which book."""
    if intent.exit_reason:
        return (
            f"{intent.side} {exact(abs(intent.quantity))} {intent.symbol} in session "
            f"{intent.valid_session} to leave the position: {intent.exit_reason}; the book stood "
            f"at record {intent.ledger_head.seq}"
        )
    return (
        f"{intent.side} {exact(abs(intent.quantity))} {intent.symbol} in session "
        f"{intent.valid_session} "
        f"to hold {percent(float(intent.target_weight))} of {intent.equity:,.2f} at "
        f"{exact(intent.reference_price)}; the book stood at record {intent.ledger_head.seq}"
    )


def of_refusal(refusal: Refusal) -> str:
    """The gate, its reason, and its arithmetic."""
    numbers = ", ".join(f"{name} {value}" for name, value in refusal.numbers.items())
    return (
        f"refused at the gate {refusal.gate}: {refusal.reason}{f' ({numbers})' if numbers else ''}"
    )


def of_exit(row: Row) -> str:
    """Which rule ended the position, where its levels stood, and what was not known."""
    levels = ", ".join(
        f"{name} {row[f'{name}_price']:.6g}"
        if is_number(row[f"{name}_price"])
        else f"{name} unknown"
        for name in ("stop", "target", "trailing")
    )
    held = f"{row['sessions_held']} sessions ({row['calendar_days_held']} days)"
    told = (
        f"{row['reason']} at the {row['judged_at']} of {row['fired_session']}"
        if row["reason"]
        else "no rule ends it"
    )
    doubts = f"; {row['doubts']}" if row["doubts"] else ""
    return (
        f"{told}: entered at {row['entry_price']:.6g} on {row['entry_session']}, held {held}, "
        f"{levels}, close {row['close']:.6g}{doubts}"
    )


def of_target(row: Row) -> str:
    """The weight and what bound it."""
    if row["bound_by"] == "exit":
        return f"hold no {row['symbol']}: the signal asks to leave"
    return (
        f"hold {percent(row['weight'])} of equity in {row['symbol']}: its volatility is "
        f"{percent(row['volatility_annual'], 1)} a year, and {row['bound_by']} binds"
    )


def of_signal(row: Row) -> str:
    """The edge against its cost."""
    if not is_number(row["expected_return"]):
        return f"{row['symbol']} at {row['reference_price']}: {row['reason']}"
    refused = f"; refused at the gate {row['gate']}: {row['reason']}" if row["gate"] else ""
    return (
        f"{row['action'].upper()} {row['symbol']} expects {bps(row['expected_return'])} bps over "
        f"{row['horizon_days']} days, {bps(row['required_return'])} required, cost "
        f"{bps(row['round_trip_cost'])} bps; volatility {percent(row['volatility'], 1)}, "
        f"price {row['reference_price']:g}{refused}"
    )


def of_answer(row: Row) -> str:
    """A language model's word, or why it has none."""
    if row["outcome"] != "answered":
        return f"{row['model']}: {row['sentence'] or row['outcome']}"
    return (
        f"{row['model']} says {row['direction']} over {row['horizon_days']} days, "
        f"{percent(row['confidence'], 0)} sure: {row['reason']}"
    )


def of_verdict(row: Row) -> str:
    """Pass or fail, and why."""
    return f"{'may' if row['passed'] else 'may not'} be traded on: {row['reason']}"


def of_forecast(row: Row) -> str:
    """The distribution in a line, and who answered."""
    days = row["horizon_days"]
    said = (
        f"{row['model']} expects {percent(row['mean'])} of {row['symbol']} over {days} "
        f"{'day' if days == 1 else 'days'}, deviation {percent(row['std'])}, 90 % between "
        f"{percent(row['q05'])} and {percent(row['q95'])}"
    )
    chain = [
        f"{link['part']} from {link['model']}"
        f"{' (' + link['reason'] + ')' if link.get('reason') else ''}"
        for link in json.loads(row["fallback_chain"])
        if link["outcome"] == "used"
    ]
    failed = [
        f"{link['model']} gave no {link['part']}: {link.get('reason', '')}"
        for link in json.loads(row["fallback_chain"])
        if link["outcome"] == "failed"
    ]
    parts = "; ".join([*([", ".join(chain)] if chain else []), *failed])
    return f"{said}; {parts}" if parts else said


def of_fit(row: Row) -> str:
    """The first parameters and the window they come from; all of them are in JSON."""
    if row["error"]:
        return f"no parameters: {row['reason']}"
    named = [f"{name} {value:.4g}" for name, value in json.loads(row["params"]).items()]
    params = ", ".join(named[:PARAMETERS_SHOWN])
    if len(named) > PARAMETERS_SHOWN:
        params += f" and {len(named) - PARAMETERS_SHOWN} more"
    observed = json.loads(row["diagnostics"]).get("observations", "?")
    return (
        f"{row['model']} fitted after {row['fit_as_of']} on {observed} returns since "
        f"{row['filter_from']}: {params}{'' if row['converged'] else '; did not converge'}"
    )


def of_features(row: Row) -> str:
    """How many there are; the values are in JSON."""
    known = sum(is_number(value) for value in row.values.values())
    return (
        f"{known} features of {row['symbol']}, set {row['feature_set_version']}; "
        "kept beside the decision, which did not use them"
    )


def of_bars(count: int, first: Any, last: Any, newest: Mapping[str, Any]) -> str:
    """The stretch of bars, and the last of them."""
    return (
        f"{count:,} judged bars of {newest['symbol']} from {as_date(first)} to {as_date(last)}, "
        f"as known that evening; the last closed at {newest['close']:g}"
    )


def of_raw(count: int, first: Any, last: Any, sources: str, newest: Mapping[str, Any]) -> str:
    """Where it all came from, with the newest bar in full."""
    return (
        f"{count:,} rows from {sources}, {as_date(first)} to {as_date(last)}; the newest: "
        f"{newest['symbol']} {as_date(newest['session'])} {_prices(newest)} {newest['currency']} "
        f"({newest['basis']}), known at {newest['known_at']:%Y-%m-%d %H:%M} UTC"
    )


def is_number(value: Any) -> bool:
    """Whether there is a finite number; NULL and NaN are none."""
    return isinstance(value, int | float | Decimal) and math.isfinite(value)


def of_met_bar(row: Row) -> str:
    """The raw bar whose price an order met."""
    return f"the bar that the order met: {_prices(row.values)}, from {row['source']}"


def _prices(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {values[name]:g}" if is_number(values[name]) else f"{name} none"
        for name in ("open", "high", "low", "close", "volume")
    )
