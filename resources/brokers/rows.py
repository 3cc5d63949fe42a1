"""Reading a venue's answers row by row: one bad row is reported and hides no other."""

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from quant.core.errors import DataError
from quant.execution.broker import Listing, UnreadableRow

T = TypeVar("T")

# What reading a row of the wrong shape can raise.
ROW_ERRORS: Final = (KeyError, TypeError, ValueError, AttributeError, InvalidOperation, DataError)


def number(value: Any) -> Decimal:
    """An exact number; `DataError` for None, NaN, infinity and anything that is none."""
    if value is None or isinstance(value, bool):
        raise DataError(f"a number was missing, got {value!r}")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise DataError(f"not a number: {str(value)[:40]!r}") from None
    if not found.is_finite():
        raise DataError(f"a number must be finite, was {found}")
    return found


def listing(what: str, rows: Iterable[Any], read: Callable[[Any], T | None]) -> Listing[T]:
    """Every row that `read` can read; None leaves a row out."""
    good: list[T] = []
    bad: list[UnreadableRow] = []
    for row in rows:
        try:
            found = read(row)
        except ROW_ERRORS as error:
            bad.append(
                UnreadableRow(what=what, reason=_reason(error), client_order_id=_name_of(row))
            )
        else:
            if found is not None:
                good.append(found)
    return Listing(rows=tuple(good), unreadable=tuple(bad))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _name_of(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    return str(row.get("client_order_id") or row.get("clientOrderId") or "")
