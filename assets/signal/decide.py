"""Joins forecasts, prices, verdicts, switches and the recent past into signal rows.

Belongs here: fetching what one decision needs and giving it its identity.
Does not belong here: the rules themselves (quant.signals, quant.portfolio).
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.signal.fallback import Word, language_sources, stored_words, words_hash
from quant.core.identity import content_hash, decision_id
from quant.market.frontier import FrontierPolicy
from quant.portfolio.capital import CapitalPolicy, size_multiplier
from quant.portfolio.limits import LimitsPolicy
from quant.portfolio.night import basket_correlations
from quant.portfolio.sizing import Candidate, SizingPolicy, propose
from quant.signals.costs import CostPolicy, CostPrior
from quant.signals.edge import EdgePolicy
from quant.signals.flags import switched_off
from quant.signals.generate import Action, Outlook, Signal, decide_signal
from quant.signals.language import FallbackPolicy, capped_weight, own_volatility
from quant.signals.recalibrate import CostEvidence, Posterior, posterior_of
from quant.signals.router import Routed, Source, SourceSignal, route
from quant.signals.strategies import StrategiesPolicy, Strategy
from quant.signals.validator import Evidence, Standing, Validation, ValidationPolicy, validate
from resources.desk import Desk
from resources.language.policy import LlmPolicy

if TYPE_CHECKING:
    import pandas as pd

    from assets.history import History
    from assets.signal.facts import MarketFacts
    from resources.warehouse import Provenance, Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPolicies:
    """The policies a signal depends on; their hash stands in its identity."""

    edge: EdgePolicy
    costs: CostPolicy
    frontier: FrontierPolicy
    validation: ValidationPolicy
    sizing: SizingPolicy
    capital: CapitalPolicy
    limits: LimitsPolicy
    language: FallbackPolicy

    @classmethod
    def of(cls, desk: Desk) -> "DecisionPolicies":
        """From the desk's policy files; the environment may only forbid shorts, not allow them."""
        edge = desk.policy("signals", EdgePolicy)
        if desk.settings.long_only and not edge.long_only:
            edge = edge.model_copy(update={"long_only": True})
        return cls(
            edge=edge,
            costs=desk.policy("costs", CostPolicy),
            frontier=desk.policy("frontier", FrontierPolicy),
            validation=desk.policy("validation", ValidationPolicy),
            sizing=desk.policy("sizing", SizingPolicy),
            capital=desk.policy("capital", CapitalPolicy),
            limits=desk.policy("limits", LimitsPolicy),
            language=desk.policy("llm", LlmPolicy).fallback,
        )

    @property
    def parameters(self) -> dict[str, object]:
        """What the decision's identity says of them."""
        said: dict[str, object] = {"edge": self.edge.model_dump(mode="json")}
        for name in ("costs", "validation", "sizing", "capital"):
            said[name] = content_hash(getattr(self, name).model_dump(mode="json"))
        # Of the limits only this reaches a signal.
        said["correlation_observations_min"] = self.limits.correlation_observations_min
        if self.frontier.include_frontier:
            said["frontier"] = content_hash(self.frontier.model_dump(mode="json"))
        return said


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NightContext:
    """What the decisions of one strategy and session share."""

    session: dt.date
    refused_model: str
    switched_off: str
    reduce_only: set[str]
    market: "MarketFacts"
    standing: Standing
    multiplier: float
    evidence: Mapping[str, CostEvidence]
    words: Mapping[str, Sequence[Word]]  # of language models, where the time series are silent


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
    parameters = json.dumps(policies.parameters, sort_keys=True)
    rows = [
        {**row, "parameters": parameters}
        for strategy in desk.policy("strategies", StrategiesPolicy).strategies
        for row in _strategy_rows(desk, lake, strategy, past, policies, provenance)
    ]
    return pd.DataFrame(rows)


def _strategy_rows(
    desk: Desk,
    lake: "Warehouse",
    strategy: Strategy,
    past: Sequence["History"],
    policies: DecisionPolicies,
    provenance: "Provenance",
) -> Iterator[dict[str, Any]]:
    sessions = sorted(session for history in past for session in history.sessions)
    inputs = _inputs(desk, lake, strategy, sessions, policies.edge.horizon_days)
    for around in _contexts(desk, lake, strategy, past, policies):
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


def _contexts(
    desk: Desk,
    lake: "Warehouse",
    strategy: Strategy,
    past: Sequence["History"],
    policies: DecisionPolicies,
) -> Iterator[NightContext]:
    from assets.signal import facts

    sessions = sorted(session for history in past for session in history.sessions)

    costs = [_prior(desk, symbol, policies).round_trip for symbol in desk.universe.symbols]
    market = facts.market_facts(past, policies.validation)
    standings = facts.standings(
        lake,
        past,
        strategy,
        costs=np.array(costs),
        horizon=policies.edge.horizon_days,
        policy=policies.validation,
    )
    closed = facts.closed_by_strategy(desk, lake).get(strategy.name, ())
    evidence = facts.cost_evidence(lake, sessions)
    flags = facts.recorded_flags(lake, sessions)
    words = stored_words(lake, sessions)
    reduce_only = _reduce_only(lake, sessions)
    for session in sessions:
        profits = facts.profits_before(closed, session)
        standing = standings[session]
        yield NightContext(
            session=session,
            refused_model=refused_model(lake, strategy, session),
            switched_off=switched_off(strategy.models, flags.get(session)),
            reduce_only=reduce_only.get(session, set()),
            market=market[session],
            standing=standing,
            multiplier=size_multiplier(standing.state, profits, policies.capital),
            evidence=evidence.get(session, {}),
            words=words.get(session, {}),
        )


def _prior(desk: Desk, symbol: str, policies: DecisionPolicies) -> CostPrior:
    return policies.costs.prior_of_symbol(symbol, desk.universe.asset_class, policies.frontier)


def _costs(desk: Desk, symbol: str, around: NightContext, policies: DecisionPolicies) -> Posterior:
    calibration = policies.costs.calibration
    return posterior_of(
        _prior(desk, symbol, policies),
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


def _reduce_only(lake: "Warehouse", sessions: Sequence[dt.date]) -> dict[dt.date, set[str]]:
    rows = lake.rows(
        "SELECT session, reduce_only FROM clean.night_quality "
        "WHERE session IN (SELECT unnest(?::DATE[]))",
        [list(sessions)],
    )
    return {session: set(json.loads(symbols)) for session, symbols in rows}


def refused_model(lake: "Warehouse", strategy: Strategy, session: dt.date) -> str:
    """Why a strategy may not trade on `session`, or nothing: the newest verdict on each model."""
    rows = lake.rows(
        "SELECT model, passed, reason FROM model.verdicts WHERE session <= ? "
        "QUALIFY row_number() OVER (PARTITION BY model ORDER BY session DESC) = 1",
        [session],
    )
    verdicts = {model: (passed, reason) for model, passed, reason in rows}
    for model in strategy.models:
        passed, reason = verdicts.get(model, (False, f"{model} has no verdict yet"))
        if not passed:
            return str(reason)
    return ""
