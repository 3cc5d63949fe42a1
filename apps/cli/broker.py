"""`pmx broker check`: reach a broker, refuse an unsafe key, and say what is there.

Reads only, except for `--trial` against the simulator: orders of real accounts are sent by the
trader alone.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError
from quant.execution.venues import Environment, VenueName, VenuePolicy

if TYPE_CHECKING:
    from quant.execution.broker import Broker, VenueOrder

TRIAL_SYMBOLS: Final = {"alpaca": ("AAPL", Decimal(1)), "binance": ("BTC/USDT", Decimal("0.001"))}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChecked(CommandResult):
    """What the venue says about the account."""

    broker: str
    account: str
    currency: str
    cash: Decimal
    buying_power: Decimal | None
    can_trade: bool
    positions: list[dict[str, Any]]
    open_orders: list[dict[str, Any]]
    unreadable: list[str]
    trial: dict[str, Any] | None = None

    @property
    def exit_code(self) -> int:
        """1 when the account may not trade or something could not be read."""
        return 0 if self.can_trade and not self.unreadable else 1

    def render(self, console: Any) -> None:
        """The account, then what it holds and what rests."""
        word = "may trade" if self.can_trade else "may NOT trade"
        console.print(f"{self.broker}: account {self.account} answers and {word}")
        console.print(f"  cash {self.cash} {self.currency}")
        for row in self.positions:
            console.print(f"  holds {row['quantity']} {row['symbol']}")
        for row in self.open_orders:
            console.print(f"  rests {row['side']} {row['quantity']} {row['symbol']}")
        for reason in self.unreadable:
            console.print(f"  could not be read: {reason}")
        if self.trial:
            console.print(
                f"  trial: {self.trial['side']} {self.trial['filled_quantity']} "
                f"{self.trial['symbol']} at {self.trial['average_price']}, {self.trial['state']}"
            )


def run(
    cli: Cli,
    venue: Annotated[str, typer.Argument(help=f"One of {', '.join(VenueName)}.")],
    *,
    url: Annotated[
        str | None, typer.Option(help="Address of a `pmx venue` on this machine.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="The live account; reads only.")] = False,
    trial: Annotated[
        bool, typer.Option("--trial", help="Send one small order; only to the simulator.")
    ] = False,
) -> BrokerChecked:
    """Connect with PMX_<VENUE>_KEY_ID and PMX_<VENUE>_SECRET_KEY, and report."""
    if trial and (url is None or venue not in TRIAL_SYMBOLS):
        raise UsageError(
            "a trial order goes to the simulator only",
            remedy="start `pmx venue` and give its address with --url",
        )
    from apps.trader.venues import connect

    broker = connect(cli.settings, _venue(venue, url=url, live=live))
    sent = _trial(broker, *TRIAL_SYMBOLS[venue]) if trial else None
    account, positions, orders = broker.account(), broker.positions(), broker.open_orders()
    return BrokerChecked(
        broker=broker.name,
        account=account.account_id,
        currency=account.currency,
        cash=account.cash,
        buying_power=account.buying_power,
        can_trade=account.can_trade,
        positions=[{"symbol": p.symbol, "quantity": p.quantity} for p in positions.rows],
        open_orders=[_row(order) for order in orders.rows],
        unreadable=[row.reason for row in (*positions.unreadable, *orders.unreadable)],
        trial=None if sent is None else _row(sent),
    )


def _venue(venue: str, *, url: str | None, live: bool) -> VenuePolicy:
    """What the words on the command line name."""
    from resources.brokers.egress import HostGuard

    if venue not in set(VenueName):
        raise UsageError(
            f"there is no broker {venue!r}", remedy=f"choose one of: {', '.join(VenueName)}"
        )
    if url is not None and live:
        raise UsageError("a live venue has its own address", remedy="leave --url out, or --live")
    environment = Environment.LIVE if live else Environment.PAPER
    if url is not None:
        environment = Environment.SIMULATED
        HostGuard(venue, environment, url)  # says in words what is wrong with an address
    return VenuePolicy(venue=VenueName(venue), environment=environment, url=url)


def _trial(broker: "Broker", symbol: str, quantity: Decimal) -> "VenueOrder":
    from quant.core.identity import client_order_id
    from quant.execution.broker import OrderTicket
    from quant.execution.orders import Side

    moment = dt.datetime.now(dt.UTC).isoformat()
    name = client_order_id(book="trial", decision=moment)
    return broker.submit(
        OrderTicket(client_order_id=name, symbol=symbol, side=Side.BUY, quantity=quantity)
    )


def _row(order: "VenueOrder") -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "state": order.state.value,
    }
