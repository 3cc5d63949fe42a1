"""Connects a book to its venue: the adapter, the environment, and the keys that belong to it.

Belongs here: which adapter speaks to which venue. Does not belong here: what an adapter does
(`resources.brokers`).
"""

from typing import TYPE_CHECKING

from quant.core.errors import UsageError
from quant.execution.venues import Environment, VenueName, VenuePolicy
from resources.settings import Settings

if TYPE_CHECKING:
    from quant.execution.broker import Broker
    from resources.brokers.credentials import Credentials


def connect(settings: Settings, venue: VenuePolicy) -> "Broker":
    """The adapter; nothing is sent, and a key that may do more than trade is refused."""
    if venue.url is not None and venue.environment is not Environment.SIMULATED:
        raise UsageError(
            f"{venue.label} has its own address",
            remedy="leave the address out, or use the environment simulated",
        )
    credentials = _credentials(settings, venue)
    if venue.venue is VenueName.ALPACA:
        from resources.brokers.alpaca import AlpacaBroker, AlpacaOptions

        return AlpacaBroker(
            credentials,
            AlpacaOptions(
                environment=venue.environment, url=venue.url, calls_folder=settings.paths.calls
            ),
        )
    from resources.brokers.ccxt_spot import CcxtOptions, CcxtSpotBroker

    broker = CcxtSpotBroker(
        credentials,
        CcxtOptions(
            exchange_id=venue.venue.value,
            environment=venue.environment,
            url=venue.url,
            calls_folder=settings.paths.calls,
        ),
    )
    broker.connect()
    return broker


def _credentials(settings: Settings, venue: VenuePolicy) -> "Credentials":
    """The simulator gets its own made-up key, never a real one."""
    from resources.brokers.credentials import Credentials, credentials_of

    if venue.environment is not Environment.SIMULATED:
        return credentials_of(settings, venue.venue.value)
    from apps.simulator.server import VenueOptions

    options = VenueOptions()
    return Credentials(options.key_id, options.secret)
