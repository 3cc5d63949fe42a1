"""Every error that an SDK can raise has a meaning here; a new one fails a test, not a night."""

import inspect
from decimal import Decimal
from typing import Any

import pytest

from quant.core.errors import OrderUnknownError, PmxError, UsageError, VenueUnavailableError
from quant.execution.broker import (
    OrderKind,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    RateLimitedError,
    VenueAuthError,
)
from quant.execution.orders import OrderState, Side
from quant.execution.venue_rules import require_allowed
from quant.execution.venues import Environment
from resources.brokers import alpaca, ccxt_errors
from resources.brokers.ccxt_dialects import DIALECTS, dialect_of
from resources.brokers.ccxt_errors import BY_CLASS, Outcome, error_for, outcome_of
from resources.brokers.once import DuplicateOrderError


def ccxt_classes() -> dict[str, type[Exception]]:
    from ccxt.base import errors

    found = inspect.getmembers(errors, inspect.isclass)
    return {name: kind for name, kind in found if issubclass(kind, BaseException)}


def test_the_table_has_exactly_ccxts_exceptions() -> None:
    assert sorted(BY_CLASS) == sorted(ccxt_classes())


def test_every_outcome_has_an_error_for_reads_and_for_writes() -> None:
    """A read is never UNKNOWN and a write whose end is open is never anything else."""
    for outcome in Outcome:
        for changes in (False, True):
            error = error_for(outcome, "x", rule="r", changes=changes)
            assert isinstance(error, PmxError)
            assert isinstance(error, OrderUnknownError) == (outcome is Outcome.OPEN and changes)


@pytest.mark.parametrize(
    ("name", "status", "body", "outcome"),
    [
        # A revoked key, which ccxt calls DDoSProtection after one success.
        ("DDoSProtection", 400, {"code": -2015, "msg": "Invalid API-key"}, Outcome.AUTH),
        ("DDoSProtection", 400, {"code": -1003, "msg": "Too many"}, Outcome.RATE_LIMITED),
        ("ExchangeError", 400, {"code": -1008, "msg": "Overloaded"}, Outcome.NOTHING_DONE),
        ("InvalidOrder", 400, {"code": -2010, "msg": "Duplicate order sent."}, Outcome.DUPLICATE),
        ("InsufficientFunds", 400, {"code": -2010, "msg": "insufficient"}, Outcome.REJECTED),
        ("InvalidNonce", 400, {"code": -1021, "msg": "Timestamp"}, Outcome.CLOCK),
        ("OrderNotFound", 400, {"code": -2013, "msg": "Order does not exist."}, Outcome.NOT_FOUND),
        ("RequestTimeout", 0, None, Outcome.OPEN),
        ("ExchangeNotAvailable", 0, None, Outcome.OPEN),
        # A code that nobody knows is a definite no with 4xx only.
        ("ExchangeError", 400, {"code": -9999, "msg": "?"}, Outcome.REJECTED),
        ("ExchangeError", 200, {"error": ["EGeneral:Internal error"]}, Outcome.OPEN),
        ("BadResponse", 200, None, Outcome.OPEN),
    ],
)
def test_what_ccxts_errors_mean(name: str, status: int, body: Any, outcome: Outcome) -> None:
    assert outcome_of(ccxt_classes()[name]("x"), status=status, body=body) is outcome


@pytest.mark.parametrize("error", [None, [], "text", {"code": "abc"}, {"code": None}])
def test_a_body_of_any_shape_tells_no_code_rather_than_failing(error: Any) -> None:
    assert ccxt_errors.told(error)[0] == 0


def test_alpacas_order_states_are_all_known() -> None:
    alpaca._import_quietly()
    from alpaca.trading.enums import OrderStatus

    assert sorted(alpaca.STATES) == sorted(status.value for status in OrderStatus)
    assert OrderState.UNKNOWN not in alpaca.STATES.values()


def test_alpacas_exceptions_are_the_two_that_the_adapter_catches() -> None:
    from alpaca.common import exceptions

    found = inspect.getmembers(exceptions, inspect.isclass)
    assert sorted(name for name, _ in found) == ["APIError", "RetryException"]


@pytest.mark.parametrize(
    ("status", "code", "words", "kind"),
    [
        (401, 0, "unauthorized.", VenueAuthError),
        (403, 0, "forbidden.", VenueAuthError),
        (403, 40310000, "insufficient buying power", OrderRejectedError),
        (403, 40310100, "pattern day trading protection", OrderRejectedError),
        (404, 40410000, "order not found", OrderNotFoundError),
        (404, 0, "endpoint not found", VenueUnavailableError),
        (422, 40010001, "client_order_id must be unique", DuplicateOrderError),
        (422, 42210000, "potential wash trade detected", OrderRejectedError),
        (400, 0, "", OrderRejectedError),
    ],
)
def test_what_alpacas_codes_mean(status: int, code: int, words: str, kind: type[PmxError]) -> None:
    assert type(alpaca.error_of(status, code, words, sends=False)) is kind


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_of_alpaca_has_a_meaning(status: int) -> None:
    """Beyond 4xx an order may have been taken."""
    error = alpaca.error_of(status, 0, "", sends=True)
    assert isinstance(error, OrderUnknownError) == (status >= 500)


def test_a_rate_limit_says_how_long_to_wait() -> None:
    error = RateLimitedError("x", retry_after_s=2.5)
    assert isinstance(error, VenueUnavailableError)
    assert "2.5" in error.remedy


def test_an_exchange_without_a_dialect_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nosuch"):
        dialect_of("nosuch")


def test_our_ids_survive_krakens_form_of_them() -> None:
    """Kraken takes 32 hexadecimal digits; ours have 28 after pmx-."""
    kraken = DIALECTS["kraken"]
    ours = "pmx-0123456789abcdef0123456789ab"
    wire = kraken.to_wire(ours)
    assert len(wire) == 32
    int(wire, 16)
    assert kraken.from_wire(wire) == ours
    assert kraken.from_wire(kraken.to_wire("manual-1")) == "manual-1"
    with pytest.raises(OrderRejectedError, match="18"):
        kraken.to_wire("a" * 19)


class Answers:
    """An exchange that says one thing about the key."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __getattr__(self, _: str) -> Any:
        return lambda: self.answer


@pytest.mark.parametrize(
    ("exchange_id", "safe", "unsafe"),
    [
        (
            "binance",
            {"enableWithdrawals": False, "ipRestrict": True},
            {"enableWithdrawals": True, "ipRestrict": True},
        ),
        ("coinbase", {"can_transfer": False}, {"can_transfer": True}),
        (
            "kraken",
            {"result": {"permissions": ["query-funds", "create-modify-orders"]}},
            {"result": {"permissions": ["query-funds", "withdraw-funds"]}},
        ),
    ],
)
def test_a_key_passes_only_when_the_venue_says_that_it_cannot_withdraw(
    exchange_id: str, safe: Any, unsafe: Any
) -> None:
    """No answer, or one of another shape, is no permission."""
    check = DIALECTS[exchange_id].require_safe_key
    check(Answers(safe), Environment.LIVE)
    for answer in (unsafe, {}, None, [], "yes"):
        with pytest.raises(VenueAuthError):
            check(Answers(answer), Environment.LIVE)


@pytest.mark.parametrize(
    ("quantity", "limit", "rule"),
    [
        ("1", "10.001", "price_step"),
        ("1", "0.50011", "price_step"),
        ("1", "0.5001", ""),
        ("1.0000000001", "10", "quantity_step"),
        ("0.05", "10", "notional_min"),
        ("0.1", "10", ""),
        ("1", "0.5", ""),
    ],
)
def test_alpacas_grid(quantity: str, limit: str, rule: str) -> None:
    """Cents from a dollar on, hundredths of them below; a fraction is worth a dollar at least."""
    ticket = OrderTicket(
        client_order_id="a",
        symbol="A",
        side=Side.BUY,
        quantity=Decimal(quantity),
        kind=OrderKind.LIMIT,
        limit_price=Decimal(limit),
    )
    if not rule:
        require_allowed(ticket, alpaca._rules_of(ticket))
        return
    with pytest.raises(OrderRejectedError) as caught:
        require_allowed(ticket, alpaca._rules_of(ticket))
    assert caught.value.rule == rule
