"""What a night tells MLflow, left in the outbox: the nightly never waits for a tracking server.

One record a model and night, not one a symbol; the symbols' own figures travel as a Parquet file.
"""

import datetime as dt
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from quant.core.clock import SystemClock
from quant.core.identity import content_hash
from resources.settings import project_root

if TYPE_CHECKING:
    import pandas as pd

    from quant.forecasting.port import Forecaster
    from resources.desk import Desk
    from resources.warehouse import Provenance


# MLflow refuses a tag that is longer.
_TAG_MAX = 5000


def record_fits(
    desk: "Desk", provenance: "Provenance", model: "Forecaster", fits: "pd.DataFrame"
) -> int:
    """Leave one record for each fit session in `fits`; returns how many."""
    if fits.empty:
        return 0
    from quant.forecasting.port import states_from_frame
    from quant.forecasting.summary import fit_summary, pooled_numbers
    from resources.registered_models import STATES

    nights = fits.groupby("fit_as_of", sort=True)
    for session, rows in nights:
        states = states_from_frame(rows)
        leave(
            desk,
            provenance,
            model.name,
            _day(session),
            params={"version": model.version, **_policy(desk)},
            metrics=fit_summary(states),
            data_version=content_hash(sorted(rows["input_hash"])),
            artifacts={
                STATES: rows.astype({"fit_as_of": str, "filter_from": str}),
                "pooled": pooled_numbers(states),
            },
        )
    return len(nights)


def record_scores(
    desk: "Desk", provenance: "Provenance", session: dt.date, scores: "pd.DataFrame"
) -> int:
    """Leave each model's scores of one night, so that models compare by night."""
    from quant.forecasting.scoring import night_figures

    for model, rows in scores.groupby("model", sort=True):
        leave(
            desk,
            provenance,
            f"{model}_scores",
            session,
            params={"model": model},
            metrics={**night_figures(rows), "forecasts_scored": len(rows)},
            data_version=content_hash(rows["squared_error"].tolist()),
        )
    return scores["model"].nunique()


def record_weights(
    desk: "Desk", provenance: "Provenance", session: dt.date, weights: "pd.DataFrame"
) -> None:
    """Leave the mean weights of one night's ensemble; the table has each symbol's, with reasons."""
    rows = weights[weights["session"] == session]
    names = rows["part"] + "_weight_" + rows["model"]
    means = rows["weight"].groupby(names, sort=True).mean()
    leave(
        desk,
        provenance,
        "combined",
        session,
        params={"policy": _policy(desk)["ensemble"]},
        metrics={str(name): float(share) for name, share in means.items()},
        data_version=content_hash(rows["weight"].tolist()),
    )


def record_audits(
    desk: "Desk", provenance: "Provenance", session: dt.date, audits: "pd.DataFrame"
) -> None:
    """Leave one night's audits of all models, in one record."""
    rows = audits[audits["session"] == session]
    if rows.empty:
        return
    told = rows.set_index("model")
    leave(
        desk,
        provenance,
        "audits",
        session,
        params={f"{model}_baseline": row["baseline"] for model, row in told.iterrows()},
        metrics={
            **{f"{model}_rmse_excess": row["excess_fraction"] for model, row in told.iterrows()},
            **{f"{model}_violation": int(row["is_violation"]) for model, row in told.iterrows()},
        },
        data_version=content_hash(rows["rmse"].tolist()),
    )


def leave(
    desk: "Desk",
    provenance: "Provenance",
    model: str,
    session: dt.date,
    *,
    params: Mapping[str, object],
    metrics: Mapping[str, Any],
    data_version: str,
    artifacts: Mapping[str, "pd.DataFrame"] | None = None,
) -> None:
    """One record with the tags that lead back to the run, the snapshot and the code."""
    desk.outbox.put(
        model,
        session,
        recorded_at=SystemClock().now(),
        params=params,
        metrics=metrics,
        tags={
            "dagster/run_id": provenance.run_id,
            "snapshot_id": provenance.snapshot_id,
            "code_version": provenance.code_version,
            "data_version": data_version,
            "git_sha": git_sha(),
            "book": desk.settings.book,
            # With a comma at both ends, so that a search for ,C, does not find ,CAT,
            "symbols": f",{','.join(sorted(desk.universe.symbols))},"[:_TAG_MAX],
            "mlflow.note.content": f"Dagster run {provenance.run_id}: `/runs/{provenance.run_id}` "
            "on its pages, which `pmx up` names.",
        },
        artifacts=artifacts,
    )


@cache
def git_sha() -> str:
    """The commit that runs, marked where files differ from it; "unknown" outside a checkout."""
    command = ["git", "-C", os.fspath(project_root())]
    try:
        sha = subprocess.run(
            [*command, "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
        changed = subprocess.run(
            [*command, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{sha}+changes" if changed else sha


def _policy(desk: "Desk") -> dict[str, object]:
    from quant.forecasting.policy import ForecastPolicy

    return dict(desk.policy("forecasts", ForecastPolicy).model_dump(mode="json"))


def _day(session: object) -> dt.date:
    import pandas as pd

    return pd.Timestamp(str(session)).date()
