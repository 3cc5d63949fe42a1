"""From a fill back to raw rows, derived again, and forwards from a bar to money: on a real flow."""

import contextlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.cli.main import main
from resources.desk import Desk
from resources.settings import Settings
from tests.support.small_flow import SYMBOLS, run_small_flow, small_settings

Pmx = Callable[..., tuple[int, Any, str]]
FLOW = [
    "raw.daily_bars",
    "clean.daily_bars",
    "model.sarimax_fits",
    "model.garch_fits",
    "model.samossa_fits",
    "model.mssa_rl_fits",
    "forecast.naive",
    "forecast.sarimax",
    "forecast.garch",
    "forecast.samossa",
    "forecast.mssa_rl",
    "forecast.combined",
    "model.verdicts",
    "feature.daily_features",
    "signal.daily_signals",
    "target.daily_weights",
    "order.intents",
    "order.fills",
]


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which four nights were traded."""
    folder = tmp_path_factory.mktemp("flow")
    settings = small_settings(folder, folder / "home")
    # Only reading is tested here; what making a home warns about is for the tests of the flow.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        run_small_flow(settings)
    return settings


@pytest.fixture
def pmx(flow: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Pmx:
    """Run a command on the home, or on a copy of it; --json answers come back parsed."""
    monkeypatch.setenv("PMX_CONFIG_DIR", str(flow.config_dir))

    def call(*arguments: str, home: Path = flow.home) -> tuple[int, Any, str]:
        capfd.readouterr()
        code = main([*arguments, "--home", str(home)])
        output = capfd.readouterr()
        answer = json.loads(output.out) if "--json" in arguments else output.out
        return code, answer, output.err

    return call


@pytest.fixture
def fills(flow: Settings) -> list[Any]:
    """Every fill of the book."""
    with Desk(flow) as desk, desk.ledger() as ledger:
        return ledger.fills(book="paper")


@pytest.fixture
def copied(flow: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of the home, for tests that spoil it."""
    home = tmp_path / "copy"
    shutil.copytree(flow.home, home, ignore=shutil.ignore_patterns("dagster", "outbox"))
    yield small_settings(tmp_path, home)
    shutil.rmtree(home)


def spoil(settings: Settings, sql: str) -> None:
    """Change rows through DuckLake, as somebody with a SQL prompt would."""
    with Desk(settings) as desk:
        desk.warehouse.execute(sql)


def spoil_file(settings: Settings, table: str, where: str, change: str) -> None:
    """Rewrite the Parquet file that holds the row, behind DuckLake's back."""
    import duckdb

    for path in (settings.paths.lake / "data" / table.replace(".", "/")).glob("*.parquet"):
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t AS SELECT * FROM '{path}'")
            if connection.execute(f"SELECT count(*) FROM t WHERE {where}").fetchall()[0][0]:
                _rewrite(path, where, change)
                _tell_catalog(settings, path)
                return
    raise AssertionError(f"no file of {table} has a row with {where}")


def _rewrite(path: Path, where: str, change: str) -> None:
    """By pyarrow, which keeps the field ids that DuckLake finds columns by."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    symbol, session = where.split("'")[1], where.split("'")[3]
    table = pq.read_table(path)
    column, amount = change.split(" + ")
    days = pc.cast(table["session"], "string")
    mask = pc.and_(pc.equal(table["symbol"], symbol), pc.equal(days, session))
    values = pc.if_else(mask, pc.add(table[column], float(amount)), table[column])
    position = table.column_names.index(column)
    pq.write_table(table.set_column(position, table.schema.field(column), values), path)


def _tell_catalog(settings: Settings, path: Path) -> None:
    """The catalog keeps the sizes of a file and its footer; with the old ones it is unreadable."""
    import sqlite3

    footer = int.from_bytes(path.read_bytes()[-8:-4], "little")
    with contextlib.closing(sqlite3.connect(settings.paths.catalog)) as catalog, catalog:
        catalog.execute(
            "UPDATE ducklake_data_file SET file_size_bytes = ?, footer_size = ? "
            "WHERE path LIKE '%' || ?",
            [path.stat().st_size, footer, path.name],
        )


def first_difference(pmx: Pmx, fill: Any, home: Path) -> dict[str, Any]:
    """Replay a fill that must not match; gives what is named."""
    code, answer, _ = pmx("replay", fill.fill_id, "--verify", "--json", home=home)
    assert (code, answer["verdict"]) == (1, "DIFFERS")
    difference: dict[str, Any] = answer["first_difference"]
    return difference


def test_why_walks_from_a_fill_to_raw_rows(pmx: Pmx, fills: list[Any]) -> None:
    """Every step names its row and its origin; the last ones are the bars themselves."""
    fill = fills[0]
    code, answer, _ = pmx("why", fill.fill_id, "--json")
    steps = {step["table"]: step for step in answer["steps"]}

    assert code == 0
    assert (answer["kind"], answer["decision_id"]) == ("fill", fill.decision_id)
    assert set(FLOW) <= set(steps)
    for step in answer["steps"]:
        assert all(step[name] for name in ("row_hash", "run_id", "code_version")), step["table"]
        assert step["snapshot_id"] >= 0
    raw = answer["steps"][-1]
    assert raw["table"] == "raw.daily_bars"
    assert raw["rows"] == steps["clean.daily_bars"]["rows"] > 400
    assert raw["values"]["last_session"] == str(fill.session)
    signal = steps["signal.daily_signals"]
    bps = 1e4 * signal["values"]["expected_return"]
    assert f"BUY {fill.symbol} expects {bps:.0f} bps over 20 days, 30 required" in signal["says"]


def test_why_reads_well_in_eighty_columns(pmx: Pmx, fills: list[Any]) -> None:
    code, page, _ = pmx("why", fills[0].fill_id)
    assert code == 0
    assert max(len(line) for line in page.splitlines()) <= 80
    assert page.index("order.fills") < page.index("signal.daily_signals")
    assert page.index("signal.daily_signals") < page.rindex("raw.daily_bars")


def test_every_kind_of_id_and_its_first_characters_find_the_same_decision(
    pmx: Pmx, fills: list[Any]
) -> None:
    fill = fills[0]
    for given in (fill.fill_id[:14], fill.client_order_id, fill.decision_id[:14]):
        assert pmx("why", given, "--json")[1]["decision_id"] == fill.decision_id


def test_why_of_a_refusal_shows_its_gate_with_the_arithmetic(flow: Settings, pmx: Pmx) -> None:
    with Desk(flow) as desk, desk.ledger() as ledger:
        refusal = ledger.refusals(book="paper", gate="no_change")[0]
    code, answer, _ = pmx("why", refusal.refusal_id, "--json")
    step = answer["steps"][0]
    assert (code, answer["kind"], step["table"]) == (0, "refusal", "order.refusals")
    assert "refused at the gate no_change: holds" in step["says"]
    assert "held_weight" in step["says"]
    assert "expected_return" in step["says"]
    assert answer["steps"][-1]["table"] == "raw.daily_bars"


@pytest.mark.parametrize("identity", ["f-0000000000", "what", "d-12"])
def test_an_unknown_id_says_where_ids_are_found(pmx: Pmx, identity: str) -> None:
    code, _, error = pmx("why", identity)
    assert code == 2
    assert "pmx demo" in error
    assert "order.fills" in error


def test_too_few_characters_are_not_searched_for(pmx: Pmx, fills: list[Any]) -> None:
    code, _, error = pmx("why", fills[0].fill_id[:5])
    assert code == 2
    assert "at least 8 characters" in error


def test_a_prefix_of_several_ids_asks_for_more(
    pmx: Pmx, fills: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are hashes and rarely clash, so here two characters are enough to be searched for."""
    monkeypatch.setattr("apps.lineage.subject.PREFIX_MIN", 2)
    code, _, error = pmx("why", "f-")
    assert code == 2
    assert f"is the beginning of {len(fills)} ids" in error
    assert "give more characters" in error


def test_every_fill_comes_out_as_recorded(pmx: Pmx, fills: list[Any]) -> None:
    """The whole book, to the bit; each decision goes through every table of the flow."""
    code, answer, _ = pmx("replay", "--all", "--verify", "--json")
    assert (code, answer["verdict"], answer["matches"]) == (0, "MATCH", len(fills))
    for result in answer["results"]:
        assert result["checked"] == FLOW
        assert result["notes"] == []


def test_refusals_come_out_as_recorded(flow: Settings, pmx: Pmx) -> None:
    """One refused by a verdict on the signal, one by the book; both are derived again."""
    with Desk(flow) as desk, desk.ledger() as ledger:
        found = [ledger.refusals(book="paper", gate=gate)[-1] for gate in ("verdict", "no_change")]
    for refusal in found:
        code, answer, _ = pmx("replay", refusal.refusal_id, "--verify", "--json")
        assert (code, answer["first_difference"]) == (0, None)
        assert answer["results"][0]["checked"][-1] == "order.refusals"


def test_without_verify_the_plan_is_told_and_nothing_derived(pmx: Pmx, fills: list[Any]) -> None:
    code, answer, _ = pmx("replay", fills[0].fill_id, "--json")
    assert (code, answer["verified"]) == (0, False)
    assert [table for table, _ in answer["would_verify"]][:2] == FLOW[:2]


def test_a_raw_price_changed_by_a_cent_through_sql_is_named(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    """Time travel still shows the old row, so the newest state has to be looked at."""
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '2021-06-15'"
    spoil(copied, f"UPDATE raw.daily_bars SET close = close + 0.01 WHERE {where}")
    difference = first_difference(pmx, fill, copied.home)
    assert (difference["table"], difference["column"]) == ("raw.daily_bars", "close")
    assert difference["key"] == f"{fill.symbol} 2021-06-15"
    assert round(difference["stored"] - difference["derived"], 6) == 0.01


def test_a_raw_price_changed_by_a_cent_in_its_file_is_named(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    """Now every snapshot shows the new row; its values no longer give its hash."""
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '2021-06-15'"
    spoil_file(copied, "raw.daily_bars", where, "close + 0.01")
    difference = first_difference(pmx, fill, copied.home)
    assert (difference["table"], difference["column"]) == ("raw.daily_bars", "close")


def test_a_file_that_cannot_be_read_any_more_is_named_by_its_table(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    """Half a file is left of raw; replay says so instead of breaking off."""
    for path in (copied.paths.lake / "data/raw/daily_bars").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    difference = first_difference(pmx, fills[0], copied.home)
    assert difference["table"] == "raw.daily_bars"
    assert "cannot be read" in difference["says"]


def test_a_raw_row_rewritten_with_a_fitting_hash_is_named_too(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    """A careful hand also renews the row's hash; the row that was read is then gone."""
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '2021-06-15'"
    with Desk(copied) as desk:
        from resources.warehouse import LINEAGE_COLUMNS, row_hash_sql

        types = desk.warehouse.columns("raw.daily_bars")
        content = {name: kind for name, kind in types.items() if name not in LINEAGE_COLUMNS}
    spoil(copied, f"UPDATE raw.daily_bars SET close = close + 0.01 WHERE {where}")
    spoil(copied, f"UPDATE raw.daily_bars SET row_hash = {row_hash_sql(content)} WHERE {where}")
    difference = first_difference(pmx, fill, copied.home)
    assert difference["table"] == "raw.daily_bars"


def test_the_raw_bar_of_another_symbol_counts_through_the_verdict(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    """A verdict is pooled over all symbols, so each of their bars is behind every decision."""
    fill = fills[0]
    other = next(symbol for symbol in SYMBOLS if symbol != fill.symbol)
    where = f"symbol = '{other}' AND session = '2021-06-15'"
    spoil(copied, f"UPDATE raw.daily_bars SET close = close + 0.01 WHERE {where}")
    difference = first_difference(pmx, fill, copied.home)
    assert (difference["table"], difference["key"]) == ("raw.daily_bars", f"{other} 2021-06-15")


def test_a_price_after_the_decision_changes_nothing(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    """Two sessions later is after the fill: the decision never saw it."""
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '2022-10-07'"
    spoil(copied, f"UPDATE raw.daily_bars SET close = close + 0.01 WHERE {where}")
    code, answer, _ = pmx("replay", fill.fill_id, "--verify", "--json", home=copied.home)
    assert (code, answer["verdict"]) == (0, "MATCH")


@pytest.mark.parametrize("by_file", [False, True])
def test_a_changed_clean_price_is_named(
    copied: Settings, pmx: Pmx, fills: list[Any], by_file: bool
) -> None:
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '2021-06-15'"
    if by_file:
        spoil_file(copied, "clean.daily_bars", where, "close + 0.01")
    else:
        spoil(copied, f"UPDATE clean.daily_bars SET close = close + 0.01 WHERE {where}")
    difference = first_difference(pmx, fill, copied.home)
    assert (difference["table"], difference["column"]) == ("clean.daily_bars", "close")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("forecast.sarimax", "mean"),
        ("forecast.garch", "std"),
        ("forecast.combined", "mean"),
        ("feature.daily_features", "rsi_14_percent"),
        ("signal.daily_signals", "expected_return"),
        ("target.daily_weights", "weight"),
    ],
)
def test_a_changed_value_is_named_in_its_table(
    copied: Settings, pmx: Pmx, fills: list[Any], table: str, column: str
) -> None:
    """One number of the decision's night, changed by SQL; everything before it still matches."""
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '{fill.session}'"
    spoil(copied, f'UPDATE {table} SET "{column}" = "{column}" + 0.001 WHERE {where}')
    difference = first_difference(pmx, fill, copied.home)
    assert (difference["table"], difference["column"]) == (table, column)


def test_a_forecast_changed_in_its_file_is_named(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    fill = fills[0]
    where = f"symbol = '{fill.symbol}' AND session = '{fill.session}'"
    spoil_file(copied, "forecast.garch", where, "std + 0.001")
    difference = first_difference(pmx, fill, copied.home)
    assert (difference["table"], difference["column"]) == ("forecast.garch", "std")


def test_a_changed_fit_is_named_before_the_forecast_that_used_it(
    copied: Settings, pmx: Pmx, fills: list[Any]
) -> None:
    spoil(
        copied,
        "UPDATE model.garch_fits SET params = replace(params, '\"alpha\":', '\"alpha\":1') "
        f"WHERE symbol = '{fills[0].symbol}'",
    )
    difference = first_difference(pmx, fills[0], copied.home)
    assert (difference["table"], difference["column"]) == ("model.garch_fits", "params")


def test_a_changed_copy_of_a_fill_is_named(copied: Settings, pmx: Pmx, fills: list[Any]) -> None:
    """The ledger is the authority; the warehouse's copy has to say the same."""
    spoil(
        copied,
        f"UPDATE \"order\".fills SET price = price + 0.01 WHERE fill_id = '{fills[0].fill_id}'",
    )
    difference = first_difference(pmx, fills[0], copied.home)
    assert (difference["table"], difference["column"]) == ("order.fills", "price")


def test_a_journal_that_was_edited_is_named(copied: Settings, pmx: Pmx, fills: list[Any]) -> None:
    """One digit of a quantity in the journal breaks its chain."""
    path = copied.paths.ledger / "journal.jsonl"
    text = path.read_text(encoding="utf-8")
    quantity = str(fills[0].quantity)
    path.write_text(text.replace(quantity, f"{Decimal(quantity) + 1}", 1), encoding="utf-8")
    difference = first_difference(pmx, fills[0], copied.home)
    assert difference["table"] == "order.intents"
    assert "record" in difference["says"]


def test_other_code_is_said_plainly(
    pmx: Pmx, fills: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows made by other code may still match; the reader learns both versions."""
    from apps.lineage import replay

    monkeypatch.setattr(replay, "code_version", lambda _stage: "0" * 16)
    code, answer, _ = pmx("replay", fills[0].fill_id, "--verify", "--json")
    notes = answer["results"][0]["notes"]
    assert (code, answer["verdict"]) == (0, "MATCH")
    assert any(
        note.startswith("signal.daily_signals was made by code")
        and note.endswith(f"{'0' * 16} is running")
        for note in notes
    )


def test_impact_follows_a_bar_to_money(flow: Settings, pmx: Pmx, fills: list[Any]) -> None:
    """A bar of the first night is behind that night's decision, and so behind its fill."""
    fill = fills[0]
    own = [one for one in fills if one.symbol == fill.symbol]
    code, answer, _ = pmx("impact", "clean.daily_bars", fill.symbol, str(fill.session), "--json")
    touched = {one["table"]: one for one in answer["touched"]}

    assert code == 0
    assert touched["feature.daily_features"]["rows"] == 4
    assert touched["forecast.combined"]["rows"] == 4 * 3
    assert touched["signal.daily_signals"]["rows"] == 4 * 2
    assert touched["order.fills"]["rows"] == len(own)
    ends = touched["order.intents"]["rows"] + touched["order.refusals"]["rows"]
    assert ends == touched["signal.daily_signals"]["rows"]
    money = answer["money"]
    assert Decimal(money["notional"]) == sum(one.notional for one in own)
    assert Decimal(money["fees"]) == sum(one.fee_amount for one in own)
    with Desk(flow) as desk, desk.ledger() as ledger:
        book = ledger.book("paper")
    position = book.positions[fill.symbol]
    worth = position.quantity * book.prices[fill.symbol]
    assert Decimal(money["unrealised"]) == worth - position.cost
    assert "except through verdicts" in answer["other_symbols"]


def test_impact_of_a_bar_before_every_window_is_nothing_but_features(pmx: Pmx) -> None:
    """The first bar of the history lies before the window of every fit of 2022."""
    code, answer, _ = pmx("impact", "clean.daily_bars", "AAPL", "2021-01-05", "--json")
    assert code == 0
    rows = {one["table"]: one["rows"] for one in answer["touched"] if one["rows"]}
    assert rows == {"feature.daily_features": 4}
    assert Decimal(answer["money"]["notional"]) == 0


def test_raw_and_clean_have_the_same_impact(pmx: Pmx) -> None:
    answers = [
        pmx("impact", table, "AAPL", "2022-10-04", "--json")[1]
        for table in ("raw.daily_bars", "clean.daily_bars")
    ]
    assert answers[0]["touched"] == answers[1]["touched"]
    assert answers[0]["money"] == answers[1]["money"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("clean.daily_bars", "AAPL", "2022-10-02"), "nearest session is 2022-10-03"),
        (("clean.daily_bars", "AAPLX", "2022-10-04"), "did you mean AAPL"),
        (("clean.daily_bars", "AAPL", "yesterday"), "is no day"),
        (("clean.daily_bars", "AAPL"), "a symbol and a session"),
        (("order.fills", "AAPL", "2022-10-04"), "use clean.daily_bars or raw.daily_bars"),
    ],
)
def test_impact_of_an_unknown_key_says_what_there_is(
    pmx: Pmx, arguments: tuple[str, ...], words: str
) -> None:
    code, _, error = pmx("impact", *arguments)
    assert code == 2
    assert words in error


def test_looking_makes_no_warehouse(pmx: Pmx, tmp_path: Path) -> None:
    for command in (("why", "f-0000000000"), ("impact", "raw.daily_bars", "AAPL", "2022-10-04")):
        code, _, error = pmx(*command, home=tmp_path / "empty")
        assert code == 2
        assert "there is no warehouse" in error
    assert not (tmp_path / "empty" / "lake").exists()


def test_every_weight_is_stored_with_its_reason_and_derived_again(flow: Settings) -> None:
    """Shares of one, the very numbers in the forecast's diagnostics, and the same rows today."""
    from apps.lineage.derive import provenance_of
    from apps.lineage.lakes import Lakes
    from assets.forecast.combined import weights_rows

    with Desk(flow) as desk:
        totals = desk.warehouse.rows(
            "SELECT session, symbol, part, sum(weight), bool_and(reason <> '') "
            "FROM forecast.weights GROUP BY ALL"
        )
        assert len(totals) == 4 * len(SYMBOLS) * 2
        assert all(total == pytest.approx(1.0) and told for *_, total, told in totals)
        differing = desk.warehouse.rows(
            "SELECT count(*) FROM forecast.weights AS w JOIN forecast.combined AS f "
            "USING (symbol, session) WHERE f.horizon_days = 1 AND w.weight <> "
            "(f.diagnostics->>(w.part || '_weight_' || w.model))::DOUBLE"
        )
        assert differing == [(0,)]

        lakes = Lakes(desk)
        stored = lakes.rows("forecast.weights", "symbol = ?", ["KO"])
        snapshot, sessions = stored[0].snapshot_id, sorted({row["session"] for row in stored})
        lake = lakes.at(snapshot)
        again = lake.as_stored(
            "forecast.weights",
            weights_rows(desk, sessions, warehouse=lake),
            provenance_of(stored[0]),
        )
        derived = {row["row_hash"] for row in again if row["symbol"] == "KO"}
        assert derived == {row.row_hash for row in stored}


def test_a_night_weighs_models_alike_alone_and_in_a_range(flow: Settings) -> None:
    """The range scored its own nights before any score was stored; a night alone reads the stored.

    Both give the rows of the flow to the bit, and each night knows one outcome more.
    """
    from assets.forecast.combined import combinations
    from assets.model.zoo import ENSEMBLED

    with Desk(flow) as desk:
        days = [
            day
            for (day,) in desk.warehouse.rows(
                "SELECT DISTINCT session FROM forecast.weights ORDER BY 1"
            )
        ]
        known = desk.warehouse.rows(
            "SELECT count(*) FROM forecast.weights WHERE record_sessions > 0 "
            "GROUP BY session ORDER BY session"
        )
        # Nothing is known of the first night; later all but naive drift have a record.
        assert known == [(2 * len(SYMBOLS) * (len(ENSEMBLED) - 1),)] * 3
        ((alone, rows),) = combinations(desk, [days[-1]])
        stored = desk.warehouse.read(
            "SELECT symbol, horizon_days, mean, std, q05, q95, params_hash FROM forecast.combined "
            "WHERE session = ?",
            [days[-1]],
        )
        both = stored.merge(rows, on=["symbol", "horizon_days"], suffixes=("", "_alone"))
        assert len(both) == len(SYMBOLS) * 3
        for column in ("mean", "std", "q05", "q95", "params_hash"):
            assert (both[column] == both[f"{column}_alone"]).all()
        assert alone.weights["record_sessions"].max() > 2


def test_scores_are_kept_by_regime_and_pooled_in_views(flow: Settings) -> None:
    """The views say what the stored rows say, by model, horizon, and regime or symbol."""
    with Desk(flow) as desk:
        rows = desk.warehouse.read(
            "SELECT * FROM audit.forecast_scores WHERE model = 'garch' AND horizon_days = 1"
        )
        assert set(rows["regime"]) <= {"calm", "normal", "wild"}
        regime = rows["regime"].iloc[0]
        part = rows[rows["regime"] == regime]
        (view,) = desk.warehouse.rows(
            "SELECT count, rmse, mase, tracking_error, coverage_90, pinball FROM audit.accuracy "
            "WHERE model = 'garch' AND horizon_days = 1 AND regime = ?",
            [regime],
        )
        assert view == pytest.approx(
            (
                len(part),
                part["squared_error"].mean() ** 0.5,
                part["scaled_error"].mean(),
                part["error"].std(ddof=0),
                part["in_90"].mean(),
                part["pinball"].mean(),
            )
        )
        histograms = desk.warehouse.rows(
            "SELECT sum(count), sum(share) FROM audit.pit_histogram "
            "WHERE model = 'garch' AND horizon_days = 1 AND regime = ?",
            [regime],
        )
        assert histograms == [(len(part), pytest.approx(1.0))]
        symbols = desk.warehouse.rows("SELECT DISTINCT symbol FROM audit.accuracy_by_symbol")
        assert {symbol for (symbol,) in symbols} == set(SYMBOLS)


def test_the_outbox_has_the_nights_weights_audits_and_scores(flow: Settings) -> None:
    """Three kinds of record beside the fits, for MLflow to take when it is there."""
    records = {}
    for path in (flow.home / "outbox").rglob("record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        records[record["model"]] = record
    weights = records["combined"]["metrics"]
    of_mean = [share for name, share in weights.items() if name.startswith("mean_weight_")]
    assert sum(of_mean) == pytest.approx(1.0)
    assert set(weights) >= {"mean_weight_naive", "volatility_weight_garch"}
    audits = records["audits"]
    assert audits["metrics"]["combined_violation"] in (0, 1)
    assert audits["params"]["combined_baseline"] in {"naive", "sarimax", "garch"}
    scores = records["garch_scores"]["metrics"]
    assert {"rmse_h1", "smape_h1", "mase_h1", "coverage_90_h1", "pinball_h1"} <= set(scores)


def test_a_refusal_shows_what_it_gave_up_so_far(flow: Settings, pmx: Pmx) -> None:
    """The command marks it to the newest close while its horizon lies ahead, worked out again."""
    code, answer, _ = pmx("refusals", "--json")
    assert code == 0
    judged = [one for one in answer["refusals"] if one["result_so_far"] is not None]
    assert judged
    assert not any(one["is_final"] for one in judged)
    assert answer["gate_records"] == []
    with Desk(flow) as desk:
        for one in judged:
            [(action, reference, cost, symbol)] = desk.warehouse.rows(
                "SELECT action, reference_price, round_trip_cost, symbol "
                "FROM signal.daily_signals WHERE decision_id = ?",
                [one["decision_id"]],
            )
            [(newest, close)] = desk.warehouse.rows(
                "SELECT max(session), arg_max(close, session) FROM clean.daily_bars "
                "WHERE symbol = ? AND basis = ?",
                [symbol, str(desk.universe.basis)],
            )
            market = close / reference - 1.0
            wanted = market - cost if action == "buy" else -market - cost / 2.0
            assert one["marked_session"] == newest.isoformat()
            assert one["result_so_far"] == pytest.approx(wanted, abs=1e-12)


def test_every_signal_is_a_trade_or_a_refusal_each_night(flow: Settings) -> None:
    """Counted from the ledger's own tables and not from what the nightly says of itself."""
    with Desk(flow) as desk, desk.ledger() as ledger:
        rows = desk.warehouse.rows(
            "SELECT session, list(decision_id) FROM signal.daily_signals GROUP BY session"
        )
        for session, decided in rows:
            intents = {one.decision_id for one in ledger.intents(book="paper", session=session)}
            refused = {one.decision_id for one in ledger.refusals(book="paper", session=session)}
            if not intents and not refused:
                continue
            assert set(decided) == intents | refused
            # An intent may still be refused at the market's door; it is not counted twice.
            assert len(decided) == len(intents) + len(refused - intents)
