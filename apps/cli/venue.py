"""`pmx venue`: a simulated venue on this machine, for Alpaca's and Binance's own SDKs, and cTrader.

Belongs here: options, ports and the words at the start. The venue is `apps.simulator`.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import StorageUnavailableError, UsageError

if TYPE_CHECKING:
    from apps.simulator.instruments import Instrument
    from apps.simulator.server import Venue
    from resources.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueStarted(CommandResult):
    """Where the venue answers, and what opens it."""

    alpaca: str
    binance: str
    ctrader: str
    key_id: str
    secret: str
    seed: int
    faults: int
    events: str

    def render(self, console: Any) -> None:
        """Addresses first."""
        console.print(f"  Alpaca   {self.alpaca}   (stream at /stream)")
        console.print(f"  Binance  {self.binance}   (stream at /ws-api/v3)")
        console.print(
            f"  key {self.key_id}, secret {self.secret}: made up, and good for nothing else"
        )
        console.print(f"  seed {self.seed}, {self.faults} fault rules, events in {self.events}")
        console.print("Ctrl-C stops it.")


Port = Annotated[int, typer.Option(min=0, max=65_535, help="Loopback port; 0 takes a free one.")]


def run(
    cli: Cli,
    *,
    alpaca: Port = 8790,
    binance: Port = 8791,
    ctrader: Port = 8792,
    seed: Annotated[int, typer.Option(min=0, help="Prices and faults follow from it.")] = 1,
    faults: Annotated[
        Path | None, typer.Option(help="JSON file of faults; docs/brokers.md has an example.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="File of events, one JSON object a line.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop by itself after this long.")
    ] = None,
) -> None:
    """Serve every protocol until Ctrl-C; stocks begin at this home's last closes."""
    from apps.simulator.faults import FaultFile, read_faults
    from apps.simulator.server import Venue, VenueOptions

    told = read_faults(faults) if faults else FaultFile()
    path = events or cli.settings.paths.logs / "venue.jsonl"
    with _opened(path) as stream:
        options = VenueOptions(seed=seed, faults=told)
        listed = _with_closes(options.instruments, _last_closes(cli.settings))
        venue = Venue(replace(options, instruments=listed), log=stream)
        ports = {"alpaca": alpaca, "binance": binance, "ctrader": ctrader}
        asyncio.run(_serve(cli, venue, ports, path, seconds))


def _last_closes(settings: "Settings") -> dict[str, Decimal]:
    """What this home's symbols were last worth; nothing where there is no lake yet."""
    from quant.core.money import price as exact_price
    from resources.desk import Desk

    if not (settings.paths.catalog.exists() or settings.catalog_url):
        return {}
    with Desk(settings) as desk:
        rows = desk.warehouse.rows(
            "SELECT symbol, arg_max(close, session) FROM clean.daily_bars "
            "WHERE close > 0 AND basis = ? GROUP BY symbol ORDER BY symbol",
            [str(desk.universe.basis)],
        )
    return {symbol: exact_price(close) for symbol, close in rows}


def _with_closes(
    shipped: "Iterable[Instrument]", closes: "Mapping[str, Decimal]"
) -> "tuple[Instrument, ...]":
    """Stocks begin at their last closes, so that orders decided on them meet their prices."""
    from apps.simulator.instruments import stock

    others = [one for one in shipped if one.symbol not in closes or one.is_crypto]
    coins = {one.symbol for one in others if one.is_crypto}
    stocks = [stock(name, str(close)) for name, close in closes.items() if name not in coins]
    return (*stocks, *others)


@contextlib.contextmanager
def _opened(path: Path) -> Any:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream: IO[str] = path.open("a", encoding="utf-8")
    except OSError as error:
        raise StorageUnavailableError(
            f"the file of events {path} cannot be written ({error.strerror})",
            remedy="name another with --events",
        ) from None
    with stream:
        yield stream


async def _serve(
    cli: Cli, venue: "Venue", ports: dict[str, int], path: Path, seconds: float | None
) -> None:
    try:
        servers = await venue.listen(ports)
    except OSError as error:
        raise UsageError(
            f"a port is taken ({error.strerror})",
            remedy="choose others with --alpaca, --binance and --ctrader; 0 is a free one",
        ) from None
    urls = {
        name: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name, server in servers.items()
    }
    cli.announce(
        VenueStarted(
            alpaca=urls["alpaca"],
            binance=urls["binance"],
            ctrader=urls["ctrader"],
            key_id=venue.options.key_id,
            secret=venue.options.secret,
            seed=venue.options.seed,
            faults=len(venue.plan.rules),
            events=str(path),
        )
    )
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(venue.run(), seconds)
