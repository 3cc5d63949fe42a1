"""Two values that should be the same, and the first that is not.

Belongs here: what counts as equal, and how a difference is told. Values are compared with values;
a stored hash is only ever compared with the hash of the values beside it.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from apps.lineage.lakes import Row

HASH = "row_hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a replay left the record: `derived` is what it should say."""

    table: str
    key: str
    column: str = ""
    stored: Any = None
    derived: Any = None
    says: str = ""


def compare_row(
    row: Row, derived: Mapping[str, Any] | None, *, key: str, ignored: Collection[str] = ()
) -> Difference | None:
    """The first column in which a stored row is not what was derived."""
    if derived is None:
        return Difference(
            table=row.table, key=key, says="this row does not come out when it is derived again"
        )
    for column, value in row.values.items():
        if column not in ignored and not is_same(value, derived[column]):
            return Difference(
                table=row.table, key=key, column=column, stored=value, derived=derived[column]
            )
    return compare_hash(row, key=key)


def compare_hash(row: Row, *, key: str) -> Difference | None:
    """Whether a row's values still give the hash it was written with."""
    if row.row_hash == row.computed_hash:
        return None
    return Difference(
        table=row.table,
        key=key,
        column=HASH,
        stored=row.row_hash,
        derived=row.computed_hash,
        says="the row was changed after it was written: its values do not give its hash",
    )


def compare_records(table: str, key: str, stored: Any, derived: Any) -> Difference | None:
    """The first field in which a record of the ledger is not what was derived."""
    if derived is None or type(stored) is not type(derived):
        kind = type(derived).__name__.lower() if derived is not None else "nothing"
        return Difference(
            table=table,
            key=key,
            says=f"the record is a {type(stored).__name__.lower()}, and {kind} comes out",
        )
    for item in dataclasses.fields(stored):
        before, after = getattr(stored, item.name), getattr(derived, item.name)
        if not is_same(before, after):
            return Difference(table=table, key=key, column=item.name, stored=before, derived=after)
    return None


def is_same(stored: Any, derived: Any) -> bool:
    """To the bit for floats; a missing number equals a missing number."""
    if isinstance(stored, float) and isinstance(derived, float):
        both_missing = math.isnan(stored) and math.isnan(derived)
        same_sign = math.copysign(1.0, stored) == math.copysign(1.0, derived)
        return both_missing or (stored == derived and same_sign)
    return bool(stored == derived)
