"""One model's night as a record that can lie on disk until a tracking server takes it.

Belongs here: what a record holds, its identity, its JSON. Nothing here imports MLflow, so that the
nightly can write records without waiting for it. Sending is in `tracking`, keeping in
`tracking_outbox`.
"""

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Final

import pandas as pd

from quant.core.errors import DataError, UsageError
from quant.core.identity import content_hash

# Where a number was computed, not what it is: repeating a night elsewhere makes no second run.
EXECUTION_TAGS: Final = frozenset({"dagster/run_id", "snapshot_id", "mlflow.note.content"})
# Filters in the tracking UI rely on these; one that was not given says so.
EXPECTED_TAGS: Final = (
    "dagster/run_id",
    "snapshot_id",
    "code_version",
    "git_sha",
    "data_version",
    "book",
)
NOT_RECORDED: Final = "not recorded"

# MLflow's own rules for names (its validation of keys), and its limits on lengths.
_NAME: Final = re.compile(r"[\w.\-/ ]{1,250}")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][\w\-]{0,99}")
_VALUE_LENGTH_MAX: Final = 5000
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRecord:
    """What is said of one model after one session; values are already what MLflow stores."""

    model: str
    session: dt.date
    recorded_at: dt.datetime
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)  # name -> hash of its content

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.\-]{1,100}", self.model):
            raise UsageError(
                f"a model's name has letters, digits, '.', '-' and '_', was {self.model[:100]!r}",
                remedy="rename the model; its experiment is called pmx/<model>",
            )
        if self.recorded_at.tzinfo is None:
            raise UsageError("recorded_at must be aware and in UTC")
        for name in (*self.params, *self.metrics, *self.tags):
            if not _NAME.fullmatch(name):
                raise UsageError(f"{name[:100]!r} cannot name a parameter, metric or tag")
        for name in self.artifacts:
            if not _FILE_NAME.fullmatch(name):
                raise UsageError(f"{name[:100]!r} cannot name an artifact")

    @property
    def identity(self) -> str:
        """Two records with the same identity say the same, wherever they were computed."""
        tags = {key: value for key, value in self.tags.items() if key not in EXECUTION_TAGS}
        return content_hash(
            {
                "model": self.model,
                "session": self.session,
                "params": self.params,
                "metrics": self.metrics,
                "tags": tags,
                "artifacts": self.artifacts,
            }
        )

    @property
    def experiment(self) -> str:
        """The MLflow experiment that collects this model's nights."""
        return f"pmx/{self.model}"

    def to_json(self) -> str:
        """The record as it lies on disk."""
        plain = asdict(self) | {
            "format": _FORMAT,
            "session": self.session.isoformat(),
            "recorded_at": self.recorded_at.astimezone(dt.UTC).isoformat(),
        }
        return json.dumps(plain, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "NightRecord":
        """Read a record back; `DataError` when it is not one."""
        try:
            plain = json.loads(text)
            if plain.pop("format") != _FORMAT:
                raise DataError("the record has another format than this version writes")
            plain["session"] = dt.date.fromisoformat(plain["session"])
            plain["recorded_at"] = dt.datetime.fromisoformat(plain["recorded_at"])
            return cls(**plain)
        except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise DataError(f"the record cannot be read: {error}") from error


def night_record(
    model: str,
    session: dt.date,
    *,
    recorded_at: dt.datetime,
    params: Mapping[str, object],
    metrics: Mapping[str, float | Decimal | None],
    tags: Mapping[str, object],
    artifacts: Mapping[str, pd.DataFrame] | None = None,
) -> NightRecord:
    """Bring everything into the form in which it is stored.

    A metric without a finite value is left out and named in the tag `metrics_missing`: MLflow would
    store an infinity as the largest float, which then wins every comparison.
    """
    finite = {
        name: float(value)
        for name, value in metrics.items()
        if value is not None and math.isfinite(value)
    }
    said = dict.fromkeys(EXPECTED_TAGS, NOT_RECORDED) | _texts(tags)
    missing = sorted(set(metrics) - set(finite))
    if missing:
        said["metrics_missing"] = _cut(", ".join(missing))
    return NightRecord(
        model=model,
        session=session,
        recorded_at=recorded_at,
        params=_texts(params),
        # Tags are text and cannot be compared by size, so the session is a number as well.
        metrics=finite | {"session_yyyymmdd": float(session.strftime("%Y%m%d"))},
        tags=said,
        artifacts={name: frame_hash(frame) for name, frame in (artifacts or {}).items()},
    )


def frame_hash(frame: pd.DataFrame) -> str:
    """A hash of names, types and values, in order; the index does not count."""
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(f"{name}\x00{frame[name].dtype}\x00".encode())
        digest.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
    return digest.hexdigest()[:32]


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _cut(str(value)) for name, value in values.items() if value is not None}


def _cut(text: str) -> str:
    """Long values are cut where MLflow would refuse them; their hash keeps them apart."""
    if len(text) <= _VALUE_LENGTH_MAX:
        return text
    return f"{text[:_VALUE_LENGTH_MAX]}… (cut; hash {content_hash(text)})"
