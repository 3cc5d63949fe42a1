"""What may be sent: every mode with every intent and position, limits, filters, wash trades."""

import itertools
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from quant.execution import (
    Desk,
    Event,
    Mode,
    OrderState,
    PaperCostPolicy,
    Refusal,
    RefusalRecorded,
    Side,
    admit,
    book_from,
    to_payload,
)
from quant.execution.broker_events import Breaker, BreakerChanged
from quant.execution.codec import from_payload
from quant.execution.commands import Send
from quant.execution.control import BREAKER_MODES, SEVERITY, Control, strictest
from quant.execution.events import EVERY_BOOK, ModeChanged
from quant.execution.limits import LimitData, TradeLimitsPolicy
from quant.execution.order_states import LEGAL_MOVES, OPEN_STATES, UNANSWERED_STATES, is_legal
from quant.execution.orders import Intent, Order
from quant.execution.venue_rules import VenueRules
from tests.execution_values import (
    BOOK,
    MONDAY,
    POLICY,
    TUESDAY,
    after_close,
    fill,
    intent,
    opened,
    order_of,
    verdict,
)
from tests.support.manager_bench import Bench, told

D = Decimal
SHORTING = POLICY.model_copy(update={"allows_short": True})


def desk(*events: Event, **changes: Any) -> Desk:
    book = book_from([opened(), *events], BOOK)
    assert book is not None
    plain: dict[str, Any] = {
        "session": TUESDAY,
        "book": book,
        "mode": Mode.NORMAL,
        "verdict": lambda _kind, _name: verdict(),
        "policy": SHORTING,
        "costs_of": lambda _symbol: PaperCostPolicy(),
    }
    return Desk(**(plain | changes))


def gate_of(wish: Intent, at: Desk) -> str:
    """The gate that refuses, or nothing when the intent becomes an order."""
    orders, refusals = admit([wish], at)
    assert len(orders) + len(refusals) == 1
    return refusals[0].gate if refusals else ""


def refusal_of(wish: Intent, at: Desk) -> Refusal:
    [refusal] = admit([wish], at)[1]
    return refusal


# Held before, wanted, and whether absolute exposure falls without crossing zero.
CELLS = [
    (held, wanted) for held, wanted in itertools.product((-20, 0, 20), (-40, -20, -7, 7, 20, 40))
]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(("held", "wanted"), CELLS)
@pytest.mark.parametrize("is_limit", [False, True])
def test_every_cell_of_mode_intent_position_and_order_type(
    mode: Mode, held: int, wanted: int, is_limit: bool
) -> None:
    """NORMAL sends, REDUCE sends what brings the position closer to zero, the others nothing."""
    side = Side.BUY if held > 0 else Side.SELL
    events = [fill(side, str(abs(held)), "100")] if held else []
    rules = VenueRules(symbol="AAPL", percent_band=D("0.5")) if is_limit else None
    at = desk(*events, mode=mode, rules_of=None if rules is None else lambda _symbol: rules)
    is_reduction = held * wanted < 0 and abs(wanted) <= abs(held)
    assert abs(held + wanted) < abs(held) or not is_reduction
    expected = mode is Mode.NORMAL or (mode is Mode.REDUCE and is_reduction)
    assert gate_of(intent(wanted), at) == ("" if expected else "mode")


@pytest.mark.parametrize("breaker", list(Breaker))
def test_a_tripped_breaker_is_at_least_as_strict_as_reduce_and_names_itself(
    breaker: Breaker,
) -> None:
    """Its mode holds until a person resets it, and the refusal says which it was."""
    control = Control()
    trip = BreakerChanged(
        book=BOOK, breaker=breaker, is_tripped=True, reason="3 %", changed_by="r", sequence=1
    )
    control.take(trip)
    mode = control.mode(BOOK)
    assert mode is BREAKER_MODES[breaker]
    assert SEVERITY.index(mode) >= SEVERITY.index(Mode.REDUCE)
    assert control.mode("another") is Mode.NORMAL
    refusal = refusal_of(intent(10), desk(mode=mode, breakers=control.tripped(BOOK)))
    assert refusal.gate == "breaker"
    assert f"{breaker}: 3 %" in refusal.reason
    control.take(replace(trip, is_tripped=False, sequence=2))
    assert (control.mode(BOOK), control.changes(BOOK, breaker)) == (Mode.NORMAL, 2)


def test_the_strictest_of_book_every_book_and_breakers_rules() -> None:
    """Emergency above pause above reduce above normal; the book's own mode cannot loosen it."""
    assert strictest([]) is Mode.NORMAL
    for one, other in itertools.product(Mode, Mode):
        control = Control()
        for scope, mode in ((BOOK, one), (EVERY_BOOK, other)):
            control.take(
                ModeChanged(
                    scope=scope,
                    mode=mode,
                    reason="r",
                    changed_by="p",
                    changed_at=after_close(MONDAY),
                )
            )
        assert control.mode(BOOK) is max(one, other, key=SEVERITY.index)
        assert control.mode("another") is other


def test_all_81_pairs_of_states_are_legal_or_not_as_written_here() -> None:
    """The second, independent writing of the table: a typing error in one is found by the other."""
    legal = {
        "new": "sent rejected expired",
        "sent": "sent working partial unknown filled canceled expired rejected",
        "working": "partial unknown filled canceled expired rejected",
        "partial": "partial unknown filled canceled expired",
        "unknown": "sent working partial filled canceled expired rejected",
        "filled": "",
        "canceled": "filled",
        "expired": "filled",
        "rejected": "",
    }
    for before, after in itertools.product(OrderState, OrderState):
        assert is_legal(before, after) is (after.value in legal[before.value].split())
    assert set(LEGAL_MOVES) == set(OrderState)
    assert OPEN_STATES >= UNANSWERED_STATES


def test_an_unknown_order_blocks_its_symbol_and_its_worst_cash() -> None:
    """A buy of 90,000 may have happened: 9,000 of 100,000 are free, and the symbol is closed."""
    lost = order_of(intent(900))
    at = desk(unknown=(lost,))
    assert gate_of(intent(1, salt="second"), at) == "unknown"
    assert gate_of(intent(120, symbol="MSFT"), at) == "cash"
    assert gate_of(intent(50, symbol="MSFT"), at) == ""
    assert gate_of(intent(120, symbol="MSFT"), desk()) == ""
    short = replace(lost, side=Side.SELL)
    assert gate_of(intent(120, symbol="MSFT"), desk(unknown=(short,))) == ""


def test_a_working_order_keeps_its_cash_and_its_shares() -> None:
    """What is spoken for cannot be spent again, nor sold twice by a book that may not short."""
    assert gate_of(intent(120, symbol="MSFT"), desk(working=(order_of(intent(900)),))) == "cash"
    selling = order_of(intent(-15))
    long = desk(fill(Side.BUY, "20", "100"), working=(selling,), policy=POLICY)
    assert gate_of(intent(-6, salt="second"), long) == "short"
    assert gate_of(intent(-5, salt="second"), long) == ""


def test_an_order_that_could_meet_our_own_is_refused() -> None:
    """Both with one that rests at the venue and with one of the same batch."""
    resting: Order = order_of(intent(-10))
    at = desk(fill(Side.BUY, "20", "100"), working=(resting,))
    assert gate_of(intent(5, salt="second"), at) == "self_trade"
    orders, refusals = admit([intent(5), intent(-5, salt="second")], desk())
    assert [one.side for one in orders] == [Side.SELL]
    assert [one.gate for one in refusals] == ["self_trade"]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("quantity_step", {"quantity_step": D(3)}),
        ("quantity_min", {"quantity_min": D(11)}),
        ("quantity_max", {"quantity_max": D(9)}),
        ("notional_min", {"notional_min": D(1001)}),
    ],
)
def test_a_broken_venue_filter_is_named_before_anything_is_sent(
    rule: str, change: dict[str, Decimal]
) -> None:
    """The refusal holds the rule and its numbers; at the limit itself the order passes."""
    rules = VenueRules(symbol="AAPL", **change)
    refusal = refusal_of(intent(10), desk(rules_of=lambda _symbol: rules))
    assert (refusal.gate, refusal.numbers["rule"]) == ("venue_rule", rule)
    fair = VenueRules(
        symbol="AAPL",
        quantity_step=D(5),
        quantity_min=D(10),
        quantity_max=D(10),
        notional_min=D(1000),
    )
    assert gate_of(intent(10), desk(rules_of=lambda _symbol: fair)) == ""


def test_an_order_leaves_within_its_collar_and_an_exit_at_any_price() -> None:
    """1 % around 141.17 is 142.58 to 139.76, and never a hair beyond."""
    collared = desk(price_collar_bps=D(100))

    def limit(wish: Intent, at: Desk = collared) -> Decimal | None:
        [order], _ = admit([wish], at)
        return order.limit_price

    assert limit(intent(10, price="141.17")) == D("142.58")
    assert limit(intent(-10, price="141.17")) == D("139.76")
    assert limit(intent(1000, price="0.123456")) == D("0.1246")
    assert limit(intent(10, price="141.17"), desk()) is None
    held = desk(fill(Side.BUY, "10", "100"), price_collar_bps=D(100))
    assert limit(replace(intent(-10), exit_reason="STOP_LOSS"), held) is None


def data(**changes: Any) -> LimitData:
    plain: dict[str, Any] = {
        "equity": D(100_000),
        "prices": {"AAPL": D(100), "MSFT": D(100), "XOM": D(100)},
        "sectors": {"AAPL": "tech", "MSFT": "tech", "XOM": "oil"},
        "correlations": {
            ("AAPL", "MSFT"): D("0.9"),
            ("AAPL", "XOM"): D("0.1"),
            ("MSFT", "XOM"): D("-0.8"),
        },
    }
    return LimitData(**(plain | changes))


@pytest.mark.parametrize(
    ("limits", "gate"),
    [
        ({"position_max": "0.10"}, "position_limit"),
        ({"sector_max": "0.30"}, "sector_limit"),
        ({"correlated_max": "0.30"}, "correlation_limit"),
        ({"trades_a_day_max": "2"}, "trades_a_day"),
    ],
)
def test_each_limit_refuses_one_share_more_and_not_what_is_at_it(
    limits: dict[str, str], gate: str
) -> None:
    """20 % are held in MSFT; 10 % more of AAPL is at each limit, and 10.1 % above it."""
    policy = TradeLimitsPolicy.model_validate(limits)
    held = fill(Side.BUY, "200", "100", symbol="MSFT")
    plain = {"limits": policy, "limit_data": data()}
    at, above = desk(held, trades_today=1, **plain), desk(held, trades_today=2, **plain)
    assert gate_of(intent(100), at) == ""
    assert gate_of(intent(101), above) == gate
    # A reduction always passes.
    assert gate_of(intent(-50, symbol="MSFT"), above) == ""


def test_what_moves_the_other_way_counts_as_one_position_too() -> None:
    """XOM at -0.8 to the 20 % of MSFT: 10 % of it is at the limit of 30 %, a share more above."""
    policy = TradeLimitsPolicy(correlated_max=D("0.30"))
    held = fill(Side.BUY, "200", "100", symbol="MSFT")
    at = desk(held, limits=policy, limit_data=data())
    assert gate_of(intent(100, symbol="XOM"), at) == ""
    assert gate_of(intent(101, symbol="XOM"), at) == "correlation_limit"


def test_an_unknown_exposure_is_not_a_small_one() -> None:
    """A price, sector or correlation that is missing or no number refuses; so does no data."""
    held = fill(Side.BUY, "10", "100", symbol="MSFT")
    policy = TradeLimitsPolicy(position_max=D(1), sector_max=D(1), correlated_max=D(1))
    broken = (
        None,
        data(equity=D("NaN")),
        data(equity=D(0)),
        data(prices={"AAPL": D(100)}),
        data(prices={"AAPL": D("NaN"), "MSFT": D(100)}),
        data(sectors={}),
        data(correlations={}),
        data(correlations={("AAPL", "MSFT"): D("NaN")}),
    )
    for one in broken:
        at = desk(held, limits=policy, limit_data=one)
        assert gate_of(intent(1), at) == "limit_data", one
    assert gate_of(intent(1), desk(held, limits=policy, limit_data=data())) == ""


def test_a_refusal_of_the_manager_is_recorded_and_the_intent_is_done() -> None:
    """Refused once, it does not come up again; the record survives its journal form."""
    bench = Bench(intent(10), intent(5, symbol="MSFT"))
    bench.record(
        ModeChanged(
            scope=BOOK, mode=Mode.PAUSE, reason="r", changed_by="p", changed_at=after_close(MONDAY)
        )
    )
    assert bench.offer() == bench.offer() == []
    refusals = bench.of_kind(RefusalRecorded)
    assert [one.refusal.gate for one in refusals] == ["mode", "mode"]
    for event in bench.events:
        assert from_payload(to_payload(event)) == event
    bench.restart()
    assert bench.manager.state.pending == {}
    assert bench.take(Send) == []


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.WORKING])
def test_the_manager_spends_no_cash_twice(state: OrderState) -> None:
    """90,000 of 100,000 are on their way, sent or at work: 12,000 more are refused, 5,000 pass."""
    bench = Bench(intent(900), intent(120, symbol="MSFT"), intent(50, symbol="XOM"))
    later = {key: bench.manager.state.pending.pop(key) for key in list(bench.manager.state.pending)}
    bench.manager.state.pending |= {key: one for key, one in later.items() if one.symbol == "AAPL"}
    [send] = bench.offer()
    if state is OrderState.WORKING:
        bench.settle(send, told(send))
    bench.manager.state.pending |= {key: one for key, one in later.items() if one.symbol != "AAPL"}
    assert [one.order.symbol for one in bench.offer()] == ["XOM"]
    assert [one.refusal.gate for one in bench.of_kind(RefusalRecorded)] == ["cash"]


def test_a_sale_pays_when_the_venue_has_filled_it() -> None:
    """10,000 are free, and a sale of as much leaves with a purchase of 15,000: that one waits."""
    bench = Bench(intent(-100), intent(150, symbol="MSFT"))
    bench.record(fill(Side.BUY, "900", "100"))
    assert [one.order.side for one in bench.offer()] == [Side.SELL]
    assert [one.refusal.gate for one in bench.of_kind(RefusalRecorded)] == ["cash"]


def test_the_manager_reserves_open_orders_at_their_worst_case() -> None:
    """The first buy is unknown, then partly filled: only what is left of it is reserved."""
    bench = Bench(intent(900))
    [send] = bench.offer()
    life = bench.manager.state.lives[send.order.client_order_id]
    assert (life.rest, life.signed_rest) == (900, 900)
    bench.settle(send, told(send, OrderState.CANCELED))
    assert life.rest == 0
