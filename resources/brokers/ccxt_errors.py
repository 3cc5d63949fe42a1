"""Every exception of ccxt, and Binance's codes, by what the caller should do.

Transport is not judged here: `session` has raised the port's errors before ccxt can. ccxt's own
sorting depends on the host's name and turns a revoked key into "try again", so a code that we know
comes first. A test fails when ccxt adds a class that this table does not have.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from quant.core.errors import OrderUnknownError, PmxError, UsageError, VenueUnavailableError
from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    VenueAuthError,
)
from resources.brokers.once import DuplicateOrderError

RETRY_AFTER_S: Final = 10.0


class Outcome(StrEnum):
    """What an answer means for the request that it answers."""

    REJECTED = "rejected"  # a definite no
    NOT_FOUND = "not_found"
    DUPLICATE = "duplicate"  # the id is taken: adopt
    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    NOTHING_DONE = "nothing_done"  # ask again later
    CLOCK = "clock"  # refused for its timestamp: measure the clock once, then again
    OPEN = "open"  # may have been done
    OURS = "ours"  # the adapter or its caller is wrong


BY_CLASS: Final[Mapping[str, Outcome]] = {
    "BaseError": Outcome.OPEN,
    "ExchangeError": Outcome.OPEN,  # a definite no only with a status of 4xx, see `outcome_of`
    "AuthenticationError": Outcome.AUTH,
    "PermissionDenied": Outcome.AUTH,
    "AccountNotEnabled": Outcome.AUTH,
    "AccountSuspended": Outcome.AUTH,
    "ArgumentsRequired": Outcome.OURS,
    "BadRequest": Outcome.REJECTED,
    "BadSymbol": Outcome.REJECTED,
    "OperationRejected": Outcome.REJECTED,
    "NoChange": Outcome.REJECTED,
    "MarginModeAlreadySet": Outcome.REJECTED,
    "MarketClosed": Outcome.REJECTED,
    "ManualInteractionNeeded": Outcome.AUTH,
    "RestrictedLocation": Outcome.AUTH,
    "InsufficientFunds": Outcome.REJECTED,
    "InvalidAddress": Outcome.REJECTED,
    "AddressPending": Outcome.REJECTED,
    "InvalidOrder": Outcome.REJECTED,
    "OrderNotFound": Outcome.NOT_FOUND,
    "OrderNotCached": Outcome.OURS,
    "OrderImmediatelyFillable": Outcome.REJECTED,
    "OrderNotFillable": Outcome.REJECTED,
    "DuplicateOrderId": Outcome.DUPLICATE,
    "ContractUnavailable": Outcome.REJECTED,
    "NotSupported": Outcome.OURS,
    "InvalidProxySettings": Outcome.OURS,
    "ExchangeClosedByUser": Outcome.OPEN,
    "OperationFailed": Outcome.OPEN,
    "NetworkError": Outcome.OPEN,
    "DDoSProtection": Outcome.RATE_LIMITED,
    "RateLimitExceeded": Outcome.RATE_LIMITED,
    "ExchangeNotAvailable": Outcome.OPEN,
    "OnMaintenance": Outcome.OPEN,
    "InvalidNonce": Outcome.CLOCK,
    "ChecksumError": Outcome.OPEN,
    "RequestTimeout": Outcome.OPEN,
    "BadResponse": Outcome.OPEN,
    "NullResponse": Outcome.OPEN,
    "CancelPending": Outcome.OPEN,
    "UnsubscribeError": Outcome.OURS,
}

# Binance's rest-api.md and errors.md. A 5xx never comes here: its outcome is open whatever it says.
BINANCE_CODES: Final[Mapping[int, Outcome]] = {
    -1003: Outcome.RATE_LIMITED,
    -1006: Outcome.OPEN,
    -1007: Outcome.OPEN,
    -1008: Outcome.NOTHING_DONE,
    -1013: Outcome.REJECTED,
    -1015: Outcome.RATE_LIMITED,
    -1021: Outcome.CLOCK,
    -1022: Outcome.AUTH,
    -1102: Outcome.REJECTED,
    -1121: Outcome.REJECTED,
    -2010: Outcome.REJECTED,
    -2011: Outcome.NOT_FOUND,
    -2013: Outcome.NOT_FOUND,
    -2014: Outcome.AUTH,
    -2015: Outcome.AUTH,
    -4116: Outcome.DUPLICATE,
}
_DUPLICATE_WORDS: Final = "duplicate order"


def outcome_of(error: Exception, *, status: int, body: Any) -> Outcome:
    """What ccxt's `error` means, given the last answer's status and JSON."""
    code, message = told(body)
    if _DUPLICATE_WORDS in message.lower():
        return Outcome.DUPLICATE
    if code in BINANCE_CODES:
        return BINANCE_CODES[code]
    for kind in type(error).__mro__:
        if kind.__name__ == "ExchangeError" and 400 <= status < 500:
            return Outcome.REJECTED
        if kind.__name__ in BY_CLASS:
            return BY_CLASS[kind.__name__]
    return Outcome.OPEN


def told(body: Any) -> tuple[int, str]:
    """Code and message of an error body, in the forms of the venues that we know."""
    if not isinstance(body, dict):
        return 0, ""
    code = body.get("code")
    number = int(code) if isinstance(code, int | str) and str(code).lstrip("-").isdigit() else 0
    message = body.get("msg") or body.get("message") or body.get("error") or ""
    return number, str(message)[:200]


def error_for(outcome: Outcome, message: str, *, rule: str, changes: bool) -> PmxError:
    """The port's error; `changes` says that an order or a cancel was on its way."""
    match outcome:
        case Outcome.REJECTED:
            return OrderRejectedError(message, rule=rule)
        case Outcome.NOT_FOUND:
            return OrderNotFoundError(message)
        case Outcome.DUPLICATE:
            return DuplicateOrderError(message)
        case Outcome.AUTH:
            return VenueAuthError(message, remedy="check the key, its permissions and its IPs")
        case Outcome.RATE_LIMITED:
            return RateLimitedError(message, retry_after_s=RETRY_AFTER_S)
        case Outcome.NOTHING_DONE:
            return VenueUnavailableError(message, remedy="ask again later")
        case Outcome.CLOCK:
            return VenueUnavailableError(
                f"{message}; measuring the clock again did not help",
                remedy="repair this machine's clock; nothing is sent until then",
            )
        case Outcome.OURS:
            return UsageError(message, remedy="this venue or adapter cannot do that")
        case Outcome.OPEN:
            if changes:
                return OrderUnknownError(message, remedy="look the order up by its client order id")
            return VenueUnavailableError(message, remedy="ask again later")
