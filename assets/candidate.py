"""What a certificate rests on: a model's record out of sample, its trials, its tests.

Belongs here: reading scores and prices and giving them to `quant.governance`. Does not belong here:
any threshold, any role (`assets/governing.py`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from assets.history import histories
from assets.model.zoo import ENSEMBLED, build_model
from quant.core.errors import DataError
from resources.desk import Desk
from resources.governance_journal import GovernanceJournal, trial_record

if TYPE_CHECKING:
    import pandas as pd

    from quant.governance.candidates import Record
    from quant.governance.certification import Candidate
    from quant.governance.hypothesis_tests import Inference
    from quant.governance.overfitting import Deflated
    from quant.governance.records import GovernanceRecord
    from quant.governance.trials import FamilyStanding
    from quant.governance.validation import SentinelReport, ValidationReport

# Every model whose signs are tried as a rule is a trial of this family.
FAMILY: Final = "forecast.sign_rule"
BASELINE: Final = "naive"
# What a combination is made of; a model that is not listed is its own only part.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {"combined": ENSEMBLED}
FOLDS: Final = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """One-day scores up to a session, and the records of every model in them."""

    session: dt.date
    scores: "pd.DataFrame"
    records: "Mapping[str, Record]"


def evidence_of(desk: Desk, *, session: dt.date | None = None) -> Evidence:
    """Everything that was scored up to `session`, by default the newest one."""
    from quant.governance.candidates import sign_rule
    from quant.market.frontier import FrontierPolicy
    from quant.signals.costs import CostPolicy

    scores = desk.warehouse.read(
        "SELECT model, symbol, session, horizon_days, realised, error, squared_error, in_90, "
        "direction_hit FROM audit.forecast_scores WHERE horizon_days = 1 AND session <= ? "
        "ORDER BY session, symbol, model",
        [session or dt.date.max],
    )
    if scores.empty:
        raise DataError(
            "no forecast was scored yet", remedy="pmx backfill or pmx nightly scores forecasts"
        )
    scores = scores.assign(session=scores["session"].dt.date)
    costs, frontier = desk.policy("costs", CostPolicy), desk.policy("frontier", FrontierPolicy)
    round_trip = {
        str(symbol): costs.prior_of_symbol(
            str(symbol), desk.universe.asset_class, frontier
        ).round_trip
        for symbol in scores["symbol"].unique()
    }
    models = sorted(scores["model"].unique())
    return Evidence(
        session=max(scores["session"]),
        scores=scores,
        records={name: sign_rule(scores, model=name, round_trip=round_trip) for name in models},
    )


def count_trials(journal: GovernanceJournal, evidence: Evidence) -> dict[str, str]:
    """Register every model as a trial of the family, before anything is judged; model to trial.

    A model that is watched night after night stays one trial; a new one is a new trial.
    """
    opened = {
        name: trial_record(
            family=FAMILY,
            purpose="audit",
            description=f"hold the sign of {name}'s one-day forecast",
            parameters={"model": name, "rule": "sign"},
            inputs_hash="audit.forecast_scores",
        )
        for name in evidence.records
    }
    journal.append(opened.values())
    return {name: record.trial_id for name, record in opened.items()}


def candidate_of(
    desk: Desk, model: str, evidence: Evidence, journal: GovernanceJournal, *, shuffled_max: float
) -> "Candidate":
    """One model's record and every test of it."""
    from quant.governance.certification import Candidate
    from quant.governance.trials import family_overfitting, standing_of

    if model not in evidence.records:
        raise DataError(
            f"{model} has no scored forecasts",
            remedy=f"known models: {', '.join(evidence.records)}",
        )
    trials = count_trials(journal, evidence)
    known = journal.records()
    current = {trials[name]: one.returns for name, one in evidence.records.items()}
    _close(journal, known, current)
    record = evidence.records[model]
    # Recorded returns of other trials of the family, and tonight's of the models.
    returns = {**journal.trial_returns(FAMILY), **current}
    standing = standing_of(FAMILY, journal.records(), returns)
    found = family_overfitting(returns)
    return Candidate(
        subject=model,
        returns=record.returns,
        costs=record.costs,
        standing=standing,
        deflated=_deflated(record.returns, standing),
        overfitting=found.probability if found else None,
        validation=_validated(record.returns),
        sentinel=_sentinel(desk, model, evidence.session, sharpe_max=shuffled_max),
        forecast_test=forecast_test(evidence.scores, model),
        evidence={
            "*": f"audit.forecast_scores, model {model}, to {evidence.session}",
            "deflated_sharpe": f"pmx trials --family {FAMILY}",
            "overfitting": f"pmx trials --family {FAMILY}",
            "leakage": f"clean.daily_bars, shuffled and rewritten, to {evidence.session}",
        },
    )


def forecast_test(scores: "pd.DataFrame", model: str) -> "Inference | None":
    """Diebold-Mariano of the model's squared errors against drift's; None for drift itself."""
    from quant.governance.hypothesis_tests import diebold_mariano

    if model == BASELINE:
        return None
    wide = scores.pivot(index=["session", "symbol"], columns="model", values="squared_error")
    if BASELINE not in wide:
        return None
    nightly = wide[[model, BASELINE]].dropna().groupby(level="session").mean()
    if len(nightly) < 2:
        return None
    return diebold_mariano(nightly[model], nightly[BASELINE], horizon=1)


def _close(
    journal: GovernanceJournal,
    known: "Sequence[GovernanceRecord]",
    returns: "Mapping[str, pd.Series]",
) -> None:
    from quant.governance.records import TrialClosed

    closed = {one.trial_id for one in known if isinstance(one, TrialClosed)}
    fresh = {
        name: series
        for name, series in returns.items()
        if name not in closed and len(series) > 3 and series.std() > 0
    }
    if fresh:
        journal.close_trials(fresh)


def _deflated(returns: "pd.Series", standing: "FamilyStanding") -> "Deflated | None":
    from quant.governance.trials import deflate

    return deflate(returns, standing) if len(returns) > 3 and returns.std() > 0 else None


def _validated(returns: "pd.Series") -> "ValidationReport | None":
    """The record cut into later and later parts: whether it earned in most of them."""
    from quant.governance.splits import TimeSeriesFolds
    from quant.governance.validation import validate

    if len(returns) < 4 * (FOLDS + 1):
        return None
    values = returns.to_numpy(dtype=float)
    return validate(
        lambda _train, test: values[test], TimeSeriesFolds(folds=FOLDS), observations=len(values)
    )


def _sentinel(
    desk: Desk, model: str, session: dt.date, *, sharpe_max: float
) -> "SentinelReport | None":
    from quant.forecasting.policy import ForecastPolicy
    from quant.governance.model_sentinel import forecaster_sentinel, worst

    panel = histories(desk, [session])[0].returns
    fit_sessions = desk.policy("forecasts", ForecastPolicy).fit_window_sessions
    try:
        return worst(
            [
                forecaster_sentinel(
                    build_model(desk, part),
                    panel,
                    fit_sessions=fit_sessions,
                    sharpe_max=sharpe_max,
                )
                for part in PARTS.get(model, (model,))
            ]
        )
    except DataError:
        # Too short a history: the gate says that its value is not known, and fails.
        return None
