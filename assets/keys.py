"""What makes a row of raw and clean the same row: the keys of the append-only tables.

Belongs here: key columns alone, so that a command can use them without importing the orchestrator.
Does not belong here: anything that is done with them.
"""

from typing import Final

BAR_KEY: Final = ("symbol", "basis", "session", "source")
INTRADAY_KEY: Final = ("symbol", "basis", "event_time", "interval_minutes", "source")
ACTION_KEY: Final = ("symbol", "ex_session", "kind", "source")
NEWS_KEY: Final = ("hash",)
# Published bars: one a session, whichever source it came from.
CLEAN_KEY: Final = ("symbol", "basis", "session")
