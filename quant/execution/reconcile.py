"""Compares venue, ledger and strategies, and says what may be trusted: everything else is held.

Belongs here: the comparison, pure and without side effects. It never edits a position: a difference
is explained by an order that is looked up, or held until a person has settled it. What could not be
read holds everything, since unknown is not flat. Ownership is by id alone: an order or a position
without an id of ours is shown as external and never owned, whatever its time or size.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from quant.execution.broker import (
    Listing,
    VenueAccount,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from quant.execution.events import EVERY_BOOK
from quant.execution.manager_state import ManagerState
from quant.execution.order_states import OPEN_STATES

ZERO: Final = Decimal(0)
# Ids of this shape are ours; one that no ledger knows is an orphan and not a stranger.
OUR_PREFIX: Final = "pmx-"
WHOLE_BOOK: Final = EVERY_BOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueView:
    """One reading of the whole account; None is what could not be read, and never empty."""

    orders: Listing[VenueOrder] | None
    positions: Listing[VenuePosition] | None
    account: VenueAccount | None
    fills: Listing[VenueFill] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether an absence in it means an absence at the venue."""
        return not self.gaps()

    def gaps(self) -> list[str]:
        """What is missing, in words; nothing when all of it could be read."""
        listings: tuple[tuple[str, Listing[object] | None], ...] = (
            ("orders", self.orders),
            ("positions", self.positions),
        )
        found = [f"the {name} could not be read" for name, told in listings if told is None]
        found += [] if self.account else ["the account could not be read"]
        for _, told in (*listings, ("fills", self.fills)):
            found += [f"{row.what}: {row.reason}" for row in (told.unreadable if told else ())]
        return found


UNREADABLE: Final = VenueView(orders=None, positions=None, account=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What was found: reasons by symbol, strangers by their venue id, orders to look up now."""

    is_readable: bool
    held: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, str] = field(default_factory=dict)
    orphans: tuple[VenueOrder, ...] = ()
    lookups: tuple[str, ...] = ()

    @property
    def is_matched(self) -> bool:
        """Whether all three agree."""
        return self.is_readable and not self.held


def reconcile(
    state: ManagerState,
    view: VenueView,
    *,
    moved: Collection[str] = (),
    strategy_view: Mapping[tuple[str, str], Decimal] | None = None,
    cash_tolerance: Decimal | None = None,
) -> Reconciliation:
    """Hold `state` against what the venue and, where given, the strategies say of themselves.

    `moved` names symbols that traded while the view was on its way: it can say nothing of them,
    and what was said before stays.
    """
    if gaps := view.gaps():
        what = "; ".join(gaps)
        return Reconciliation(
            is_readable=False,
            held={**state.held, WHOLE_BOOK: f"unreadable: {what}"},
            external=state.external,
        )
    assert view.orders is not None
    assert view.positions is not None
    ours = [one for one in view.orders.rows if one.client_order_id in state.lives]
    strangers = [one for one in view.orders.rows if one.client_order_id not in state.lives]
    positions = {one.symbol: one.quantity for one in view.positions.rows}
    held = _held_positions(state, positions, strangers, moved)
    held |= _held_strategies(state, strategy_view)
    orphans = tuple(one for one in strangers if one.client_order_id.startswith(OUR_PREFIX))
    held |= {
        one.symbol: f"order {one.client_order_id} has an id of ours and is in no ledger"
        for one in orphans
    }
    held |= _held_cash(state, view, strangers, moved, cash_tolerance)
    return Reconciliation(
        is_readable=True,
        held=dict(sorted(held.items())),
        external={
            one.venue_order_id: f"{one.side} {one.quantity} {one.symbol}: {one.state}, "
            f"{one.filled_quantity} filled"
            for one in sorted(strangers, key=lambda one: one.venue_order_id)
            if one not in orphans
        },
        orphans=orphans,
        lookups=_lookups(state, ours),
    )


def _held_positions(
    state: ManagerState,
    positions: Mapping[str, Decimal],
    strangers: list[VenueOrder],
    moved: Collection[str],
) -> dict[str, str]:
    foreign: dict[str, Decimal] = defaultdict(Decimal)
    for one in strangers:
        foreign[one.symbol] += one.side.sign * one.filled_quantity
    book = state.book
    owned = {} if book is None else {s: p.quantity for s, p in book.positions.items()}
    held: dict[str, str] = {}
    for symbol in sorted(owned.keys() | positions.keys() | foreign.keys()):
        if symbol in moved:
            if symbol in state.held:
                held[symbol] = state.held[symbol]
            continue
        mine, theirs = owned.get(symbol, ZERO), positions.get(symbol, ZERO)
        outside = foreign[symbol]
        if theirs != mine + outside:
            shown = f" and {outside} of external orders" if outside else ""
            held[symbol] = f"the venue has {theirs}, the ledger {mine}{shown}"
    return held


def _held_strategies(
    state: ManagerState, view: Mapping[tuple[str, str], Decimal] | None
) -> dict[str, str]:
    """The sum of the strategies' shares is the book's, and each believes what its fills say."""
    held: dict[str, str] = {}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for (_, symbol), shares in state.strategy_shares.items():
        sums[symbol] += shares
    book = state.book
    owned = {} if book is None else {s: p.quantity for s, p in book.positions.items()}
    for symbol in sums.keys() | owned.keys():
        if sums[symbol] != owned.get(symbol, ZERO):
            held[symbol] = (
                f"the strategies' fills sum to {sums[symbol]}, the book has "
                f"{owned.get(symbol, ZERO)}"
            )
    for key in (view or {}).keys() | (state.strategy_shares.keys() if view is not None else ()):
        believed = (view or {}).get(key, ZERO)
        known = state.strategy_shares.get(key, ZERO)
        if believed != known:
            held[key[1]] = f"strategy {key[0]} believes in {believed}, its fills sum to {known}"
    return held


def _held_cash(
    state: ManagerState,
    view: VenueView,
    strangers: list[VenueOrder],
    moved: Collection[str],
    tolerance: Decimal | None,
) -> dict[str, str]:
    """Cash can be judged only where nothing of it is another's and nothing is on its way."""
    unsettled = moved or any(one.filled_quantity for one in strangers)
    unsettled = unsettled or any(life.inferred for life in state.lives.values())
    if unsettled or tolerance is None or view.account is None or state.book is None:
        return {}
    apart = abs(view.account.cash - state.book.cash)
    # Written as what passes: a balance that is not a number is no match.
    if apart <= tolerance:
        return {}
    return {WHOLE_BOOK: f"the venue has {view.account.cash} in cash, the ledger {state.book.cash}"}


def _lookups(state: ManagerState, ours: list[VenueOrder]) -> tuple[str, ...]:
    """Orders on which the two lists disagree; absence from a list proves nothing by itself."""
    told = {one.client_order_id: one for one in ours}
    wanted: list[str] = []
    for client_order_id, life in state.open.items():
        report = told.pop(client_order_id, None)
        if (
            report is None
            or report.state not in OPEN_STATES
            or report.filled_quantity != life.filled
        ):
            wanted.append(client_order_id)
    for client_order_id, report in told.items():
        life = state.lives[client_order_id]
        if report.state in OPEN_STATES or report.filled_quantity != life.filled:
            wanted.append(client_order_id)
    return tuple(wanted)
