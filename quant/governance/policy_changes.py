"""What changed in the policy files since they were last recorded.

Belongs here: comparing values with the latest record of each file. Does not belong here: reading
files or asking the disk whose they are (`assets.policy_record`).

The latest record is the sum of all before it, so a change that is taken back is two records.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quant.core.identity import content_hash
from quant.governance.records import GovernanceRecord, PolicyChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """One policy as plain values, with what the disk says of its file."""

    name: str
    values: Mapping[str, Any]
    owner: str
    written_at: dt.datetime


def policy_changes(
    files: Iterable[PolicyFile], records: Sequence[GovernanceRecord], *, now: dt.datetime
) -> list[PolicyChanged]:
    """One record a file that is not what was recorded last; none where nothing changed."""
    known = recorded_values(records)
    found = []
    for file in files:
        before, after = known.get(file.name, {}), flat_values(file.values)
        if before == after:
            continue
        found.append(
            PolicyChanged(
                policy=file.name,
                before_hash=content_hash(before) if before else "",
                after_hash=content_hash(after),
                changes={
                    key: (before.get(key, ""), after.get(key, ""))
                    for key in sorted(before.keys() | after.keys())
                    if before.get(key) != after.get(key)
                },
                actor=file.owner,
                changed_at=file.written_at,
                noticed_at=now,
            )
        )
    return found


def recorded_values(records: Iterable[GovernanceRecord]) -> dict[str, dict[str, str]]:
    """By file, every value as the records leave it."""
    found: dict[str, dict[str, str]] = {}
    for one in records:
        if not isinstance(one, PolicyChanged):
            continue
        values = found.setdefault(one.policy, {})
        for key, (_before, after) in one.changes.items():
            if after:
                values[key] = after
            else:
                values.pop(key, None)
    return found


def flat_values(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Every value by its dotted key, as JSON text; a list is one value."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat_values(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = json.dumps(value, sort_keys=True)
    return found
