"""A session on a desk at night: filled on paper, or closed where a venue has filled it.

Belongs here: reading what the market did from the warehouse: prices, actions and costs. Does not
belong here: the steps of a session (`paper_session`, `venue_session`) or the arithmetic of a fill
(quant.execution.paper).
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from apps.trader.limit_data import limit_data
from apps.trader.paper_session import trade_session
from apps.trader.session_events import TradeSummary
from apps.trader.venue_session import VenueSession, close_session
from quant.core.money import price as exact_price
from quant.execution.actions import ActionKind, CorporateAction
from quant.execution.book import BookPolicy
from quant.execution.limits import TradeLimitsPolicy
from quant.execution.paper import PaperCostPolicy, PriceReference
from quant.execution.venues import BrokersPolicy, VenuePolicy
from quant.market.calendars import session_open
from quant.signals.costs import CostPolicy, CostPrior
from resources.desk import Desk

if TYPE_CHECKING:
    from quant.execution.broker import Broker
    from resources.ledger.ledger import Ledger


def trade_on_desk(desk: Desk, session: dt.date) -> TradeSummary | None:
    """Settle what is pending for `session`; None where no book exists, so nothing can be."""
    if not (desk.settings.paths.ledger / "journal.jsonl").exists():
        return None
    opens, closes = session_prices(desk, session)
    actions = known_actions(desk, session)
    provenance = desk.provenance(run_id=f"trader:{session}", stage="order")
    with desk.ledger(write=True) as ledger:
        if desk.settings.book not in ledger.books() or _began_with(ledger, desk, session):
            return None
        venue = desk.policy("brokers", BrokersPolicy).venue_of(desk.settings.book)
        if venue is not None:
            return close_session(
                ledger,
                desk.settings.book,
                session,
                venue=venue.label,
                price_of=closes.get,
                actions=actions,
                run_id=provenance.run_id,
                code_version=provenance.code_version,
            )
        return trade_session(
            ledger,
            desk.settings.book,
            session,
            prices=opens,
            mark_prices=closes,
            clock=desk.clock,
            costs=costs_of(desk),
            policy=desk.policy("book", BookPolicy),
            limits=desk.policy("order_limits", TradeLimitsPolicy),
            limit_data=limit_data(desk, ledger, session, actions),
            actions=actions,
            run_id=provenance.run_id,
            code_version=provenance.code_version,
        )


def session_at_venue(
    desk: Desk, ledger: "Ledger", broker: "Broker", venue: VenuePolicy, session: dt.date
) -> VenueSession:
    """The session of the desk's book at its venue, with what the gates have to know."""
    actions = known_actions(desk, session)
    provenance = desk.provenance(run_id=f"trader:{session}", stage="order")
    return VenueSession(
        ledger=ledger,
        book=desk.settings.book,
        session=session,
        venue=venue,
        broker=broker,
        policy=desk.policy("book", BookPolicy),
        costs_of=costs_of(desk),
        limits=desk.policy("order_limits", TradeLimitsPolicy),
        limit_data=limit_data(desk, ledger, session, actions),
        actions=actions,
        run_id=provenance.run_id,
        code_version=provenance.code_version,
    )


def _began_with(ledger: "Ledger", desk: Desk, session: dt.date) -> bool:
    """Whether this night's own decisions opened the book: then no night before left an order.

    Without this, a first night that was killed and is run again would open a session that it did
    not have the first time.
    """
    book = desk.settings.book
    if ledger.book(book).opened_session is not None:
        return False
    return bool(
        ledger.intents(book=book, session=session) or ledger.refusals(book=book, session=session)
    )


def session_prices(
    desk: Desk, session: dt.date
) -> tuple[dict[str, PriceReference], dict[str, PriceReference]]:
    """What orders meet (the open, or the close where a bar has nothing else), and the closes.

    Only judged prices count: an order meets no price that is in doubt. The hash is that of the raw
    row behind it.
    """
    universe = desk.universe
    rows = desk.warehouse.rows(
        "SELECT symbol, open, close, volume, event_time, raw_row_hash FROM clean.daily_bars "
        "WHERE basis = ? AND session = ? AND known_at <= ? AND close IS NOT NULL "
        "AND symbol IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY known_at DESC) = 1",
        [str(universe.basis), session, desk.as_of(session), list(universe.symbols)],
    )
    opened = session_open(universe.calendar, session)
    opens, closes = {}, {}
    for symbol, first, last, volume, event_time, row_hash in rows:
        traded = Decimal(repr(volume)) if volume else None
        closes[symbol] = PriceReference(
            price=exact_price(last), row_hash=row_hash, event_time=event_time, volume=traded
        )
        opens[symbol] = closes[symbol]
        if first:
            opens[symbol] = PriceReference(
                price=exact_price(first), row_hash=row_hash, event_time=opened, volume=traded
            )
    return opens, closes


def known_actions(desk: Desk, session: dt.date) -> list[CorporateAction]:
    """Splits and dividends that were known before the session opened."""
    rows = desk.warehouse.rows(
        "SELECT symbol, ex_session, kind, value, row_hash FROM raw.corporate_actions "
        "WHERE ex_session <= ? AND ex_session > ?::DATE - 30 AND known_at <= ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[]))",
        [session, session, desk.as_of(session), list(desk.universe.symbols)],
    )
    return [
        CorporateAction(
            symbol=symbol,
            ex_session=ex_session,
            kind=ActionKind(kind),
            value=Decimal(repr(value)),
            row_hash=row_hash,
        )
        for symbol, ex_session, kind, value, row_hash in rows
    ]


def costs_of(desk: Desk) -> Callable[[str], PaperCostPolicy]:
    """Paper costs are the priors of costs.yaml, so that gate and fill speak of the same costs."""
    prior = desk.policy("costs", CostPolicy).prior_of(desk.universe.asset_class)
    costs = paper_costs(prior)
    return lambda _symbol: costs


def paper_costs(prior: CostPrior) -> PaperCostPolicy:
    """One side of a round trip, exact: half the spread and everything else once."""
    return PaperCostPolicy(
        fee_bps=Decimal(repr(prior.fee_bps)),
        half_spread_bps=Decimal(repr(prior.spread_bps)) / 2,
        slippage_bps=Decimal(repr(prior.slippage_bps)),
        impact_bps_min=Decimal(repr(prior.impact_bps)),
    )
