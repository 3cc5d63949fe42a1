"""A book's round trips and open lots, read from the ledger.

Belongs here: which events tell of money, and nothing else; the matching is
`quant.execution.attribution`.
"""

from typing import TYPE_CHECKING, Final

from resources.desk import Desk

if TYPE_CHECKING:
    from quant.execution.attribution import Attribution
    from resources.ledger.ledger import Ledger

# Refusals and verdicts are most of a ledger, and say nothing of money.
MONEY_KINDS: Final = (
    "book_opened",
    "intent_recorded",
    "order_sent",
    "fill_recorded",
    "action_applied",
)


def attribution_of(
    desk: Desk, ledger: "Ledger", book: str, *, until_seq: int | None = None
) -> "Attribution":
    """Every round trip and open lot of a book, now or as they stood after a record."""
    from quant.execution.attribution import attribute

    events = ledger.events(book=book, kinds=MONEY_KINDS, until_seq=until_seq)
    return attribute(events, book, calendar=desk.universe.calendar)
