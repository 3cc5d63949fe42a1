"""Order states, gates and the vocabulary of events."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from quant.core.errors import DataError
from quant.execution import (
    LEGAL_MOVES,
    OPEN_STATES,
    Desk,
    Mode,
    Order,
    OrderState,
    OrderStateChanged,
    Outcome,
    PaperCostPolicy,
    Refusal,
    Side,
    SubjectKind,
    admit,
    book_from,
    from_payload,
    is_reducing,
    to_payload,
)
from quant.execution.events import EVENT_TYPES, VerdictRecorded
from quant.execution.orders import is_legal
from tests.execution_values import (
    BOOK,
    MONDAY,
    POLICY,
    TUESDAY,
    WEDNESDAY,
    fill,
    intent,
    opened,
    order_of,
    recorded,
    verdict,
)

D = Decimal


def passing(_kind: SubjectKind, _name: str) -> VerdictRecorded:
    return verdict()


def desk(*events: object, **changes: Any) -> Desk:
    book = book_from([opened(), *events], BOOK)  # type: ignore[list-item]
    assert book is not None
    plain: dict[str, Any] = {
        "session": TUESDAY,
        "book": book,
        "mode": Mode.NORMAL,
        "verdict": passing,
        "policy": POLICY,
        "costs_of": lambda _symbol: PaperCostPolicy(),
    }
    return Desk(**(plain | changes))


def refused_by(refusals: list[Refusal]) -> list[str]:
    return [one.gate for one in refusals]


def test_every_state_has_its_moves_and_the_ends_are_ends() -> None:
    """All 81 pairs are decided by data; nothing leads back to NEW, and UNKNOWN is not an end."""
    assert set(LEGAL_MOVES) == set(OrderState)
    assert not any(is_legal(state, OrderState.NEW) for state in OrderState)
    assert LEGAL_MOVES[OrderState.FILLED] == LEGAL_MOVES[OrderState.REJECTED] == frozenset()
    assert OrderState.UNKNOWN in OPEN_STATES
    # A fill already on its way may overtake a cancel or an expiry; nothing else may.
    late = {s for s in OrderState if s not in OPEN_STATES and LEGAL_MOVES[s]} - {OrderState.NEW}
    assert late == {OrderState.CANCELED, OrderState.EXPIRED}
    assert all(LEGAL_MOVES[state] == {OrderState.FILLED} for state in late)


@pytest.mark.parametrize("before", list(OrderState))
@pytest.mark.parametrize("after", list(OrderState))
def test_an_illegal_move_cannot_even_be_written_down(before: OrderState, after: OrderState) -> None:
    """The event checks itself, so no journal can hold a move that data does not allow."""
    fields = {"book": BOOK, "decision_id": "d", "client_order_id": "o", "sequence": 1}
    if is_legal(before, after):
        OrderStateChanged(**fields, before=before, after=after)
    else:
        with pytest.raises(DataError, match="cannot move"):
            OrderStateChanged(**fields, before=before, after=after)


def test_an_order_carries_its_decision_and_the_id_that_makes_it_single() -> None:
    """Everything that the intent knew about its origin stands on the order."""
    wish = intent(12)
    [order], refusals = admit([wish], desk())
    assert refusals == []
    assert order == order_of(wish)
    assert order.client_order_id == intent(12).client_order_id
    assert len(order.client_order_id) <= 36


def test_a_missing_or_failed_verdict_refuses_for_strategy_and_model_alike() -> None:
    """No verdict is not a good verdict, and an inconclusive one is not a pass."""
    wish = intent(10, models=("garch",))
    known = {"trend": verdict()}
    _, none = admit([wish], desk(verdict=lambda _kind, name: known.get(name)))
    assert (none[0].gate, none[0].reason) == (
        "verdict",
        "the ledger holds no verdict on model garch",
    )
    known["garch"] = verdict("garch", outcome=Outcome.INCONCLUSIVE, kind=SubjectKind.MODEL)
    _, open_question = admit([wish], desk(verdict=lambda _kind, name: known.get(name)))
    assert open_question[0].reason == "the verdict on model garch is inconclusive: too few audits"


@pytest.mark.parametrize("mode", [Mode.PAUSE, Mode.EMERGENCY])
def test_a_paused_book_sends_nothing(mode: Mode) -> None:
    """Not even what would reduce: that is a person's decision then."""
    held = fill(Side.BUY, "10", "100")
    orders, refusals = admit([intent(10), intent(-10, salt="s")], desk(held, mode=mode))
    assert (orders, refused_by(refusals)) == ([], ["mode", "mode"])


@pytest.mark.parametrize("held", [-10, 0, 10])
@pytest.mark.parametrize("traded", [-20, -10, -5, 5, 10, 20])
def test_reduce_only_lets_through_what_brings_a_position_closer_to_zero(
    held: int, traded: int
) -> None:
    """Every sign of position against every size of trade."""
    expected = abs(held + traded) < abs(held) and (held + traded) * held >= 0
    assert is_reducing(D(held), D(traded)) is expected


def test_two_sales_cannot_both_reduce_the_same_shares() -> None:
    """The second of two sales of all ten shares would open a short position."""
    held = fill(Side.BUY, "10", "100")
    wishes = [intent(-10), intent(-10, salt="again")]
    orders, refusals = admit(wishes, desk(held, mode=Mode.REDUCE))
    assert (len(orders), refused_by(refusals)) == (1, ["mode"])


def test_an_unknown_order_blocks_its_symbol_and_keeps_its_worst_case_in_cash() -> None:
    """Unknown is never flat: its shares are not bought twice, and its money is not spent twice."""
    lost = order_of(intent(900, symbol="XOM", price="100"))
    wishes = [intent(5, symbol="XOM"), intent(200, symbol="AAPL", price="100")]
    orders, refusals = admit(wishes, desk(unknown=(lost,)))
    assert orders == []
    assert refused_by(refusals) == ["cash", "unknown"]
    assert D(refusals[0].numbers["reserved"]) > 90_000


def test_cash_that_is_not_there_is_not_spent_and_sales_come_first() -> None:
    """Two buys of 60,000 do not fit into 100,000; after a sale of 40,000 they do."""
    wishes = [intent(600, symbol="KO"), intent(600, symbol="PEP")]
    orders, refusals = admit(wishes, desk())
    assert ([o.symbol for o in orders], refused_by(refusals)) == (["KO"], ["cash"])
    held = fill(Side.BUY, "400", "100", notional="0.01")
    orders, refusals = admit([*wishes, intent(-400)], desk(held))
    assert ([o.symbol for o in orders], refusals) == (["AAPL", "KO", "PEP"], [])


def test_sizes_below_the_step_or_the_minimum_are_refused_with_their_numbers() -> None:
    """Half a share rounds to none; one for 5.00 is dust, unless it is the rest of a position."""
    _, small = admit([intent("0.5")], desk())
    _, dust = admit([intent(1, price="5")], desk())
    assert (small[0].gate, dust[0].gate) == ("quantity_step", "min_notional")
    assert dust[0].numbers == {"notional": "5.00", "minimum": "10"}
    rest, _ = admit([intent(-1, price="5")], desk(fill(Side.BUY, "1", "5")))
    assert len(rest) == 1


def test_a_short_sale_needs_a_policy_that_allows_it() -> None:
    """The safe value is the default."""
    _, refusals = admit([intent(-5)], desk())
    assert refused_by(refusals) == ["short"]
    allowed = POLICY.model_copy(update={"allows_short": True})
    orders, _ = admit([intent(-5)], desk(policy=allowed))
    assert [one.side for one in orders] == [Side.SELL]


def test_an_intent_outside_its_window_is_refused_whichever_side_it_missed() -> None:
    """A decision made for Tuesday is not sent on Wednesday."""
    _, refusals = admit([intent(5)], desk(session=WEDNESDAY))
    assert refusals[0].reason == "it was valid in session 2022-11-29 only, and this is 2022-11-30"


def test_a_split_between_decision_and_session_scales_the_order() -> None:
    """Ten shares decided at 650 become seventy at a seventh of it; the intent is not edited."""
    wish = intent(10, price="650")
    [order], _ = admit([wish], desk(splits={wish.decision_id: Fraction(1, 7)}))
    assert (order.quantity, order.split_ratio) == (70, "1/7")
    assert abs(order.reference_price * 7 - 650) < D("1e-20")


def test_values_that_cannot_be_are_refused_where_they_would_be_made() -> None:
    """Zero, NaN, a window before its decision, a naive time."""
    with pytest.raises(DataError, match="wants nothing"):
        intent(0)
    with pytest.raises(DataError, match="must be finite"):
        intent("NaN")
    with pytest.raises(DataError, match="must be valid after its session"):
        intent(1, valid=MONDAY)
    with pytest.raises(DataError, match="must be aware"):
        replace(intent(1), as_of=intent(1).as_of.replace(tzinfo=None))


def test_events_survive_the_way_to_plain_dictionaries_and_back() -> None:
    """Every digit, day and moment; and a kind from the future is an error that says so."""
    refusal = admit([intent(5)], desk(session=WEDNESDAY))[1][0]
    from quant.execution import (
        ModeChanged,
        OrderSent,
        RefusalRecorded,
    )
    from tests.execution_values import after_close

    events = [
        opened(),
        *recorded(intent("0.00000001", models=("a", "b"))),
        OrderSent(order=order_of(intent(3))),
        fill(Side.SELL, "3.1400", "1E+2"),
        RefusalRecorded(refusal=refusal),
        verdict(),
        ModeChanged(
            scope="*",
            mode=Mode.PAUSE,
            reason="drill",
            changed_by="ops",
            changed_at=after_close(MONDAY),
        ),
    ]
    for event in events:
        assert from_payload(to_payload(event)) == event
    with pytest.raises(DataError, match="unknown kind"):
        from_payload({"kind": "telepathy"})
    assert len({kind.kind for kind in EVENT_TYPES}) == len(EVENT_TYPES)


def test_the_public_surface_names_what_others_call() -> None:
    """Order of a package's promise: everything listed exists, and the list is sorted."""
    import quant.execution as surface

    assert all(hasattr(surface, name) for name in surface.__all__)
    assert isinstance(Order, type)


def test_an_exit_needs_no_verdict_and_may_only_reduce() -> None:
    """A refused strategy may still leave; an exit that would enlarge or flip is none."""
    held = fill(Side.BUY, "10", "100")
    way_out = replace(intent(-10), exit_reason="STOP_LOSS")
    [order], _ = admit([way_out], desk(held, verdict=lambda _kind, _name: None))
    assert order.signed_quantity == -10
    for quantity in (-11, 5):
        strange = replace(intent(quantity), exit_reason="STOP_LOSS")
        orders, refusals = admit([strange], desk(held))
        assert (orders, refused_by(refusals)) == ([], ["exit"])
    # Decided twice by a night that was computed again, it is still sent once.
    again = replace(intent(-10, salt="again"), exit_reason="STOP_LOSS")
    orders, refusals = admit([way_out, again], desk(held))
    assert (len(orders), refused_by(refusals)) == (1, ["exit"])
