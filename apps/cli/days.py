"""Days as a person types them.

Belongs here: one clear error for every command. Does not belong here: which days are sessions.
"""

import datetime as dt

from quant.core.errors import UsageError


def day(text: str, *, option: str) -> dt.date:
    """A date written YYYY-MM-DD; `UsageError` names the option."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} holds {text[:40]!r}, which is no day",
            remedy=f"write it as YYYY-MM-DD, such as {option} 2022-12-28",
        ) from None
