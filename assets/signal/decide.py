"""Joins forecasts, prices, verdicts and data quality into signal rows.

Belongs here: fetching what one decision needs and giving it its identity.
Does not belong here: the rule itself (quant.signals.generate).
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from quant.core.identity import content_hash, decision_id
from quant.market.frontier import FrontierPolicy
from quant.signals.costs import CostPolicy
from quant.signals.edge import EdgePolicy
from quant.signals.generate import Outlook, decide_signal
from quant.signals.strategies import StrategiesPolicy, Strategy
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from resources.warehouse import Provenance, Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPolicies:
    """The policies a signal depends on; their hash stands in its identity."""

    edge: EdgePolicy
    costs: CostPolicy
    frontier: FrontierPolicy

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
        )

    @property
    def parameters(self) -> dict[str, object]:
        """What the decision's identity says of them."""
        said: dict[str, object] = {
            "edge": self.edge.model_dump(mode="json"),
            "costs": content_hash(self.costs.model_dump(mode="json")),
        }
        if self.frontier.include_frontier:
            said["frontier"] = content_hash(self.frontier.model_dump(mode="json"))
        return said


def signal_rows(
    desk: Desk,
    sessions: Sequence[dt.date],
    provenance: "Provenance",
    *,
    warehouse: "Warehouse | None" = None,
) -> "pd.DataFrame":
    """Signals of all strategies for some sessions; `warehouse` may be a past snapshot."""
    import pandas as pd

    lake = warehouse or desk.warehouse
    policies = DecisionPolicies.of(desk)
    strategies = desk.policy("strategies", StrategiesPolicy).strategies
    rows = [
        row
        for strategy in strategies
        for row in _strategy_rows(desk, lake, strategy, sessions, policies, provenance)
    ]
    return pd.DataFrame(rows)


def _strategy_rows(
    desk: Desk,
    lake: "Warehouse",
    strategy: Strategy,
    sessions: Sequence[dt.date],
    policies: DecisionPolicies,
    provenance: "Provenance",
) -> Iterator[dict[str, Any]]:
    inputs = _inputs(desk, lake, strategy, sessions, policies.edge.horizon_days)
    reduce_only = _reduce_only(lake, sessions)
    for session in sessions:
        refused = refused_model(lake, strategy, session)
        for item in inputs.get(session, []):
            signal = decide_signal(
                Outlook(
                    symbol=item["symbol"], mean=item["mean"], std=item["std"], price=item["close"]
                ),
                policy=policies.edge,
                prior=policies.costs.prior_of_symbol(
                    item["symbol"], desk.universe.asset_class, policies.frontier
                ),
                refused_model=refused,
                reduce_only=reduce_only.get(session, ()),
            )
            yield asdict(signal) | {
                "action": signal.action.value,
                "strategy": strategy.name,
                "session": session,
                "as_of": desk.as_of(session),
                "horizon_days": policies.edge.horizon_days,
                "reference_price": item["close"],
                "forecast_hash": item["forecast_hash"],
                "price_row_hash": item["price_row_hash"],
                "parameters": json.dumps(policies.parameters, sort_keys=True),
                "decision_id": decision_id(
                    strategy=strategy.name,
                    symbol=signal.symbol,
                    as_of=desk.as_of(session),
                    inputs={
                        "forecast": item["forecast_hash"],
                        "price": item["price_row_hash"],
                        "verdict": content_hash(refused),
                    },
                    code_version=provenance.code_version,
                    parameters=policies.parameters,
                ),
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
