"""The accuracy study in small: real models and one rival, kept pieces, and the page."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import accuracy
from benchmarks._accuracy_page import accepted_line, write_page
from resources.desk import Desk
from resources.settings import Settings


@pytest.fixture
def study(tmp_path: Path) -> accuracy.Study:
    desk = Desk(Settings.from_env({"PMX_HOME": str(tmp_path), "PMX_WORKERS": "1"}))
    stocks = replace(
        accuracy.STOCKS,
        name="two stocks",
        symbols=("JNJ", "XOM"),
        start=dt.date(2021, 6, 1),
        every_sessions=80,
    )
    return accuracy.Study(
        samples=(stocks,),
        folder=tmp_path / "pieces",
        desk=desk,
        rivals=("AutoETS",),
        block_origins=3,
    )


# statsforecast's docstrings hold LaTeX in plain strings; Python says so when it compiles them.
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_a_stopped_study_goes_on_and_the_page_tells_what_came_out(study, tmp_path):
    """Five origins in two pieces a model; with one piece lost, that one alone is made again."""
    told: list[str] = []
    (first,) = accuracy.investigate(replace(study, say=told.append))
    models = {*study.models, "combined", "AutoETS"}
    assert len(told) == 2 * (len(study.models) + 1)
    assert first.origins == 5
    assert set(first.table["model"]) == models
    assert first.table["count"].tolist() == [10] * 3 * len(models)
    (line,) = first.table[
        (first.table["model"] == "naive") & (first.table["horizon_days"] == 5)
    ].to_dict("records")
    assert (line["rmse_ratio"], line["pinball_ratio"]) == (1.0, 1.0)

    lost = next(study.folder.glob("sarimax-*")) / "done.json"
    lost.unlink()
    told.clear()
    (again,) = accuracy.investigate(replace(study, say=told.append))
    assert len(told) == 1
    assert "sarimax" in told[0]
    assert again.table.equals(first.table)

    page = tmp_path / "accuracy.md"
    write_page(page, [first], policy=study.policy, today=dt.date(2026, 1, 2))
    text = page.read_text(encoding="utf-8")
    assert accepted_line(first) in text
    assert text.count("| **combined** |") == 3
    assert "Written on 2026-01-02" in text
    assert "5 origins from 2021-06-01" in text


def test_the_line_of_acceptance_names_each_horizon(study):
    """The ratio of pinball losses, below one to pass."""
    (findings,) = accuracy.investigate(replace(study, rivals=()))
    rows = accuracy.acceptance(findings)
    assert [row["name"] for row in rows] == ["accuracy_pinball_1d", "accuracy_pinball_5d"]
    table = findings.table.set_index(["model", "horizon_days"])["pinball"]
    expected = table["combined", 1] / table["naive", 1]
    assert rows[0]["ratio"] == pytest.approx(expected, abs=1e-4)
    assert rows[0]["limit"] == 1.0
