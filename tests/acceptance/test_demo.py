"""The first five minutes of a stranger: the demo, then the questions that its output suggests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resources.settings import project_root


def pmx(home: Path, *words: str) -> dict[str, Any]:
    """Run a command as a person's script would; standard output is one JSON object."""
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli.main", *words, "--home", str(home), "--json"],
        cwd=project_root(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(home: Path) -> dict[str, Any]:
    return pmx(home, "demo")


@pytest.mark.timeout(900)
def test_the_demo_ends_in_trades_a_refused_model_and_a_report(home: Path, demo: dict[str, Any]):
    """At least fifty paper trades, a model that may not trade and why, and one page to read."""
    assert demo["sessions"] == 60
    assert demo["trades"] >= 50
    assert demo["refusals"] > demo["trades"]
    assert demo["audits"] >= 50
    assert demo["gate"] in {"KEEP", "RESEARCH_ONLY", "DISABLE_DEFAULT"}
    assert float(demo["equity"]) > 0
    assert any("persistence refused" in reason for reason in demo["refused"])
    page = Path(demo["report"]).read_text(encoding="utf-8")
    assert demo["fill_id"][:10].startswith("f-")
    assert "persistence refused" in page
    assert home in Path(demo["report"]).parents


@pytest.mark.timeout(300)
def test_a_second_demo_has_nothing_left_to_do(home: Path, demo: dict[str, Any]):
    """The same figures, at once."""
    again = pmx(home, "demo")
    assert again == demo | {"was_done_before": True}


@pytest.mark.timeout(600)
def test_every_fill_is_derived_again_bit_for_bit(home: Path, demo: dict[str, Any]):
    """`pmx replay --all --verify`: every decision behind a fill, from raw rows to the fill."""
    replayed = pmx(home, "replay", "--all", "--verify")
    assert replayed["verdict"] == "MATCH"
    assert replayed["decisions"] == replayed["matches"] == demo["trades"]


@pytest.mark.timeout(300)
def test_every_fill_can_be_explained_to_its_raw_rows(home: Path, demo: dict[str, Any]):
    """`pmx why` needs no manual join for any of them."""
    from apps.lineage.explain import explain
    from apps.lineage.lakes import open_lakes
    from resources.desk import Desk
    from resources.settings import Settings

    with Desk(Settings.from_env({}, home=home)) as desk, open_lakes(desk) as lakes:
        with desk.ledger() as ledger:
            fills = ledger.fills(book="paper")
        assert len(fills) == demo["trades"]
        for fill in fills:
            chain = explain(lakes, fill.fill_id)
            bars = [step for step in chain.steps if step.table == "raw.daily_bars"]
            assert max(step.rows for step in bars) > 500
