"""`pmx ingest`, `synth`, `data quality`, `features` and `refusals` on a warehouse of their own."""

import datetime as dt
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.cli.features import Proof
from apps.feature_proof import prove_features
from quant.features import CATALOGUE, Catalogue, Family, Feature, Unit
from quant.features.bars import Bars
from quant.market.panel import FloatArray
from resources.online_features import OnlineFeatures
from resources.warehouse import LakeLocation, storage_errors
from tests.support.pmx_calls import Pmx, desk_at, in_process, table_counts

HEADER = "date,open,high,low,close,volume\n"


def bars_csv(sessions: int = 40, *, close_step: float = 0.1) -> str:
    """A quiet series from 2024-01-02 on, on New York's sessions."""
    from quant.market.calendars import sessions as trading_days

    days = trading_days("XNYS", dt.date(2024, 1, 2), dt.date(2024, 6, 28))[:sessions]
    rows = []
    for number, day in enumerate(days):
        close = 100 + close_step * (number % 7) + 0.01 * number
        rows.append(f"{day},{close - 0.1:.2f},{close + 0.5:.2f},{close - 0.5:.2f},{close:.2f},1000")
    return HEADER + "\n".join(rows) + "\n"


@pytest.fixture
def pmx(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Pmx:
    return in_process(tmp_path / "home", capfd)


def test_a_synthetic_market_is_written_ingested_judged_and_listed(pmx: Pmx, tmp_path: Path) -> None:
    """The whole way of a vendor's folder, with faults whose places are known beforehand."""
    folder = tmp_path / "market"
    made = pmx("synth", "--symbols", 4, "--years", 2, "--defects", "--out", folder, "--json")
    assert made.code == 0
    planted = made.json["defects"]
    assert planted
    assert set(made.json["files"]) == {"actions.parquet", "bars.parquet", "market.json"}

    first = pmx("ingest", folder, "--json").json
    assert first["rows_landed"] == first["rows_delivered"] == made.json["bars"]
    assert 0 < first["rows_published"] <= first["rows_landed"]
    assert first["skipped"] == ["market.json"]
    assert sum(one["rows"] for one in first["series"]) == made.json["bars"]
    assert sum(one["published"] for one in first["series"]) == first["rows_published"]
    assert sum(one["findings"] for one in first["series"]) == first["findings"]

    listed = pmx("data", "quality", "--json").json
    assert len(listed["findings"]) == first["findings"]
    assert sum(listed["by_rule"].values()) == first["findings"]
    spikes = {(d["symbol"], d["session"]) for d in planted if d["kind"] == "close_above_high"}
    found = {
        (one["symbol"], one["session"]) for one in listed["findings"] if one["rule"] == "ohlc_order"
    }
    assert spikes == found

    again = pmx("ingest", folder, "--json").json
    assert [again[name] for name in ("rows_landed", "rows_published", "findings")] == [0, 0, 0]
    assert table_counts(tmp_path / "home") == table_counts(tmp_path / "home")


def test_findings_are_filtered_by_symbol_day_basis_and_severity(pmx: Pmx, tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(bars_csv().replace(",1000\n", ",0\n", 3), encoding="utf-8")
    assert pmx("ingest", tmp_path / "AAA.csv").code == 0

    def rules(*options: str) -> dict[str, int]:
        counts: dict[str, int] = pmx("data", "quality", *options, "--json").json["by_rule"]
        return counts

    assert rules() == {"zero_volume": 3}
    assert rules("--symbol", "aaa", "--since", "2024-01-03") == {"zero_volume": 2}
    assert rules("--basis", "total_return") == rules("--severity", "critical") == {}
    one = pmx("data", "quality", "--json").json["findings"][0]
    assert (one["symbol"], one["session"], one["value"]) == ("AAA", "2024-01-02", 1.0)
    pmx("data", "quality", "--since", "yesterday").error(2, "--since")


def test_a_correction_is_known_when_it_came_and_not_before(pmx: Pmx, tmp_path: Path) -> None:
    """The file says when the bar was traded. What past decisions saw must not change with it."""
    file = tmp_path / "AAA.csv"
    text = bars_csv()
    file.write_text(text, encoding="utf-8")
    before = dt.datetime.now(dt.UTC)
    assert pmx("ingest", file, "--json").json["rows_published"] == 40
    assert ",100.21," in text
    file.write_text(text.replace(",100.21,", ",100.31,"), encoding="utf-8")
    corrected = pmx("ingest", file, "--json").json
    assert (corrected["rows_landed"], corrected["rows_published"]) == (1, 1)

    with desk_at(tmp_path / "home") as desk:
        for table in ("raw.daily_bars", "clean.daily_bars"):
            versions = desk.warehouse.rows(
                f"SELECT known_at, close FROM {table} WHERE session IN "
                f"(SELECT session FROM {table} GROUP BY session HAVING count(*) = 2) "
                "ORDER BY session, known_at"
            )
            old, new = versions[:2]
            assert old[0] < before < new[0]


def test_columns_are_mapped_and_intraday_bars_have_a_table_of_their_own(
    pmx: Pmx, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    stamps = pd.date_range("2024-01-02 14:30", periods=12, freq="5min", tz="UTC")
    pd.DataFrame(
        {"Zeit": stamps.strftime("%Y-%m-%dT%H:%M:%SZ"), "Last": np.linspace(10, 11, 12)}
    ).to_csv(folder / "BBB.csv", index=False)
    pmx("ingest", folder).error(3, "BBB.csv", "--map")
    given = ("--map", "time=Zeit", "--map", "close=Last")
    result = pmx("ingest", folder, *given, "--json").json
    assert (result["intraday_landed"], result["rows_delivered"]) == (12, 0)
    assert pmx("ingest", folder, *given, "--json").json["intraday_landed"] == 0
    pmx("ingest", folder, "--map", "close").error(2, "FIELD=COLUMN")
    pmx("ingest", folder, "--calendar", "MOON", *given).error(2, "MOON")


def test_what_an_interrupted_load_left_unjudged_is_judged_by_the_next(
    tmp_path: Path, pmx: Pmx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the rows landed in raw, and again after the findings were written."""
    from assets.clean import backlog

    file = tmp_path / "AAA.csv"
    file.write_text(bars_csv().replace(",1000\n", ",0\n", 3), encoding="utf-8")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backlog, "_publish", die)
        assert pmx("ingest", file).code == 130
    counts = table_counts(tmp_path / "home")
    assert (counts["raw.daily_bars"], counts["clean.daily_bars"]) == (40, 0)
    with monkeypatch.context() as patch:
        patch.setattr("quant.market.quality_gate.is_publishable", die)
        assert pmx("ingest", file).code == 130
    counts = table_counts(tmp_path / "home")
    assert (counts["clean.findings"], counts["clean.daily_bars"]) == (3, 0)

    result = pmx("ingest", file, "--json").json
    assert (result["rows_landed"], result["rows_published"], result["findings"]) == (0, 40, 3)
    after = table_counts(tmp_path / "home")
    assert (after["clean.findings"], after["clean.daily_bars"]) == (3, 40)
    assert pmx("ingest", file, "--json").json["rows_published"] == 0
    assert table_counts(tmp_path / "home") == after


def test_ctrl_c_in_a_query_is_ctrl_c() -> None:
    """DuckDB swallows the interrupt and raises an error of its own in its place."""
    lake = LakeLocation.in_folder(Path("lake"))
    with pytest.raises(KeyboardInterrupt), storage_errors(lake):
        raise RuntimeError("Query interrupted")
    with (
        pytest.raises(RuntimeError, match="other"),
        storage_errors(lake),
    ):
        raise RuntimeError("some other fault")


def test_findings_of_other_bars_stay_when_a_file_fills_a_hole(pmx: Pmx, tmp_path: Path) -> None:
    """One half of the year is loaded first and the rest after; the first half's findings stay."""
    lines = bars_csv(60).replace(",1000\n", ",0\n", 3).splitlines(keepends=True)
    file = tmp_path / "AAA.csv"
    file.write_text(lines[0] + "".join(lines[1:20] + lines[40:]), encoding="utf-8")
    pmx("ingest", file)
    before = pmx("data", "quality", "--json").json["by_rule"]
    assert before == {"zero_volume": 3, "gap": 1, "long_gap": 1}
    file.write_text(lines[0] + "".join(lines[20:40]), encoding="utf-8")
    filled = pmx("ingest", file, "--json").json
    assert filled["rows_published"] == 20
    after = pmx("data", "quality", "--json").json["by_rule"]
    assert after["zero_volume"] == 3  # of bars that this file did not bring


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the bundled data before 2022-12-01 and the features of a few nights."""
    from apps.loading import load_sample
    from assets.feature.rows import feature_rows, prepare_columns

    home = tmp_path_factory.mktemp("loaded")
    days = [dt.date(2022, 11, 29), dt.date(2022, 11, 30)]
    with desk_at(home) as desk:
        load_sample(desk, until=dt.date(2022, 12, 1), run_id="first")
        prepare_columns(desk.warehouse, "feature.daily_features")
        desk.warehouse.publish(
            "feature.daily_features",
            feature_rows(desk, days),
            desk.provenance("first", "feature"),
            scope={"session": days},
        )
    return home


def test_the_bundled_data_loads_once_and_the_nights_bring_the_rest(loaded: Path) -> None:
    """All but the universe's own later bars; loading twice changes nothing."""
    from apps.loading import load_sample
    from resources.market_data.sample import SampleSource

    with desk_at(loaded) as desk:
        bars = SampleSource(desk.sample_folder).all_daily_bars()
        own = (bars["basis"] == "total_return") & bars["symbol"].isin(desk.universe.symbols)
        later = own & (bars["session"] >= dt.date(2022, 12, 1))
        stored = desk.warehouse.rows("SELECT count(*) FROM raw.daily_bars")[0][0]
        assert stored == len(bars) - int(later.sum()) > 300_000
        before = desk.warehouse.snapshot_id()
        again = load_sample(desk, until=dt.date(2022, 12, 1), run_id="second")
        assert (again.rows_landed, again.rows_published, again.findings) == (0, 0, 0)
        assert desk.warehouse.snapshot_id() == before
        rest = load_sample(desk, run_id="third")
        assert rest.rows_landed == int(later.sum()) > 0


def test_the_bulk_verdict_is_the_pure_verdict_of_the_rules(loaded: Path) -> None:
    """An independent judgement without Great Expectations and without the lake."""
    from quant.market.calendars import sessions
    from quant.market.quality import measure
    from quant.market.quality_gate import judge
    from quant.market.quality_rules import QualityPolicy
    from resources.market_data.sample import SampleSource

    with desk_at(loaded) as desk:
        policy = desk.policy("quality", QualityPolicy)
        source = SampleSource(desk.sample_folder)
        bars = source.all_daily_bars()
        chosen = bars[(bars["basis"] == "raw") & (bars["asset_class"] != "crypto")]
        days = sessions("XNYS", chosen["session"].min(), chosen["session"].max())
        measured = measure(chosen, sessions=days, actions=source.all_actions(), policy=policy)
        expected = judge(measured, policy=policy)
        found = desk.warehouse.read(
            "SELECT symbol, session, rule FROM clean.findings "
            "WHERE basis = 'raw' AND symbol <> 'BTC-USD'"
        )
    keys = [
        set(zip(frame["symbol"], frame["session"].dt.date, frame["rule"], strict=True))
        for frame in (expected, found)
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 20


def test_the_stored_features_of_a_symbol_are_printed(
    loaded: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pmx = in_process(loaded, capfd)
    newest = pmx("features", "show", "aapl", "--json").json
    assert newest["session"] == "2022-11-30"
    assert set(newest["features"]) == set(CATALOGUE.names())
    older = pmx("features", "show", "AAPL", "--session", "2022-11-29", "--json").json
    assert older["features"]["close_lag_1_price"] != newest["features"]["close_lag_1_price"]
    pmx("features", "show", "NOPE").error(2, "NOPE")
    pmx("features", "show", "AAPL", "--session", "2022-11-05").error(2, "2022-11-05")


def test_one_symbol_s_latest_features_are_read_in_milliseconds(loaded: Path) -> None:
    """On a warm connection, p99 below 10 ms."""
    with desk_at(loaded) as desk:
        store = OnlineFeatures(desk.warehouse)
        assert store.latest("MSFT") is not None
        rounds = [_read_times_ms(store, "AAPL", count=40) for _ in range(8)]
    # The best of several rounds: other work on this machine is not what is measured.
    assert min(float(np.percentile(taken, 99)) for taken in rounds) < 10


def _read_times_ms(store: OnlineFeatures, symbol: str, *, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        row = store.latest(symbol)
        taken.append((time.perf_counter() - started) * 1000)
        assert row is not None
        assert row.session == dt.date(2022, 11, 30)
    return taken


def test_a_newer_row_is_seen_by_a_reader_that_was_there_before(loaded: Path) -> None:
    """What is held in memory is let go as soon as somebody commits, also from another process."""
    from assets.feature.rows import feature_rows

    day = dt.date(2022, 11, 28)
    with desk_at(loaded) as reader, desk_at(loaded) as writer:
        store = OnlineFeatures(reader.warehouse)
        before = store.latest("AAPL")
        assert before is not None
        frame = feature_rows(writer, [dt.date(2022, 11, 30)]).assign(
            session=pd.Timestamp("2022-12-15"), close_lag_1_price=1.5
        )
        writer.warehouse.publish(
            "feature.daily_features",
            frame,
            writer.provenance("later", "feature"),
            scope={"session": [dt.date(2022, 12, 15)]},
        )
        after = store.latest("AAPL")
        assert after is not None
        assert (after.session, after.features["close_lag_1_price"]) == (dt.date(2022, 12, 15), 1.5)
        assert store.on("AAPL", day) is None


def tomorrows_close(bars: Bars) -> Sequence[FloatArray]:
    """A feature that peeks: pandas' shift(-1)."""
    close = bars.field("close")
    return [np.concatenate([close[:, 1:], np.full((len(close), 1), np.nan)], axis=1)]


def close_only(text: str) -> str:
    cells = [line.split(",") for line in text.splitlines()]
    return "".join(f"{row[0]},{row[4]}\n" for row in cells)


def test_every_feature_is_proved_and_a_leak_is_exit_code_one(
    pmx: Pmx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file with closes alone most features have no value; the bundled data proves those."""
    (tmp_path / "AAA.csv").write_text(close_only(bars_csv(100)), encoding="utf-8")
    assert pmx("ingest", tmp_path / "AAA.csv").code == 0
    monkeypatch.setattr("apps.feature_proof.SERIES_MAX", 3)
    honest = pmx("features", "prove", "--json")
    assert (honest.code, honest.json["holds"]) == (0, True)
    assert honest.json["features"] == len(CATALOGUE.names())
    assert min(one["values_compared"] for one in honest.json["results"]) > 0
    places = {one["feature"]: one["proved_on"] for one in honest.json["results"]}
    assert places["close_lag_1_price"] == "clean"
    assert set(places.values()) == {"clean", "bundled"}

    peeking = Feature(
        name="close_next_price",
        unit=Unit.PRICE,
        subject="lags",
        inputs=("close",),
        warm_up_bars=0,
        description="Tomorrow's close.",
    )
    families = (CATALOGUE.families[0], Family(function=tomorrows_close, features=(peeking,)))
    with desk_at(tmp_path / "home") as desk:
        results = prove_features(desk, lambda _: None, catalogue=Catalogue(families=families))
    assert [one.feature for one in results if not one.holds] == ["close_next_price"]
    assert "became" in str(results[-1].leak)
    proof = Proof(
        features=len(results), holds=False, values_compared=1, proved_on={}, results=tuple(results)
    )
    assert proof.exit_code == 1


def test_a_ledger_that_never_was_has_no_refusals(pmx: Pmx) -> None:
    assert pmx("refusals", "--json").json["count"] == 0
    assert "no refusal" in pmx("refusals").out


def test_data_docs_are_one_page_a_table_and_need_no_network(pmx: Pmx, tmp_path: Path) -> None:
    pmx("data", "quality", "--docs").error(2, "empty", "pmx ingest sample")
    (tmp_path / "AAA.csv").write_text(bars_csv().replace(",1000\n", ",0\n", 3), encoding="utf-8")
    pmx("ingest", tmp_path / "AAA.csv")
    index = Path(pmx("data", "quality", "--docs", "--json").json["docs"])
    assert index == tmp_path / "home/data-docs/index.html"
    pages = {page.name: page.read_text(encoding="utf-8") for page in index.parent.glob("*.html")}
    assert set(pages) == {"index.html", "raw_daily_bars.html", "clean_daily_bars.html"}
    assert "nothing was traded" in pages["raw_daily_bars.html"]
    assert not any("http://" in page or "https://" in page for page in pages.values())


def test_json_is_one_object_for_every_command(pmx: Pmx) -> None:
    for line in (
        ["data", "quality"],
        ["refusals"],
        ["ingest", "nowhere"],
        ["synth", "--seed", "x"],
    ):
        assert isinstance(json.loads(pmx(*line, "--json").out), dict)
