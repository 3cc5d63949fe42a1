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
