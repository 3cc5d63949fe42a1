"""`pmx venue`: a simulated venue on this machine, for Alpaca's and Binance's own SDKs, and cTrader.

Belongs here: options, ports and the words at the start. The venue is `apps.simulator`.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import StorageUnavailableError, UsageError

if TYPE_CHECKING:
    from apps.simulator.server import Venue


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
    """Serve every protocol until Ctrl-C."""
    from apps.simulator.faults import FaultFile, read_faults
    from apps.simulator.server import Venue, VenueOptions

    told = read_faults(faults) if faults else FaultFile()
    path = events or cli.settings.paths.logs / "venue.jsonl"
    with _opened(path) as stream:
        venue = Venue(VenueOptions(seed=seed, faults=told), log=stream)
        ports = {"alpaca": alpaca, "binance": binance, "ctrader": ctrader}
        asyncio.run(_serve(cli, venue, ports, path, seconds))


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
