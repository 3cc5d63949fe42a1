"""Reading a venue's answers row by row: one bad row is reported and hides no other."""

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from quant.core.errors import DataError
from quant.execution.broker import Listing, UnreadableRow
from quant.execution.orders import Side
from quant.market.symbols import shown

T = TypeVar("T")
_QUOTES: Final = "'\""
# Shiba tokens are counted in units of 1e15; nobody owns a thousand times as much of anything.
NUMBER_MAX: Final = Decimal(10) ** 18

# What reading a row of the wrong shape can raise.
ROW_ERRORS: Final = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    DataError,
)


def number(value: Any, field: str) -> Decimal:
    """An exact number; `DataError` for None, NaN, infinity and anything that is none."""
    if value is None or isinstance(value, bool):
        raise DataError(f"field {field}: a number was missing, got {value!r}")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise DataError(f"field {field}: not a number: {shown(value)}") from None
    if not found.is_finite():
        raise DataError(f"field {field}: a number must be finite, was {found}")
    if abs(found) > NUMBER_MAX:
        raise DataError(f"field {field}: beyond every amount, was {found:.3e}")
    return found


def text(value: Any, field: str) -> str:
    """A name or an id, which may be a whole number; `DataError` for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise DataError(f"field {field}: text was missing, got {shown(value)}")
    if not str(value).isprintable():
        raise DataError(f"field {field}: text with an invisible character: {shown(value)}")
    return str(value)


def power_of_ten(value: Any, field: str) -> Decimal:
    """The scale of an amount that is told in its smallest unit."""
    digits = number(value, field)
    if digits not in range(19):
        raise DataError(f"field {field}: not a number of decimals: {shown(value)}")
    return Decimal(10) ** int(digits)


def moment(value: Any, field: str) -> dt.datetime:
    """A time with its offset, written as ISO 8601."""
    try:
        found = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (ValueError, AttributeError, TypeError):
        raise DataError(f"field {field}: not a time: {shown(value)}") from None
    if found.tzinfo is None:
        raise DataError(f"field {field}: a time without an offset: {shown(value)}")
    return found


def moment_of_ms(value: Any, field: str) -> dt.datetime:
    """A time told as milliseconds since 1970."""
    try:
        return dt.datetime.fromtimestamp(int(number(value, field)) / 1000, tz=dt.UTC)
    except (OverflowError, OSError, ValueError):
        raise DataError(f"field {field}: not a time: {shown(value)}") from None


def side(value: Any, field: str) -> Side:
    """Buy or sell."""
    try:
        return Side(value)
    except ValueError:
        raise DataError(f"field {field}: neither buy nor sell: {shown(value)}") from None


def reason_of(error: Exception) -> str:
    """Why a row could not be read, in words that a message may hold."""
    match error:
        case DataError():
            return str(error)[:200]
        case KeyError():
            return f"field {shown(error.args[0]).strip(_QUOTES)} is missing"
    return f"fields of another shape ({type(error).__name__}: {shown(error, length_max=120)})"


def listing(what: str, rows: Iterable[Any], read: Callable[[Any], T | None]) -> Listing[T]:
    """Every row that `read` can read; None leaves a row out."""
    good: list[T] = []
    bad: list[UnreadableRow] = []
    for row in rows:
        try:
            found = read(row)
        except ROW_ERRORS as error:
            bad.append(
                UnreadableRow(what=what, reason=reason_of(error), client_order_id=_name_of(row))
            )
        else:
            if found is not None:
                good.append(found)
    return Listing(rows=tuple(good), unreadable=tuple(bad))


def _name_of(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    return str(row.get("client_order_id") or row.get("clientOrderId") or "")
