"""Where exchanges differ behind ccxt's one interface.

Belongs here: one value an exchange. Only Binance is driven end to end (against the simulator);
Kraken and Coinbase follow ccxt's source and their documentation, and have not met their venue.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from quant.core.errors import UsageError
from quant.execution.broker import OrderRejectedError, VenueAuthError
from quant.execution.budget import VENUE_LIMITS, CallLimits
from quant.execution.venues import Environment

_OURS: Final = re.compile(r"pmx-([0-9a-f]{28})")
# Kraken takes 32 hexadecimal digits or 18 characters; four digits stand for "pmx-".
_KRAKEN_PREFIX: Final = "706d"


def _same(name: str) -> str:
    return name


def _to_kraken(name: str) -> str:
    if found := _OURS.fullmatch(name):
        return _KRAKEN_PREFIX + found.group(1)
    if len(name) > 18:
        raise OrderRejectedError(
            f"kraken takes ids of at most 18 characters, {name} has {len(name)}",
            rule="client_order_id",
        )
    return name


def _from_kraken(name: str) -> str:
    is_ours = len(name) == 32 and name.startswith(_KRAKEN_PREFIX)
    return f"pmx-{name.removeprefix(_KRAKEN_PREFIX)}" if is_ours else name


# For exchanges whose count is a rule of its own (Kraken's decays, Coinbase's is a second's): five a
# second is below each of them.
_CAUTIOUS: Final = CallLimits(per_minute=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one exchange takes and finds orders."""

    exchange_id: str
    # The parameter of create_order that carries our id to the wire.
    id_parameter: str = "clientOrderId"
    # Whether one order can be asked for by our id; else open and closed orders are searched.
    finds_by_client_id: bool = False
    # Whether trades are paged by their id; else by their time.
    pages_by_id: bool = False
    # Whether a market buy can name its quantity; else it names an amount of money, which is another
    # order than ours and is refused.
    takes_market_buys: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    to_wire: Callable[[str], str] = _same
    from_wire: Callable[[str], str] = _same
    # Whether the last answer can hold rows at all: an empty object is not an empty list.
    has_rows: Callable[[Any], bool] = lambda body: isinstance(body, dict | list) and bool(body)
    require_safe_key: Callable[[Any, Environment], None]
    # How much one address may ask, and what a request counts for.
    limits: CallLimits = _CAUTIOUS
    # Whether a request is refused when its time is not the venue's.
    stamps_requests: bool = False
    weigh: Callable[[str, str], int] = lambda _method, _url: 1


def binance_weight(method: str, url: str) -> int:
    """Of Binance's spot documentation of 2026; what it does not name here counts as ten."""
    parts = urlsplit(url)
    place = parts.path.rsplit("/", 1)[-1]
    if place == "order":
        return 4 if method == "GET" else 1
    if place == "openOrders" and method == "GET":
        return 6 if "symbol=" in parts.query else 80
    if place == "openOrders":
        return 1
    return _BINANCE_WEIGHTS.get(place, 10)


_BINANCE_WEIGHTS: Final = {
    **{"ping": 1, "time": 1, "apiRestrictions": 1, "24hr": 2, "price": 2},
    **{"exchangeInfo": 20, "account": 20, "allOrders": 20, "myTrades": 20, "depth": 5},
}


def _binance_key(exchange: Any, environment: Environment) -> None:
    if environment is Environment.PAPER:
        return  # the test network has no withdrawals, and no such question
    answer = exchange.sapi_get_account_apirestrictions()
    _require(answer, "enableWithdrawals", wanted=False, why="may withdraw funds")
    _require(answer, "ipRestrict", wanted=True, why="works from every address")


def _coinbase_key(exchange: Any, environment: Environment) -> None:
    del environment
    answer = exchange.v3_private_get_brokerage_key_permissions()
    _require(answer, "can_transfer", wanted=False, why="may transfer funds")


def _kraken_key(exchange: Any, environment: Environment) -> None:
    del environment
    answer = exchange.private_post_getapikeyinfo()
    granted = answer.get("result", {}).get("permissions") if isinstance(answer, dict) else None
    if not isinstance(granted, list):
        raise VenueAuthError("kraken does not say what the key may do, so it is not used")
    if any(str(name).startswith("withdraw") for name in granted):
        raise _refusal("may withdraw funds")


def _require(answer: Any, name: str, *, wanted: bool, why: str) -> None:
    """Only the wanted answer passes; a missing one is no permission to go on."""
    if not isinstance(answer, dict) or answer.get(name) is not wanted:
        raise _refusal(why)


def _refusal(why: str) -> VenueAuthError:
    return VenueAuthError(
        f"the key {why}, or the venue does not say that it does not",
        remedy="make a key for trading alone, without withdrawals and bound to this machine's IP",
    )


DIALECTS: Final[Mapping[str, Dialect]] = {
    "binance": Dialect(
        exchange_id="binance",
        finds_by_client_id=True,
        pages_by_id=True,
        options={
            "fetchMarkets": {"types": ["spot"]},
            "fetchMargins": False,
            "fetchCurrencies": False,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
            # The venue's own default; ccxt's is twice that, which would hide a drift.
            "recvWindow": 5_000,
        },
        has_rows=lambda body: isinstance(body, list),
        require_safe_key=_binance_key,
        limits=VENUE_LIMITS["binance"],
        weigh=binance_weight,
        stamps_requests=True,
    ),
    "kraken": Dialect(
        exchange_id="kraken",
        to_wire=_to_kraken,
        from_wire=_from_kraken,
        has_rows=lambda body: isinstance(body, dict) and "result" in body,
        require_safe_key=_kraken_key,
    ),
    "coinbase": Dialect(
        exchange_id="coinbase",
        # ccxt drops the unified clientOrderId here without a word and sends an id of its own.
        id_parameter="client_order_id",
        takes_market_buys=False,
        has_rows=lambda body: isinstance(body, dict) and bool({"orders", "fills"} & body.keys()),
        require_safe_key=_coinbase_key,
    ),
}


def dialect_of(exchange_id: str) -> Dialect:
    """The exchange's dialect, or `UsageError`."""
    if exchange_id not in DIALECTS:
        raise UsageError(
            f"there is no broker for the exchange {exchange_id!r}",
            remedy=f"choose one of: {', '.join(DIALECTS)}",
        )
    return DIALECTS[exchange_id]
