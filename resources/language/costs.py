"""What language models have cost: one line a call, appended and never changed.

Belongs here: the file and its sums. Does not belong here: prices (llm.yaml) or limits (`fallback`).
A call that failed is a line too: its time was spent, and perhaps its money.
"""

import datetime as dt
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from quant.core.errors import StateError
from resources.language.client import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One conversation with a server."""

    called_at: str  # ISO 8601, UTC
    session: str
    symbol: str
    model: str
    outcome: str
    attempts: int
    prompt_tokens: int
    answer_tokens: int
    seconds: float
    cost_usd: float
    question_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The sum over some calls of one model."""

    model: str
    calls: int
    answered: int
    prompt_tokens: int
    answer_tokens: int
    seconds: float
    cost_usd: float


class CostLedger:
    """The file of one installation; processes may append side by side."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, asked: Asked, *, session: dt.date, symbol: str, now: dt.datetime) -> None:
        """Append a call; it is on disk before this returns."""
        call = Call(
            called_at=now.astimezone(dt.UTC).isoformat(),
            session=session.isoformat(),
            symbol=symbol,
            model=asked.model,
            outcome=asked.outcome.value,
            attempts=asked.attempts,
            prompt_tokens=asked.prompt_tokens,
            answer_tokens=asked.answer_tokens,
            seconds=round(asked.seconds, 6),
            cost_usd=asked.cost_usd,
            question_hash=asked.question_hash,
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(asdict(call)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def calls(self) -> Iterator[Call]:
        """Every call, oldest first."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                yield Call(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise StateError(
                    f"{self.path}, line {number} is no record of a call",
                    remedy="restore the file from a backup, or move it away to begin a new one",
                ) from error

    def spent(self, *, since: dt.date | None = None) -> tuple[Spent, ...]:
        """Sums by model of the sessions since a day."""
        first = since.isoformat() if since else ""
        by_model: dict[str, list[Call]] = {}
        for call in self.calls():
            if call.session >= first:
                by_model.setdefault(call.model, []).append(call)
        return tuple(_sum(model, calls) for model, calls in sorted(by_model.items()))

    def usd_of(self, session: dt.date) -> float:
        """What a night has cost so far, over all its attempts."""
        return sum(call.cost_usd for call in self.calls() if call.session == session.isoformat())


def _sum(model: str, calls: list[Call]) -> Spent:
    return Spent(
        model=model,
        calls=len(calls),
        answered=sum(call.outcome == "answered" for call in calls),
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        answer_tokens=sum(call.answer_tokens for call in calls),
        seconds=sum(call.seconds for call in calls),
        cost_usd=sum(call.cost_usd for call in calls),
    )
