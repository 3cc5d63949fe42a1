"""The venue's own account of what happened: one JSON line an event, and counts in memory.

Never a header or a signature: credentials have no place in a log.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any


class EventLog:
    """Numbers every event; writes it when there is a file."""

    def __init__(self, *, seed: int, stream: IO[str] | None = None) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self._stream = stream
        self._sequence = 0

    def write(self, kind: str, at: str, **fields: Any) -> None:
        """One event."""
        self._sequence += 1
        self.counts[kind] += 1
        if self._stream is not None:
            line: Mapping[str, Any] = {
                "seq": self._sequence,
                "seed": self.seed,
                "time": at,
                "kind": kind,
                **fields,
            }
            self._stream.write(json.dumps(line, default=str) + "\n")

    def flush(self) -> None:
        """Nothing stays in memory."""
        if self._stream is not None:
            self._stream.flush()
