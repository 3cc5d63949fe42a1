"""Joins forecasts, prices, verdicts, switches and the recent past into signal rows.

Belongs here: fetching what one decision needs and giving it its identity.
Does not belong here: the rules themselves (quant.signals, quant.portfolio).
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.signal.contexts import (
    DecisionPolicies,
    NightContext,
    SharedFacts,
    contexts_of,
    prior_of,
)
from assets.signal.fallback import language_sources, words_hash
from quant.core.identity import content_hash, decision_id
from quant.portfolio.night import basket_correlations
from quant.portfolio.sizing import Candidate, propose
from quant.signals.costs import CostPrior
from quant.signals.generate import Action, Outlook, Signal, decide_signal
from quant.signals.language import capped_weight, own_volatility
from quant.signals.recalibrate import CostEvidence, Posterior, posterior_of
from quant.signals.router import Routed, Source, SourceSignal, route
from quant.signals.strategies import StrategiesPolicy, Strategy
from quant.signals.validator import Evidence, Validation, validate
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from assets.history import History
    from resources.warehouse import Provenance, Warehouse


def signal_rows(
    desk: Desk,
    sessions: Sequence[dt.date],
    provenance: "Provenance",
    *,
    warehouse: "Warehouse | None" = None,
) -> "pd.DataFrame":
    """Signals of all strategies for some sessions; `warehouse` may be a past snapshot."""
    import pandas as pd

    from assets.history import histories

    lake = warehouse or desk.warehouse
    policies = DecisionPolicies.of(desk)
    past = histories(desk, sessions, warehouse=lake)
    shared = SharedFacts.of(desk, lake, past, policies)
    parameters = json.dumps(policies.parameters, sort_keys=True)
    rows = [
        {**row, "parameters": parameters}
        for strategy in desk.policy("strategies", StrategiesPolicy).strategies
        for row in _strategy_rows(desk, lake, strategy, past, shared, policies, provenance)
    ]
    return pd.DataFrame(rows)


def _strategy_rows(
    desk: Desk,
    lake: "Warehouse",
    strategy: Strategy,
    past: Sequence["History"],
    shared: SharedFacts,
    policies: DecisionPolicies,
    provenance: "Provenance",
) -> Iterator[dict[str, Any]]:
    sessions = sorted(session for history in past for session in history.sessions)
    inputs = _inputs(desk, lake, strategy, sessions, policies.edge.horizon_days)
    for around in contexts_of(desk, lake, strategy, past, shared, policies):
        items = inputs.get(around.session, [])
        costs = {item["symbol"]: _costs(desk, item["symbol"], around, policies) for item in items}
        spoken = {
            item["symbol"]: _spoken(desk, strategy, item, costs[item["symbol"]], around, policies)
            for item in items
        }
        signals = {symbol: signal for symbol, (signal, _) in spoken.items()}
        alike = _alike(desk, signals, around, policies)
        for item in items:
            symbol = item["symbol"]
            yield _row(
                desk,
                strategy,
                item,
                *spoken[symbol],
                costs[symbol],
                alike[symbol],
                around,
                policies,
                provenance,
            )


def _costs(desk: Desk, symbol: str, around: NightContext, policies: DecisionPolicies) -> Posterior:
    calibration = policies.costs.calibration
    return posterior_of(
        prior_of(desk, symbol, policies),
        around.evidence.get(symbol, CostEvidence()),
        calibration,
        listens_to_bars=desk.universe.asset_class in calibration.spread_from_bars,
    )


def _spoken(
    desk: Desk,
    strategy: Strategy,
    item: Mapping[str, Any],
    costs: Posterior,
    around: NightContext,
    policies: DecisionPolicies,
) -> tuple[Signal, Routed]:
    """The signal and whose it is: the time series', or where they are silent a language model's."""
    symbol = item["symbol"]
    outlook = Outlook(symbol=symbol, mean=item["mean"], std=item["std"], price=item["close"])
    signal = _signal(outlook, costs.costs, around, policies)
    own = _time_series(strategy, signal, around)
    words = around.words.get(symbol, ())
    if signal.action is not Action.NONE or not words:
        return signal, route([own])
    said = language_sources(
        symbol,
        words,
        price=item["close"],
        volatility=own_volatility(
            around.market.returns[desk.universe.symbols.index(symbol)],
            horizon_days=policies.edge.horizon_days,
            policy=policies.language,
        ),
        stopped=around.switched_off or around.refused_model,
        policy=policies.language,
    )
    routed = route([own, *(source for source, _ in said)])
    for source, outlook in said:
        if source is routed.primary:
            signal = _signal(outlook, costs.costs, around, policies)
    return signal, routed


def _signal(
    outlook: Outlook, costs: CostPrior, around: NightContext, policies: DecisionPolicies
) -> Signal:
    return decide_signal(
        outlook,
        policy=policies.edge,
        prior=costs,
        refused_model=around.refused_model,
        switched_off=around.switched_off,
        reduce_only=around.reduce_only,
    )


def _alike(
    desk: Desk,
    signals: Mapping[str, Signal],
    around: NightContext,
    policies: DecisionPolicies,
) -> dict[str, float]:
    """Each symbol's correlation with the other purchases that would be made if they were free."""
    symbols = desk.universe.symbols
    wanted = [
        symbol in signals
        and signals[symbol].action is Action.BUY
        and signals[symbol].gate in ("", "edge")
        for symbol in symbols
    ]
    found = basket_correlations(
        around.market.returns,
        np.array(wanted),
        observations_min=policies.limits.correlation_observations_min,
    )
    return dict(zip(symbols, found.tolist(), strict=True))


def _row(
    desk: Desk,
    strategy: Strategy,
    item: Mapping[str, Any],
    signal: Signal,
    routed: Routed,
    costs: Posterior,
    alike: float,
    around: NightContext,
    policies: DecisionPolicies,
    provenance: "Provenance",
) -> dict[str, Any]:
    weight = _proposed_weight(signal, item["close"], around, policies)
    if routed.primary and routed.primary.source is Source.LANGUAGE_MODEL:
        weight = capped_weight(weight, policies.language)
    judged, validation = _validated(signal, weight, alike, around, policies)
    as_of = desk.as_of(around.session)
    numbers = (around.market.trend, alike, around.standing.hit_rate, around.multiplier)
    inputs = {
        "forecast": item["forecast_hash"],
        "price": item["price_row_hash"],
        "verdict": content_hash(around.refused_model),
        "flags": content_hash(around.switched_off),
        "costs": content_hash(costs.costs.model_dump(mode="json")),
        "surroundings": content_hash([repr(float(number)) for number in numbers]),
    }
    if words := around.words.get(signal.symbol):
        inputs["language"] = words_hash(words, policies.language)
    return asdict(judged) | {
        "action": judged.action.value,
        "strategy": strategy.name,
        "session": around.session,
        "as_of": as_of,
        "horizon_days": policies.edge.horizon_days,
        "reference_price": item["close"],
        "forecast_hash": item["forecast_hash"],
        "price_row_hash": item["price_row_hash"],
        "cost_source": costs.source,
        **_routing(routed),
        "market_trend": around.market.trend,
        "basket_correlation": alike,
        "proposed_weight": weight,
        "backtest_hit_rate": around.standing.hit_rate,
        "backtest_calls": around.standing.calls,
        "backtest_state": around.standing.state,
        "size_multiplier": around.multiplier,
        "validation": json.dumps(validation.to_record() if validation else []),
        "decision_id": decision_id(
            strategy=strategy.name,
            symbol=signal.symbol,
            as_of=as_of,
            inputs=inputs,
            code_version=provenance.code_version,
            parameters=policies.parameters,
        ),
    }


def _proposed_weight(
    signal: Signal, price: float, around: NightContext, policies: DecisionPolicies
) -> float:
    if signal.action is not Action.BUY:
        return 0.0
    candidate = Candidate(
        symbol=signal.symbol,
        expected_return=signal.expected_return,
        volatility=signal.volatility,
        confidence=signal.confidence,
        cost=signal.round_trip_cost,
        horizon_days=policies.edge.horizon_days,
        price=price,
        stop_price=signal.stop_price,
    )
    return propose(candidate, policies.sizing, multiplier=around.multiplier).weight


def _validated(
    signal: Signal,
    weight: float,
    alike: float,
    around: NightContext,
    policies: DecisionPolicies,
) -> tuple[Signal, Validation | None]:
    """The signal after the five layers, which look at purchases that nothing refused before."""
    if signal.action is not Action.BUY or signal.gate:
        return signal, None
    validation = validate(
        Evidence(
            probability=signal.probability,
            trend=around.market.trend,
            weight=weight,
            correlation=alike,
            cost=signal.round_trip_cost,
            expected_return=signal.expected_return,
        ),
        policies.validation,
    )
    refused = validation.refused_by
    if refused is None:
        return signal, validation
    return replace(signal, gate=refused.layer.value, reason=refused.sentence), validation


def _time_series(strategy: Strategy, signal: Signal, around: NightContext) -> SourceSignal:
    missing = signal.reason if signal.action is Action.NONE else ""
    return SourceSignal(
        source=Source.TIME_SERIES,
        model=strategy.forecast,
        symbol=signal.symbol,
        expected_return=signal.expected_return,
        volatility=signal.volatility,
        priority=signal.priority,
        unavailable=around.switched_off or around.refused_model or missing,
    )


def _routing(routed: Routed) -> dict[str, str]:
    primary, fallback = routed.primary, routed.fallback
    return {
        "source": primary.source.value if primary else "",
        "source_model": primary.model if primary else "",
        "fallback_model": fallback.model if fallback else "",
        "routing": routed.reason,
    }


def _inputs(
    desk: Desk, lake: "Warehouse", strategy: Strategy, sessions: Sequence[dt.date], horizon: int
) -> Mapping[dt.date, list[dict[str, Any]]]:
    """Forecast and last known price of every symbol; what is missing stays NaN and is refused."""
    from resources.warehouse import quoted

    days, symbols = list(sessions), list(desk.universe.symbols)
    as_ofs = [desk.as_of(session) for session in days]
    rows = lake.rows(
        f"""
        WITH night AS (SELECT unnest(?::DATE[]) AS session, unnest(?::TIMESTAMPTZ[]) AS as_of),
        grid AS (SELECT * FROM night CROSS JOIN (SELECT unnest(?::VARCHAR[]) AS symbol)),
        price AS (
            SELECT g.session, b.symbol, b.close, b.row_hash FROM night AS g
            JOIN clean.daily_bars AS b
              ON b.session <= g.session AND b.session > g.session - 10 AND b.known_at <= g.as_of
            WHERE b.basis = ? AND b.close IS NOT NULL
            QUALIFY row_number() OVER (
                PARTITION BY g.session, b.symbol ORDER BY b.session DESC, b.known_at DESC) = 1
        )
        SELECT grid.session, grid.symbol, coalesce(f.mean, 'nan'::DOUBLE),
               coalesce(f.std, 'nan'::DOUBLE), coalesce(price.close, 'nan'::DOUBLE),
               coalesce(f.row_hash, ''), coalesce(price.row_hash, '')
        FROM grid
        LEFT JOIN {quoted("forecast." + strategy.forecast)} AS f
          ON f.session = grid.session AND f.symbol = grid.symbol AND f.horizon_days = ?
        LEFT JOIN price ON price.session = grid.session AND price.symbol = grid.symbol
        ORDER BY grid.session, grid.symbol
        """,
        [days, as_ofs, symbols, str(desk.universe.basis), horizon],
    )
    names = ("session", "symbol", "mean", "std", "close", "forecast_hash", "price_row_hash")
    grouped: dict[dt.date, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(dict(zip(names, row, strict=True)))
    return grouped
