"""A session of the paper book: sent once, inside its window, and the same after any crash."""

import json
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.trader.paper_session import TradeSummary, trade_session
from quant.core.clock import SteppedClock
from quant.core.errors import StateError, UsageError
from quant.execution import (
    ActionKind,
    BookPolicy,
    CorporateAction,
    Fill,
    Mode,
    ModeChanged,
    OrderSent,
    OrderState,
    OrderStateChanged,
    Outcome,
    PaperCostPolicy,
    SessionOpened,
)
from resources.ledger import Ledger
from tests.execution_values import (
    BOOK,
    MONDAY,
    POLICY,
    TUESDAY,
    WEDNESDAY,
    after_close,
    intent,
    opened,
    order_of,
    recorded,
    reference,
    verdict,
)

ROOT = Path(__file__).parents[3]
CLOCK = SteppedClock(after_close(WEDNESDAY))
D = Decimal
PRICES = {"AAPL": "100", "MSFT": "240"}


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger.open(tmp_path, clock=CLOCK) as fresh:
        fresh.append_all([opened(), verdict()])
        yield fresh


def trade(ledger: Ledger, session: Any = TUESDAY, **changes: Any) -> TradeSummary:
    plain: dict[str, Any] = {
        "prices": {name: reference(price, session=session) for name, price in PRICES.items()},
        "clock": CLOCK,
        "costs": PaperCostPolicy(),
        "policy": POLICY,
        "run_id": "run-1",
        "code_version": "c1",
    }
    return trade_session(ledger, BOOK, session, **(plain | changes))


def mode(value: Mode, scope: str = BOOK) -> ModeChanged:
    moment = after_close(MONDAY)
    return ModeChanged(scope=scope, mode=value, reason="drill", changed_by="ops", changed_at=moment)


def test_an_intent_becomes_an_order_a_fill_and_a_mark_under_one_decision(ledger: Ledger) -> None:
    """From the wish to the money, one id leads through all of it."""
    wish = intent(50)
    ledger.append_all(recorded(wish))
    summary = trade(ledger)
    [filled] = summary.fills
    assert filled.price == D("100.025")
    found = [type(one.event).__name__ for one in ledger.find(wish.decision_id)]
    assert found == ["IntentRecorded", "OrderSent", "FillRecorded", "OrderStateChanged"]
    assert ledger.find(filled.fill_id)[0].event.fill == filled  # type: ignore[attr-defined]
    # 50 shares at 100.025 and a fee of 0.76 (0.7501875, rounded up), marked at 100.
    assert summary.equity == D("100000") - D("1.25") - D("0.76")
    assert ledger.book(BOOK).quantity("AAPL") == 50
    assert ledger.verify().is_sound


def test_an_order_beyond_the_days_volume_is_filled_in_part_and_the_rest_expires(
    ledger: Ledger,
) -> None:
    """50 wanted and 300 traded: 30 are bought, 20 expire, and a second run adds nothing."""
    ledger.append_all(recorded(intent(50)))
    prices = {"AAPL": reference("100", volume="300")}
    summary = trade(ledger, prices=prices)
    [filled] = summary.fills
    assert filled.quantity == 30
    assert ledger.book(BOOK).quantity("AAPL") == 30
    [status] = ledger.orders(BOOK)
    assert (status.state, status.filled_quantity) == (OrderState.EXPIRED, 30)
    assert "30 of 50" in status.reason
    assert summary.expired == (f"AAPL: {status.reason}",)
    head = ledger.head()
    trade(ledger, prices=prices)
    assert ledger.head() == head
    assert ledger.verify().is_sound


def test_trading_a_session_again_changes_nothing(ledger: Ledger) -> None:
    """The same nightly twice, and a third time: not one record more."""
    ledger.append_all(recorded(intent(50), intent(1, symbol="MSFT", price="5")))
    first = trade(ledger)
    head, state = ledger.head(), ledger.state_hash()
    again = trade(ledger)
    assert (ledger.head(), ledger.state_hash()) == (head, state)
    assert again.was_traded_before
    assert (again.fills, again.refusals) == (first.fills, first.refusals)


def test_materialising_a_past_session_again_sends_nothing(ledger: Ledger) -> None:
    """A backfill writes new intents for Tuesday after Wednesday was traded: none becomes an order.

    The next session refuses them by name, so that nothing waits for ever.
    """
    trade(ledger, TUESDAY)
    trade(ledger, WEDNESDAY)
    late = [intent(50, salt=str(n), code_version="c2") for n in range(5)]
    ledger.append_all(recorded(*late))
    head = ledger.head()
    for session in (TUESDAY, WEDNESDAY):
        assert trade(ledger, session).fills == ()
    assert trade(ledger, MONDAY).note.endswith("its window has passed")
    assert ledger.head() == head
    thursday = WEDNESDAY.replace(month=12, day=1)
    clock = SteppedClock(after_close(thursday))
    assert trade(ledger, thursday, clock=clock, prices={}).fills == ()
    assert {one.gate for one in ledger.refusals(book=BOOK)} == {"window"}
    assert len(ledger.refusals(book=BOOK)) == 5
    assert ledger.orders(BOOK) == []


def test_an_intent_waits_for_its_own_session(ledger: Ledger) -> None:
    """Wednesday's wish is neither sent nor refused on Tuesday."""
    ledger.append_all(recorded(intent(50, session=TUESDAY, valid=WEDNESDAY)))
    assert trade(ledger, TUESDAY).fills == ()
    assert len(ledger.pending_intents(BOOK)) == 1
    assert len(trade(ledger, WEDNESDAY).fills) == 1


def test_without_a_passing_verdict_nothing_is_sent(ledger: Ledger) -> None:
    """The trader reads the latest verdict itself, when it sends and not when it was decided."""
    ledger.append_all(recorded(intent(50)))
    ledger.append_all([verdict(outcome=Outcome.FAIL)])
    summary = trade(ledger)
    assert (summary.fills, [one.gate for one in summary.refusals]) == ((), ["verdict"])
    assert ledger.orders(BOOK) == []


def test_an_old_session_judged_again_does_not_overrule_a_later_verdict(ledger: Ledger) -> None:
    """A backfill that passes Monday's audit anew cannot lift what Tuesday's audit refused."""
    ledger.append_all([verdict(outcome=Outcome.FAIL, session=TUESDAY)])
    ledger.append_all([verdict(outcome=Outcome.PASS, session=MONDAY, code_version="c2")])
    assert ledger.verdict("trend").outcome is Outcome.FAIL  # type: ignore[union-attr]


@pytest.mark.parametrize("scope", [BOOK, "*"])
def test_a_pause_of_one_book_or_of_all_stops_it(ledger: Ledger, scope: str) -> None:
    """The stricter of the two modes holds, and the refusal says which."""
    ledger.append_all([mode(Mode.PAUSE, scope), *recorded(intent(50))])
    summary = trade(ledger)
    assert summary.mode is Mode.PAUSE
    assert summary.refusals[0].reason == "the book is in mode pause and sends nothing"


def test_reduce_lets_a_book_shrink_and_not_grow(ledger: Ledger) -> None:
    """Fifty held: selling twenty is allowed, buying twenty is not."""
    ledger.append_all(recorded(intent(50)))
    trade(ledger, TUESDAY)
    wishes = [
        intent(-20, session=TUESDAY, valid=WEDNESDAY, salt="out"),
        intent(20, session=TUESDAY, valid=WEDNESDAY, salt="in"),
    ]
    ledger.append_all([mode(Mode.REDUCE), *recorded(*wishes)])
    summary = trade(ledger, WEDNESDAY)
    assert [one.side.value for one in summary.fills] == ["sell"]
    assert [one.gate for one in summary.refusals] == ["mode"]
    assert ledger.book(BOOK).quantity("AAPL") == 30


def test_a_symbol_without_a_price_stays_unfilled_and_its_order_expires(ledger: Ledger) -> None:
    """No price that day: the order expires with its reason, and the position is marked stale."""
    ledger.append_all(recorded(intent(50), intent(3, session=TUESDAY, valid=WEDNESDAY)))
    trade(ledger, TUESDAY)
    summary = trade(ledger, WEDNESDAY, prices={})
    assert summary.fills == ()
    assert summary.expired == ("AAPL: no price for AAPL in session 2022-11-30",)
    assert ledger.marks(BOOK)[-1].stale == ("AAPL",)
    assert ledger.book(BOOK).quantity("AAPL") == 50


def test_an_unknown_order_is_neither_matched_nor_forgotten(ledger: Ledger) -> None:
    """It blocks its symbol session after session until someone finds out what became of it."""
    lost = order_of(intent(40))
    ledger.append_all(
        [
            SessionOpened(book=BOOK, session=TUESDAY, run_id="r", code_version="c"),
            *recorded(intent(40)),
            OrderSent(order=lost),
            OrderStateChanged(
                book=BOOK,
                decision_id=lost.decision_id,
                client_order_id=lost.client_order_id,
                sequence=1,
                before=OrderState.SENT,
                after=OrderState.UNKNOWN,
                reason="the answer never came",
            ),
            *recorded(intent(10, session=TUESDAY, valid=WEDNESDAY)),
        ]
    )
    assert trade(ledger, TUESDAY).fills == ()
    summary = trade(ledger, WEDNESDAY)
    assert [one.gate for one in summary.refusals] == ["unknown"]
    assert [one.state for one in ledger.open_orders(BOOK)] == [OrderState.UNKNOWN]


def test_a_split_overnight_scales_position_and_order_before_anything_trades(
    ledger: Ledger,
) -> None:
    """Fifty held and ten wanted at 700; seven for one: 350 held, 70 bought, cost unchanged."""
    ledger.append_all(recorded(intent(50, price="700")))
    trade(ledger, TUESDAY, prices={"AAPL": reference("700")})
    before = ledger.book(BOOK)
    ledger.append_all(recorded(intent(10, price="700", session=TUESDAY, valid=WEDNESDAY)))
    split = CorporateAction(
        symbol="AAPL", ex_session=WEDNESDAY, kind=ActionKind.SPLIT, value=D("0.142857")
    )
    day_after = {"AAPL": reference("100", session=WEDNESDAY)}
    [filled] = trade(ledger, WEDNESDAY, prices=day_after, actions=[split]).fills
    after = ledger.book(BOOK)
    assert (filled.quantity, after.quantity("AAPL")) == (70, 420)
    assert after.cost - filled.notional == before.cost
    assert after.equity() == before.equity() - (filled.notional - 7000) - filled.fee_amount


def test_a_dividend_on_a_raw_book_is_paid_on_what_was_held_before_the_session(
    ledger: Ledger,
) -> None:
    """Fifty held on the eve: 23.50 in cash, whatever is bought on the day itself."""
    ledger.append_all(recorded(intent(50), intent(10, session=TUESDAY, valid=WEDNESDAY)))
    trade(ledger, TUESDAY)
    paid = CorporateAction(
        symbol="AAPL", ex_session=WEDNESDAY, kind=ActionKind.CASH_DIVIDEND, value=D("0.47")
    )
    trade(ledger, WEDNESDAY, actions=[paid])
    assert ledger.book(BOOK).dividends == D("23.50")


def test_sessions_are_traded_in_order_and_finished_before_the_next(ledger: Ledger) -> None:
    """A session that was begun and never closed is named, since its orders would be orphans."""
    ledger.append_all([SessionOpened(book=BOOK, session=TUESDAY, run_id="r", code_version="c")])
    with pytest.raises(StateError, match="session 2022-11-29 of book paper was begun"):
        trade(ledger, WEDNESDAY)
    trade(ledger, TUESDAY)
    trade(ledger, WEDNESDAY)
    with pytest.raises(StateError, match="lies after today"):
        trade(ledger, WEDNESDAY.replace(year=2023))
    with pytest.raises(UsageError, match="no book 'other'"):
        ledger.book("other")


def test_any_past_book_can_be_derived_again(ledger: Ledger) -> None:
    """Each intent names the head it was decided on; the book there is derived to the cent."""
    seen = {ledger.head().seq: ledger.book(BOOK).state_hash()}
    for session, valid in ((MONDAY, TUESDAY), (TUESDAY, WEDNESDAY)):
        ledger.append_all(recorded(intent(10, session=session, valid=valid)))
        trade(ledger, valid)
        seen[ledger.head().seq] = ledger.book(BOOK).state_hash()
    for seq, state in seen.items():
        assert ledger.book(BOOK, until_seq=seq).state_hash() == state
    assert len(set(seen.values())) == 3


def test_books_keep_their_money_apart(ledger: Ledger) -> None:
    """The same decision in two books is two orders, two fills and two purses."""
    ledger.append_all([opened("second", BookPolicy(initial_cash=D(5000)))])
    ledger.append_all(recorded(intent(50), intent(50, book="second")))
    trade(ledger)
    assert len(ledger.pending_intents("second")) == 1
    assert ledger.book("second").cash == 5000
    both = ledger.intents(session=MONDAY)
    assert both[0].decision_id == both[1].decision_id
    assert both[0].client_order_id != both[1].client_order_id


def test_no_fill_of_a_session_is_better_than_its_reference(ledger: Ledger) -> None:
    """The trader adds nothing to the engine's modesty."""
    ledger.append_all(recorded(intent(50), intent(20, symbol="MSFT")))
    fills: tuple[Fill, ...] = trade(ledger).fills
    assert len(fills) == 2
    assert all(one.side.sign * (one.price - one.reference_price) > 0 for one in fills)


def test_a_session_killed_at_any_step_ends_like_one_that_was_not() -> None:
    """SIGKILL at every named step of two sessions, then a second run: one state hash for all."""
    # A killed process loses nothing that it wrote, so memory is as good a disk as any, and faster.
    shared_memory = Path("/dev/shm")
    place = str(shared_memory) if shared_memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as work:
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.ledger.crash_world", work],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["steps"]) >= 20
    assert all(result["killed"])
    ends = zip(result["steps"], result["endings"], strict=True)
    assert [name for name, end in ends if end != result["expected"]] == []
