"""Which sessions are partitions, what the schedule asks for, and what the sensors say."""

import datetime as dt
import functools
import json
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from assets.partitions import CALENDAR, FIRST_SESSION, trading_days
from dagster_project.definitions import build_defs
from jobs.nightly import nightly_schedule
from quant.market.calendars import sessions
from sensors.failures import failed_run_sensor
from sensors.freshness import WATCHED, expected_session, stale_night_sensor

NEW_YORK = ZoneInfo("America/New_York")


def new_york(*moment: int) -> dt.datetime:
    return dt.datetime(*moment, tzinfo=NEW_YORK)  # type: ignore[misc, arg-type]


def utc(*moment: int) -> dt.datetime:
    return dt.datetime(*moment, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


@functools.cache
def location() -> dg.RepositoryDefinition:
    return build_defs().get_repository_def()


def tick(moment: dt.datetime) -> list[dg.RunRequest] | str:
    """What the schedule does at a moment: its requests, or why there are none."""
    context = dg.build_schedule_context(scheduled_execution_time=moment, repository_def=location())
    data = nightly_schedule.evaluate_tick(context)
    return list(data.run_requests or []) or str(data.skip_message)


def test_partitions_are_the_sessions_of_the_exchange() -> None:
    """Every session since the beginning, and neither a weekend nor a holiday."""
    keys = trading_days.get_partition_keys(current_time=new_york(2022, 12, 31, 12))
    days = sessions(CALENDAR, FIRST_SESSION, dt.date(2022, 12, 30))
    assert keys == [str(day) for day in days]
    assert "2022-12-26" not in keys  # Christmas was observed on the Monday
    assert "2022-12-24" not in keys


def test_fridays_partition_is_there_on_saturday_morning() -> None:
    """Otherwise the night after Friday could not run before Monday."""
    saturday, friday = new_york(2022, 12, 17, 0, 30), new_york(2022, 12, 16, 23, 59)
    assert trading_days.get_partition_keys(current_time=saturday)[-1] == "2022-12-16"
    assert trading_days.get_partition_keys(current_time=friday)[-1] == "2022-12-15"


@pytest.mark.parametrize(
    ("night", "session"),
    [
        pytest.param(new_york(2022, 12, 28, 0, 30), "2022-12-27", id="an ordinary Tuesday"),
        pytest.param(new_york(2022, 12, 17, 0, 30), "2022-12-16", id="Saturday, for Friday"),
        pytest.param(new_york(2022, 11, 26, 0, 30), "2022-11-25", id="a half-day"),
        pytest.param(new_york(2022, 3, 15, 0, 30), "2022-03-14", id="first after summer time"),
        pytest.param(new_york(2022, 11, 8, 0, 30), "2022-11-07", id="first after winter time"),
    ],
)
def test_a_session_is_asked_for_once(night: dt.datetime, session: str) -> None:
    """The run key keeps a second tick of the same night from starting a second run."""
    requests = tick(night)
    assert [(one.run_key, one.partition_key) for one in requests] == [  # type: ignore[union-attr]
        (f"nightly:{session}", session)
    ]


@pytest.mark.parametrize(
    ("night", "day"),
    [
        pytest.param(new_york(2022, 12, 27, 0, 30), "2022-12-26", id="after a holiday"),
        pytest.param(new_york(2022, 12, 18, 0, 30), "2022-12-17", id="after a Saturday"),
        pytest.param(new_york(2022, 12, 19, 0, 30), "2022-12-18", id="after a Sunday"),
    ],
)
def test_a_night_without_a_session_says_so(night: dt.datetime, day: str) -> None:
    said = tick(night)
    assert said == f"{day} was no session of XNYS: nothing to do"


def test_the_clock_of_new_york_decides_when_a_night_begins() -> None:
    """Half past midnight there, whatever the clocks of Europe or the server say."""
    schedule = (nightly_schedule.cron_schedule, nightly_schedule.execution_timezone)
    assert schedule == ("30 0 * * 2-6", "America/New_York")


@pytest.mark.parametrize(
    ("now", "session"),
    [
        pytest.param(utc(2022, 12, 28, 8), "2022-12-23", id="the night may still run"),
        pytest.param(utc(2022, 12, 28, 10), "2022-12-27", id="the night must be done"),
        pytest.param(utc(2022, 12, 26, 12), "2022-12-23", id="a long weekend"),
    ],
)
def test_the_expected_night_is_the_last_one_that_had_time(now: dt.datetime, session: str) -> None:
    """Twelve hours after the close (21:00 UTC in winter) a night counts as due."""
    assert str(expected_session(now)) == session


def report_night(instance: dg.DagsterInstance, session: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(WATCHED, partition=session))


def test_the_stale_sensor_names_the_night_that_is_missing_and_how_far_behind() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keys = trading_days.get_partition_keys()
        expected = str(expected_session(dt.datetime.now(dt.UTC)))
        report_night(instance, keys[keys.index(expected) - 3])
        said = stale_night_sensor(dg.build_sensor_context(instance=instance))
        assert isinstance(said, dg.SkipReason)
        told = re.fullmatch(
            rf"the night of {expected} is missing \((\d+) sessions behind\): run `pmx nightly`",
            str(said.skip_message),
        )
        # Three, and the newest partition, whose night may still run.
        assert told
        assert int(told[1]) in {3, 4}


def test_the_stale_sensor_is_content_when_the_night_is_there() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        expected = str(expected_session(dt.datetime.now(dt.UTC)))
        report_night(instance, expected)
        said = stale_night_sensor(dg.build_sensor_context(instance=instance))
        assert said == dg.SkipReason(f"the night of {expected} is complete")


def test_a_failed_run_leaves_a_line_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a person and `pmx doctor` look, in words and with what to do next."""

    @dg.op
    def break_down() -> None:
        raise dg.Failure("the source sent nonsense")

    @dg.job
    def broken() -> None:
        break_down()

    monkeypatch.setenv("PMX_HOME", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/partition": "2022-12-27"}
        result = broken.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_run_sensor",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        )
        failed_run_sensor(context.for_run_failure())
    (line,) = (tmp_path / "logs/failed_runs.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["run_id"] == result.run_id
    assert (record["job"], record["partition"]) == ("broken", "2022-12-27")
    assert "break_down" in record["cause"]
    assert "pmx nightly --session DATE" in record["remedy"]
