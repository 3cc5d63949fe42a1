"""A restatement adds a row and changes nothing that was decided before it."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from quant.market.vintages import known_bars, vintages
from resources.settings import project_root
from resources.warehouse import LakeLocation, Provenance, Warehouse

KEY = ("symbol", "basis", "session", "source")
DELAY = dt.timedelta(hours=1)
MONDAY, TUESDAY, WEDNESDAY = (dt.date(2022, 11, day) for day in (14, 15, 16))


def as_of(session: dt.date) -> dt.datetime:
    return dt.datetime.combine(session, dt.time(22), tzinfo=dt.UTC)


def bars(**closes: float) -> pd.DataFrame:
    """One bar of AAPL a weekday, complete at 21:00 UTC and known a quarter of an hour later."""
    days = {"monday": MONDAY, "tuesday": TUESDAY, "wednesday": WEDNESDAY}
    frame = pd.DataFrame({"session": [days[name] for name in closes], "close": closes.values()})
    done = [dt.datetime.combine(day, dt.time(21), tzinfo=dt.UTC) for day in frame["session"]]
    return frame.assign(
        symbol="AAPL",
        basis="raw",
        event_time=pd.to_datetime(done),
        known_at=pd.to_datetime(done) + pd.Timedelta(minutes=15),
        source="test",
        asset_class="us_equity",
        currency="USD",
        open=None,
        high=None,
        low=None,
        volume=None,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Warehouse]:
    migrations = project_root() / "duckdb/migrations"
    with Warehouse.open(LakeLocation.in_folder(tmp_path), migrations=migrations) as warehouse:
        yield warehouse


def land(lake: Warehouse, frame: pd.DataFrame, *, retrieved_at: dt.datetime) -> int:
    provenance = Provenance(run_id="r", snapshot_id=lake.snapshot_id(), code_version="c")
    return lake.append_versions(
        "raw.daily_bars", frame, provenance, key=KEY, retrieved_at=retrieved_at
    ).rows


def test_the_same_answer_again_adds_nothing(lake: Warehouse):
    """A nightly asks for the last week each night; only what is new may land."""
    assert land(lake, bars(monday=10.0, tuesday=11.0), retrieved_at=as_of(TUESDAY)) == 2
    assert land(lake, bars(monday=10.0, tuesday=11.0), retrieved_at=as_of(WEDNESDAY)) == 0


def test_a_restatement_is_another_row_known_when_it_was_retrieved(lake: Warehouse):
    """The vendor corrects Monday on Wednesday and claims to have known it all along."""
    land(lake, bars(monday=10.0, tuesday=11.0), retrieved_at=as_of(TUESDAY))
    assert land(lake, bars(monday=10.5, wednesday=12.0), retrieved_at=as_of(WEDNESDAY)) == 2
    stored = lake.read("SELECT * FROM raw.daily_bars ORDER BY session, known_at")
    monday = stored[stored["session"].dt.date == MONDAY]
    assert monday["close"].tolist() == [10.0, 10.5]
    assert monday["known_at"].iloc[1] == pd.Timestamp(as_of(WEDNESDAY))
    assert monday["row_hash"].nunique() == 2


def test_what_tuesday_saw_stays_and_wednesday_sees_the_correction(lake: Warehouse):
    """Two vintages: the night before the restatement, and the night that got it."""
    land(lake, bars(monday=10.0, tuesday=11.0), retrieved_at=as_of(TUESDAY))
    land(lake, bars(monday=10.5, wednesday=12.0), retrieved_at=as_of(WEDNESDAY))
    versions = lake.read("SELECT * FROM raw.daily_bars")
    assert known_bars(versions, as_of=as_of(TUESDAY))["close"].tolist() == [10.0, 11.0]
    assert known_bars(versions, as_of=as_of(WEDNESDAY))["close"].tolist() == [10.5, 11.0, 12.0]
    found = vintages(versions, [MONDAY, TUESDAY, WEDNESDAY], as_of=as_of, delay=DELAY)
    assert [vintage.sessions for vintage in found] == [(MONDAY, TUESDAY), (WEDNESDAY,)]


def test_back_to_the_first_value_is_a_restatement_too(lake: Warehouse):
    """10.0, then 10.5, then 10.0 again are three versions, not two."""
    for close, day in ((10.0, MONDAY), (10.5, TUESDAY), (10.0, WEDNESDAY)):
        assert land(lake, bars(monday=close), retrieved_at=as_of(day)) == 1
    closes = lake.read("SELECT close FROM raw.daily_bars ORDER BY known_at")["close"]
    assert closes.tolist() == [10.0, 10.5, 10.0]


def test_a_range_without_revisions_is_one_vintage(lake: Warehouse):
    """The usual case costs one frame, however many sessions are asked for."""
    land(lake, bars(monday=1.0, tuesday=2.0, wednesday=3.0), retrieved_at=as_of(WEDNESDAY))
    versions = lake.read("SELECT * FROM raw.daily_bars")
    found = vintages(versions, [TUESDAY, WEDNESDAY], as_of=as_of, delay=DELAY)
    assert [vintage.sessions for vintage in found] == [(TUESDAY, WEDNESDAY)]
