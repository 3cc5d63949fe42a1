"""Collects what the nightly report says, as the frames that it documents."""

import datetime as dt
from typing import TYPE_CHECKING

import pandas as pd

from assets.audit.closed_trades import closed_frame
from assets.audit.model_audits import AGAINST
from assets.order.lots import attribution_of
from assets.order.mirror import fills_frame
from quant.governance.audits import GatesPolicy
from quant.governance.report_inputs import COLUMNS, ReportInputs
from resources.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quant.execution.events import MarkRecorded
    from resources.ledger import Ledger
    from resources.warehouse import Provenance

# What the report looks back on; the ledger and the warehouse keep everything.
SESSIONS_SHOWN = 250
GATE_MODEL = "combined"


def report_inputs(desk: Desk, session: dt.date, provenance: "Provenance") -> ReportInputs:
    """Everything known of the book and its models up to `session`."""
    with desk.ledger() as ledger:
        marks = [mark for mark in ledger.marks(desk.settings.book) if mark.session <= session]
        sessions = [mark.session for mark in marks][-SESSIONS_SHOWN:]
        equity = _equity(desk, marks[-SESSIONS_SHOWN:])
        fills = fills_frame(ledger, desk.settings.book, sessions)
        positions = _positions(ledger, desk.settings.book)
        trips = attribution_of(desk, ledger, desk.settings.book).round_trips
        mode = ledger.mode(desk.settings.book).value if desk.settings.book in ledger.books() else ""
    first = sessions[0] if sessions else session
    # Before the first traded session there were refusals already; a whole history includes them.
    since = first if len(marks) > SESSIONS_SHOWN else dt.date.min
    return ReportInputs(
        equity=equity,
        fills=fills,
        closed=closed_frame(trips, sessions)[list(COLUMNS["closed"])],
        positions=positions,
        refusals=_read(desk, "refusals", _REFUSALS, [desk.settings.book, since, session]),
        outcomes=_read(desk, "outcomes", _OUTCOMES, [desk.settings.book, since, session]),
        signals=_read(desk, "signals", _SIGNALS, [session, desk.settings.book]),
        scores=_read(desk, "scores", _SCORES, [first, session]),
        regimes=_read(desk, "regimes", _REGIMES, [first, session]),
        rivals=_read(desk, "rivals", _RIVALS, [GATE_MODEL, first, session]),
        weights=_read(desk, "weights", _WEIGHTS, [session]),
        pit=_read(desk, "pit", _PIT, [first, session]),
        verdicts=_read(desk, "verdicts", _VERDICTS, [session]),
        audits=_read(desk, "audits", _AUDITS, [GATE_MODEL, first, session]),
        findings=_read(desk, "findings", _FINDINGS, [*_universe(desk), first, session]),
        facts={
            "book": desk.settings.book,
            "mode": mode,
            "currency": desk.universe.currency,
            "session": session,
            "run_id": provenance.run_id,
            "snapshot_id": provenance.snapshot_id,
            "code_version": provenance.code_version,
            "data_start": desk.universe.history_start,
            "data_end": session,
            "quality_score": _quality(desk, session),
            "universe": len(desk.universe.symbols),
            "models_audited": ", ".join(AGAINST),
            "rmse_excess_max_fraction": desk.policy("gates", GatesPolicy).rmse_excess_max_fraction,
            "caution": _caution(desk),
        },
    )


_REFUSALS = """
SELECT decision_id, session, symbol, gate, reason, expected_return, cost FROM "order".refusals
WHERE book = ? AND session BETWEEN ? AND ? ORDER BY session, strategy, symbol
"""
_OUTCOMES = """
SELECT gate, count(*) AS judged, avg(gate_was_right::INTEGER) AS right_share,
       avg(forgone_return) AS mean_forgone_return
FROM audit.counterfactuals
WHERE book = ? AND session BETWEEN ? AND ? AND gate_was_right IS NOT NULL
GROUP BY gate ORDER BY judged DESC, gate
"""
_SIGNALS = """
SELECT s.decision_id, s.session, s.symbol, s.action, s.expected_return, s.volatility, s.confidence,
       CASE WHEN i.decision_id IS NULL THEN 'refused' ELSE 'trade' END AS outcome
FROM signal.daily_signals AS s LEFT JOIN "order".intents AS i USING (decision_id)
WHERE s.session = ? AND coalesce(i.book, ?) IS NOT NULL ORDER BY s.strategy, s.symbol
"""
_SCORES = """
SELECT f.model, f.horizon_days, sqrt(avg(f.squared_error)) AS rmse,
       sqrt(avg(n.squared_error)) AS naive_rmse, avg(f.pinball) AS pinball,
       avg(n.pinball) AS naive_pinball, avg(f.in_50::INTEGER) AS coverage_50,
       avg(f.in_90::INTEGER) AS coverage_90,
       avg(f.direction_hit) AS directional_accuracy, count(*) AS count
FROM audit.forecast_scores AS f
LEFT JOIN audit.forecast_scores AS n
  ON n.model = 'naive' AND n.symbol = f.symbol AND n.session = f.session
  AND n.horizon_days = f.horizon_days
WHERE f.session BETWEEN ? AND ? GROUP BY ALL ORDER BY f.model, f.horizon_days
"""
_REGIMES = """
SELECT f.model, f.regime, avg(f.pinball) AS pinball, avg(n.pinball) AS naive_pinball,
       avg(f.in_90::INTEGER) AS coverage_90, count(*) AS count
FROM audit.forecast_scores AS f
LEFT JOIN audit.forecast_scores AS n
  ON n.model = 'naive' AND n.symbol = f.symbol AND n.session = f.session
  AND n.horizon_days = f.horizon_days
WHERE f.session BETWEEN ? AND ? AND f.horizon_days = 1 AND f.regime IS NOT NULL
GROUP BY f.model, f.regime ORDER BY f.model, f.regime
"""
_RIVALS = """
SELECT r.model, r.horizon_days, sqrt(avg(r.squared_error)) AS rmse,
       sqrt(avg(c.squared_error)) AS combined_rmse, count(*) AS count
FROM audit.forecast_scores AS r
JOIN audit.forecast_scores AS c USING (symbol, session, horizon_days)
WHERE c.model = ? AND r.model <> c.model AND c.session BETWEEN ? AND ?
GROUP BY r.model, r.horizon_days ORDER BY r.model, r.horizon_days
"""
_WEIGHTS = """
SELECT part, model, avg(weight) AS mean, min(weight) AS lowest, max(weight) AS highest
FROM forecast.weights WHERE session = ? GROUP BY part, model ORDER BY part, mean DESC, model
"""
_PIT = """
SELECT model, least(floor(pit * 10), 9) / 10 AS bin,
       count(*) / sum(count(*)) OVER (PARTITION BY model) AS share
FROM audit.forecast_scores WHERE horizon_days = 1 AND session BETWEEN ? AND ?
GROUP BY model, bin ORDER BY model, bin
"""
_VERDICTS = """
SELECT model, passed, reason FROM model.verdicts WHERE session <= ?
QUALIFY row_number() OVER (PARTITION BY model ORDER BY session DESC) = 1 ORDER BY passed, model
"""
_AUDITS = """
SELECT session, decision, violation_rate, effective_audits, reason FROM audit.decisions
WHERE model = ? AND session BETWEEN ? AND ? ORDER BY session
"""
_FINDINGS = """
SELECT symbol, session, rule, severity, value, message FROM clean.findings
WHERE basis = ? AND symbol IN (SELECT unnest(?::VARCHAR[])) AND session BETWEEN ? AND ?
ORDER BY session DESC, symbol
"""


def _caution(desk: Desk) -> str:
    """The bundled prices were chosen by who is still there, which flatters every strategy."""
    from resources.market_data.policy import SourcesPolicy

    if desk.policy("sources", SourcesPolicy).priority != ("sample",):
        return ""
    return (
        "The bundled prices are those of companies that survived: read no skill from this return."
    )


def _universe(desk: Desk) -> list[object]:
    return [str(desk.universe.basis), list(desk.universe.symbols)]


def _read(desk: Desk, name: str, sql: str, parameters: list[object]) -> pd.DataFrame:
    return desk.warehouse.read(sql, parameters)[list(COLUMNS[name])]


def _quality(desk: Desk, session: dt.date) -> float | None:
    rows = desk.warehouse.rows(
        "SELECT score, reduce_only FROM clean.night_quality WHERE session = ?", [session]
    )
    return float(rows[0][0]) if rows else None


def _equity(desk: Desk, marks: "Sequence[MarkRecorded]") -> pd.DataFrame:
    """The book's curve beside the same money in equal parts of the universe, never touched."""
    sessions = [mark.session for mark in marks]
    benchmark = _benchmark(desk, sessions, float(marks[0].equity)) if marks else {}
    rows = [
        {
            "session": mark.session,
            "equity": mark.equity,
            "cash": mark.cash,
            "gross_exposure": float(1 - mark.cash / mark.equity),
            "benchmark": benchmark.get(mark.session),
        }
        for mark in marks
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["equity"]))


def _benchmark(desk: Desk, sessions: list[dt.date], money: float) -> dict[dt.date, float]:
    closes = desk.warehouse.read(
        "SELECT symbol, session, close FROM clean.daily_bars WHERE basis = ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[])) AND session BETWEEN ? AND ? "
        "QUALIFY row_number() OVER (PARTITION BY symbol, session ORDER BY known_at DESC) = 1",
        [*_universe(desk), sessions[0], sessions[-1]],
    )
    table = closes.pivot(index="session", columns="symbol", values="close").sort_index().ffill()
    growth = (table / table.bfill().iloc[0]).mean(axis=1)
    return {day.date(): money * float(value) for day, value in growth.items()}


def _positions(ledger: "Ledger", name: str) -> pd.DataFrame:
    columns = list(COLUMNS["positions"])
    if name not in ledger.books():
        return pd.DataFrame(columns=columns)
    book = ledger.book(name)
    equity = book.equity()
    rows = []
    for symbol, position in sorted(book.positions.items()):
        worth = position.quantity * book.prices[symbol]
        rows.append(
            {
                "symbol": symbol,
                "quantity": position.quantity,
                "average_cost": position.average_cost,
                "price": book.prices[symbol],
                "market_value": worth,
                "weight": float(worth / equity),
                "unrealised": worth - position.cost,
            }
        )
    return pd.DataFrame(rows, columns=columns)
