"""Identity by content: two things with the same hash are the same thing.

Belongs here: canonical serialisation, hashes, the ids that are derived from them.
Does not belong here: who stores them, or random ids.
"""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

# 128 bits: collisions are out of reach for any number of rows this product will hold,
# and half of SHA-256's text length keeps tables readable.
HASH_LENGTH = 32


def canonical(value: object) -> Any:
    """Reduce `value` to JSON types such that equal meaning gives equal text.

    Floats keep their shortest round-trip form, which Python and DuckDB share; times are UTC with an
    explicit offset; mappings are sorted. Sets are refused: their order is not theirs to give.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return repr(value)
        case Decimal():
            return format(value.normalize(), "f")
        case Enum():
            return canonical(value.value)
        case dt.datetime():
            if value.tzinfo is None:
                raise TypeError("a naive datetime has no identity: attach UTC first")
            return value.astimezone(dt.UTC).isoformat()
        case dt.date():
            return value.isoformat()
        case Mapping():
            return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
        case list() | tuple():
            return [canonical(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return canonical({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if hasattr(value, "item"):  # a numpy scalar
        return canonical(value.item())
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: object) -> str:
    """The one text of `value`."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(value: object) -> str:
    """128 bits of SHA-256 over the canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:HASH_LENGTH]


def chain_hash(hashes: Iterable[str]) -> str:
    """One hash for an ordered sequence of row hashes: how a row names the rows it came from."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:HASH_LENGTH]


def decision_id(
    *,
    strategy: str,
    symbol: str,
    as_of: dt.datetime,
    inputs: Mapping[str, str],
    code_version: str,
    parameters: Mapping[str, object],
) -> str:
    """The id that one decision carries from its signal to its last fill."""
    return "d-" + content_hash(
        {
            "strategy": strategy,
            "symbol": symbol,
            "as_of": as_of,
            "inputs": inputs,
            "code_version": code_version,
            "parameters": parameters,
        }
    )


def client_order_id(*, book: str, decision: str, attempt: int = 0) -> str:
    """Deterministic, so that sending twice is harmless; short and plain enough for every venue.

    36 characters is Binance's limit and the strictest of the venues we speak to.
    """
    return "pmx-" + content_hash({"book": book, "decision": decision, "attempt": attempt})[:28]


def seed_of(*parts: object) -> int:
    """A random seed from a decision's own identity, so that replays draw the same numbers."""
    return int(content_hash(list(parts))[:16], 16)
