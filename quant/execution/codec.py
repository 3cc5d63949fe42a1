"""Events as plain dictionaries, and back without loss.

Money travels as text, times as ISO 8601 in UTC. A float has no place in a ledger and is refused.
"""

import dataclasses
import datetime as dt
import functools
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from quant.core.errors import DataError
from quant.execution.events import EVENT_TYPES, Event

Payload = dict[str, Any]

_BY_KIND: dict[str, type[Event]] = {kind.kind: kind for kind in EVENT_TYPES}


def to_payload(event: Event) -> Payload:
    """The event as JSON types, with its kind and its key."""
    return {"kind": event.kind, "key": event.key, **_plain_fields(event)}


def from_payload(payload: Mapping[str, Any]) -> Event:
    """The event that `payload` was made of; `DataError` when this version cannot read it."""
    kind: Any = _BY_KIND.get(str(payload.get("kind")))
    if kind is None:
        raise DataError(
            f"unknown kind of event {payload.get('kind')!r}",
            remedy="it was written by a newer version: open the ledger with that one",
        )
    try:
        event = _reader(kind)(payload)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise DataError(f"event {payload.get('key')!r} cannot be read: {error!r}") from error
    assert isinstance(event, Event)
    return event


def _plain_fields(value: Any) -> Payload:
    kind: Any = type(value)
    plain: Payload = {}
    for name in _names(kind):
        item = getattr(value, name)
        # Most fields are text, and asking for their writer would take longer than writing them.
        plain[name] = item if type(item) is str else _plain(item)
    return plain


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(kind))


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    return _writer(kind)(value)


@functools.cache
def _writer(kind: Any) -> Callable[[Any], Any]:
    """How a value of exactly this type is written; built once a type, since records are many."""
    if issubclass(kind, Enum):
        return lambda value: value.value
    for known, writer in _WRITERS:
        if issubclass(kind, known):
            return writer
    if dataclasses.is_dataclass(kind):
        return _plain_fields
    return _refuse


def _refuse(value: Any) -> Any:
    raise DataError(f"{type(value).__name__} {value!r} cannot stand in a ledger")


# In this order: a boolean is an int and a moment is a date.
_WRITERS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    ((type(None), bool, int, str), lambda value: value),
    (Decimal, lambda value: format(value, "f")),
    (dt.datetime, lambda value: value.astimezone(dt.UTC).isoformat()),
    (dt.date, dt.date.isoformat),
    (Mapping, lambda value: {str(name): _plain(item) for name, item in value.items()}),
    ((tuple, list), lambda value: [_plain(item) for item in value]),
)


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """How a field of type `hint` is read; built once a type."""
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(hint)
    simple: dict[Any, Callable[[Any], Any]] = {
        dt.datetime: dt.datetime.fromisoformat,
        dt.date: dt.date.fromisoformat,
        Decimal: Decimal,
    }
    if hint in simple:
        return simple[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return _generic_reader(hint)


def _generic_reader(hint: Any) -> Callable[[Any], Any]:
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin is tuple:
            item = _reader(arguments[0])
            return lambda value: tuple(item(one) for one in value)
        case origin if origin in (Mapping, dict):
            item = _reader(arguments[1])
            return lambda value: {name: item(one) for name, one in value.items()}
        case origin if origin in (types.UnionType, Union):
            item = _reader(next(one for one in arguments if one is not type(None)))
            return lambda value: None if value is None else item(value)
    return lambda value: value


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers: dict[str, Callable[[Any], Any]] | None = None

    def read(value: Any) -> Any:
        nonlocal readers
        if readers is None:
            readers = {name: _reader(hints[name]) for name in _names(kind)}
        # A field that an older version did not write takes its default.
        return kind(
            **{name: reader(value[name]) for name, reader in readers.items() if name in value}
        )

    return read
