"""What trading costs, by the evidence so far: own fills, and bars where no quote exists."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.support import Night, stage_asset_arguments
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from quant.market.panel import BarPanel
    from quant.signals.recalibrate import BarSpread, OwnFill, Posterior
    from resources.ledger.ledger import Ledger


@dg.asset(
    **stage_asset_arguments("audit", "cost_estimates", deps=["order.fills", "clean.daily_bars"])
)
def cost_estimates(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol; the next night's signals take their costs from here."""
    night = Night(context, desk)
    provenance = night.provenance
    with desk.ledger() as ledger:
        frame = estimate_rows(desk, ledger, night.sessions)
    written = night.publish(frame)
    last = frame[frame["session"] == night.sessions[-1]]
    return night.result(
        len(frame),
        written,
        fills=int(last["fills"].sum()),
        symbols_with_bar_estimates=int(last["bars"].gt(0).sum()),
        spread_bps_mean=float(last["spread_bps"].mean()),
        snapshot=provenance.snapshot_id,
    )


def estimate_rows(desk: Desk, ledger: "Ledger", sessions: Sequence[dt.date]) -> "pd.DataFrame":
    """Evidence and posterior of every symbol after each session."""
    import pandas as pd

    from quant.market.frontier import FrontierPolicy
    from quant.signals.costs import CostPolicy
    from quant.signals.recalibrate import recalibrate

    policy, universe = desk.policy("costs", CostPolicy), desk.universe
    calibration, asset_class = policy.calibration, universe.asset_class
    frontier = desk.policy("frontier", FrontierPolicy)
    priors = {s: policy.prior_of_symbol(s, asset_class, frontier) for s in universe.symbols}
    window = calibration.bars_window_sessions
    has_ranges = _any_bar_has_a_range(desk, sessions, window)
    rows = []
    for session in sessions:
        found = recalibrate(
            priors,
            own_fills(ledger, desk.settings.book, desk.as_of(session)),
            calibration,
            bars=bar_spreads(desk, session, window) if has_ranges else {},
            listens_to_bars=asset_class in calibration.spread_from_bars,
        )
        rows += [_row(session, s, asset_class.value, one) for s, one in found.items()]
    return pd.DataFrame(rows)


def _any_bar_has_a_range(desk: Desk, sessions: Sequence[dt.date], window: int) -> bool:
    """Whether any bar that a session may look at has more than a close."""
    first = min(sessions) - dt.timedelta(days=2 * window)
    rows = desk.warehouse.rows(
        "SELECT count(*) FROM clean.daily_bars "
        "WHERE basis = ? AND session BETWEEN ? AND ? AND high IS NOT NULL",
        [str(desk.universe.basis), first, max(sessions)],
    )
    return bool(rows[0][0])


def own_fills(ledger: "Ledger", book: str, until: dt.datetime) -> "list[OwnFill]":
    """The book's fills up to a moment, each as what it cost."""
    from quant.signals.recalibrate import OwnFill

    return [
        OwnFill.of(
            fill.symbol,
            sign=fill.side.sign,
            price=float(fill.price),
            reference=float(fill.reference_price),
            fee=float(fill.fee_amount),
            notional=float(fill.notional),
        )
        for fill in ledger.fills(book=book)
        if fill.event_time <= until and fill.notional > 0
    ]


def bar_spreads(desk: Desk, session: dt.date, window: int) -> "dict[str, BarSpread]":
    """What the bars of the last `window` sessions say; nothing for bars that have only a close."""
    from quant.signals.costs import BPS
    from quant.signals.recalibrate import BarSpread
    from quant.signals.spreads import abdi_ranaldo, corwin_schultz

    panel = _recent_bars(desk, session, window)
    if panel is None:
        return {}
    fields = (panel.high, panel.low, panel.close)
    ranges, closes = corwin_schultz(*fields) / BPS, abdi_ranaldo(*fields) / BPS
    return {
        symbol: BarSpread(
            corwin_schultz_bps=float(ranges[i]),
            abdi_ranaldo_bps=float(closes[i]),
            bars=int((panel.high[i] > 0).sum()),
        )
        for i, symbol in enumerate(panel.symbols)
    }


def _recent_bars(desk: Desk, session: dt.date, window: int) -> "BarPanel | None":
    """The last sessions alone, where any bar has a range: a night must not read years for this."""
    from quant.market.calendars import sessions as trading_days
    from quant.market.panel import BarPanel
    from quant.market.vintages import known_bars
    from resources.reads import bar_versions

    universe = desk.universe
    # A trading year has 252 sessions in 365 days; twice the window is enough of them.
    first = session - dt.timedelta(days=2 * window)
    versions = bar_versions(
        desk.warehouse,
        "clean.daily_bars",
        basis=universe.basis,
        symbols=universe.symbols,
        start=first,
        end=session,
        known_by=desk.as_of(session),
    )
    if not versions["high"].notna().any():
        return None
    days = trading_days(universe.calendar, first, session)[-window:]
    bars = known_bars(versions, as_of=desk.as_of(session))
    return BarPanel.from_long(bars, sessions=days, symbols=universe.symbols)


def _row(session: dt.date, symbol: str, asset_class: str, found: "Posterior") -> dict[str, Any]:
    own, of_class, bars = found.evidence.own, found.evidence.of_class, found.evidence.bars
    return {
        "session": session,
        "symbol": symbol,
        "asset_class": asset_class,
        "fills": own.count,
        "adverse_bps": own.adverse_bps,
        "fills_fee_bps": own.fee_bps,
        "class_fills": of_class.count,
        "class_adverse_bps": of_class.adverse_bps,
        "class_fee_bps": of_class.fee_bps,
        "corwin_schultz_bps": bars.corwin_schultz_bps,
        "abdi_ranaldo_bps": bars.abdi_ranaldo_bps,
        "bars": bars.bars,
        **found.costs.model_dump(),
        "source": found.source,
    }
