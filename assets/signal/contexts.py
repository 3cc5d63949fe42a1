"""What the decisions of a strategy and session share: policies, costs, record, switches, verdicts.

Belongs here: putting those together, once for all strategies where they can share. Does not belong
here: reading each of them (`facts`), or what is decided (`decide`).
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.signal.fallback import Word, Words, stored_words
from quant.core.identity import content_hash
from quant.market.frontier import FrontierPolicy
from quant.portfolio.capital import CapitalPolicy, size_multiplier
from quant.portfolio.limits import LimitsPolicy
from quant.portfolio.sizing import SizingPolicy
from quant.signals.costs import CostPolicy, CostPrior
from quant.signals.edge import EdgePolicy
from quant.signals.flags import switched_off
from quant.signals.language import FallbackPolicy
from quant.signals.recalibrate import CostEvidence
from quant.signals.strategies import Strategy
from quant.signals.validator import Standing, ValidationPolicy
from resources.desk import Desk
from resources.language.policy import LlmPolicy

if TYPE_CHECKING:
    from assets.history import History
    from assets.signal.facts import MarketFacts
    from quant.portfolio.trades import ClosedTrade
    from resources.warehouse import Warehouse


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedFacts:
    """What all strategies of some sessions share, read once."""

    market: "Mapping[dt.date, MarketFacts]"
    closed: "Mapping[str, Sequence[ClosedTrade]]"
    evidence: Mapping[dt.date, Mapping[str, CostEvidence]]
    flags: Mapping[dt.date, Mapping[str, bool]]
    reduce_only: Mapping[dt.date, set[str]]
    words: Words

    @classmethod
    def of(
        cls,
        desk: Desk,
        lake: "Warehouse",
        past: Sequence["History"],
        policies: DecisionPolicies,
    ) -> "SharedFacts":
        """From one state of the lake."""
        from assets.signal import facts

        sessions = sorted(session for history in past for session in history.sessions)
        return cls(
            market=facts.market_facts(past, policies.validation),
            closed=facts.closed_by_strategy(desk, lake),
            evidence=facts.cost_evidence(lake, sessions),
            flags=facts.recorded_flags(lake, sessions),
            reduce_only=_reduce_only(lake, sessions),
            words=stored_words(lake, sessions),
        )


def contexts_of(
    desk: Desk,
    lake: "Warehouse",
    strategy: Strategy,
    past: Sequence["History"],
    shared: SharedFacts,
    policies: DecisionPolicies,
) -> Iterator[NightContext]:
    """One a session, in order."""
    from assets.signal import facts

    costs = [prior_of(desk, symbol, policies).round_trip for symbol in desk.universe.symbols]
    standings = facts.standings(
        lake,
        past,
        strategy,
        costs=np.array(costs),
        horizon=policies.edge.horizon_days,
        policy=policies.validation,
    )
    closed = shared.closed.get(strategy.name, ())
    for session in sorted(session for history in past for session in history.sessions):
        profits = facts.profits_before(closed, session)
        standing = standings[session]
        yield NightContext(
            session=session,
            refused_model=refused_model(lake, strategy, session),
            switched_off=switched_off(strategy.models, shared.flags.get(session)),
            reduce_only=shared.reduce_only.get(session, set()),
            market=shared.market[session],
            standing=standing,
            multiplier=size_multiplier(standing.state, profits, policies.capital),
            evidence=shared.evidence.get(session, {}),
            words=shared.words.get(session, {}),
        )


def prior_of(desk: Desk, symbol: str, policies: DecisionPolicies) -> CostPrior:
    """What a symbol's trades are expected to cost before any evidence."""
    return policies.costs.prior_of_symbol(symbol, desk.universe.asset_class, policies.frontier)


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
