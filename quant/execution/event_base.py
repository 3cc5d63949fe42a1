"""What every event is: something that happened, with a key that makes it happen once."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, once."""

    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """Two events with the same key are the same happening."""
        raise NotImplementedError
