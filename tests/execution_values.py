"""Builders of execution values for tests: small, complete, and the same every time."""

import datetime as dt
from decimal import Decimal
from typing import Any

from quant.core.identity import decision_id
from quant.execution import (
    BookOpened,
    BookPolicy,
    Fill,
    FillRecorded,
    Intent,
    IntentRecorded,
    LedgerHead,
    Order,
    Outcome,
    PriceReference,
    Side,
    SubjectKind,
    VerdictRecorded,
    fill_id,
    opening_of,
)

MONDAY = dt.date(2022, 11, 28)
TUESDAY = dt.date(2022, 11, 29)
WEDNESDAY = dt.date(2022, 11, 30)
POLICY = BookPolicy(initial_cash=Decimal(100_000), quantity_step=Decimal(1))
BOOK = "paper"


def after_close(session: dt.date) -> dt.datetime:
    return dt.datetime.combine(session, dt.time(21, 30), tzinfo=dt.UTC)


def at_close(session: dt.date) -> dt.datetime:
    return dt.datetime.combine(session, dt.time(21, 0), tzinfo=dt.UTC)


def opened(name: str = BOOK, policy: BookPolicy = POLICY) -> BookOpened:
    return opening_of(name, policy)


def trace(symbol: str = "AAPL", session: dt.date = MONDAY, **changes: Any) -> dict[str, Any]:
    strategy = changes.get("strategy", "trend")
    identity = decision_id(
        strategy=strategy,
        symbol=symbol,
        as_of=after_close(session),
        inputs={},
        code_version="c1",
        parameters={"salt": changes.pop("salt", "")},
    )
    return {
        "decision_id": identity,
        "book": BOOK,
        "strategy": strategy,
        "symbol": symbol,
        "session": session,
        "as_of": after_close(session),
        "run_id": "run-1",
        "snapshot_id": "snap-1",
        "code_version": "c1",
    } | changes


def intent(
    quantity: int | str = 10,
    *,
    symbol: str = "AAPL",
    session: dt.date = MONDAY,
    valid: dt.date = TUESDAY,
    price: str = "100",
    models: tuple[str, ...] = (),
    **changes: Any,
) -> Intent:
    return Intent(
        **trace(symbol, session, **changes),
        valid_session=valid,
        quantity=Decimal(quantity),
        target_weight=Decimal("0.02"),
        reference_price=Decimal(price),
        equity=Decimal(100_000),
        ledger_head=LedgerHead(seq=0, hash="0" * 64),
        models=models,
    )


def order_of(wish: Intent) -> Order:
    fields = {name: getattr(wish, name) for name in trace()}
    return Order(
        **fields,
        client_order_id=wish.client_order_id,
        valid_session=wish.valid_session,
        side=wish.side,
        quantity=abs(wish.quantity),
        reference_price=wish.reference_price,
    )


def reference(
    price: str, session: dt.date = TUESDAY, volume: str | None = None, row: str = "row"
) -> PriceReference:
    return PriceReference(
        price=Decimal(price),
        row_hash=row,
        event_time=at_close(session),
        volume=None if volume is None else Decimal(volume),
    )


def fill(
    side: Side,
    quantity: str,
    price: str,
    *,
    fee: str = "0",
    symbol: str = "AAPL",
    number: int = 1,
    notional: str | None = None,
) -> FillRecorded:
    """A fill at exactly `price`, as a venue without costs would report it."""
    amount = Decimal(quantity) * Decimal(price) if notional is None else Decimal(notional)
    order = f"o-{symbol}-{number}"
    return FillRecorded(
        fill=Fill(
            **trace(symbol),
            fill_id=fill_id(order=order, sequence=1),
            client_order_id=order,
            sequence=1,
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            notional=amount.quantize(Decimal("0.01")),
            reference_price=Decimal(price),
            price_row_hash="row",
            event_time=at_close(TUESDAY),
            spread_amount=Decimal(0),
            slippage_amount=Decimal(0),
            impact_amount=Decimal(0),
            fee_amount=Decimal(fee),
            costs_hash="none",
        )
    )


def verdict(
    subject: str = "trend",
    *,
    outcome: Outcome = Outcome.PASS,
    kind: SubjectKind = SubjectKind.STRATEGY,
    session: dt.date = MONDAY,
    code_version: str = "c1",
) -> VerdictRecorded:
    return VerdictRecorded(
        subject_kind=kind,
        subject=subject,
        outcome=outcome,
        reason="20 audits without a violation" if outcome is Outcome.PASS else "too few audits",
        session=session,
        run_id="run-1",
        snapshot_id="snap-1",
        code_version=code_version,
        evidence={"audits": "20"},
    )


def recorded(*wishes: Intent) -> list[IntentRecorded]:
    return [IntentRecorded(intent=wish) for wish in wishes]
