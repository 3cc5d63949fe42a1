"""Which limits are in force: tightening at once, loosening after a pause and a second yes.

Belongs here: comparing limits, the life of a request to loosen. Does not belong here: who asks
(commands) and where it is written (the governance journal).

The policy file alone cannot loosen a gate that was once accepted: for such a key the accepted value
stays in force, and the difference is said.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quant.core.errors import UsageError
from quant.governance.audits import GatesPolicy
from quant.governance.gate_policy import flat, loosens, nested
from quant.governance.records import (
    GatesAccepted,
    GovernanceRecord,
    LooseningConfirmed,
    LooseningRequested,
)

_ACTOR_MIN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesInForce:
    """The limits that hold, and the keys whose looser value in the file does not hold yet."""

    policy: GatesPolicy
    held_back: Mapping[str, tuple[float, float]]
    is_accepted: bool


def gates_in_force(file: GatesPolicy, records: Iterable[GovernanceRecord]) -> GatesInForce:
    """The stricter of the file and of what was last accepted, key by key."""
    accepted = last_accepted(records)
    if accepted is None:
        return GatesInForce(policy=file, held_back={}, is_accepted=False)
    wanted = flat(file)
    held = {
        key: (accepted.values[key], wanted[key]) for key in looser_keys(accepted.values, wanted)
    }
    values = wanted | {key: old for key, (old, _new) in held.items()}
    policy = GatesPolicy.model_validate(nested(values))
    return GatesInForce(policy=policy, held_back=held, is_accepted=True)


def looser_keys(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Keys whose new value makes a gate easier to pass."""
    return [
        key
        for key in sorted(before.keys() & after.keys())
        if (loosens(key) == "higher" and after[key] > before[key])
        or (loosens(key) == "lower" and after[key] < before[key])
    ]


def last_accepted(records: Iterable[GovernanceRecord]) -> GatesAccepted | None:
    """The newest acceptance."""
    found = [record for record in records if isinstance(record, GatesAccepted)]
    return found[-1] if found else None


def accept_tightening(
    file: GatesPolicy, records: Iterable[GovernanceRecord], *, now: dt.datetime, actor: str
) -> GatesAccepted | None:
    """What to record so that limits which are now stricter stay so; None when nothing changed."""
    known = list(records)
    inside = gates_in_force(file, known)
    before, values = last_accepted(known), flat(inside.policy)
    if before is not None and dict(before.values) == values:
        return None
    return GatesAccepted(values=values, accepted_at=now, actor=actor)


def request_loosening(
    file: GatesPolicy,
    records: Iterable[GovernanceRecord],
    *,
    now: dt.datetime,
    actor: str,
    reason: str,
) -> LooseningRequested:
    """Ask for the looser values of the file."""
    inside = gates_in_force(file, records)
    if not inside.held_back:
        raise UsageError(
            "config/gates.yaml is not looser than the limits in force",
            remedy="write the looser values there first, then ask for them",
        )
    _require_words(actor=actor, reason=reason)
    values = {key: new for key, (_old, new) in inside.held_back.items()}
    return LooseningRequested(values=values, requested_at=now, actor=actor, reason=reason)


def confirm_loosening(
    file: GatesPolicy, records: Iterable[GovernanceRecord], *, now: dt.datetime, actor: str
) -> list[GovernanceRecord]:
    """The second yes: refused before the cooling-off is over, or when the file changed since."""
    known = list(records)
    inside = gates_in_force(file, known)
    request = pending_request(known)
    wanted = {key: new for key, (_old, new) in inside.held_back.items()}
    if request is None or dict(request.values) != wanted:
        raise UsageError(
            "there is no request for exactly the looser values of config/gates.yaml",
            remedy="pmx gates loosen --by NAME --reason WHY asks for them",
        )
    # The pause in force, not the one in the file: shortening it is a loosening as well.
    ready_at = request.requested_at + dt.timedelta(hours=inside.policy.loosening_cooling_off_hours)
    if now < ready_at:
        raise UsageError(
            f"the cooling-off of {inside.policy.loosening_cooling_off_hours} hours lasts until "
            f"{ready_at:%Y-%m-%d %H:%M} UTC",
            remedy="confirm then, or withdraw the values from config/gates.yaml",
        )
    _require_words(actor=actor, reason="confirmed")
    return [
        LooseningConfirmed(request_key=request.key, confirmed_at=now, actor=actor),
        GatesAccepted(values=flat(file), accepted_at=now, actor=actor),
    ]


def pending_request(records: Iterable[GovernanceRecord]) -> LooseningRequested | None:
    """The newest request that nobody confirmed, since the last acceptance."""
    pending: LooseningRequested | None = None
    for record in records:
        if isinstance(record, LooseningRequested):
            pending = record
        elif isinstance(record, LooseningConfirmed):
            pending = None
    return pending


def _require_words(*, actor: str, reason: str) -> None:
    if len(actor.strip()) < _ACTOR_MIN or not reason.strip():
        raise UsageError("a change of gates needs a name and a reason", remedy="--by, --reason")
