"""The suites in Great Expectations itself: one start of the tool for the whole module."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import PolicyError, UsageError
from quant.market.bars import DAILY_BAR_COLUMNS
from quant.market.quality import measure
from quant.market.quality_gate import UNPUBLISHABLE_RULES, is_publishable, judge, quality_score
from quant.market.quality_rules import BAR_RULES, CHECK_COLUMNS, QualityPolicy, Shape
from resources.companion import Companion
from resources.quality import SUITES_DIR, WARM_UP, Quality, SuiteReport

ROOT = SUITES_DIR.parents[1]
SUITES = (
    "clean_daily_bars",
    "feature_daily_features",
    "forecast_daily_forecasts",
    "order_fills",
    "raw_daily_bars",
    "signal_daily_signals",
    "target_daily_weights",
)
NIGHT = pd.Timestamp("2022-01-03")


@pytest.fixture(scope="module")
def companion() -> Iterator[Companion]:
    with Companion(warm=[WARM_UP]) as started:
        yield started


@pytest.fixture(scope="module")
def quality(companion: Companion) -> Quality:
    return Quality(companion=companion)


@pytest.fixture(scope="module")
def dell() -> pd.DataFrame:
    """Real raw bars with 20 phantoms, measured on the sessions that the file itself marks."""
    frame = pd.read_parquet(ROOT / "data" / "sample" / "us_equity_raw_2004_2014_daily.parquet")
    session = pd.to_datetime(frame["date"]).astype("datetime64[s]")
    known = session.dt.tz_localize("UTC")
    bars = frame.assign(symbol=frame["symbol"].astype(str), session=session, basis="raw").assign(
        event_time=known, known_at=known, source="s", asset_class="us_equity", currency="USD"
    )
    real = np.unique(session[frame["on_nyse_session"]].to_numpy().astype("datetime64[D]"))
    return measure(bars.loc[:, list(DAILY_BAR_COLUMNS)], sessions=real)


def rules_of(report: SuiteReport) -> list[tuple[str, str]]:
    return sorted(zip(report.findings["symbol"], report.findings["rule"], strict=True))


def test_the_companion_judges_with_analytics_and_bars_off(
    quality: Quality, companion: Companion, dell: pd.DataFrame
) -> None:
    """The tool finds on real bars, row by row, exactly what the plain rules find."""
    report = quality.validate("raw_daily_bars", dell, run_name="night")
    pd.testing.assert_frame_equal(report.findings, judge(dell))
    assert rules_of(report).count(("DELL", "phantom_bar")) == 20
    assert (report.success, report.blocks, report.evaluated) == (False, True, 19)
    failed = {failure.rule: failure for failure in report.failed}
    assert failed["phantom_bar"].unexpected_count == 20
    assert failed["phantom_bar"].severity == "critical"
    assert report.statistics["unsuccessful_expectations"] == len(report.failed)
    assert companion.call("os:getenv", "GX_ANALYTICS_ENABLED") == "False"
    assert companion.incidents == []


def test_the_suite_and_the_rules_agree_on_every_kind_of_defect(quality: Quality) -> None:
    """Each check column in turn gets its worst value; tool and rules name the same rows."""
    good: dict[str, Any] = dict.fromkeys(DAILY_BAR_COLUMNS, "x")
    checks = {rule.column: rule.shape is Shape.IS_TRUE for rule in BAR_RULES}
    good |= {
        column: (holds if column not in numeric_checks() else 0.0)
        for column, holds in checks.items()
    }
    frame = pd.DataFrame([good | {"session": NIGHT, "symbol": f"S{n}"} for n in range(60)])
    frame = frame.astype({c: "boolean" for c in checks if c not in numeric_checks()})
    for row, rule in enumerate(BAR_RULES):
        bad = 1e6 if rule.shape is Shape.AT_MOST else rule.shape is not Shape.IS_TRUE
        frame.loc[row, rule.column] = bad
        frame.loc[row + 30, rule.column] = None
    report = quality.validate("raw_daily_bars", frame, run_name="worst")
    assert set(report.findings["rule"]) == {rule.name for rule in BAR_RULES}
    pd.testing.assert_frame_equal(report.findings, judge(frame))


def numeric_checks() -> set[str]:
    return {rule.column for rule in BAR_RULES if rule.shape is Shape.AT_MOST}


def test_limits_come_from_the_policy(companion: Companion, dell: pd.DataFrame) -> None:
    """A lower limit for outliers finds more, in the tool as in the rules."""
    strict = QualityPolicy(outlier_robust_z_max=6.0)
    report = Quality(companion=companion, policy=strict).validate(
        "raw_daily_bars", dell, run_name="strict"
    )
    pd.testing.assert_frame_equal(report.findings, judge(dell, policy=strict))
    assert len(report.findings) > len(judge(dell))


def test_what_is_publishable_passes_the_clean_suite(quality: Quality, dell: pd.DataFrame) -> None:
    """Write, audit, publish: with the phantoms out, the clean table holds."""
    assert quality.validate("clean_daily_bars", dell, run_name="n").blocks
    clean = dell[is_publishable(dell)]
    assert len(clean) == len(dell) - 20
    report = quality.validate("clean_daily_bars", clean, run_name="n")
    assert report.success
    assert report.findings.empty


def test_a_missing_column_is_a_finding_about_the_table_and_stops_trading(
    quality: Quality, dell: pd.DataFrame
) -> None:
    """Nothing passes because it could not be looked at."""
    report = quality.validate("raw_daily_bars", dell.drop(columns="is_session"), run_name="n")
    table = report.findings[report.findings["symbol"] == ""]
    assert {"schema", "phantom_bar"} <= set(table["rule"])
    assert "Missing: is_session." in " ".join(table["message"])
    assert "could not be judged" in " ".join(table["message"])
    assert quality_score(report.findings, session=NIGHT, universe=["DELL"]) == 0.0
    empty = quality.validate("raw_daily_bars", dell.iloc[:0], run_name="n")
    assert rules_of(empty) == [("", "not_empty")]


def forecasts(**changes: Any) -> pd.DataFrame:
    good = {"model": "garch", "session": NIGHT, "horizon_days": 5, "mean": 0.01, "std": 0.03}
    good |= {"q05": -0.04, "q25": -0.01, "q50": 0.01, "q75": 0.03, "q95": 0.06}
    rows = [good | {"symbol": "GOOD"}, good | {"symbol": "BAD"} | changes]
    return pd.DataFrame(rows).assign(fit_as_of=NIGHT)


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, set()),
        ({"std": 0.0}, {"std_positive"}),
        ({"std": np.nan}, {"std_given"}),
        ({"std": np.inf}, {"std_positive"}),
        ({"mean": np.inf}, {"mean_finite"}),
        ({"mean": np.nan}, {"mean_given"}),
        ({"q25": 0.02}, {"q25_to_q50_ordered"}),
        ({"q95": -1.0}, {"q75_to_q95_ordered"}),
        ({"q05": -np.inf}, {"q05_finite"}),
        ({"horizon_days": 0}, {"horizon_positive"}),
    ],
)
def test_a_forecast_must_be_a_distribution(
    quality: Quality, changes: dict[str, Any], rules: set[str]
) -> None:
    """One good and one changed row: only the changed one is found, by the rule it breaks."""
    report = quality.validate("forecast_daily_forecasts", forecasts(**changes), run_name="n")
    assert rules_of(report) == sorted(("BAD", rule) for rule in rules)
    assert report.success == (not rules)


def test_a_key_may_stand_once(quality: Quality) -> None:
    """Both rows of a repeated forecast are named."""
    report = quality.validate("forecast_daily_forecasts", forecasts(symbol="GOOD"), run_name="n")
    assert rules_of(report) == [("GOOD", "unique_key")] * 2


def test_signals_weights_and_fills_have_their_walls(quality: Quality) -> None:
    """The hard limits of the stages that lead to money; an empty night of fills is fine."""
    signal = {"strategy": "s", "symbol": "A", "session": NIGHT}
    signal |= {"expected_return": 0.01, "volatility": 0.2}
    signals = pd.DataFrame(
        [
            signal | {"action": "buy", "confidence": 0.6},
            signal | {"symbol": "B", "action": "pray", "confidence": 1.2, "volatility": 0.0},
        ]
    )
    report = quality.validate("signal_daily_signals", signals, run_name="n")
    assert rules_of(report) == [
        ("B", "action_known"),
        ("B", "confidence_is_a_share"),
        ("B", "volatility_positive"),
    ]
    weights = pd.DataFrame(
        {
            "strategy": "s",
            "symbol": list("ABCD"),
            "session": NIGHT,
            "weight": [0.0, 1.0, 1.01, -0.01],
        }
    )
    report = quality.validate("target_daily_weights", weights, run_name="n")
    assert rules_of(report) == [("C", "weight_within_caps"), ("D", "weight_within_caps")]
    fills = pd.DataFrame(
        {
            "fill_id": ["f1", "f2"],
            "symbol": ["A", "B"],
            "side": ["buy", "sell"],
            "quantity": [1.0, 0.0],
            "price": [10.0, -1.0],
            "fee": [0.0, 0.0],
        }
    )
    report = quality.validate("order_fills", fills, keys=("symbol",), run_name="n")
    assert rules_of(report) == [("B", "price_positive"), ("B", "quantity_positive")]
    assert quality.validate("order_fills", fills.iloc[:0], keys=("symbol",), run_name="n").success


def test_the_pages_stand_alone(quality: Quality, dell: pd.DataFrame, tmp_path: Path) -> None:
    """Nothing is fetched from elsewhere, no script runs, and foreign text stays text."""
    hostile = pd.DataFrame({"symbol": ["<svg onload=alert(1)>"], "session": NIGHT, "weight": [2.0]})
    reports = [
        quality.validate("raw_daily_bars", dell, run_name="night-1"),
        quality.validate("target_daily_weights", hostile, run_name="<b>night"),
    ]
    index = quality.submit_docs(reports, tmp_path).result()
    assert index == tmp_path / "index.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.html",
        "raw_daily_bars.html",
        "target_daily_weights.html",
    ]
    for page in tmp_path.iterdir():
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"https?://|<script|<img|<svg|<link|url\(", text)
        assert "Content-Security-Policy" in text
    assert 'href="raw_daily_bars.html"' in index.read_text(encoding="utf-8")
    raw = (tmp_path / "raw_daily_bars.html").read_text(encoding="utf-8")
    assert "2011-11-24" in raw
    assert "The bar is dated on a day on which the exchange was closed." in raw


def test_a_suite_that_is_not_there_or_not_readable_is_named(
    quality: Quality, tmp_path: Path, dell: pd.DataFrame
) -> None:
    """The remedy lists the suites that exist."""
    assert quality.suites() == SUITES
    with pytest.raises(UsageError, match="there is no suite 'raw_bars'") as caught:
        quality.validate("raw_bars", dell, run_name="n")
    assert "raw_daily_bars" in caught.value.remedy
    (tmp_path / "torn.json").write_text('{"name": "torn"')
    with pytest.raises(PolicyError, match="not valid JSON"):
        Quality(suites_dir=tmp_path).validate("torn", dell, run_name="n")


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_is_plain_data_with_a_sentence_for_every_rule(suite: str) -> None:
    """Severity, rule and sentence stand on each expectation; the name is that of the file."""
    statements = json.loads((SUITES_DIR / f"{suite}.json").read_text(encoding="utf-8"))
    assert statements["name"] == suite
    assert f"{statements['meta']['stage']}_{statements['meta']['table']}" == suite
    rules = [statement["meta"]["rule"] for statement in statements["expectations"]]
    assert len(set(rules)) == len(rules)
    assert {"schema", "unique_key"} & set(rules)
    for statement in statements["expectations"]:
        assert statement["severity"] in {"critical", "warning", "info"}
        assert statement["meta"]["sentence"].endswith(".")


@pytest.mark.parametrize(
    ("suite", "names"),
    [
        ("raw_daily_bars", [rule.name for rule in BAR_RULES]),
        ("clean_daily_bars", [name for name in UNPUBLISHABLE_RULES if name != "missing_bar"]),
    ],
)
def test_the_bar_suites_say_what_the_rules_say(suite: str, names: list[str]) -> None:
    """Word for word: column, severity, sentence, and the field of the policy with the limit."""
    statements = json.loads((SUITES_DIR / f"{suite}.json").read_text(encoding="utf-8"))
    stated = {statement["meta"]["rule"]: statement for statement in statements["expectations"]}
    assert set(stated) == {"schema", "not_empty", *names}
    assert stated["schema"]["kwargs"]["column_set"] == [*DAILY_BAR_COLUMNS, *CHECK_COLUMNS]
    for rule in BAR_RULES:
        if rule.name not in names:
            continue
        statement = stated[rule.name]
        assert statement["severity"] == rule.severity
        assert statement["meta"]["sentence"] == rule.sentence
        expected: dict[str, Any] = {"column": rule.column}
        if rule.shape is Shape.AT_MOST:
            expected["max_value"] = {"$PARAMETER": rule.limit_field}
        else:
            expected["value_set"] = [rule.shape is Shape.IS_TRUE]
        assert statement["kwargs"] == expected


def test_the_folder_of_the_suites_holds_data_only_and_importing_us_is_cheap() -> None:
    """A Python file there would hide the package; importing the adapter must not import it."""
    assert not list((ROOT / "great_expectations").rglob("*.py"))
    code = (
        "import sys, resources.quality, resources.quality_docs\n"
        "print('great_expectations' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
