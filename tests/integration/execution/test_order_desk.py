"""The order desk with a real ledger on disk and a venue in process, which trades in a real book."""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.simulation.venue import SimVenue
from apps.trader.order_desk import OrderDesk
from apps.trader.venue_session import VenueSession
from quant.core.errors import OrderUnknownError, StorageUnavailableError
from quant.execution import Event, IntentRecorded, Mode, OrderState
from quant.execution.broker import (
    Listing,
    OrderNotFoundError,
    OrderTicket,
    TimeInForce,
    VenueAccount,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.events import ModeChanged
from quant.execution.manager_state import state_from
from quant.execution.orders import Intent
from quant.execution.venues import VenueName, VenuePolicy
from resources.ledger import Ledger
from tests.execution_values import (
    BOOK,
    MONDAY,
    POLICY,
    TUESDAY,
    after_close,
    intent,
    opened,
    verdict,
)
from tests.support.manager_bench import Bench, around

D = Decimal


class VenueBroker:
    """The broker port over the simulated venue; `after` and `before` may break a call."""

    name = "in-process"

    def __init__(self, venue: SimVenue) -> None:
        self.venue = venue
        self.calls: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}

    def _call(self, name: str, call: Callable[[], Any]) -> Any:
        self.calls.append(name)
        self.before.pop(name, lambda: None)()
        answer = call()
        self.after.pop(name, lambda: None)()
        return answer

    def submit(self, ticket: OrderTicket) -> VenueOrder:
        found: VenueOrder = self._call("submit", lambda: self.venue.submit(ticket, 1.0))
        return found

    def cancel(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        del symbol
        found: VenueOrder = self._call(
            "cancel", lambda: self.venue.cancel(client_order_id, 2.0, fill_first=False)
        )
        return found

    def find(self, client_order_id: str, *, symbol: str) -> VenueOrder:
        del symbol
        found: VenueOrder = self._call("find", lambda: self.venue.find(client_order_id))
        return found

    def open_orders(self) -> Listing[VenueOrder]:
        return Listing(rows=self._call("open_orders", self.venue.open_rows))

    def fills_since(self, moment: dt.datetime) -> Listing[VenueFill]:
        return Listing(rows=self._call("fills_since", lambda: self.venue.fills_since(moment)))

    def positions(self) -> Listing[VenuePosition]:
        return Listing(rows=self._call("positions", self.venue.position_rows))

    def account(self) -> VenueAccount:
        return self.venue.account()


class Room:
    """A desk, its ledger on disk, and the venue; time is what the test says."""

    def __init__(self, folder: Path, *wishes: Intent) -> None:
        self.folder = folder
        self.now = 0.0
        self.venue = SimVenue(
            symbols=("AAPL", "MSFT"),
            cash=D(100_000),
            draw=random.Random(1),
            moment_of=lambda now: after_close(TUESDAY) + dt.timedelta(seconds=now),
            tell=lambda _told: None,
        )
        self.venue.is_open = True
        self.broker = VenueBroker(self.venue)
        self.ledger = Ledger.open(folder)
        self.ledger.append_all(
            [opened(), verdict(), *(IntentRecorded(intent=one) for one in wishes)]
        )
        self.desk = self.open_desk()

    def open_desk(self) -> OrderDesk:
        state = state_from(self.ledger.events(), BOOK)
        desk = OrderDesk(state, broker=self.broker, ledger=self.ledger, monotonic=lambda: self.now)
        desk.run()
        return desk

    def restart(self) -> None:
        """The process ended; the next one knows what is on disk."""
        self.ledger.close()
        self.ledger = Ledger.open(self.folder)
        self.desk = self.open_desk()

    def offer(self) -> None:
        self.desk.offer(TUESDAY, around())

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.venue.step(self.now)
            self.desk.tick()

    def state_of(self, wish: Intent) -> OrderState:
        return self.desk.manager.state.lives[wish.client_order_id].state


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "ledger", intent(200))


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def settled(room: Room) -> None:
    """Ledger, venue and the ledger's own audit agree, and the venue has one order an intent."""
    book = room.ledger.book(BOOK)
    for symbol in ("AAPL", "MSFT"):
        assert book.quantity(symbol) == room.venue.positions[symbol]
    assert book.cash == room.venue.cash
    assert all(len(orders) == 1 for orders in room.venue.orders.values())
    assert room.ledger.verify().problems == ()
    assert room.desk.manager.state.held == {}


def test_an_order_is_sent_once_filled_in_parts_and_booked_to_the_cent(room: Room) -> None:
    """Without any stream: looking, and reading executions, is enough."""
    room.offer()
    room.wait(400)
    assert room.state_of(intent(200)) is OrderState.FILLED
    assert len(room.ledger.fills(book=BOOK)) > 1
    assert room.broker.calls.count("submit") == 1
    settled(room)


@pytest.mark.parametrize(
    "error", [OrderUnknownError("read timeout"), ConnectionResetError("reset by peer")]
)
def test_an_acknowledgement_that_is_lost_is_found_again(room: Room, error: Exception) -> None:
    """Also when the adapter itself breaks: what it had sent is looked up."""
    room.broker.after["submit"] = fail(error)
    room.offer()
    assert room.broker.calls.count("submit") == 1
    assert room.broker.calls[-1] in {"find", "fills_since"}
    room.wait(400)
    assert room.state_of(intent(200)) is OrderState.FILLED
    settled(room)


def test_a_request_that_never_arrived_is_sent_again_after_proof(room: Room) -> None:
    """Not found for the whole grace time, then the same id, once."""
    room.broker.before["submit"] = fail(OrderUnknownError("read timeout"))
    room.offer()
    room.wait(80)
    assert room.broker.calls.count("submit") == 1
    room.wait(400)
    assert room.broker.calls.count("submit") == 2
    assert room.state_of(intent(200)) is OrderState.FILLED
    settled(room)


def test_nothing_leaves_when_it_cannot_be_recorded(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stops the order and not the other way round."""

    def full(_events: Sequence[Event]) -> None:
        raise StorageUnavailableError("disk full")

    monkeypatch.setattr(room.ledger, "append_all", full)
    with pytest.raises(StorageUnavailableError):
        room.offer()
    assert "submit" not in room.broker.calls
    monkeypatch.undo()
    room.restart()
    room.offer()
    room.wait(400)
    settled(room)


def test_a_process_that_dies_before_or_after_the_call_doubles_nothing(tmp_path: Path) -> None:
    """Killed with the order on record: unknown, looked up, adopted or proven absent."""

    class Killed(BaseException):
        pass

    for place in ("before", "after"):
        room = Room(tmp_path / place, intent(200))
        getattr(room.broker, place)["submit"] = fail(Killed())  # type: ignore[arg-type]
        with pytest.raises(Killed):
            room.offer()
        room.restart()
        before = room.desk.manager.state.state_hash()
        room.restart()
        assert room.desk.manager.state.state_hash() == before
        room.offer()
        room.wait(500)
        assert room.state_of(intent(200)) is OrderState.FILLED
        settled(room)
        room.ledger.close()


def test_a_pause_by_another_process_is_heard_before_anything_is_decided(room: Room) -> None:
    """Between two looks at the ledger somebody paused the book: the next offer is refused."""
    room.desk.tick()
    pause = ModeChanged(
        scope="*", mode=Mode.PAUSE, reason="r", changed_by="ada", changed_at=after_close(MONDAY)
    )
    with Ledger.open(room.folder) as another:
        another.append_all([pause])
    room.offer()
    assert "submit" not in room.broker.calls
    [refusal] = room.ledger.refusals(book=BOOK)
    assert (refusal.gate, room.desk.manager.mode) == ("mode", Mode.PAUSE)
    assert room.ledger.verify().problems == ()


def test_a_session_begun_again_sends_what_was_recorded_and_never_left(tmp_path: Path) -> None:
    """It died between record and call, and nothing else is pending: not found, then sent once."""

    class Killed(BaseException):
        pass

    room = Room(tmp_path / "ledger", intent(200))

    def session() -> VenueSession:
        return VenueSession(
            ledger=room.ledger,
            book=BOOK,
            session=TUESDAY,
            venue=VenuePolicy(venue=VenueName.ALPACA, price_collar_bps=None),
            broker=room.broker,
            policy=POLICY,
            costs_of=around().costs_of,
            sleep=sleep,
            monotonic=lambda: room.now,
        )

    def sleep(_seconds: float) -> None:
        room.now += 1
        room.venue.step(room.now)

    room.broker.before["submit"] = fail(Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        session().trade(seconds=400)
    room.ledger.close()
    room.ledger = Ledger.open(room.folder)
    desk = session().trade(seconds=400)
    assert desk.manager.state.lives[intent(200).client_order_id].state is OrderState.FILLED
    assert room.broker.calls.count("submit") == 2
    assert all(len(orders) == 1 for orders in room.venue.orders.values())


@pytest.mark.parametrize("venue", list(VenueName))
def test_an_order_rests_for_the_day_only_where_there_is_one(venue: VenueName) -> None:
    """Exchanges that never close refuse an order for the day, and with it every limit."""
    policy = VenuePolicy(venue=venue).manager_policy()
    bench = Bench(intent(10), policy=policy)
    [send] = bench.offer(price_collar_bps=D(100))
    day = TimeInForce.DAY if venue is VenueName.ALPACA else TimeInForce.GTC
    assert send.ticket.limit_price is not None
    assert send.ticket.time_in_force is day


def test_an_emergency_cancels_at_the_venue(tmp_path: Path) -> None:
    """A limit that rests is taken out; another process threw the switch, in between."""
    room = Room(tmp_path / "ledger", intent(200))
    room.offer()
    room.wait(1)
    room.desk.manager.replace(
        intent(200).client_order_id, quantity=D(200), reason="r", now=room.now, limit_price=D(1)
    )
    room.desk.run()
    room.wait(30)
    [rests] = room.venue.open.values()
    emergency = ModeChanged(
        scope="*",
        mode=Mode.EMERGENCY,
        reason="r",
        changed_by="ada",
        changed_at=after_close(MONDAY),
    )
    with Ledger.open(room.folder) as another:
        another.append_all([emergency])
    room.wait(10)
    assert room.venue.open == {}
    assert rests.state is OrderState.CANCELED
    with pytest.raises(OrderNotFoundError):
        room.venue.find("another")
    room.wait(300)
    settled(room)
