"""At most one order per client order id, on venues that do not promise it.

Binance takes a used id again once its order is filled, so an id is no protection there: whatever
was tried before is looked up, and sent again only when the venue has not known it for a while.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from quant.core.errors import OrderUnknownError, VenueError, VenueUnavailableError
from quant.execution.broker import (
    OrderNotFoundError,
    OrderRejectedError,
    OrderTicket,
    VenueAuthError,
    VenueOrder,
)

# Venues have been seen to find an order only 30 s after they took it.
RESEND_AFTER_S: Final = 45.0


class DuplicateOrderError(VenueError):
    """The venue knows the id already; inside the adapters only."""


class SubmitOnce:
    """Remembers what was tried in this process."""

    def __init__(
        self,
        *,
        resend_after_s: float = RESEND_AFTER_S,
        looks_first: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.resend_after_s = resend_after_s
        # For venues that take an open order's id twice: even a first attempt of ours is preceded
        # by a look, since an earlier process may have made one.
        self.looks_first = looks_first
        self._monotonic = monotonic
        self._tried: dict[str, float] = {}

    def submit(
        self,
        ticket: OrderTicket,
        *,
        find: Callable[[], VenueOrder],
        send: Callable[[], VenueOrder],
    ) -> VenueOrder:
        """Send, or adopt what an earlier attempt left at the venue."""
        name = ticket.client_order_id
        tried_at = self._tried.get(name)
        if tried_at is None and self.looks_first:
            with contextlib.suppress(OrderNotFoundError):
                return self._adopt(ticket, find())
        if tried_at is not None and (found := self._look(ticket, find, tried_at)) is not None:
            return found
        self._tried[name] = self._monotonic()
        try:
            return send()
        except DuplicateOrderError:
            return self._adopt(ticket, self._must_find(name, find))
        except (OrderRejectedError, VenueAuthError, VenueUnavailableError):
            # A definite no to a first attempt leaves nothing to look for.
            if tried_at is None:
                del self._tried[name]
            raise

    def _look(
        self, ticket: OrderTicket, find: Callable[[], VenueOrder], tried_at: float
    ) -> VenueOrder | None:
        try:
            return self._adopt(ticket, find())
        except OrderNotFoundError:
            age_s = self._monotonic() - tried_at
            if age_s >= self.resend_after_s:
                return None
            raise OrderUnknownError(
                f"order {ticket.client_order_id} was tried {age_s:.1f} s ago and the venue does "
                f"not know it yet",
                remedy=f"look it up again; it may be sent again after {self.resend_after_s:g} s",
            ) from None
        except VenueUnavailableError as error:
            raise _unknown(ticket.client_order_id, error) from error

    def _must_find(self, name: str, find: Callable[[], VenueOrder]) -> VenueOrder:
        try:
            return find()
        except (OrderNotFoundError, VenueUnavailableError) as error:
            raise _unknown(name, error) from error

    def _adopt(self, ticket: OrderTicket, found: VenueOrder) -> VenueOrder:
        wanted = (ticket.symbol, ticket.side, ticket.quantity)
        if (found.symbol, found.side, found.quantity) != wanted:
            raise OrderRejectedError(
                f"the venue has another order under id {found.client_order_id}: {found.side} "
                f"{found.quantity} {found.symbol}",
                rule="client_order_id",
                remedy="a client order id stands for one order; find out who used it",
            )
        return replace(found, is_adopted=True)


def _unknown(name: str, error: VenueError) -> OrderUnknownError:
    return OrderUnknownError(
        f"order {name} may be at the venue, and looking it up failed: {error}",
        remedy="look it up again before anything else",
    )
