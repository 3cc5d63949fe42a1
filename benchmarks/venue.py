"""An order's round trip through our Alpaca adapter and the venue, against the SDK alone.

The product: `AlpacaBroker.submit` (time limits, egress guard, answers judged, echo checked, sent
once) to the simulated venue, which matches, books, and logs. The rival: a bare `TradingClient` of
alpaca-py that submits the same order to a server which answers every request with the same bytes.
Both servers are ours and run in processes of their own; the two take turns and the medians are
compared. A second row gives the rival `raw_data=True`, which skips the SDK's own models.
"""

import gc
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from apps.simulator.server import VenueOptions
from quant.execution.broker import OrderTicket
from quant.execution.orders import Side
from quant.execution.venues import Environment
from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions
from resources.brokers.credentials import Credentials
from resources.settings import project_root

REPETITIONS = 400
WARM_UP = 40
LIMIT_RATIO = 1.25


def run(*, repetitions: int = REPETITIONS) -> list[dict[str, object]]:
    """The adapter against the SDK with its models, and without."""
    with _server("venue") as venue, _server("empty") as empty:
        product = _product(venue)
        models = _compare(
            "order_round_trip", product, _rival(empty, raw=False), LIMIT_RATIO, repetitions
        )
        raw = _compare(
            "order_round_trip_raw_sdk", product, _rival(empty, raw=True), None, repetitions
        )
        return [models, raw]


def _compare(
    name: str,
    product: Callable[[], object],
    rival: Callable[[], object],
    limit: float | None,
    repetitions: int,
) -> dict[str, object]:
    spent: tuple[list[float], list[float]] = ([], [])
    # A collection of what one side made would be paid by the other.
    gc.collect()
    gc.disable()
    try:
        for turn in range(repetitions + WARM_UP):
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                start = time.perf_counter()
                (product, rival)[which]()
                spent[which].append(time.perf_counter() - start)
    finally:
        gc.enable()
    ours, theirs = (statistics.median(times[WARM_UP:]) for times in spent)
    ratio = round(ours / theirs, 3)
    return {
        "name": name,
        "ratio": ratio,
        "limit": limit,
        "holds": limit is None or ratio <= limit,
        "product_ms": round(ours * 1e3, 3),
        "rival_ms": round(theirs * 1e3, 3),
        "repetitions": repetitions,
    }


def _product(url: str) -> Callable[[], object]:
    options = AlpacaOptions(environment=Environment.SIMULATED, url=url)
    broker = AlpacaBroker(Credentials(VenueOptions().key_id, VenueOptions().secret), options)

    def submit() -> object:
        return broker.submit(
            OrderTicket(
                client_order_id=uuid.uuid4().hex,
                symbol="AAPL",
                side=Side.BUY,
                quantity=Decimal("0.1"),
            )
        )

    return submit


def _rival(url: str, *, raw: bool) -> Callable[[], object]:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.requests import MarketOrderRequest

    client: Any = TradingClient("key", "secret", url_override=url, raw_data=raw)

    def submit() -> object:
        return client.submit_order(
            MarketOrderRequest(
                symbol="AAPL",
                qty=0.1,
                side="buy",
                time_in_force="day",
                client_order_id=uuid.uuid4().hex,
            )
        )

    return submit


@contextmanager
def _server(kind: str) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks._venue_child", kind]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=project_root(), text=True, **pipes) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().strip()
        finally:
            child.kill()


if __name__ == "__main__":
    print(json.dumps({"bench": "venue", "rows": run()}, indent=2))
