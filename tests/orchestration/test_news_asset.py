"""The nightly's news: what lies in the folder, each once, whatever else lies there."""

import datetime as dt
import json

import dagster as dg

from assets.raw.news import news
from quant.core.clock import SteppedClock
from resources.desk import Desk
from resources.settings import Settings

NIGHT = dt.date(2022, 12, 28)
RECORD = {"event_time": "2022-12-28T15:00:00Z", "symbol": "AAPL", "headline": "Shares rise"}


def materialize(desk: Desk) -> dg.ExecuteInProcessResult:
    return dg.materialize([news], partition_key=NIGHT.isoformat(), resources={"desk": desk})


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_a_folder_of_news_is_read_night_by_night(tmp_path):
    """First there is none; then a good file beside a broken one; then nothing new."""
    with Desk(Settings.from_env({"PMX_HOME": str(tmp_path / "home")})) as desk:
        desk.clock = SteppedClock(desk.as_of(NIGHT))
        assert check_of(materialize(desk)).passed

        folder = desk.settings.paths.news
        folder.mkdir(parents=True)
        (folder / "good.jsonl").write_text(json.dumps(RECORD), encoding="utf-8")
        (folder / "broken.jsonl").write_text("{", encoding="utf-8")
        for _night in range(2):
            seen = check_of(materialize(desk))
            assert not seen.passed
            assert "broken.jsonl, line 1" in str(seen.metadata["broken"].value)
            rows = desk.warehouse.rows("SELECT source, symbol, known_at FROM raw.news")
            assert rows == [("good", "AAPL", desk.as_of(NIGHT))]
