"""What governance writes down: one frozen value a happening, with a key that makes it happen once.

Belongs here: the vocabulary of the governance journal and its plain form. Does not belong here: the
file (`resources.governance_journal`), or what follows from the records (`trials`, `selection`,
`gate_changes`). Money is never in them, so floats may be; a figure that is not finite is refused.
"""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydantic import TypeAdapter, ValidationError

from quant.core.errors import DataError
from quant.core.identity import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceRecord:
    """Something that governance decided or was told, once."""

    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """Two records with the same key are the same happening."""
        return f"{self.kind}:{content_hash(self)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOpened(GovernanceRecord):
    """A backtest, tuning or audit run counts itself before it knows its result."""

    kind: ClassVar[str] = "trial_opened"
    trial_id: str
    family: str
    purpose: str
    description: str
    parameters_hash: str
    run_id: str = ""
    code_version: str = ""

    @property
    def key(self) -> str:
        """One count a trial."""
        return f"trial:{self.trial_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialClosed(GovernanceRecord):
    """A trial's result; `sharpe` is per observation. A trial without this record was abandoned."""

    kind: ClassVar[str] = "trial_closed"
    trial_id: str
    observations: int
    sharpe: float
    returns_hash: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.sharpe) or self.observations < 1:
            raise DataError(f"trial {self.trial_id} was closed without a finite result")

    @property
    def key(self) -> str:
        """One result a trial."""
        return f"trial_closed:{self.trial_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCounted(GovernanceRecord):
    """One audit of a sprint; the same window, symbols and arm are the same audit."""

    kind: ClassVar[str] = "audit_counted"
    model: str
    arm: str
    session: dt.date
    horizon_days: int
    symbols_hash: str
    baseline: str
    observations: int
    rmse: float
    rmse_baseline: float
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> str:
        """Whatever its result, a window is counted once."""
        window = [self.model, self.arm, self.session, self.horizon_days, self.symbols_hash]
        return f"audit:{content_hash(window)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued(GovernanceRecord):
    """A certificate, passed or not, as plain JSON text; the text is what was signed."""

    kind: ClassVar[str] = "certificate_issued"
    subject: str
    session: dt.date
    outcome: str
    certificate_hash: str
    text: str
    signature: str = ""
    key_id: str = ""

    @property
    def key(self) -> str:
        """The same judgement is one record."""
        return f"certificate:{self.certificate_hash}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(GovernanceRecord):
    """A model became champion, challenger or shadow, or lost its role (empty)."""

    kind: ClassVar[str] = "role_changed"
    model: str
    role: str
    session: dt.date
    actor: str
    reason: str
    certificate_hash: str = ""
    # How many changes came before: the same change later is another happening.
    number: int = 0

    @property
    def key(self) -> str:
        """One change a place in the sequence."""
        return f"role:{self.number}:{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesAccepted(GovernanceRecord):
    """The limits in force from here on, by dotted key."""

    kind: ClassVar[str] = "gates_accepted"
    values: Mapping[str, float]
    accepted_at: dt.datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseningRequested(GovernanceRecord):
    """Somebody wants gates that are easier to pass; nothing changes yet."""

    kind: ClassVar[str] = "loosening_requested"
    values: Mapping[str, float]
    requested_at: dt.datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseningConfirmed(GovernanceRecord):
    """The second yes, after the cooling-off."""

    kind: ClassVar[str] = "loosening_confirmed"
    request_key: str
    confirmed_at: dt.datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRecorded(GovernanceRecord):
    """A decision that the go/no-go list wants on record: a topic, what was chosen, and why."""

    kind: ClassVar[str] = "choice_recorded"
    topic: str
    choice: str
    reason: str
    actor: str
    recorded_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged(GovernanceRecord):
    """A policy file that says something else than before; the first record of a file has it all.

    `changes` has old and new value by dotted key, as JSON text; a key that was not there is empty.
    """

    kind: ClassVar[str] = "policy_changed"
    policy: str
    before_hash: str
    after_hash: str
    changes: Mapping[str, tuple[str, str]]
    # Whose file it is and when it was last written, as the disk says.
    actor: str
    changed_at: dt.datetime
    noticed_at: dt.datetime


RECORD_TYPES: Final[tuple[type[GovernanceRecord], ...]] = (
    TrialOpened,
    TrialClosed,
    AuditCounted,
    CertificateIssued,
    RoleChanged,
    GatesAccepted,
    LooseningRequested,
    LooseningConfirmed,
    ChoiceRecorded,
    PolicyChanged,
)
_BY_KIND: Final = {kind.kind: kind for kind in RECORD_TYPES}


def to_payload(record: GovernanceRecord) -> dict[str, Any]:
    """The record as JSON types, with its kind and key."""
    fields: dict[str, Any] = _adapter(type(record)).dump_python(record, mode="json")
    return {"kind": record.kind, "key": record.key, **fields}


def from_payload(payload: Mapping[str, Any]) -> GovernanceRecord:
    """The record that `payload` was made of."""
    kind = _BY_KIND.get(str(payload.get("kind")))
    if kind is None:
        raise DataError(
            f"unknown kind of governance record {payload.get('kind')!r}",
            remedy="it was written by a newer version: read the journal with that one",
        )
    fields = {name: value for name, value in payload.items() if name not in {"kind", "key"}}
    try:
        record: GovernanceRecord = _adapter(kind).validate_python(fields)
    except ValidationError as error:
        raise DataError(f"record {payload.get('key')!r} cannot be read: {error}") from error
    return record


def _adapter(kind: type[GovernanceRecord]) -> TypeAdapter[Any]:
    # Made once a kind: building one costs more than a hundred records.
    if kind.kind not in _ADAPTERS:
        _ADAPTERS[kind.kind] = TypeAdapter(kind)
    return _ADAPTERS[kind.kind]


_ADAPTERS: dict[str, TypeAdapter[Any]] = {}
