"""Who changed which policy when: found by the next night that decides, kept in the journal."""

import datetime as dt
import json
import os
import shutil
from pathlib import Path

import pytest

from apps.cli.main import main
from assets.policy_record import record_policy_changes
from quant.core.clock import SteppedClock
from quant.governance.policy_changes import flat_values
from resources.desk import Desk
from resources.governance_journal import GovernanceJournal
from resources.settings import Settings, project_root

NIGHT = dt.datetime(2026, 3, 2, 22, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with the shipped policy."""
    shutil.copytree(project_root() / "config", tmp_path / "config")
    return Settings.from_env(
        {"PMX_HOME": str(tmp_path / "home"), "PMX_CONFIG_DIR": str(tmp_path / "config")}
    )


def night(settings: Settings) -> list[str]:
    """What a process of its own would record: a desk reads its policies once."""
    with Desk(settings, clock=SteppedClock(NIGHT)) as desk:
        found = record_policy_changes(desk)
        assert record_policy_changes(desk) == []
    return [one.policy for one in found]


def edit(settings: Settings, name: str, old: str, new: str) -> None:
    """By hand, as people do, last Monday morning."""
    path = settings.config_dir / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    moment = dt.datetime(2026, 2, 23, 9, 30, tzinfo=dt.UTC).timestamp()
    os.utime(path, (moment, moment))


def test_the_first_night_records_every_file_and_the_second_nothing(settings: Settings) -> None:
    """Nobody has to tell it where to begin."""
    files = sorted(path.stem for path in settings.config_dir.glob("*.yaml"))
    assert night(settings) == files
    assert night(settings) == []


def test_a_change_is_kept_with_who_when_and_both_values(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A comment is no change; a value is, and one that is taken back is a second one."""
    night(settings)
    edit(settings, "sizing", "kelly_fraction: 0.25", "kelly_fraction: 0.10")
    edit(settings, "costs", "# What a trade", "# What any trade")
    assert night(settings) == ["sizing"]
    edit(settings, "sizing", "kelly_fraction: 0.10", "kelly_fraction: 0.25")
    assert night(settings) == ["sizing"]

    monkeypatch.setenv("PMX_CONFIG_DIR", str(settings.config_dir))
    capfd.readouterr()
    assert main(["config", "history", "--json", "--home", str(settings.home)]) == 0
    first, second = json.loads(capfd.readouterr().out)["changes"]
    assert (first["policy"], first["key"]) == ("sizing", "kelly_fraction")
    assert (first["before"], first["after"]) == ("0.25", "0.1")
    assert (second["before"], second["after"]) == ("0.1", "0.25")
    assert first["actor"] == (settings.config_dir / "sizing.yaml").owner()
    assert first["changed_at"].startswith("2026-02-23T09:30:00")
    assert first["noticed_at"].startswith("2026-03-02T22:00:00")
    assert main(["config", "history", "--home", str(settings.home)]) == 0
    assert "changed sizing.kelly_fraction from 0.25 to 0.1" in capfd.readouterr().out


def test_a_key_that_comes_and_goes_is_told(settings: Settings) -> None:
    """A symbol's sector is written down, then crossed out."""
    night(settings)
    edit(settings, "limits", "  AAPL: information_technology", "  ZZZ: energy")
    night(settings)
    journal = GovernanceJournal(settings.paths.ledger)
    assert journal.records()[-1].changes == {  # type: ignore[attr-defined]
        "sectors.AAPL": ('"information_technology"', ""),
        "sectors.ZZZ": ("", '"energy"'),
    }


def test_values_are_told_by_dotted_key_and_a_list_is_one_value() -> None:
    """By hand."""
    assert flat_values({"a": {"b": 1.5, "c": {}}, "d": ["x", "y"], "e": None}) == {
        "a.b": "1.5",
        "a.c": "{}",
        "d": '["x", "y"]',
        "e": "null",
    }
