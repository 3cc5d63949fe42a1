"""What the gates get to see of a book that trades at a venue.

Belongs here: open orders as what they may still do, and everything else that the state tells. Does
not belong here: the judgement (`gates`).
"""

import datetime as dt
from dataclasses import replace

from quant.core.errors import StateError
from quant.execution.commands import Surroundings
from quant.execution.gates import Desk
from quant.execution.manager_state import ManagerState
from quant.execution.order_states import UNANSWERED_STATES
from quant.execution.orders import Order


def desk_of(state: ManagerState, session: dt.date, around: Surroundings) -> Desk:
    """The desk of `session`; an order that nobody has confirmed counts at its worst case."""
    if state.book is None:
        raise StateError(f"book {state.name} was never opened", remedy="record its opening first")
    unknown: list[Order] = []
    working: list[Order] = []
    for life in state.open.values():
        if life.rest:
            rest = replace(life.order, quantity=life.rest)
            (unknown if life.state in UNANSWERED_STATES else working).append(rest)
    return Desk(
        session=session,
        book=state.book,
        mode=state.control.mode(state.name),
        verdict=state.verdict,
        policy=around.book_policy,
        costs_of=around.costs_of,
        unknown=tuple(unknown),
        working=tuple(working),
        held=state.held,
        breakers=state.control.tripped(state.name),
        rules_of=around.rules_of,
        limits=around.limits,
        limit_data=around.limit_data,
        trades_today=state.sent_in[session],
        sales_free_cash=False,
        splits=around.splits,
        price_collar_bps=around.price_collar_bps,
    )
