"""Intents and refusals of one night: targets against what the book holds.

Every signal ends here in an intent or in a refusal, so signals = trades + refusals, always.
Belongs here: reading the night's inputs and the book, and when a night may still be decided.
Does not belong here: sending anything. That is the trader's, once, inside the live window.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from assets.order.exits import exit_intents, judged_positions
from quant.core.errors import StateError
from quant.core.money import price as exact_price
from quant.core.money import quantity as whole_steps
from quant.execution.book import Book, BookPolicy
from quant.execution.events import (
    BookKind,
    BookOpened,
    Event,
    IntentRecorded,
    Outcome,
    RefusalRecorded,
    SubjectKind,
    VerdictRecorded,
)
from quant.execution.orders import Intent, LedgerHead, Refusal
from quant.execution.venues import BrokersPolicy
from quant.market.calendars import next_session
from quant.portfolio.sizing import SizingPolicy, needs_trade
from quant.signals.router import Source
from quant.signals.strategies import StrategiesPolicy
from resources.desk import Desk
from resources.reads import slice_of

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger
    from resources.warehouse import Provenance, Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class NightInputs:
    """What a night's orders are decided from, besides the book."""

    session: dt.date
    signals: Sequence[Mapping[str, Any]]
    weights: Mapping[str, float]  # by decision_id
    buckets: Mapping[str, tuple[str, float]]  # by decision_id, barbell bucket and multiplier
    skips: Mapping[str, str]  # by decision_id, why a larger position would make all of them worse
    stops_trading: str  # why tonight's data is too poor to trade on, or nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The book as the decision saw it."""

    book: Book
    equity: Decimal
    head: LedgerHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a night decided: its events, and how every held position was judged before them."""

    events: Sequence[Event]
    exits: Sequence[Mapping[str, Any]]


def may_decide(desk: Desk, ledger: "Ledger", session: dt.date) -> str:
    """Why a session cannot be decided any more (or yet); nothing where it can.

    A backfill of past partitions ends here: its sessions are outside the live window, or the book
    has traded later sessions already.
    """
    now, opens = desk.clock.now(), desk.as_of(session)
    closes = desk.as_of(next_session(desk.universe.calendar, session))
    if not opens <= now < closes:
        return (
            f"{session} is outside its live window ({opens:%Y-%m-%d %H:%M} to {closes:%H:%M} UTC)"
        )
    if desk.settings.book not in ledger.books():
        return ""
    opened = ledger.book(desk.settings.book).opened_session
    if opened and opened > session:
        return f"the book has traded {opened} already"
    return _decided_otherwise(desk, ledger, session)


def _decided_otherwise(desk: Desk, ledger: "Ledger", session: dt.date) -> str:
    """Why signals that were computed again are not decided on: the recorded decision stands.

    Where every recorded decision is one of tonight's signals, the night goes on from there.
    """
    book = desk.settings.book
    intents = ledger.intents(book=book, session=session)
    refusals = ledger.refusals(book=book, session=session)
    by_rule = {intent.decision_id for intent in intents if intent.exit_reason}
    taken = {one.decision_id for one in (*intents, *refusals)} - by_rule
    rows = desk.warehouse.rows(
        "SELECT decision_id FROM signal.daily_signals WHERE session = ?", [session]
    )
    if taken <= {decision for (decision,) in rows}:
        return ""
    return f"{session} was decided on signals that have been computed again since"


def decide_session(
    desk: Desk, ledger: "Ledger", session: dt.date, provenance: "Provenance"
) -> Decided:
    """Record the session's verdicts, intents and refusals; the same again adds nothing."""
    inputs = night_inputs(desk, desk.warehouse, session)
    opening = [] if desk.settings.book in ledger.books() else [book_opening(desk)]
    ledger.append_all([*opening, *verdict_events(desk, session, provenance)])
    before = standing(desk, ledger, inputs)
    decided = decide_orders(desk, ledger, desk.warehouse, inputs, before, provenance)
    ledger.append_all(decided.events)
    return decided


def decide_orders(
    desk: Desk,
    ledger: "Ledger",
    lake: "Warehouse",
    inputs: NightInputs,
    before: Standing,
    provenance: "Provenance",
) -> Decided:
    """Exits first, then one end for each signal; a position that is left takes no signal."""
    judged = judged_positions(desk, ledger, lake, inputs, before, provenance)
    leaving = [
        IntentRecorded(intent=intent)
        for intent in exit_intents(desk, judged, inputs, before, provenance)
    ]
    reasons = {event.intent.symbol: event.intent.exit_reason for event in leaving}
    ends = order_events(desk, inputs, before, provenance, leaving=reasons)
    return Decided(events=[*leaving, *ends], exits=judged)


def require_no_venue(desk: Desk) -> None:
    """A book at a venue begins with its account's cash, which only the trader can read."""
    venue = desk.policy("brokers", BrokersPolicy).venue_of(desk.settings.book)
    if venue is not None:
        raise StateError(
            f"book {desk.settings.book} trades at {venue.label} and was never opened",
            remedy="run `pmx trade` first: it opens the book with the account's cash",
        )


def book_opening(desk: Desk) -> BookOpened:
    """The paper book of this installation, on the universe's price basis."""
    require_no_venue(desk)
    policy = desk.policy("book", BookPolicy)
    return BookOpened(
        book=desk.settings.book,
        book_kind=BookKind.PAPER,
        currency=policy.currency,
        initial_cash=policy.initial_cash,
        price_basis=desk.universe.basis,
    )


def night_inputs(desk: Desk, lake: "Warehouse", session: dt.date) -> NightInputs:
    """Signals, targets and data quality of one session, from one state of the lake."""
    from quant.market.quality_rules import QualityPolicy

    signals = slice_of(lake, "signal.daily_signals", [session], order="strategy, symbol")
    targets = slice_of(lake, "target.daily_weights", [session], order="strategy, symbol")
    scores = lake.rows("SELECT score FROM clean.night_quality WHERE session = ?", [session])
    minimum = desk.policy("quality", QualityPolicy).quality_score_min
    stop = ""
    if not scores:
        stop = f"the data of {session} was not judged"
    elif not scores[0][0] >= minimum:
        stop = f"the data quality of {session} is {scores[0][0]:.3f}, {minimum:.2f} is required"
    return NightInputs(
        session=session,
        signals=signals.to_dict("records"),
        weights=dict(zip(targets["decision_id"], targets["weight"], strict=True)),
        buckets={
            row.decision_id: (row.barbell_bucket, row.barbell_multiplier)
            for row in targets.itertuples()
        },
        skips={
            row.decision_id: "; ".join(json.loads(row.impact)["reasons"])
            for row in targets.itertuples()
            if row.impact_verdict == "skip"
        },
        stops_trading=stop,
    )


def standing(
    desk: Desk, ledger: "Ledger", inputs: NightInputs, *, until_seq: int | None = None
) -> Standing:
    """The book and its worth at tonight's prices; a held symbol without one keeps its last mark."""
    book = ledger.book(desk.settings.book, until_seq=until_seq)
    prices = {
        row["symbol"]: exact_price(row["reference_price"])
        for row in inputs.signals
        if row["reference_price"] > 0
    }
    head = ledger.head()
    return Standing(
        book=book,
        equity=book.equity({**book.prices, **prices}),
        head=LedgerHead(seq=head.seq, hash=head.hash),
    )


def verdict_events(desk: Desk, session: dt.date, provenance: "Provenance") -> list[VerdictRecorded]:
    """The newest verdict on each model and strategy, taken into the ledger when it is used.

    They enter with the night that trades on them, not when research computes them, so that a
    backfill of research cannot change what the trader may do. A demoted model is refused here
    whatever its hold-out says, until it is promoted again.
    """
    from assets.demotions import demoted_verdict, demotions_of

    rows = desk.warehouse.rows(
        "SELECT model, session, passed, reason, row_hash, run_id, snapshot_id, code_version "
        "FROM model.verdicts WHERE session <= ? "
        "QUALIFY row_number() OVER (PARTITION BY model ORDER BY session DESC) = 1 ORDER BY model",
        [session],
    )
    judged = {row[0]: _model_verdict(*row) for row in rows}
    gone = {
        name: demoted_verdict(change, judged.get(name), provenance)
        for name, change in demotions_of(desk).items()
    }
    models = judged | gone
    found = [models[name] for name in sorted(models)]
    for strategy in desk.policy("strategies", StrategiesPolicy).strategies:
        if all(name in models for name in strategy.models):
            # Its forecast may have a name of its own, which has no hold-out but can be demoted.
            names = dict.fromkeys([*strategy.models, *({strategy.forecast} & gone.keys())])
            found.append(
                _strategy_verdict(strategy.name, [models[name] for name in names], provenance)
            )
    return found


def _model_verdict(
    model: str,
    session: dt.date,
    passed: bool,
    reason: str,
    row_hash: str,
    run_id: str,
    snapshot_id: int,
    code_version: str,
) -> VerdictRecorded:
    return VerdictRecorded(
        subject_kind=SubjectKind.MODEL,
        subject=model,
        outcome=Outcome.PASS if passed else Outcome.FAIL,
        reason=reason,
        session=session,
        run_id=run_id,
        snapshot_id=str(snapshot_id),
        code_version=code_version,
        evidence={"table": "model.verdicts", "row_hash": row_hash},
    )


def _strategy_verdict(
    name: str, parts: list[VerdictRecorded], provenance: "Provenance"
) -> VerdictRecorded:
    failed = [part for part in parts if part.outcome is not Outcome.PASS]
    return VerdictRecorded(
        subject_kind=SubjectKind.STRATEGY,
        subject=name,
        outcome=Outcome.FAIL if failed else Outcome.PASS,
        reason="; ".join(part.reason for part in failed or parts),
        session=max(part.session for part in parts),
        run_id=provenance.run_id,
        snapshot_id=str(provenance.snapshot_id),
        code_version=provenance.code_version,
        evidence={part.subject: part.verdict_id for part in parts},
    )


def order_events(
    desk: Desk,
    inputs: NightInputs,
    before: Standing,
    provenance: "Provenance",
    *,
    leaving: Mapping[str, str],
) -> list[Event]:
    """One intent or one refusal for each signal; the first strategy to want a symbol has it.

    `leaving` are the symbols whose position an exit rule ends tonight, and the rule.
    """
    models = {
        strategy.name: strategy.models
        for strategy in desk.policy("strategies", StrategiesPolicy).strategies
    }
    taken: dict[str, str] = {}
    events: list[Event] = []
    for signal in inputs.signals:
        gate, reason, numbers = _gate(desk, inputs, before, signal, taken, leaving)
        trace = _trace(desk, signal, provenance)
        if gate:
            refusal = Refusal(**trace, gate=gate, reason=reason, numbers=numbers)
            events.append(RefusalRecorded(refusal=refusal))
            continue
        taken[signal["symbol"]] = signal["strategy"]
        events.append(
            IntentRecorded(
                intent=_intent(desk, inputs, before, signal, models[signal["strategy"]], trace)
            )
        )
    return events


def _gate(
    desk: Desk,
    inputs: NightInputs,
    before: Standing,
    signal: Mapping[str, Any],
    taken: Mapping[str, str],
    leaving: Mapping[str, str],
) -> tuple[str, str, dict[str, str]]:
    """The first gate that refuses a signal, its reason and its numbers."""
    numbers = _numbers(signal)
    symbol = signal["symbol"]
    if signal["gate"]:
        return signal["gate"], signal["reason"], numbers
    if inputs.stops_trading:
        return "data_quality", inputs.stops_trading, numbers
    if symbol in leaving:
        return "exit", f"{leaving[symbol]} ends the position in {symbol} tonight", numbers
    if symbol in taken:
        return "symbol_taken", f"{taken[symbol]} trades {symbol} tonight already", numbers
    if signal["source"] == Source.LANGUAGE_MODEL.value and before.book.quantity(symbol):
        return "language_model", "its word alone changes nothing that is held", numbers
    held = _held_weight(before, signal)
    wanted = inputs.weights.get(signal["decision_id"], 0.0)
    numbers |= {"held_weight": f"{held:.6f}", "wanted_weight": f"{wanted:.6f}"}
    if wanted == 0 and before.book.quantity(symbol) == 0:
        return "nothing_held", "expects a fall, and there is nothing to sell", numbers
    if wanted > held and signal["decision_id"] in inputs.skips:
        return "impact", inputs.skips[signal["decision_id"]], numbers
    sizing = desk.policy("sizing", SizingPolicy)
    if not needs_trade(held=held, wanted=wanted, policy=sizing):
        reason = (
            f"holds {held:.2%} of equity and wants {wanted:.2%}: "
            f"the difference is inside the {sizing.no_trade_band:.0%} band"
        )
        return "no_change", reason, numbers
    if not quantity_wanted(desk, before, signal, wanted):
        return "quantity_step", "the change is less than one step of quantity", numbers
    return "", "", numbers


def quantity_wanted(
    desk: Desk, before: Standing, signal: Mapping[str, Any], weight: float
) -> Decimal:
    """The signed quantity that brings the book to `weight`, in whole steps towards zero."""
    step = desk.policy("book", BookPolicy).quantity_step
    held = before.book.quantity(signal["symbol"])
    if weight == 0:
        return -held
    # The weight becomes exact through its shortest text, so that a replay gets the same quantity.
    worth = Decimal(repr(float(weight))) * before.equity
    return whole_steps(worth / exact_price(signal["reference_price"]) - held, step=step)


def _held_weight(before: Standing, signal: Mapping[str, Any]) -> float:
    held = before.book.quantity(signal["symbol"])
    if not held:
        return 0.0
    return float(held * exact_price(signal["reference_price"]) / before.equity)


def _intent(
    desk: Desk,
    inputs: NightInputs,
    before: Standing,
    signal: Mapping[str, Any],
    models: tuple[str, ...],
    trace: Mapping[str, Any],
) -> Intent:
    weight = inputs.weights[signal["decision_id"]]
    bucket, multiplier = inputs.buckets[signal["decision_id"]]
    return Intent(
        **trace,
        valid_session=next_session(desk.universe.calendar, inputs.session),
        quantity=quantity_wanted(desk, before, signal, weight),
        target_weight=Decimal(repr(float(weight))),
        reference_price=exact_price(signal["reference_price"]),
        equity=before.equity,
        ledger_head=before.head,
        models=models,
        barbell_bucket=bucket,
        barbell_multiplier=Decimal(repr(float(multiplier))),
    )


def _trace(desk: Desk, signal: Mapping[str, Any], provenance: "Provenance") -> dict[str, Any]:
    session = signal["session"].date()
    return {
        "decision_id": signal["decision_id"],
        "book": desk.settings.book,
        "strategy": signal["strategy"],
        "symbol": signal["symbol"],
        "session": session,
        "as_of": desk.as_of(session),
        "run_id": provenance.run_id,
        "snapshot_id": str(provenance.snapshot_id),
        "code_version": provenance.code_version,
    }


def _numbers(signal: Mapping[str, Any]) -> dict[str, str]:
    names = ("expected_return", "required_return", "round_trip_cost", "volatility", "confidence")
    return {name: f"{signal[name]:.6f}" for name in names if signal[name] == signal[name]}
