"""Signals of a night in, target rows out; the rule is quant.portfolio.sizing."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quant.portfolio.sizing import Candidate, SizingPolicy, Target, size_targets
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
    warehouse: "Warehouse", sessions: Sequence[dt.date], policy: SizingPolicy
) -> "pd.DataFrame":
    """Targets of all strategies; each strategy is sized on its own."""
    import pandas as pd

    signals = slice_of(warehouse, "signal.daily_signals", sessions, order="strategy, symbol")
    passed = signals[signals["gate"] == ""]
    parts = [
        _night_targets(night, policy)
        for _, night in passed.groupby(["strategy", "session"], sort=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _night_targets(signals: "pd.DataFrame", policy: SizingPolicy) -> "pd.DataFrame":
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
    sized = {target.symbol: target for target in size_targets(candidates, policy)}
    flat = Target(symbol="", weight=0.0, volatility_annual=float("nan"), bound_by="exit")
    targets = [sized.get(symbol, flat) for symbol in signals["symbol"]]
    return signals[["decision_id", "strategy", "symbol", "session"]].assign(
        weight=[target.weight for target in targets],
        volatility_annual=[target.volatility_annual for target in targets],
        bound_by=[target.bound_by for target in targets],
        signal_hash=signals["row_hash"],
    )
