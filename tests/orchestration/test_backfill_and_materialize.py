"""`pmx backfill` and `pmx materialize` on a real home: what they compute, skip and refuse."""

import datetime as dt
import json
from typing import Any

import pytest

from apps.cli import backfill, exit_codes, materialize
from apps.cli.main import main
from quant.core.errors import PmxError, UsageError
from resources.desk import Desk
from resources.settings import Settings
from tests.support.small_home import NIGHTS, contents, small_cli, unlearned

FIRST, LAST = "2022-12-05", "2022-12-07"


def run_backfill(settings: Settings, first: str, last: str, **options: Any) -> backfill.Backfill:
    return backfill.run(small_cli(settings), first=first, last=last, **options)


def decided(settings: Settings) -> list[dt.date]:
    with Desk(settings) as desk:
        rows = desk.warehouse.rows("SELECT DISTINCT session FROM audit.decisions ORDER BY 1")
    return [day for (day,) in rows]


def test_a_backfill_computes_in_chunks_and_again_only_what_is_missing(own_home: Settings) -> None:
    """Three sessions in runs of two; then the same again; then one session more."""
    before = contents(own_home)
    made = run_backfill(own_home, FIRST, LAST, again=False, chunk=2)
    assert (made.sessions, made.chunks, made.computed, made.skipped) == (3, 2, 3, 0)
    assert len(made.run_ids) == 2
    assert [str(day) for day in decided(own_home)][:3] == [f"2022-12-0{day}" for day in (5, 6, 7)]
    assert contents(own_home).head == before.head

    same = run_backfill(own_home, FIRST, LAST, again=False, chunk=2)
    assert (same.computed, same.skipped, same.run_ids) == (0, 3, ())
    more = run_backfill(own_home, FIRST, "2022-12-08", again=False, chunk=3)
    assert (more.computed, more.skipped) == (1, 3)


def test_another_policy_makes_a_backfill_compute_again(own_home: Settings) -> None:
    """What the demo computed is up to date until somebody decides something else."""
    first, last = str(NIGHTS[-2]), str(NIGHTS[-1])
    assert run_backfill(own_home, first, last, again=False, chunk=250).skipped == 2
    before = contents(own_home)
    assert run_backfill(own_home, last, last, again=True, chunk=250).computed == 1
    assert unlearned(contents(own_home)) == unlearned(before)
    path = own_home.config_dir / "costs.yaml"
    path.write_text(path.read_text().replace("fee_bps: 1.5", "fee_bps: 2.5"))
    assert run_backfill(own_home, first, last, again=False, chunk=250).computed == 2


def test_a_table_is_made_again_by_its_name(own_home: Settings) -> None:
    """By path or by dot, for a session or for a range; the content is what it was."""
    before = contents(own_home)
    made = materialize.run(small_cli(own_home), ["forecast/naive"], session=str(NIGHTS[-1]))
    assert (made.assets, made.sessions) == (("forecast/naive",), 1)
    stage = materialize.run(
        small_cli(own_home), ["feature"], session="", first=str(NIGHTS[0]), last=str(NIGHTS[-1])
    )
    assert (stage.assets, stage.sessions) == (("feature/daily_features",), 6)
    # One step makes the four order tables, so they come together; and nothing is sent.
    orders = materialize.run(small_cli(own_home), ["order.fills"], session=str(NIGHTS[0]))
    assert orders.assets == ("order/exits", "order/fills", "order/intents", "order/refusals")
    assert contents(own_home) == before


def test_the_run_of_a_table_is_in_the_instance(own_home: Settings) -> None:
    """So that the web pages show it; the session is the last one with data when none is named."""
    from apps.night import open_instance

    made = materialize.run(small_cli(own_home), ["target/daily_weights"], session="")
    assert made.last_session == NIGHTS[-1]
    with open_instance(own_home) as instance:
        run = instance.get_run_by_id(made.run_id)
    assert run is not None
    assert run.tags["dagster/partition"] == str(NIGHTS[-1])


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("forecast/naiv", "did you mean forecast/naive"),
        ("clean/daily_weights", "target/daily_weights"),
        ("nonsense", "choose one of: audit/closed_trades"),
    ],
)
def test_an_unknown_table_names_its_neighbours(own_home: Settings, name: str, remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        materialize.run(small_cli(own_home), [name], session=str(NIGHTS[0]))
    assert name in str(refused.value)
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2022-12-09", "2022-12-05", "lies after"),
        ("2022-12-24", "2022-12-26", "has no session"),
        ("2012-01-03", "2022-12-05", "where the universe begins"),
        ("2022-12-05", "2199-12-05", "is not over"),
        ("yesterday", "2022-12-05", "'yesterday', which is no day"),
    ],
)
def test_a_range_that_cannot_be_is_refused(
    small_home: Settings, first: str, last: str, said: str
) -> None:
    with pytest.raises(PmxError, match=said) as refused:
        run_backfill(small_home, first, last, again=False, chunk=250)
    assert refused.value.remedy


def test_the_command_line_answers_with_one_object(
    own_home: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a script would call it, with the environment alone."""
    monkeypatch.setenv("PMX_HOME", str(own_home.home))
    monkeypatch.setenv("PMX_CONFIG_DIR", str(own_home.config_dir))
    days = ["--from", str(NIGHTS[0]), "--to", str(NIGHTS[-1])]
    assert main(["backfill", *days, "--json"]) == exit_codes.OK
    assert json.loads(capfd.readouterr().out)["skipped"] == 6
    assert main(["materialize", "signal/daily_signals", *days, "--json"]) == exit_codes.OK
    answer = json.loads(capfd.readouterr().out)
    assert answer["assets"] == ["signal/daily_signals"]
    assert main(["materialize", "x", *days, "--json"]) == UsageError.exit_code
    assert json.loads(capfd.readouterr().out)["error"]["kind"] == "UsageError"
