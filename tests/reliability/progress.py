"""How far a long proof has come, on standard error; a short one ends before it says anything."""

import sys
import time
from collections.abc import Collection, Iterator
from typing import Final, TypeVar

ItemT = TypeVar("ItemT")
EVERY_S: Final = 30.0


def counted(items: Collection[ItemT], what: str) -> Iterator[ItemT]:
    """The items, with a line every half minute."""
    start = said = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if now - said >= EVERY_S:
            said = now
            say(f"    {number} of {len(items)} {what} after {now - start:.0f} s")
        yield item


def say(line: str) -> None:
    """One line, at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
