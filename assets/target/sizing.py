"""Signals of a night in, target rows out; the rule is quant.portfolio.sizing."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quant.market.frontier import FrontierPolicy
from quant.portfolio.sizing import Candidate, SizingPolicy, Target, cap_frontier, size_targets
from quant.signals.generate import Action
from resources.reads import slice_of

if TYPE_CHECKING:
    import pandas as pd

    from resources.warehouse import Warehouse

COLUMNS = (
    "decision_id",
    "strategy",
    "symbol",
    "session",
    "weight",
    "volatility_annual",
    "bound_by",
    "signal_hash",
)


def target_rows(
    warehouse: "Warehouse",
    sessions: Sequence[dt.date],
    policy: SizingPolicy,
    frontier: FrontierPolicy,
) -> "pd.DataFrame":
    """Targets of all strategies; each strategy is sized on its own."""
    import pandas as pd

    signals = slice_of(warehouse, "signal.daily_signals", sessions, order="strategy, symbol")
    passed = signals[signals["gate"] == ""]
    parts = [
        _night_targets(night, policy, frontier)
        for _, night in passed.groupby(["strategy", "session"], sort=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _night_targets(
    signals: "pd.DataFrame", policy: SizingPolicy, frontier: FrontierPolicy
) -> "pd.DataFrame":
    wanted = signals[signals["action"] == Action.BUY.value]
    candidates = [
        Candidate(
            symbol=row.symbol,
            volatility=row.volatility,
            horizon_days=row.horizon_days,
            price=row.reference_price,
            stop_price=row.stop_price,
        )
        for row in wanted.itertuples()
    ]
    targets = cap_frontier(size_targets(candidates, policy), frontier)
    sized = {target.symbol: target for target in targets}
    flat = Target(symbol="", weight=0.0, volatility_annual=float("nan"), bound_by="exit")
    rows = [sized.get(symbol, flat) for symbol in signals["symbol"]]
    return signals[["decision_id", "strategy", "symbol", "session"]].assign(
        weight=[target.weight for target in rows],
        volatility_annual=[target.volatility_annual for target in rows],
        bound_by=[target.bound_by for target in rows],
        signal_hash=signals["row_hash"],
    )
