"""Round trips of the book, each with its whole attribution; the ledger stays the authority."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.order.lots import attribution_of
from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from quant.execution.attribution import Attribution, RoundTrip
    from resources.ledger.ledger import Ledger

COLUMNS = (
    *("trade_id", "book", "strategy", "symbol", "side", "quantity", "entry_session"),
    *("entry_time", "entry_price", "session", "exit_time", "exit_price", "split_ratio"),
    *("reason", "sessions_held", "calendar_days_held", "entry_amount", "exit_amount"),
    *("spread", "slippage", "impact", "fee", "dividends", "gross_result", "net_result"),
    *("entry_decision_id", "exit_decision_id", "entry_fill_id", "exit_fill_id"),
    *("barbell_bucket", "barbell_multiplier", "missing"),
)


@dg.asset(
    **stage_asset_arguments("audit", "closed_trades", deps=["order.fills", "order.intents"]),
    check_specs=[
        check(
            "audit",
            "closed_trades",
            "attribution_is_complete",
            description="every round trip knows its reason, its signal and its bucket",
        ),
        check(
            "audit",
            "closed_trades",
            "attribution_is_the_books_result",
            description="closed and open results add up to the book's change in equity, exactly",
        ),
    ],
)
def closed_trades(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a round trip that ended in these sessions."""
    night, book = Night(context, desk), desk.settings.book
    provenance = night.provenance
    with desk.ledger() as ledger:
        found = attribution_of(desk, ledger, book)
        difference = unattributed(ledger, book, found)
    premature = premature_exits(desk, found.round_trips)
    frame = closed_frame(found.round_trips, night.sessions)
    written = night.publish(frame)
    unknown = int((frame["missing"] != "").sum())
    return night.result(
        len(frame),
        written,
        checks=[
            dg.AssetCheckResult(
                passed=unknown == 0,
                check_name="attribution_is_complete",
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"incomplete": unknown, "share_of_all": found.complete_share or 0.0},
            ),
            dg.AssetCheckResult(
                passed=difference == 0,
                check_name="attribution_is_the_books_result",
                metadata={"difference": str(difference)},
            ),
        ],
        # Over all nights so far; absent while no horizon of an exit by rule has passed.
        **({} if premature is None else {"premature_exits": premature}),
        net_result=float(sum(frame["net_result"], start=0)),
        snapshot=provenance.snapshot_id,
    )


def unattributed(ledger: "Ledger", book: str, found: "Attribution") -> Any:
    """The book's change in equity at its own marks, less what the attribution explains."""
    from decimal import Decimal

    if book not in ledger.books():
        return Decimal(0)
    now = ledger.book(book)
    return now.equity() - now.capital - found.result(now.prices)


def premature_exits(desk: Desk, trips: "Sequence[RoundTrip]") -> float | None:
    """The share of exits by rule after which the signal's horizon ended at a better price.

    None where no such horizon has passed yet, and on raw prices, in which a split between exit and
    horizon would look like a fall.
    """
    from decimal import Decimal

    from quant.execution.attribution import is_exit_rule, premature_share
    from quant.market.bars import Basis
    from quant.market.calendars import sessions as trading_days
    from quant.signals.edge import EdgePolicy

    ruled = [one for one in trips if is_exit_rule(one.reason)]
    universe, horizon = desk.universe, desk.policy("signals", EdgePolicy).horizon_days
    if not ruled or universe.basis is Basis.RAW:
        return None
    first = min(one.entry_session for one in ruled)
    last = max(one.entry_session for one in ruled) + dt.timedelta(days=60)
    days = [day.item() for day in trading_days(universe.calendar, first, last)]
    ends = {one.trade_id: days[days.index(one.entry_session) + horizon] for one in ruled}
    rows = desk.warehouse.rows(
        "SELECT symbol, session, close FROM clean.daily_bars WHERE basis = ? "
        "AND session IN (SELECT unnest(?::DATE[])) AND close IS NOT NULL "
        "QUALIFY row_number() OVER (PARTITION BY symbol, session ORDER BY known_at DESC) = 1",
        [str(universe.basis), list(set(ends.values()))],
    )
    closes = {(symbol, session): Decimal(repr(close)) for symbol, session, close in rows}
    later = {
        one.trade_id: closes[one.symbol, ends[one.trade_id]]
        for one in ruled
        if ends[one.trade_id] > one.exit_session and (one.symbol, ends[one.trade_id]) in closes
    }
    return premature_share(later, ruled)


def closed_frame(
    trips: "Iterable[RoundTrip]", sessions: "Sequence[dt.date] | None" = None
) -> "pd.DataFrame":
    """One row a round trip, those that ended in `sessions` or all."""
    import pandas as pd

    wanted = None if sessions is None else set(sessions)
    rows = [closed_row(one) for one in trips if wanted is None or one.exit_session in wanted]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def closed_row(trip: "RoundTrip") -> dict[str, Any]:
    """The columns of one round trip."""
    same = {name: getattr(trip, name) for name in COLUMNS if hasattr(trip, name)}
    parts = {
        name: getattr(trip.entry, name) + getattr(trip.exit, name)
        for name in ("spread", "slippage", "impact", "fee")
    }
    bucket = trip.barbell_multiplier
    return (
        same
        | parts
        | {
            "session": trip.exit_session,
            "entry_amount": trip.entry.notional,
            "exit_amount": trip.exit.notional,
            "dividends": trip.entry.dividends,
            "barbell_multiplier": None if bucket is None else float(bucket),
            "missing": ",".join(trip.missing),
        }
    )
