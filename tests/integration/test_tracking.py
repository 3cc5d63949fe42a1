"""Nights in a real MLflow on SQLite, and the outbox that feeds it."""

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from quant.core.clock import SteppedClock
from quant.core.errors import DataError, PolicyError, StorageUnavailableError, UsageError
from resources.tracking import Tracking, flush_outbox, redacted, run_url
from resources.tracking_outbox import TrackingOutbox
from resources.tracking_record import NightRecord, frame_hash, night_record
from resources.tracking_server import read_server_config

# MLflow 3.17 declares its mappers with a loader that SQLAlchemy 2.1 deprecates; it works.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

SESSION = dt.date(2022, 12, 28)
NOW = dt.datetime(2022, 12, 29, 1, tzinfo=dt.UTC)
DAGSTER_RUN = "3f6c2a8e-55d1-4a0e-9b1a-6d2c90f1b7e4"
SYMBOLS = pd.DataFrame({"symbol": ["AAPL", "MSFT"], "rmse": [0.02, 0.018]})


def night(**changes):
    """The arguments of one night; `changes` replace some."""
    said = {
        "params": {"order": "(1, 0, 1)", "refit_every_sessions": 5},
        "metrics": {"rmse_ratio": 0.97, "coverage_90": 0.91, "fallbacks": 1},
        "tags": {
            "dagster/run_id": DAGSTER_RUN,
            "snapshot_id": 412,
            "code_version": "9f71e4a",
            "git_sha": "9f71e4a",
            "data_version": "abc",
            "book": "paper",
        },
        "artifacts": {"symbols": SYMBOLS},
    }
    return said | changes


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> tuple[str, str]:
    """One SQLite store for all tests: making it takes two seconds. Each test has its own model."""
    folder = tmp_path_factory.mktemp("mlflow")
    return f"sqlite:///{folder}/db/mlflow.db", str(folder / "artifacts")


@pytest.fixture(scope="module")
def tracking(store) -> Tracking:
    return Tracking(*store, clock=SteppedClock(NOW))


@pytest.fixture(scope="module")
def client(tracking):
    """MLflow's own client, to look at what really is in the store."""
    return tracking._client


def runs_of(client, model: str):
    experiment = client.get_experiment_by_name(f"pmx/{model}")
    return client.search_runs([experiment.experiment_id])


def put(outbox: TrackingOutbox, model: str, session: dt.date = SESSION, **changes) -> Path:
    return outbox.put(model, session, recorded_at=NOW, **night(**changes))


def test_a_night_is_one_run_with_parameters_metrics_tags_and_a_table(tracking, client, tmp_path):
    """What went in is what MLflow's own client reads back."""
    run_id = tracking.record_night("garch", SESSION, **night())
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "garch 2022-12-28"
    assert run.data.params == {"order": "(1, 0, 1)", "refit_every_sessions": "5"}
    assert run.data.metrics["rmse_ratio"] == 0.97
    assert run.data.metrics["session_yyyymmdd"] == 20221228
    assert run.data.tags["dagster/run_id"] == DAGSTER_RUN
    assert (run.data.tags["snapshot_id"], run.data.tags["latest"]) == ("412", "true")
    local = client.download_artifacts(run_id, "symbols.parquet", str(tmp_path))
    pd.testing.assert_frame_equal(pd.read_parquet(local), SYMBOLS)


def test_the_same_night_again_adds_nothing_even_from_another_dagster_run(tracking, client):
    """A repeated nightly has another run id and snapshot, but says the same: the run stays as it
    was."""
    first = tracking.record_night("twice", SESSION, **night())
    elsewhere = night()["tags"] | {
        "dagster/run_id": "another",
        "snapshot_id": 999,
        "mlflow.note.content": "Dagster run another",
    }
    second = tracking.record_night("twice", SESSION, **night(tags=elsewhere))
    assert first == second
    assert len(runs_of(client, "twice")) == 1
    assert client.get_run(first).data.tags["dagster/run_id"] == DAGSTER_RUN
    assert len(client.get_metric_history(first, "rmse_ratio")) == 1


def test_a_changed_night_supersedes_the_old_one_and_both_remain(tracking, client):
    """History is kept; exactly one version is the latest, also after going back."""
    old = tracking.record_night("changed", SESSION, **night())
    new = tracking.record_night("changed", SESSION, **night(metrics={"rmse_ratio": 0.9}))
    assert old != new
    assert client.get_run(old).data.tags["superseded_by"] == new
    assert tracking.find_night("changed", SESSION, book="paper") == new
    assert tracking.record_night("changed", SESSION, **night()) == old
    latest = [r.info.run_id for r in runs_of(client, "changed") if r.data.tags["latest"] == "true"]
    assert latest == [old]


def test_books_are_kept_apart(tracking):
    """A backtest of the same session never supersedes the paper book's night."""
    paper = tracking.record_night("books", SESSION, **night())
    tags = night()["tags"] | {"book": "backtest-o'1"}
    backtest = tracking.record_night("books", SESSION, **night(tags=tags))
    assert tracking.find_night("books", SESSION, book="paper") == paper
    assert tracking.find_night("books", SESSION, book="backtest-o'1") == backtest
    assert tracking.find_night("books", dt.date(2022, 1, 3), book="paper") is None
    assert tracking.find_night("never-seen", SESSION, book="paper") is None


def test_a_run_that_a_crash_left_unfinished_is_completed_and_not_doubled(tracking, client, store):
    """The process dies before the last call; sending again fills the same run, once."""

    class CrashError(Exception):
        pass

    def die(*_args, **_kwargs):
        raise CrashError

    broken = Tracking(*store, clock=SteppedClock(NOW))
    assert broken._client is not client
    broken._client.set_terminated = die
    with pytest.raises(StorageUnavailableError, match="CrashError"):
        broken.record_night("crashed", SESSION, **night())
    assert [run.info.status for run in runs_of(client, "crashed")] == ["RUNNING"]
    run_id = tracking.record_night("crashed", SESSION, **night())
    (run,) = runs_of(client, "crashed")
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert len(client.get_metric_history(run_id, "rmse_ratio")) == 1


def test_a_thousand_metrics_and_parameters_are_sent_in_batches(tracking, client):
    """More than MLflow takes at once."""
    many = {f"metric_{place}": place / 7 for place in range(1005)}
    params = {f"parameter_{place}": place for place in range(150)}
    run_id = tracking.record_night("many", SESSION, **night(metrics=many, params=params))
    run = client.get_run(run_id)
    assert len(run.data.metrics) == 1006
    assert len(run.data.params) == 150


def test_a_metric_without_a_finite_value_is_named_and_not_stored(tracking, client):
    """An infinity would be stored as the largest float and win every comparison."""
    metrics = {
        "rmse_ratio": float("inf"),
        "coverage_90": None,
        "bias": float("nan"),
        "fallbacks": 0,
    }
    run_id = tracking.record_night("missing", SESSION, **night(metrics=metrics))
    run = client.get_run(run_id)
    assert set(run.data.metrics) == {"fallbacks", "session_yyyymmdd"}
    assert run.data.tags["metrics_missing"] == "bias, coverage_90, rmse_ratio"


def test_every_filter_of_the_documentation_finds_what_it_promises(tracking, client):
    """Each string of docs/mlflow.md is run against the store, beside a night that it must not
    find."""
    good = {
        "coverage_90_h1": 0.9,
        "coverage_90_h20": 0.88,
        "without_parameters": 1,
        "coverage_90_h1_wild": 0.86,
        "pinball_h1": None,
    }
    tags = night()["tags"] | {"symbols": ",AAPL,C,KO,"}
    wanted = tracking.record_night("docs", SESSION, **night(metrics=good, tags=tags))
    bad = {"coverage_90_h1": 0.5, "coverage_90_h20": 0.5, "without_parameters": 0}
    tags |= {
        "dagster/run_id": "x",
        "snapshot_id": 1,
        "book": "backtest",
        "symbols": ",AAPL,CAT,",
    }
    other = night(metrics=bad, tags=tags, params={"refit_every_sessions": 1})
    unwanted = tracking.record_night("docs", dt.date(2022, 11, 1), **other)
    page = Path("docs/mlflow.md").read_text(encoding="utf-8")
    filters = re.findall(r"```filter\n(.*?)\n```", page, flags=re.DOTALL)
    assert len(filters) == 11
    experiment = client.get_experiment_by_name("pmx/docs").experiment_id
    for filter_string in filters:
        found = {run.info.run_id for run in client.search_runs([experiment], filter_string)}
        assert wanted in found, filter_string
        assert (unwanted in found) == (filter_string == "tags.latest = 'true'"), filter_string


def test_the_outbox_is_flushed_once_and_leads_to_the_same_run(store, client, tracking, tmp_path):
    """Leave two nights, flush, flush again: two runs, an empty outbox, and nothing added."""
    outbox = TrackingOutbox(tmp_path / "outbox")
    put(outbox, "boxed")
    put(outbox, "boxed", dt.date(2022, 12, 27))
    assert put(outbox, "boxed") in outbox.pending()
    assert len(outbox.pending()) == 2
    done = flush_outbox(str(tmp_path / "outbox"), *store)
    assert [one["session"] for one in done["sent"]] == ["2022-12-27", "2022-12-28"]
    assert (done["kept"], outbox.pending()) == ([], [])
    assert flush_outbox(str(tmp_path / "outbox"), *store)["note"] == "nothing to send"
    put(outbox, "boxed")
    again = flush_outbox(str(tmp_path / "outbox"), *store)
    assert again["sent"][0]["run_id"] == done["sent"][1]["run_id"]
    assert len(runs_of(client, "boxed")) == 2
    assert client.list_artifacts(again["sent"][0]["run_id"])[0].path == "symbols.parquet"


def test_a_dead_mlflow_keeps_every_record_with_its_reason(tmp_path):
    """Nobody listens on the address; the flush returns soon, says why, and shows no password."""
    outbox = TrackingOutbox(tmp_path)
    places = [put(outbox, "kept"), put(outbox, "kept", dt.date(2022, 12, 27))]
    done = flush_outbox(str(tmp_path), "http://someone:secret@127.0.0.1:9", "")
    assert (done["sent"], len(done["kept"])) == ([], 2)
    assert "MLflow at http://127.0.0.1:9 did not take" in done["kept"][0]["reason"]
    assert "secret" not in str(done)
    assert outbox.pending() == sorted(places)
    assert (sorted(places)[0] / "failure.json").is_file()


def test_a_record_that_cannot_be_read_is_kept_and_the_others_go_on(store, client, tmp_path):
    """One torn file and one changed number: neither is sent, neither stops the third."""
    outbox = TrackingOutbox(tmp_path)
    torn, changed = put(outbox, "torn"), put(outbox, "torn", dt.date(2022, 12, 27))
    put(outbox, "torn", dt.date(2022, 12, 29))
    (torn / "record.json").write_text('{"format": 1, "model"', encoding="utf-8")
    text = (changed / "record.json").read_text(encoding="utf-8")
    (changed / "record.json").write_text(text.replace("0.97", "0.79"), encoding="utf-8")
    done = flush_outbox(str(tmp_path), *store)
    assert [one["session"] for one in done["sent"]] == ["2022-12-29"]
    reasons = {one["record"]: one["reason"] for one in done["kept"]}
    assert "cannot be read" in reasons[torn.name]
    assert "not what it was" in reasons[changed.name]


def test_a_record_that_mlflow_refuses_does_not_hold_up_the_others(store, client, tmp_path):
    """A deleted experiment refuses new runs; the other model's night is sent all the same."""
    Tracking(*store).record_night("deleted", SESSION, **night())
    client.delete_experiment(client.get_experiment_by_name("pmx/deleted").experiment_id)
    outbox = TrackingOutbox(tmp_path)
    put(outbox, "deleted", dt.date(2022, 12, 27))
    put(outbox, "zz-fine")
    done = flush_outbox(str(tmp_path), *store)
    assert [one["model"] for one in done["sent"]] == ["zz-fine"]
    assert [one["record"][11:18] for one in done["kept"]] == ["deleted"]


def test_a_crash_after_sending_sends_nothing_twice(tmp_path):
    """The folder was renamed but not removed: the next flush removes it, and a fresh draft
    stays."""
    outbox = TrackingOutbox(tmp_path)
    place = put(outbox, "gone")
    place.rename(tmp_path / f".sent-{place.name}")
    (tmp_path / ".draft-fresh").mkdir()
    put(outbox, "next")
    sent: list[str] = []

    def send(record: NightRecord, files: list[Path]) -> str:
        sent.append(record.model)
        return "run"

    outbox.flush(send)
    assert sent == ["next"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".draft-fresh", ".lock"]


def test_a_process_killed_while_leaving_records_leaves_none_by_half(tmp_path):
    """kill -9 in the middle of writing: every record that is listed is whole."""
    code = f"""
import datetime as dt, pathlib, pandas as pd
from resources.tracking_outbox import TrackingOutbox
outbox = TrackingOutbox(pathlib.Path({str(tmp_path)!r}))
frame = pd.DataFrame({{"symbol": ["AAPL"] * 500, "rmse": range(500)}})
for place in range(100_000):
    outbox.put("garch", dt.date(2022, 12, 28), recorded_at=dt.datetime.now(dt.UTC), params={{}},
               metrics={{"place": place}}, tags={{}}, artifacts={{"symbols": frame}})
    print(place, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
    writer.kill()
    writer.stdout.close()
    writer.wait()
    read: list[float] = []

    def send(record: NightRecord, files: list[Path]) -> str:
        assert len(pd.read_parquet(files[0])) == 500
        read.append(record.metrics["place"])
        return "run"

    report = TrackingOutbox(tmp_path).flush(send)
    assert report.kept == ()
    assert set(acknowledged) <= set(read)


def test_two_flushes_at_once_do_not_send_the_same_record(tmp_path):
    """While one is sending, the other leaves at once and says so."""
    outbox = TrackingOutbox(tmp_path)
    put(outbox, "busy")
    notes = []

    def send(record: NightRecord, files: list[Path]) -> str:
        notes.append(TrackingOutbox(tmp_path).flush(send).note)
        return "run"

    assert len(outbox.flush(send).sent) == 1
    assert notes == ["another flush is under way"]


def test_leaving_a_record_imports_no_mlflow():
    """The nightly pays neither seconds nor memory for it."""
    code = (
        "import sys, resources.tracking, resources.tracking_outbox, resources.report_page;"
        "sys.exit(any(name in sys.modules for name in ('mlflow', 'plotly', 'scipy', 'dagster')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_outbox_that_cannot_be_written_says_what_to_do(tmp_path):
    """A file where the folder should be: a typed error, and no draft left behind."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageUnavailableError) as refused:
        put(TrackingOutbox(tmp_path / "file"), "garch")
    assert "trading does not depend on it" in refused.value.remedy


def test_names_that_could_leave_the_folder_are_refused(tmp_path):
    """Model and artifact names become file names."""
    outbox = TrackingOutbox(tmp_path / "outbox")
    with pytest.raises(UsageError, match="a model's name"):
        put(outbox, "../garch")
    with pytest.raises(UsageError, match="cannot name an artifact"):
        put(outbox, "garch", artifacts={"../../x": SYMBOLS})
    with pytest.raises(UsageError, match="cannot name a parameter"):
        put(outbox, "garch", params={"a;b": 1})
    assert not (tmp_path / "outbox").exists()


def test_a_record_survives_its_way_through_json():
    """Same record, same identity; another format is not guessed at."""
    record = night_record("garch", SESSION, recorded_at=NOW, **night())
    again = NightRecord.from_json(record.to_json())
    assert (again, again.identity) == (record, record.identity)
    with pytest.raises(DataError, match="another format"):
        NightRecord.from_json(record.to_json().replace('"format": 1', '"format": 2'))


def test_the_hash_of_a_table_sees_values_names_and_types_but_not_the_index():
    """One changed cell is another table; a sliced frame with the same rows is not."""
    assert frame_hash(SYMBOLS) == frame_hash(SYMBOLS.set_axis([7, 8]))
    assert frame_hash(SYMBOLS) != frame_hash(SYMBOLS.assign(rmse=[0.02, 0.0181]))
    assert frame_hash(SYMBOLS) != frame_hash(SYMBOLS.rename(columns={"rmse": "mae"}))
    assert frame_hash(SYMBOLS) != frame_hash(SYMBOLS.astype({"rmse": "float32"}))


def test_a_long_parameter_is_cut_but_keeps_its_identity():
    """MLflow refuses more than 6,000 characters."""
    one, other = ({"order": "x" * 9000 + end} for end in ("a", "b"))
    first = night_record("garch", SESSION, recorded_at=NOW, **night(params=one))
    second = night_record("garch", SESSION, recorded_at=NOW, **night(params=other))
    assert len(first.params["order"]) < 6000
    assert first.identity != second.identity


def test_links_lead_to_the_run(tracking):
    """Dagster's metadata shows this address."""
    run_id = tracking.record_night("linked", SESSION, **night())
    url = tracking.run_url(run_id, base_url="http://127.0.0.1:5000/")
    assert re.fullmatch(rf"http://127\.0\.0\.1:5000/#/experiments/\d+/runs/{run_id}", url)
    assert run_url("http://x", experiment_id="1", run_id="r") == "http://x/#/experiments/1/runs/r"
    assert redacted("postgresql://me:pw@db/mlflow") == "postgresql://db/mlflow"


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred")
def test_the_servers_file_names_options_that_mlflow_has():
    """Every option and flag is checked against MLflow's own command line."""
    from mlflow.cli import server

    config = read_server_config(Path("mlflow/server.yaml"))
    command = config.command(url="sqlite:///x.db", artifact_root="/artifacts")
    known = {name for option in server.params for name in (*option.opts, *option.secondary_opts)}
    assert {part for part in command if part.startswith("--")} <= known
    assert config.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert config.base_url == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    "text", ["options: [1]", "other: {}", "options: {'--x y': 1}", "flags: {a: 1}", "a: [", "3"]
)
def test_a_servers_file_that_is_wrong_is_named(text, tmp_path):
    """Which file, and what to do."""
    path = tmp_path / "server.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"server\.yaml"):
        read_server_config(path)
