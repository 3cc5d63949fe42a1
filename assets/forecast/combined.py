"""The forecast that decisions use: mean and volatility, each from the first model that answers."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.forecast.running import FAILURES, forecast_arguments, publish_batches
from assets.model.zoo import PARTS
from assets.pictures import line_picture
from assets.support import Night
from resources.desk import Desk
from resources.reads import slice_of

if TYPE_CHECKING:
    import pandas as pd

    from quant.forecasting.forecast import ForecastBatch
    from resources.warehouse import Warehouse


@dg.asset(**forecast_arguments("combined", deps=[f"forecast.{part}" for part in PARTS]))
def combined(
    context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]
) -> dg.MaterializeResult:
    """One row a symbol, session and horizon, with the chain of models that were asked."""
    night = Night(context, desk)
    provenance = night.provenance
    frame, failures = combined_rows(desk, night.sessions)
    spread = frame[frame["horizon_days"] == 1].groupby("session")["std"].median()
    return publish_batches(
        night,
        "combined",
        frame,
        failures,
        snapshot=provenance.snapshot_id,
        one_day_deviation=line_picture("median one-day deviation", spread.tolist()),
    )


def combined_rows(
    desk: Desk, sessions: Sequence[dt.date], *, warehouse: "Warehouse | None" = None
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Rows of the combined forecast, and who has none; inputs are the parts' own row hashes."""
    import pandas as pd

    lake = warehouse or desk.warehouse
    parts = {part: slice_of(lake, f"forecast.{part}", sessions) for part in PARTS}
    failed = slice_of(lake, FAILURES, sessions)
    rows, failures = [], []
    for session in sessions:
        batch = _combine(desk, parts, failed, session)
        hashes = _part_hashes(parts, session)
        rows.append(
            batch.forecasts.assign(
                input_hash=[
                    hashes[symbol, horizon]
                    for symbol, horizon in zip(
                        batch.forecasts["symbol"], batch.forecasts["horizon_days"], strict=True
                    )
                ]
            )
        )
        failures.append(batch.failures_frame())
    return pd.concat(rows, ignore_index=True), pd.concat(failures, ignore_index=True)


def _combine(
    desk: Desk, parts: dict[str, "pd.DataFrame"], failed: "pd.DataFrame", session: dt.date
) -> "ForecastBatch":
    from quant.forecasting.combine import combine
    from quant.forecasting.forecast import FORECAST_COLUMNS, ForecastBatch, ForecastFailure

    def on(frame: "pd.DataFrame") -> "pd.DataFrame":
        return frame[frame["session"].dt.date == session]

    batches = {}
    for part, frame in parts.items():
        forecasts = on(frame).loc[:, list(FORECAST_COLUMNS)]
        forecasts["session"] = session
        records = on(failed)[on(failed)["model"] == part].to_dict("records")
        batches[part] = ForecastBatch(
            forecasts=forecasts,
            failures=tuple(
                ForecastFailure(
                    symbol=record["symbol"],
                    session=session,
                    as_of=desk.as_of(session),
                    model=part,
                    error=record["error"],
                    reason=record["reason"],
                )
                for record in records
            ),
        )
    return combine(
        batches, symbols=desk.universe.symbols, session=session, as_of=desk.as_of(session)
    )


def _part_hashes(parts: dict[str, "pd.DataFrame"], session: dt.date) -> dict[tuple[str, int], str]:
    from quant.core.identity import chain_hash

    found: dict[tuple[str, int], list[str]] = {}
    for frame in parts.values():
        night = frame[frame["session"].dt.date == session]
        for symbol, horizon, text in night[["symbol", "horizon_days", "row_hash"]].itertuples(
            index=False
        ):
            found.setdefault((symbol, horizon), []).append(text)
    return {key: chain_hash(hashes) for key, hashes in found.items()}
