"""Sprints of forecast audits on one installation: which windows, counted once, resumable.

Belongs here: reading scores, the journal's count, computing what is missing. Does not belong here:
the decision (`quant.governance.sprints`).
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from assets.audit.model_audits import AGAINST
from assets.governing import journal_of
from quant.core.errors import DataError, UsageError
from resources.desk import Desk
from resources.settings import Settings

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from apps.night import NightRunner
    from quant.governance.audits import Audit

# Audits a commit: a crash costs at most these, and the next run goes on behind them.
CHUNK: Final = 10
# Sessions a research run: a crash costs at most these, and a sprint of twenty is one run.
PIECE: Final = 25
# The model and flag whose two sides need no forecasts of their own.
COMPUTED: Final = ("combined", "regime")


def variant(model: str, arm: str) -> str:
    """Whose forecasts an arm is about: FLAG=on is the model's variant `<model>_<flag>`.

    The two sides of `regime` are computed from the scores, and differ in the flag alone.
    """
    if not arm:
        return model
    flag, sign, side = arm.partition("=")
    if not sign or side not in {"on", "off"} or not flag.isidentifier():
        raise UsageError(f"there is no arm {arm[:40]!r}", remedy="write it as regime=on or =off")
    if (model, flag) == COMPUTED:
        return f"{model}_{flag}_{side}"
    return f"{model}_{flag}" if side == "on" else model


def run_sprint(
    desk: Desk,
    *,
    model: str,
    arm: str,
    asked: int,
    symbols: Sequence[str],
    on_audit: Callable[[int], None] = lambda _count: None,
) -> "list[Audit]":
    """The latest audits, at most `asked`; each window is computed and counted once, ever."""
    from quant.governance.records import AuditCounted
    from quant.governance.sprints import audit_of, counted

    _rival_of(model)  # a word that is no model is no hypothesis either, and is not counted
    journal, name = journal_of(desk), variant(model, arm)
    with journal.trial(
        family=f"audit.{model}",
        purpose="audit",
        description=f"sprint of {asked} audits of {name}",
        parameters={"model": name, "arm": arm, "symbols": sorted(symbols)},
        inputs_hash="audit.forecast_scores",
    ) as trial:
        found = _audits(desk, name, model, symbols)[-asked:]
        trial.returns = _lifts(found)
    if not found:
        raise DataError(
            f"no one-day forecast of {name} was scored for these symbols",
            remedy="pmx backfill --from DAY --to DAY computes and scores past sessions"
            + (f"; the arm {arm} needs forecasts of {name}" if name != model else ""),
        )
    records = [counted(one, arm=arm, symbols=symbols) for one in found]
    keys = {record.key for record in records}
    known = {
        one.key: one
        for one in journal.records()
        if isinstance(one, AuditCounted) and one.key in keys
    }
    fresh = [record for record in records if record.key not in known]
    for begin in range(0, len(fresh), CHUNK):
        part = fresh[begin : begin + CHUNK]
        journal.append(part)
        on_audit(len(part))
    # What was counted once stands, even if a restated price would give another figure today.
    return [audit_of(known.get(record.key, record)) for record in records]


def compute_missing(
    settings: Settings, *, until: dt.date, audits: int, on_step: Callable[[str], None]
) -> None:
    """Forecasts and scores that a sprint needs; what nights have scored stands as it is.

    Trades nothing, and goes on where it was stopped. A home without history is given the bundled
    one, where that is its source.
    """
    from apps.backfills import sessions_between
    from apps.night import night_runner

    with night_runner(settings) as runner:
        # The forecast of one session is scored on the next; holidays stretch the calendar.
        begin = until - dt.timedelta(days=10 + audits * 3 // 2)
        begin = max(begin, runner.desk.universe.history_start)
        days = sessions_between(runner, begin, until)[-(audits + 1) :]
        missing = _unscored(runner.desk, days)
        if not missing:
            return
        _require_history(runner.desk, days[0], on_step)
        keys = upstream(runner, "audit/model_audits")
        for piece in pieces(days, missing):
            runner.run_assets(keys, piece[0], piece[-1])
            on_step(f"up to {piece[-1]}")
        runner.send_to_mlflow().result()


def pieces(days: Sequence[dt.date], missing: Collection[dt.date]) -> list[list[dt.date]]:
    """Stretches of missing sessions, none longer than a run; the first day of all forecasts only.

    What lies between two stretches was scored, so its last evening has left forecasts behind.
    """
    found: list[list[dt.date]] = []
    wanted = {*missing, days[0]} if days[1] in missing else set(missing)
    for place, day in enumerate(days):
        if day not in wanted:
            continue
        if place and found and found[-1][-1] == days[place - 1] and len(found[-1]) < PIECE:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def upstream(runner: "NightRunner", *names: str) -> "list[dg.AssetKey]":
    """These assets and all that they are made of."""
    from apps.selections import selected_keys

    graph = runner.definitions.resolve_asset_graph()
    found = set(selected_keys(runner.definitions, names))
    waiting = list(found)
    while waiting:
        parents = graph.get(waiting.pop()).parent_keys - found
        found |= parents
        waiting.extend(parents)
    together = {one for key in found for one in graph.get(key).execution_set_asset_keys}
    return sorted(found | together, key=lambda key: key.path)


def _unscored(desk: Desk, days: Sequence[dt.date]) -> set[dt.date]:
    """Sessions whose outcome nobody has compared with a forecast; the first only forecasts."""
    rows = desk.warehouse.rows(
        "SELECT DISTINCT session FROM audit.forecast_scores WHERE horizon_days = 1 "
        "AND model = 'combined' AND session BETWEEN ? AND ?",
        [days[0], days[-1]],
    )
    return set(days[1:]) - {day for (day,) in rows}


def _require_history(desk: Desk, first: dt.date, on_step: Callable[[str], None]) -> None:
    """Models without their fit window would say nothing, and drift alone would be audited."""
    from apps.loading import load_sample
    from quant.forecasting.policy import ForecastPolicy
    from resources.market_data.policy import SourcesPolicy

    is_bundled = "sample" in desk.policy("sources", SourcesPolicy).priority
    needed = desk.policy("forecasts", ForecastPolicy).fit_window_sessions
    if _sessions_before(desk, first) < needed and is_bundled:
        load_sample(desk, until=first, run_id=f"load:{first}")
        on_step("bundled history loaded")
    found = _sessions_before(desk, first)
    if found < needed:
        raise DataError(
            f"there are {found} sessions of bars before {first}, the models are fitted on {needed}",
            remedy="pmx ingest brings earlier bars in; or ask for fewer audits",
        )


def _sessions_before(desk: Desk, day: dt.date) -> int:
    rows = desk.warehouse.rows(
        "SELECT count(DISTINCT session) FROM clean.daily_bars WHERE session < ? AND basis = ? "
        "AND symbol IN (SELECT unnest(?::VARCHAR[]))",
        [day, str(desk.universe.basis), list(desk.universe.symbols)],
    )
    return int(rows[0][0])


def _lifts(audits: "Sequence[Audit]") -> "pd.Series | None":
    """By how much each window's error was smaller: what this trial has shown; None is nothing."""
    import pandas as pd

    lifts = {str(one.session): -one.excess_fraction for one in audits if one.rmse_baseline > 0}
    series = pd.Series(lifts, dtype=float)
    return series if len(series) > 3 and series.std() > 0 else None


def _rival_of(model: str) -> str:
    """What the model is measured against."""
    if model not in AGAINST:
        raise UsageError(
            f"{model!r} is not audited", remedy=f"choose one of: {', '.join(sorted(AGAINST))}"
        )
    return AGAINST[model]


def _audits(desk: Desk, name: str, model: str, symbols: Sequence[str]) -> "list[Audit]":
    from quant.governance.audits import audits_of

    against = _rival_of(model)
    scores = desk.warehouse.read(
        "SELECT session, symbol, model, horizon_days, error, squared_error, regime "
        "FROM audit.forecast_scores "
        "WHERE horizon_days = 1 AND symbol IN (SELECT unnest(?::VARCHAR[])) "
        "ORDER BY session, symbol, model",
        [list(symbols)],
    )
    if name.startswith(f"{'_'.join(COMPUTED)}_") and len(scores):
        scores = _with_regime_arm(scores, name)
    return audits_of(scores, model=name, against=against)


def _with_regime_arm(scores: "pd.DataFrame", name: str) -> "pd.DataFrame":
    import pandas as pd

    from quant.governance.arms import regime_arm

    arm = regime_arm(
        scores, name=name, models=AGAINST[COMPUTED[0]], knows_regimes=name.endswith("_on")
    )
    return pd.concat([scores, arm], ignore_index=True)
