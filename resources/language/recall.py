"""Answers that were given before: in memory, on disk, and recorded for good.

Belongs here: the three tiers and how a file of them is believed. Does not belong here: when a
question is asked. Of equal questions the youngest answer within a tier's time is taken.

Memory and disk save time and may vanish. The record is append-only: one file an answer, named by
what it contains, so that it can be checked against its name; nothing in it is ever overwritten.
"""

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from quant.core.clock import Clock
from quant.core.identity import content_hash
from quant.signals.language import Answer
from resources.language.client import Asked, Outcome
from resources.language.policy import RecallPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer and when it was given."""

    asked: Asked
    answered_at: dt.datetime


class Recall:
    """The three tiers of one installation; only usable answers are kept."""

    def __init__(
        self, policy: RecallPolicy, *, cache_dir: Path, record_dir: Path, clock: Clock
    ) -> None:
        self._policy = policy
        self._cache_dir = cache_dir
        self._record_dir = record_dir
        self._clock = clock
        self._memory: dict[str, Kept] = {}

    def find(self, question_hash: str) -> Asked | None:
        """A kept answer to this very question, young enough for its tier."""
        tiers = (
            ("memory", self._policy.memory_seconds, self._memory.get),
            ("disk", self._policy.disk_seconds, self._on_disk),
            ("recorded", self._policy.recorded_seconds, self._newest_recorded),
        )
        for tier, seconds, look in tiers:
            kept = look(question_hash) if seconds else None
            if kept and dt.timedelta(0) <= self._age(kept) <= dt.timedelta(seconds=seconds):
                self._memory[question_hash] = kept
                # What a recalled answer costs is nothing; what it cost stands in the cost ledger.
                return replace(kept.asked, recalled_from=tier, seconds=0.0, cost_usd=0.0)
        return None

    def keep(self, asked: Asked) -> None:
        """Remember an answer in all three tiers."""
        if asked.outcome is not Outcome.ANSWERED:
            return
        kept = Kept(asked=asked, answered_at=self._clock.now())
        self._memory[asked.question_hash] = kept
        record = _to_record(kept)
        name = content_hash(record)
        _write(self._record_dir / asked.question_hash / f"{name}.json", record)
        _write(self._cache_dir / f"{asked.question_hash}.json", record)

    def recorded(self, question_hash: str) -> tuple[Kept, ...]:
        """Every recorded answer to a question, oldest first; a changed file is not one."""
        files = sorted((self._record_dir / question_hash).glob("*.json"))
        kept = [one for file in files if (one := _read(file, named_by_content=True))]
        return tuple(sorted(kept, key=lambda one: one.answered_at))

    def _age(self, kept: Kept) -> dt.timedelta:
        return self._clock.now() - kept.answered_at

    def _newest_recorded(self, question_hash: str) -> Kept | None:
        return (self.recorded(question_hash) or (None,))[-1]

    def _on_disk(self, question_hash: str) -> Kept | None:
        kept = _read(self._cache_dir / f"{question_hash}.json", named_by_content=False)
        return kept if kept and kept.asked.question_hash == question_hash else None


def _to_record(kept: Kept) -> dict[str, Any]:
    asked = {**asdict(kept.asked), "outcome": kept.asked.outcome.value}
    answer = kept.asked.answer
    asked["answer"] = answer.model_dump(mode="json") if answer else None
    return {"answered_at": kept.answered_at.astimezone(dt.UTC).isoformat(), "asked": asked}


def _read(path: Path, *, named_by_content: bool) -> Kept | None:
    try:
        record = json.loads(path.read_bytes())
        if named_by_content and content_hash(record) != path.stem:
            return None
        return _from_record(record)
    except (OSError, ValueError, TypeError, KeyError):
        # A damaged memory is no memory: the question is asked again.
        return None


def _from_record(record: Mapping[str, Any]) -> Kept:
    asked = dict(record["asked"])
    answer = Answer.model_validate_json(json.dumps(asked.pop("answer")))
    return Kept(
        asked=Asked(**{**asked, "answer": answer, "outcome": Outcome(asked["outcome"])}),
        answered_at=dt.datetime.fromisoformat(record["answered_at"]),
    )


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """Whole or not at all: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(record, sort_keys=True, indent=1), encoding="utf-8")
    os.replace(part, path)
