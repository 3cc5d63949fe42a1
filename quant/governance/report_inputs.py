"""What the nightly report is made from: plain frames, each with its columns written down.

Belongs here: the column contracts and the check that frames keep them.
Does not belong here: where frames come from (assets), or what the report says of them (`report`).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

import pandas as pd

from quant.market.bars import require_columns

# One row is one thing; money may be Decimal or float, fractions are 0.01 for one percent, sessions
# are dates. Columns beyond these are ignored.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # One row a session: equity and cash in money, gross_exposure as a fraction of equity,
        # benchmark as the money that an equal-weight purchase of the universe would be worth (NaN
        # where unknown).
        "equity": ("session", "equity", "cash", "gross_exposure", "benchmark"),
        # One row a fill. side is "buy" or "sell", quantity is positive, slippage is the money paid
        # beyond the reference price (a negative one is an improvement), notional is quantity x
        # price.
        "fills": (
            "fill_id",
            "decision_id",
            "session",
            "symbol",
            "side",
            "quantity",
            "price",
            "fee",
            "slippage",
            "notional",
        ),
        # One row a round trip that has ended; session is its last, net_result is after all costs.
        "closed": (
            "session",
            "symbol",
            "side",
            "quantity",
            "entry_session",
            "entry_price",
            "exit_price",
            "reason",
            "sessions_held",
            "spread",
            "slippage",
            "impact",
            "fee",
            "dividends",
            "net_result",
            "exit_decision_id",
        ),
        # One row a holding on the last session; quantity and weight are negative for a short one.
        "positions": (
            "symbol",
            "quantity",
            "average_cost",
            "price",
            "market_value",
            "weight",
            "unrealised",
        ),
        # One row a refused signal: the gate's name, its own reason, and the two numbers it weighed,
        # as fractions of the trade.
        "refusals": (
            "decision_id",
            "session",
            "symbol",
            "gate",
            "reason",
            "expected_return",
            "cost",
        ),
        # One row a gate, over the refusals whose horizon has passed: how many, the share that would
        # have lost, and what they would have made on average after costs.
        "outcomes": ("gate", "judged", "right_share", "mean_forgone_return"),
        # One row a signal of the last session; outcome is "trade", "refused" or "hold".
        "signals": (
            "decision_id",
            "session",
            "symbol",
            "action",
            "expected_return",
            "volatility",
            "confidence",
            "outcome",
        ),
        # One row a model and horizon, over the forecasts whose future has arrived. Errors and
        # losses are in units of return, naive drift's over the same forecasts; coverage_50,
        # coverage_90 and directional_accuracy are fractions.
        "scores": (
            "model",
            "horizon_days",
            "rmse",
            "naive_rmse",
            "pinball",
            "naive_pinball",
            "coverage_50",
            "coverage_90",
            "directional_accuracy",
            "count",
        ),
        # One row a model and regime, of one-day forecasts; the regime is that of the session after
        # which the forecast was made.
        "regimes": ("model", "regime", "pinball", "naive_pinball", "coverage_90", "count"),
        # One row a single model and horizon: its error and the combined forecast's, each over the
        # forecasts that both of them made.
        "rivals": ("model", "horizon_days", "rmse", "combined_rmse", "count"),
        # One row a part and model: tonight's weight in the combined forecast, over the symbols.
        "weights": ("part", "model", "mean", "lowest", "highest"),
        # One row a model and bin: bin is the lower edge of an equal-width bin of [0, 1), share the
        # fraction of outcomes that fell into it.
        "pit": ("model", "bin", "share"),
        # One row a judged model or strategy.
        "verdicts": ("model", "passed", "reason"),
        # One row a decision of the audit gate, the latest last.
        "audits": ("session", "decision", "violation_rate", "effective_audits", "reason"),
        # One row a finding of the data quality suites.
        "findings": ("symbol", "session", "rule", "severity", "value", "message"),
    }
)


def empty_frame(name: str) -> pd.DataFrame:
    """The frame `name` with its columns and no row: the way to say "nothing to report"."""
    return pd.DataFrame({column: pd.Series(dtype=object) for column in COLUMNS[name]})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInputs:
    """Everything a report may say; what is left out is reported in words as missing.

    `facts` holds single values. Known keys: `book`, `mode`, `currency`, `session`, `run_id`,
    `snapshot_id`, `code_version`, `data_start`, `data_end`, `quality_score` (a fraction),
    `universe` (a number of symbols), `mlflow_url`, `caution` (what a reader must not
    conclude), `rmse_excess_max_fraction` (the audit's limit). Any other key is listed among
    the run's facts as it is.
    """

    equity: pd.DataFrame = field(default_factory=partial(empty_frame, "equity"))
    fills: pd.DataFrame = field(default_factory=partial(empty_frame, "fills"))
    closed: pd.DataFrame = field(default_factory=partial(empty_frame, "closed"))
    positions: pd.DataFrame = field(default_factory=partial(empty_frame, "positions"))
    refusals: pd.DataFrame = field(default_factory=partial(empty_frame, "refusals"))
    outcomes: pd.DataFrame = field(default_factory=partial(empty_frame, "outcomes"))
    signals: pd.DataFrame = field(default_factory=partial(empty_frame, "signals"))
    scores: pd.DataFrame = field(default_factory=partial(empty_frame, "scores"))
    regimes: pd.DataFrame = field(default_factory=partial(empty_frame, "regimes"))
    rivals: pd.DataFrame = field(default_factory=partial(empty_frame, "rivals"))
    weights: pd.DataFrame = field(default_factory=partial(empty_frame, "weights"))
    pit: pd.DataFrame = field(default_factory=partial(empty_frame, "pit"))
    verdicts: pd.DataFrame = field(default_factory=partial(empty_frame, "verdicts"))
    audits: pd.DataFrame = field(default_factory=partial(empty_frame, "audits"))
    findings: pd.DataFrame = field(default_factory=partial(empty_frame, "findings"))
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, columns in COLUMNS.items():
            require_columns(getattr(self, name), columns, what=f"the report's frame {name!r}")

    @property
    def session(self) -> dt.date | None:
        """The session the report is about: the stated one, else the last of the equity curve."""
        stated = self.facts.get("session")
        if stated is not None:
            return pd.Timestamp(str(stated)).date()
        if self.equity.empty:
            return None
        return pd.to_datetime(self.equity["session"]).max().date()
