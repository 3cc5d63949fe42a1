"""Signals of a night in, target rows out; the rules are in quant.portfolio."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from quant.market.frontier import FrontierPolicy
from quant.market.panel import FloatArray
from quant.portfolio.barbell import BarbellPolicy, apply_barbell
from quant.portfolio.impact import Impact, analyse_impacts
from quant.portfolio.limits import (
    Limited,
    LimitsPolicy,
    apply_limits,
    cap_frontier,
    sector_codes,
)
from quant.portfolio.sizing import BOUNDS, Proposals, SizingPolicy, propose_many
from quant.signals.generate import Action
from quant.signals.language import FallbackPolicy, capped_weight
from quant.signals.router import Source
from quant.signals.validator import ValidationPolicy
from resources.desk import Desk
from resources.language.policy import LlmPolicy
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
    "size_multiplier",
    "sector",
    "barbell_bucket",
    "barbell_multiplier",
    "impact_verdict",
    "impact",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPolicies:
    """The policies a target depends on."""

    sizing: SizingPolicy
    limits: LimitsPolicy
    barbell: BarbellPolicy
    frontier: FrontierPolicy
    language: FallbackPolicy

    @classmethod
    def of(cls, desk: Desk) -> "TargetPolicies":
        """From the desk's policy files."""
        return cls(
            sizing=desk.policy("sizing", SizingPolicy),
            limits=desk.policy("limits", LimitsPolicy),
            barbell=desk.policy("barbell", BarbellPolicy),
            frontier=desk.policy("frontier", FrontierPolicy),
            language=desk.policy("llm", LlmPolicy).fallback,
        )


def target_rows(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "pd.DataFrame":
    """Targets of all strategies; each is sized on its own. `warehouse` may be a past snapshot."""
    import pandas as pd

    from assets.history import histories
    from assets.signal.facts import market_facts

    lake, policies = warehouse or desk.warehouse, TargetPolicies.of(desk)
    signals = slice_of(lake, "signal.daily_signals", sessions, order="strategy, symbol")
    passed = signals[signals["gate"] == ""]
    past = histories(desk, sessions, warehouse=lake)
    facts = market_facts(past, desk.policy("validation", ValidationPolicy))
    place = {symbol: row for row, symbol in enumerate(desk.universe.symbols)}
    parts = [
        _night_targets(night, facts[session.date()].returns, place, policies)
        for (_, session), night in passed.groupby(["strategy", "session"], sort=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _night_targets(
    signals: "pd.DataFrame",
    returns: FloatArray,
    place: Mapping[str, int],
    policies: TargetPolicies,
) -> "pd.DataFrame":
    wanted = signals[signals["action"] == Action.BUY.value]
    sized = {row["symbol"]: row for row in _bought(wanted, returns, place, policies)}
    flat = {
        "weight": 0.0,
        "volatility_annual": float("nan"),
        "bound_by": "exit",
        "barbell_bucket": "",
        "barbell_multiplier": 1.0,
        "impact_verdict": "",
        "impact": "",
    }
    rows = [sized.get(symbol, flat) for symbol in signals["symbol"]]
    columns = {name: [row[name] for row in rows] for name in flat}
    return signals[["decision_id", "strategy", "symbol", "session", "size_multiplier"]].assign(
        **columns,
        sector=[policies.limits.sector_of(symbol) for symbol in signals["symbol"]],
        signal_hash=signals["row_hash"],
    )


def _bought(
    wanted: "pd.DataFrame",
    returns: FloatArray,
    place: Mapping[str, int],
    policies: TargetPolicies,
) -> list[dict[str, Any]]:
    """Weights of the night's purchases: sizes, limits, the barbell, and what each does to all."""
    if not len(wanted):
        return []
    symbols = wanted["symbol"].tolist()
    history = np.ascontiguousarray(returns[[place[symbol] for symbol in symbols]])
    horizon = int(wanted["horizon_days"].iloc[0])
    proposals = _proposals(wanted, horizon, policies)
    limited = _limited(wanted, symbols, proposals, history, policies)
    annual = proposals.volatility_annual.tolist()
    shares = apply_barbell(symbols, limited.weight.tolist(), annual, policies.barbell)
    is_word = (wanted["source"] == Source.LANGUAGE_MODEL.value).tolist()
    weights = np.array(
        [
            capped_weight(share.weight, policies.language) if word else share.weight
            for share, word in zip(shares, is_word, strict=True)
        ]
    )
    impacts = analyse_impacts(
        weights,
        wanted["expected_return"].to_numpy(dtype=float),
        history,
        horizon_days=horizon,
        policy=policies.limits.impact,
    )
    return [
        {
            "symbol": symbol,
            "weight": weight,
            "volatility_annual": volatility,
            "bound_by": BOUNDS[bound] if weight == share.weight else "language_model",
            "barbell_bucket": share.bucket.value,
            "barbell_multiplier": share.multiplier,
            "impact_verdict": impact.verdict.value,
            "impact": _said(impact),
        }
        for symbol, share, weight, volatility, bound, impact in zip(
            symbols,
            shares,
            weights.tolist(),
            annual,
            limited.bound_by.tolist(),
            impacts,
            strict=True,
        )
    ]


def _proposals(wanted: "pd.DataFrame", horizon: int, policies: TargetPolicies) -> Proposals:
    columns = {
        name: wanted[column].to_numpy(dtype=float)
        for name, column in (
            ("expected_return", "expected_return"),
            ("volatility", "volatility"),
            ("confidence", "confidence"),
            ("cost", "round_trip_cost"),
            ("price", "reference_price"),
            ("stop_price", "stop_price"),
        )
    }
    # One multiplier a strategy and session.
    multiplier = float(wanted["size_multiplier"].iloc[0])
    return propose_many(
        **columns, horizon_days=horizon, policy=policies.sizing, multiplier=multiplier
    )


def _limited(
    wanted: "pd.DataFrame",
    symbols: Sequence[str],
    proposals: Proposals,
    history: FloatArray,
    policies: TargetPolicies,
) -> Limited:
    limited = apply_limits(
        proposals.weight,
        bound_by=proposals.bound_by,
        priority=wanted["priority"].to_numpy(dtype=float),
        sector=sector_codes(symbols, policies.limits.sectors),
        returns=history,
        policy=policies.limits,
        sizing=policies.sizing,
    )
    return cap_frontier(symbols, limited, policies.frontier)


def _said(impact: Impact) -> str:
    """As stored; a number that is not known is null, since JSON has no NaN."""
    values = asdict(impact) | {"verdict": impact.verdict.value}
    known = {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in values.items()
    }
    return json.dumps(known, sort_keys=True)
