"""The forecast that decisions use: every model's answer, weighted by the evidence for it.

The record of past forecasts is that of `audit.forecast_scores`. It is no dependency in the graph,
which would be a circle: scores of a night are of this table too, and written after it. Outcomes
that no score tells about yet, such as tonight's, are scored here from the models' own tables.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from assets.forecast.running import FAILURES, forecast_arguments, publish_batches
from assets.history import History, histories
from assets.model.zoo import ENSEMBLED
from assets.pictures import line_picture
from assets.support import Night
from resources.desk import Desk
from resources.reads import slice_of

if TYPE_CHECKING:
    import pandas as pd

    from quant.forecasting.combine import Combination
    from quant.forecasting.forecast import ForecastBatch
    from quant.forecasting.policy import ForecastPolicy
    from quant.forecasting.record import RecordGrid
    from quant.market.panel import DayArray
    from resources.warehouse import Warehouse

WEIGHTS = "forecast.weights"
SCORES = "audit.forecast_scores"


@dg.asset(
    **forecast_arguments(
        "combined", deps=["clean.daily_bars", *(f"forecast.{model}" for model in ENSEMBLED)]
    )
)
def combined(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session and horizon, with the chain of models that were asked."""
    import pandas as pd

    from resources.night_records import record_weights

    night = Night(context, desk)
    provenance = night.provenance
    made = combinations(desk, night.sessions)
    frame = pd.concat([rows for _, rows in made], ignore_index=True)
    failures = pd.concat([one.batch.failures_frame() for one, _ in made], ignore_index=True)
    weights = pd.concat([one.weights for one, _ in made], ignore_index=True)
    desk.warehouse.publish(WEIGHTS, weights, provenance, scope={"session": night.sessions})
    record_weights(desk, provenance, night.sessions[-1], weights)
    spread = frame[frame["horizon_days"] == 1].groupby("session")["std"].median()
    return publish_batches(
        night,
        "combined",
        frame,
        failures,
        snapshot=provenance.snapshot_id,
        one_day_deviation=line_picture("median one-day deviation", spread.tolist()),
        mean_weights=dg.MetadataValue.md(weights_in_words(weights)),
    )


def weights_in_words(weights: "pd.DataFrame") -> str:
    """The mean weight of every model over symbols and sessions, a line a part."""
    means = weights.groupby(["part", "model"])["weight"].mean()
    return "\n".join(
        f"- {part}: {', '.join(f'{model} {share:.2f}' for (_, model), share in rows.items())}"
        for part, rows in means.groupby(level="part")
    )


def combined_rows(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "pd.DataFrame":
    """Rows of the combined forecast, as derived from what a warehouse holds."""
    import pandas as pd

    made = combinations(desk, sessions, warehouse=warehouse)
    return pd.concat([rows for _, rows in made], ignore_index=True)


def weights_rows(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "pd.DataFrame":
    """Rows of the weights, as derived from what a warehouse holds."""
    import pandas as pd

    made = combinations(desk, sessions, warehouse=warehouse)
    return pd.concat([one.weights for one, _ in made], ignore_index=True)


def combinations(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "list[tuple[Combination, pd.DataFrame]]":
    """For each session what was combined, and its rows with the hash of the parts' own rows."""
    lake = warehouse or desk.warehouse
    stretches = list(histories(desk, sessions, warehouse=lake))
    inputs = _Inputs.read(desk, lake, sessions, stretches[-1].returns.sessions)
    return [one for history in stretches for one in inputs.combine(history)]


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Everything that is read, once for all sessions."""

    desk: Desk
    parts: "dict[str, pd.DataFrame]"
    failed: "pd.DataFrame"
    scores: "pd.DataFrame"

    @classmethod
    def read(
        cls, desk: Desk, lake: "Warehouse", sessions: Sequence[dt.date], days: "DayArray"
    ) -> "_Inputs":
        """The models' rows of the sessions, and of those before them that were never scored."""
        scores, unscored = _scores(desk, lake, sessions, days)
        wanted = sorted({*sessions, *unscored})
        parts = {model: slice_of(lake, f"forecast.{model}", wanted) for model in ENSEMBLED}
        return cls(desk, parts, slice_of(lake, FAILURES, sessions), scores)

    def combine(self, history: History) -> "Iterator[tuple[Combination, pd.DataFrame]]":
        """Session by session, each from what was known after it."""
        from quant.forecasting.combine import combine

        policy, grid = _policy(self.desk), self._grid(history)
        for session in history.sessions:
            as_of = self.desk.as_of(session)
            one = combine(
                self._batches(session, as_of),
                symbols=self.desk.universe.symbols,
                session=session,
                as_of=as_of,
                models=ENSEMBLED,
                record=grid.known_on(
                    session,
                    sessions_count=policy.ensemble.record_sessions,
                    window_sessions=policy.fit_window_sessions,
                ),
                policy=policy.ensemble,
            )
            hashes = _part_hashes(self.parts, session)
            rows = one.batch.forecasts
            keys = zip(rows["symbol"], rows["horizon_days"], strict=True)
            yield one, rows.assign(input_hash=[hashes[key] for key in keys])

    def _grid(self, history: History) -> "RecordGrid":
        """Of this history alone: a restated price changes the record from its own night on."""
        import numpy as np
        import pandas as pd

        from quant.forecasting.record import FORECAST_INPUTS, record_grid

        policy = _policy(self.desk)
        first = int(np.searchsorted(history.returns.sessions, np.datetime64(history.sessions[0])))
        reach = max(policy.fit_window_sessions, policy.ensemble.record_sessions)
        one_day = [
            frame.loc[frame["horizon_days"] == 1, list(FORECAST_INPUTS)]
            for frame in self.parts.values()
        ]
        return record_grid(
            self.scores,
            pd.concat(one_day, ignore_index=True),
            history.returns.columns(slice(max(first - reach, 0), None)),
            models=ENSEMBLED,
        )

    def _batches(self, session: dt.date, as_of: dt.datetime) -> "dict[str, ForecastBatch]":
        from quant.forecasting.forecast import FORECAST_COLUMNS, ForecastBatch, ForecastFailure

        failed = _on(self.failed, session)
        batches = {}
        for model, frame in self.parts.items():
            records = failed[failed["model"] == model].to_dict("records")
            batches[model] = ForecastBatch(
                forecasts=_on(frame, session).loc[:, list(FORECAST_COLUMNS)],
                failures=tuple(
                    ForecastFailure(
                        symbol=record["symbol"],
                        session=session,
                        as_of=as_of,
                        model=model,
                        error=record["error"],
                        reason=record["reason"],
                    )
                    for record in records
                ),
            )
        return batches


def _scores(
    desk: Desk, lake: "Warehouse", sessions: Sequence[dt.date], days: "DayArray"
) -> "tuple[pd.DataFrame, list[dt.date]]":
    """One-day scores that may count, and the sessions whose forecasts nobody has scored."""
    import numpy as np

    from quant.forecasting.record import SCORE_INPUTS, unscored_sessions

    begin = int(np.searchsorted(days, np.datetime64(min(sessions), "D")))
    end = int(np.searchsorted(days, np.datetime64(max(sessions), "D"), side="right"))
    begin = max(begin + 1 - _policy(desk).ensemble.record_sessions, 1)
    wanted = days[begin:end]
    first = wanted[0].item() if len(wanted) else max(sessions)
    scores: pd.DataFrame = lake.read(
        f"SELECT {', '.join(SCORE_INPUTS)} FROM {SCORES} "
        "WHERE session BETWEEN ? AND ? AND horizon_days = 1 ORDER BY session, model, symbol",
        [first, max(sessions)],
    )
    missing = np.flatnonzero(np.isin(days, unscored_sessions(scores, wanted)))
    return scores, [days[place - 1].item() for place in missing]


def _policy(desk: Desk) -> "ForecastPolicy":
    from quant.forecasting.policy import ForecastPolicy

    return desk.policy("forecasts", ForecastPolicy)


def _on(frame: "pd.DataFrame", session: dt.date) -> "pd.DataFrame":
    return frame[frame["session"].dt.date == session]


def _part_hashes(parts: "dict[str, pd.DataFrame]", session: dt.date) -> dict[tuple[str, int], str]:
    from quant.core.identity import chain_hash

    found: dict[tuple[str, int], list[str]] = {}
    for frame in parts.values():
        for symbol, horizon, text in _on(frame, session)[
            ["symbol", "horizon_days", "row_hash"]
        ].itertuples(index=False):
            found.setdefault((symbol, horizon), []).append(text)
    return {key: chain_hash(hashes) for key, hashes in found.items()}
