"""Days as a person types them.

Belongs here: one clear error for every command. Does not belong here: which days are sessions.
"""

import datetime as dt
from typing import Final

from quant.core.errors import UsageError

# Outside, no calendar knows a session and arithmetic on days runs out of years.
FIRST: Final = dt.date(1900, 1, 1)
LAST: Final = dt.date(2199, 12, 31)


def day(text: str, *, option: str) -> dt.date:
    """A date written YYYY-MM-DD; `UsageError` names the option."""
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} holds {text[:40]!r}, which is no day",
            remedy=f"write it as YYYY-MM-DD, such as {option} 2022-12-28",
        ) from None
    if not FIRST <= found <= LAST:
        raise UsageError(
            f"{option} holds {found}, which is {'before' if found < FIRST else 'after'} every "
            "session that is known",
            remedy=f"give a day from {FIRST} to {LAST}",
        )
    return found
