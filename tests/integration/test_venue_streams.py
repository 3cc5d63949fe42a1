"""The order streams, heard by the real stream clients of both SDKs."""

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from apps.simulator.faults import Fault
from resources.brokers.egress import no_egress
from tests.support.venue_rig import KEY, SECRET, Rig, rig


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    with no_egress() as watch:
        yield
    assert watch.attempts == []


class AlpacaEars:
    """alpaca-py's TradingStream in a thread; keeps what it hears."""

    def __init__(self, url: str, *, secret: str = SECRET) -> None:
        from resources.brokers.alpaca import _import_quietly

        _import_quietly()
        from alpaca.trading.stream import TradingStream

        self.heard: list[Any] = []
        self._news = threading.Condition()
        self._stream = TradingStream(
            KEY, secret, url_override=url.replace("http", "ws") + "/stream", raw_data=True
        )
        self._stream._reconnect_min_backoff = self._stream._reconnect_max_backoff = 0.05
        self._stream.subscribe_trade_updates(self._hear)
        self._thread = threading.Thread(target=self._stream.run, daemon=True)
        self._thread.start()

    async def _hear(self, update: Any) -> None:
        with self._news:
            self.heard.append(update["data"])
            self._news.notify_all()

    def wait_for(self, count: int, seconds: float = 3.0) -> list[Any]:
        with self._news:
            self._news.wait_for(lambda: len(self.heard) >= count, seconds)
            return list(self.heard)

    def close(self) -> None:
        # The SDK's own stop waits up to 5 s for the next message; ending the loop does not.
        loop = self._stream._loop
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(self._stream.stop_ws(), loop).result(2)
            asyncio.run_coroutine_threadsafe(self._stream.close(), loop)
        self._thread.join(8)


@pytest.fixture
def alpaca() -> Iterator[Rig]:
    with rig("alpaca") as world:
        yield world


@pytest.fixture
def ears(alpaca: Rig) -> Iterator[AlpacaEars]:
    ears = AlpacaEars(alpaca.url)
    wait_until(lambda: alpaca.venue.alpaca.hub.channels)
    yield ears
    ears.close()


def wait_until(claim: Any, seconds: float = 3.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if claim():
            return
        waiting.wait(0.01)
    raise AssertionError("waited in vain")


def test_alpacas_stream_tells_new_fill_and_cancel(alpaca: Rig, ears: AlpacaEars) -> None:
    alpaca.broker.submit(alpaca.market_order("pmx-1"))
    alpaca.broker.submit(alpaca.resting("pmx-2"))
    alpaca.broker.cancel("pmx-2", symbol="AAPL")
    told = [(u["event"], u["order"]["client_order_id"]) for u in ears.wait_for(4)]
    assert told == [("new", "pmx-1"), ("fill", "pmx-1"), ("new", "pmx-2"), ("canceled", "pmx-2")]
    fill = ears.heard[1]
    booked = alpaca.broker.fills_since(alpaca.clock.now()).rows
    # The stream and the list name an execution alike, so a fill heard twice is one fill.
    assert [row.execution_id for row in booked] == [fill["execution_id"]]
    assert Decimal(fill["qty"]) == booked[0].quantity


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.STREAM_DOUBLED, ["new", "new", "fill", "fill"]),
        (Fault.STREAM_REORDERED, ["fill", "new"]),
        (Fault.STREAM_DROPPED, ["fill"]),
        (Fault.STREAM_DELAYED, ["new", "fill"]),
    ],
)
def test_alpacas_stream_goes_wrong_as_asked(
    alpaca: Rig, ears: AlpacaEars, fault: Fault, told: list[str]
) -> None:
    once = fault in {Fault.STREAM_REORDERED, Fault.STREAM_DROPPED}
    alpaca.venue.plan.add(fault, on=("stream",), times_max=1 if once else None, delay_ms_max=20.0)
    alpaca.broker.submit(alpaca.market_order("pmx-1"))
    assert [update["event"] for update in ears.wait_for(len(told))] == told


def test_alpacas_stream_is_joined_again_after_it_was_closed(alpaca: Rig, ears: AlpacaEars) -> None:
    """What was told in between is lost: only the list of fills has it."""
    alpaca.venue.plan.add(Fault.STREAM_CLOSED, on=("stream",), times_max=1)
    alpaca.broker.submit(alpaca.market_order("pmx-1"))
    wait_until(lambda: alpaca.venue.alpaca.hub.channels)
    alpaca.broker.submit(alpaca.market_order("pmx-2"))
    told = [u["order"]["client_order_id"] for u in ears.wait_for(2)]
    assert told == ["pmx-2", "pmx-2"]
    assert len(alpaca.broker.fills_since(alpaca.clock.now()).rows) == 2


def test_binances_user_data_stream_reaches_ccxts_watch_orders() -> None:
    """An order rests, is canceled, and another one fills: each is heard as it happens."""
    with rig("binance") as world:
        told = asyncio.run(_watch(world))
    assert told == [
        ("pmx-1", "open", "0"),
        ("pmx-1", "canceled", "0"),
        ("pmx-2", "closed", "0.5"),
    ]


async def _watch(world: Rig) -> list[tuple[str, str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import ccxt.pro

    exchange = ccxt.pro.binance(
        {"apiKey": KEY, "secret": SECRET, "number": str, "newUpdates": True}
    )
    ws = world.url.replace("http", "ws")
    for name in ("public", "private", "v1"):
        exchange.urls["test"][name] = f"{world.url}/api/v3"
    exchange.urls["api"]["ws"]["ws-api"]["spot"] = f"{ws}/ws-api/v3"
    exchange.urls["test"]["ws"]["ws-api"]["spot"] = f"{ws}/ws-api/v3"
    exchange.options |= {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}
    exchange.set_sandbox_mode(True)
    try:
        await exchange.load_markets()
        hearing = asyncio.create_task(exchange.watch_orders("BTC/USDT"))
        for _ in range(300):
            if world.venue.binance.hub.channels:
                break
            await asyncio.sleep(0.01)
        acts: list[Callable[[], Any]] = [
            lambda: world.broker.submit(world.resting("pmx-1")),
            lambda: world.broker.cancel("pmx-1", symbol=world.symbol),
            lambda: world.broker.submit(world.market_order("pmx-2")),
        ]
        wanted = [("pmx-1", "open"), ("pmx-1", "canceled"), ("pmx-2", "closed")]
        heard = []
        for act, (name, status) in zip(acts, wanted, strict=True):
            await asyncio.to_thread(act)
            # Two events that come together wake a watcher once; what was heard stands in the cache.
            await asyncio.wait_for(hearing, 3)
            hearing = asyncio.create_task(exchange.watch_orders("BTC/USDT"))
            row: Any = {}
            for _ in range(300):
                row = {r["clientOrderId"]: r for r in exchange.orders}.get(name, {})
                if row.get("status") == status:
                    break
                await asyncio.sleep(0.01)
            heard.append((name, row.get("status"), row.get("filled")))
        hearing.cancel()
        return heard
    finally:
        await exchange.close()
