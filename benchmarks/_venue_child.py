"""A server in a process of its own for `benchmarks.venue`: the venue, or an empty handler.

    python -m benchmarks._venue_child venue|empty

Prints its address and serves until its standard input closes.
"""

import asyncio
import sys
from collections.abc import Callable

from apps.simulator.http import Ask, Channel, HttpConnection, Reply, json_reply
from apps.simulator.records import SimRequest
from apps.simulator.server import HOST, Venue, VenueOptions
from quant.execution.orders import Side


def _canned() -> Callable[[Ask], Reply]:
    """Answers every request with the same order, without looking at it."""
    from decimal import Decimal

    venue = Venue(VenueOptions())
    request = SimRequest(client_id="x", symbol="AAPL", side=Side.BUY, quantity=Decimal(1))
    order = venue.exchange.submit("alpaca", request)
    reply = json_reply(venue.alpaca.words.order_json(order))
    return lambda _: reply


async def _empty() -> None:
    answer = _canned()

    def refuse(_: Channel) -> bool:
        return False

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpConnection(answer, refuse), HOST, 0)
    print(f"http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


async def _venue() -> None:
    venue = Venue(VenueOptions())
    servers = await venue.listen({"alpaca": 0})
    print(f"http://{HOST}:{servers['alpaca'].sockets[0].getsockname()[1]}", flush=True)
    running = asyncio.create_task(venue.run())
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(_venue() if sys.argv[1] == "venue" else _empty())
