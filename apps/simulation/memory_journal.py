"""The ledger's journal in memory: the same lines, hashes and keys as on disk, without the disk.

Belongs here: what a simulated crash may and may not lose. Does not belong here: files, syncs and
torn tails; those have tests of their own on a real disk.
"""

from collections.abc import Sequence

from quant.execution import Event, from_payload, to_payload
from resources.ledger.journal import GENESIS, parse, stamped


class MemoryJournal:
    """Records each event key once, in chained lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.keys: set[str] = set()
        self._head = GENESIS

    def append_all(self, events: Sequence[Event], moment: str) -> list[Event]:
        """Record one commit; what was recorded before is not recorded again."""
        fresh: dict[str, Event] = {}
        for event in events:
            if (key := event.key) not in self.keys:
                fresh.setdefault(key, event)
        for left, event in zip(range(len(fresh) - 1, -1, -1), fresh.values(), strict=True):
            record, line = stamped(
                seq=len(self.lines) + 1,
                prev_hash=self._head,
                recorded_at=moment,
                left=left,
                payload=to_payload(event),
            )
            self._head = record.hash
            self.lines.append(line)
        self.keys.update(fresh)
        return list(fresh.values())

    def read(self) -> list[Event]:
        """Every event again from its bytes, the chain verified on the way."""
        previous, events = GENESIS, []
        for line in self.lines:
            record = parse(line)
            if record.prev_hash != previous:
                raise ValueError(f"record {record.seq} does not continue the one before it")
            previous = record.hash
            events.append(from_payload(record.payload))
        return events
