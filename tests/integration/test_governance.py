"""Governance on a small installation: sprints, certificates, roles, MLflow's aliases, sensors."""

import contextlib
import dataclasses
import datetime as dt
import re
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from apps.cli import audit, gates, models, ready, trials
from assets.candidate import FAMILY, evidence_of
from assets.governing import (
    NotCertifiedError,
    certify_model,
    demote,
    journal_of,
    newest_session,
    objections,
    promote,
    roll_back,
)
from assets.watching import look_for_demotion, look_for_promotion
from quant.core.errors import DataError, UsageError
from quant.execution import Outcome, SubjectKind
from quant.governance.records import AuditCounted, CertificateIssued, RoleChanged
from quant.governance.selection import champion, changes, roles
from resources.desk import Desk
from resources.settings import Settings
from resources.warehouse import Provenance
from tests.support.small_home import small_bundle, small_cli

# MLflow 3.17 declares its mappers with a loader that SQLAlchemy 2.1 deprecates; it works.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

SYMBOLS = ("AAPL", "JPM", "KO", "XOM")
ORIGIN = Provenance(run_id="test", snapshot_id=1, code_version="test")


def plant(desk: Desk, *, skill: dict[str, float], wide: float = 1.0, sessions: int = 400) -> None:
    """Two years of scored forecasts: each model sees the sign of the next return this often."""
    rng = np.random.default_rng(12)
    days = pd.bdate_range(end=newest_session(desk), periods=sessions).date
    columns = desk.warehouse.columns("audit.forecast_scores")
    realised = rng.normal(0, 0.01, (sessions, 4))
    rows = []
    for model, share in ({"naive": 0.5} | skill).items():
        right = rng.random((sessions, 4)) < share
        mean = np.where(right, 1, -1) * np.sign(realised) * 0.001
        for i, day in enumerate(days):
            for j, symbol in enumerate(SYMBOLS):
                error = (realised[i, j] - mean[i, j]) * (wide if model != "naive" else 1.0)
                rows.append(
                    {
                        "symbol": symbol,
                        "forecast_session": day,
                        "session": day,
                        "model": model,
                        "horizon_days": 1,
                        "realised": realised[i, j],
                        "error": realised[i, j] - mean[i, j],
                        "squared_error": error**2,
                        "absolute_error": abs(error),
                        "in_50": True,
                        "in_90": abs(error) < 0.0165,
                        "direction_hit": float(right[i, j]),
                    }
                )
    frame = pd.DataFrame(rows)
    for name, kind in columns.items():
        if name not in frame and name not in {
            "run_id",
            "snapshot_id",
            "code_version",
            "row_hash",
            "known_at",
        }:
            frame[name] = 0.5 if kind == "DOUBLE" else False if kind == "BOOLEAN" else None
    desk.warehouse.publish("audit.forecast_scores", frame, ORIGIN, scope={"session": list(days)})


@pytest.fixture
def desk(own_home: Settings):
    with Desk(own_home) as opened:
        yield opened


SKILLED = {"garch": 0.66, "sarimax": 0.58, "persistence": 0.5}


def test_a_sprint_decides_and_the_same_window_is_never_counted_twice(own_home):
    """The small home has five audited sessions; asked again, nothing is added."""
    cli = small_cli(own_home)
    first = audit.sprint(cli, audits=20)
    again = audit.sprint(cli, audits=20)
    assert first == again
    assert first.counted == first.effective_audits == 5 or first.decision == "INCONCLUSIVE"
    with Desk(own_home) as desk:
        assert len(audits_counted(desk)) == first.counted
    assert trials.run(cli, family="audit.combined").families[0].trials == 1
    assert first.fills == first.fills_attributed > 0


def test_a_sprint_that_dies_in_the_middle_goes_on_and_counts_nothing_twice(desk, monkeypatch):
    """Two audits a commit; the process ends after the first commit, and after the second again."""
    from apps import sprints

    monkeypatch.setattr(sprints, "CHUNK", 2)
    asked = {"model": "combined", "arm": "", "asked": 20, "symbols": SYMBOLS}
    counts = []

    def die(_count: int) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            sprints.run_sprint(desk, **asked, on_audit=die)
        counts.append(len(audits_counted(desk)))
    found = sprints.run_sprint(desk, **asked)
    assert counts == [2, 4]
    assert len(found) == len(audits_counted(desk)) == 5
    assert len({one.key for one in audits_counted(desk)}) == 5


def audits_counted(desk: Desk) -> list[AuditCounted]:
    return [one for one in journal_of(desk).records() if isinstance(one, AuditCounted)]


def test_both_sides_of_the_regime_flag_are_audited_over_the_same_windows(own_home):
    """Five windows are enough here; with so little past in each regime the sides are the same."""
    config = own_home.config_dir / "gates.yaml"
    config.write_text(
        config.read_text().replace("audit_observations_min: 10", "audit_observations_min: 4")
    )
    found = audit.compare(small_cli(own_home), "regime")
    assert found.pairs == 5
    assert (found.winner, found.exit_code) == ("", 1)
    assert found.uplift_fraction == pytest.approx(0.0, abs=0.01)
    with Desk(own_home) as desk:
        arms = {one.arm: one.model for one in audits_counted(desk)}
    assert arms == {
        "regime=off": "combined_regime_off",
        "regime=on": "combined_regime_on",
    }


def test_a_sprint_computes_what_no_night_has_scored_and_keeps_what_one_has(own_home):
    """Two sessions before the first night are researched; the nights' own scores stay untouched."""
    from apps import sprints

    def scored() -> dict[dt.date, str]:
        with Desk(own_home) as desk:
            rows = desk.warehouse.rows(
                "SELECT session, string_agg(row_hash, ' ' ORDER BY symbol) "
                "FROM audit.forecast_scores WHERE model = 'combined' AND horizon_days = 1 "
                "GROUP BY ALL"
            )
            return dict(rows)

    before = scored()
    steps: list[str] = []
    with small_bundle(own_home):
        for _ in range(2):
            sprints.compute_missing(
                own_home, until=dt.date(2022, 12, 28), audits=7, on_step=steps.append
            )
    after = scored()
    assert len(after) == len(before) + 2 == 7
    assert {day: after[day] for day in before} == before
    assert steps == ["up to 2022-12-20"]
    assert audit.sprint(small_cli(own_home), audits=20).counted == 7


def test_a_sprint_researches_stretches_that_are_missing_and_none_is_long():
    """Forty sessions, of which the tenth and eleventh were scored by nights."""
    from apps.sprints import PIECE, pieces

    days = [dt.date(2022, 1, 1) + dt.timedelta(days=i) for i in range(40)]
    missing = set(days[1:]) - {days[10], days[11]}
    assert pieces(days, missing) == [days[:10], days[12 : 12 + PIECE], days[12 + PIECE :]]
    assert pieces(days, {days[5]}) == [[days[5]]]


def test_a_home_without_history_is_not_audited_by_drift_alone(own_home):
    """Where the models' fit window is not there, a sprint says so instead of computing."""
    from apps import sprints

    config = own_home.config_dir / "sources.yaml"
    config.write_text(config.read_text().replace("priority: [sample]", "priority: [folder]"))
    with pytest.raises(DataError, match="fitted on 252"):
        sprints.compute_missing(
            own_home, until=dt.date(2020, 6, 30), audits=20, on_step=lambda _words: None
        )


def test_a_sprint_over_other_symbols_is_another_sprint(own_home):
    cli = small_cli(own_home)
    audit.sprint(cli, audits=3)
    audit.sprint(cli, audits=3, symbols="AAPL,KO")
    assert trials.run(cli, family="audit.combined").families[0].trials == 2
    with pytest.raises(UsageError, match="no arm"):
        audit.sprint(cli, arm="regime")
    with pytest.raises(DataError, match="combined_weather"):
        audit.sprint(cli, arm="weather=on")
    with pytest.raises(UsageError, match="not audited"):
        audit.sprint(cli, model="oracle")


def test_a_fresh_installation_certifies_nobody_and_promotes_nobody(own_home):
    cli = small_cli(own_home)
    found = models.certify(cli, "garch")
    assert (found.outcome, found.exit_code) == ("INCONCLUSIVE", 1)
    with pytest.raises(NotCertifiedError, match="INCONCLUSIVE"):
        models.promote(cli, "garch")
    with Desk(own_home) as desk:
        said = look_for_promotion(desk)
    assert not said.is_change
    assert "252 are needed" in said.reason


def test_a_skilled_model_is_certified_promoted_and_shown_in_mlflow(desk):
    plant(desk, skill=SKILLED)
    certificate = certify_model(desk, "garch")
    assert certificate.reason.endswith("gates")
    assert {gate.gate for gate in certificate.gates} >= {"overfitting", "leakage", "worse_forecast"}
    assert journal_of(desk).standing(FAMILY).opened == 4

    from resources.model_aliases import open_registry

    acted = look_for_promotion(desk)
    assert (acted.model, acted.is_change) == ("garch", True)
    assert champion(journal_of(desk).records()) == "garch"
    assert "champion" in acted.aliases["garch"] or acted.registry_problem

    # The searches of docs/mlflow.md over registered models.
    client = open_registry(desk.settings.mlflow_url)
    page = Path("docs/mlflow.md").read_text(encoding="utf-8")
    searches = re.findall(r"```registry\n(.*?)\n```", page, flags=re.DOTALL)
    assert len(searches) == 2
    for text in searches:
        assert [one.name for one in client.search_registered_models(text)] == ["pmx.garch"], text

    again = look_for_promotion(desk)
    assert not again.is_change
    assert "stays champion" in again.reason


def test_a_coin_flip_is_refused_by_its_certificate(desk):
    plant(desk, skill=SKILLED)
    certificate = certify_model(desk, "persistence")
    assert certificate.outcome == "FAIL"
    assert "deflated_sharpe" in [gate.gate for gate in certificate.failed]


def test_promotion_cannot_be_forced_through_mlflow(desk):
    """Somebody sets the alias by hand: nothing reads it, and the next sync takes it away."""
    from resources.model_aliases import open_registry, sync_aliases

    client = open_registry(desk.settings.mlflow_url)
    newest = newest_version(client, "pmx.sarimax")
    client.set_registered_model_alias("pmx.sarimax", "champion", str(newest))

    records = journal_of(desk).records()
    assert champion(records) == ""
    report = sync_aliases(client, roles(records), objections={})
    assert report.removed == ["sarimax: champion"]
    assert not client.get_registered_model("pmx.sarimax").aliases

    # A role that was written without a certificate is not shown either.
    forge(desk, "sarimax", "champion")
    held = roles(journal_of(desk).records())
    said = objections(desk, list(held), on=newest_session(desk), records=journal_of(desk).records())
    assert sync_aliases(client, held, objections=said).left == {
        "sarimax": "sarimax has no certificate"
    }
    assert not client.get_registered_model("pmx.sarimax").aliases

    # With one it is, on the newest version.
    assert sync_aliases(client, held, objections={"sarimax": ""}).set == {
        "sarimax": f"champion on version {newest}"
    }
    assert int(client.get_model_version_by_alias("pmx.sarimax", "champion").version) == newest


def newest_version(client, name: str) -> int:
    return max(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))


def forge(desk: Desk, model: str, role: str, *, session: dt.date | None = None) -> RoleChanged:
    """A change of role that no command and no sensor made."""
    change = RoleChanged(
        model=model,
        role=role,
        session=session or newest_session(desk),
        actor="nobody",
        reason="",
        number=len(changes(journal_of(desk).records())),
    )
    journal_of(desk).append([change])
    return change


def test_a_forged_champion_is_demoted_at_the_first_look(desk):
    """Somebody wrote the role past every command: the sensor finds no certificate behind it."""
    forge(desk, "sarimax", "champion")
    acted = look_for_demotion(desk)
    assert acted.is_change
    assert "sarimax has no certificate" in acted.reason
    assert champion(journal_of(desk).records()) == ""


def test_looking_again_or_after_a_backfill_promotes_nobody(desk):
    """The promotion sensor on scores that were all computed again, five times over."""
    from assets.order.decide import verdict_events

    plant(desk, skill=SKILLED)
    assert look_for_promotion(desk).model == "garch"
    demote(desk, "garch", actor="ada", reason="test")
    before = [change.model for change in changes(journal_of(desk).records())]
    for _ in range(5):
        plant(desk, skill=SKILLED)
        said = look_for_promotion(desk)
        assert said.model != "garch"
    after = [change.model for change in changes(journal_of(desk).records())]
    # Of the others one may lead, once; the demoted one never comes back by itself.
    assert after[len(before) :] in ([], ["sarimax"])
    events = verdict_events(desk, newest_session(desk), ORIGIN)
    assert not [one for one in events if one.subject == "garch" and one.outcome is Outcome.PASS]


def test_a_degraded_champion_goes_its_orders_stop_and_the_one_before_leads_again(desk):
    plant(desk, skill=SKILLED)
    for name in ("sarimax", "garch"):
        certify_model(desk, name)
        promote(desk, name, actor="ada", reason="test")
    holds = look_for_demotion(desk)
    assert (holds.is_change, "garch holds" in holds.reason) == (False, True)

    plant(desk, skill=SKILLED, wide=1.6, sessions=20)
    acted = look_for_demotion(desk)
    assert acted.is_change
    assert (acted.model, acted.role) == ("sarimax", "champion")
    with desk.ledger() as ledger:
        verdict = ledger.verdict("garch", kind=SubjectKind.MODEL)
    assert verdict is not None
    assert verdict.outcome is Outcome.FAIL
    assert "demoted" in verdict.reason
    with pytest.raises(NotCertifiedError, match="demoted"):
        promote(desk, "garch", actor="ada")


def test_the_sensor_demotes_a_degraded_champion_within_five_sessions_and_nobody_is_asked(
    own_home, monkeypatch
):
    """Its errors are larger by 60 % for five sessions; Dagster's sensor ticks once and acts."""
    from sensors.governance import WATCHED, demotion_sensor

    with Desk(own_home) as desk:
        plant(desk, skill=SKILLED)
        certify_model(desk, "garch")
        promote(desk, "garch", actor="ada")
        plant(desk, skill=SKILLED, wide=1.6, sessions=5)
    monkeypatch.setenv("PMX_HOME", str(own_home.home))
    monkeypatch.setenv("PMX_CONFIG_DIR", str(own_home.config_dir))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(WATCHED, partition="2022-12-28")
        )
        said = say(demotion_sensor, instance)
    assert said.startswith("done: ")
    assert "its error is" in said
    with Desk(own_home) as desk:
        assert champion(journal_of(desk).records()) == ""
        with desk.ledger() as ledger:
            verdict = ledger.verdict("garch", kind=SubjectKind.MODEL)
    assert verdict is not None
    assert verdict.outcome is Outcome.FAIL


def test_a_role_is_for_models_that_were_scored(desk):
    for role in ("shadow", "champion"):
        with pytest.raises(UsageError, match="'oracle' has no scored forecasts"):
            promote(desk, "oracle", actor="ada", role=role)


def test_rollback_needs_an_earlier_champion_whose_certificate_counts(desk):
    plant(desk, skill=SKILLED)
    with pytest.raises(NotCertifiedError, match="no earlier champion"):
        roll_back(desk, actor="ada", reason="x")
    for name in ("sarimax", "garch"):
        certify_model(desk, name)
        promote(desk, name, actor="ada")
    assert roll_back(desk, actor="ada", reason="x").model == "sarimax"
    assert models.show(small_cli(desk.settings)).champion == "sarimax"


def test_an_unreachable_registry_changes_nothing_but_is_said_loudly(desk, monkeypatch):
    plant(desk, skill=SKILLED)
    certify_model(desk, "garch")
    broken = dataclasses.replace(desk.settings, mlflow_url="sqlite:////dev/null/no/mlflow.db")
    with Desk(broken) as other:
        acted = promote(other, "garch", actor="ada")
    assert "MLFLOW WAS NOT REACHED" in acted.registry_problem
    assert "garch leads" in acted.registry_problem
    assert champion(journal_of(desk).records()) == "garch"


def passed_verdicts(desk: Desk) -> dict[str, dt.date]:
    """Models that the nights found fit to trade on, and since when."""
    rows = desk.warehouse.rows("SELECT model, session FROM model.verdicts WHERE passed")
    return dict(rows)


def test_a_demoted_model_trades_nothing_however_good_its_hold_out_is(desk):
    """Its verdict is written again by a backfill, the night is decided again: the ledger says no.

    Until it has a role again, for which it needs a certificate of a later session.
    """
    from assets.order.decide import verdict_events

    model, judged = "garch", passed_verdicts(desk)["garch"]
    demote(desk, model, actor="ada", reason="test")
    with desk.ledger(write=True) as ledger:
        for code in ("as it was", "code that is new"):
            origin = Provenance(run_id="again", snapshot_id=1, code_version=code)
            ledger.append_all(verdict_events(desk, newest_session(desk), origin))
        verdict = ledger.verdict(model, kind=SubjectKind.MODEL)
        strategy = ledger.verdict("ts_edge", kind=SubjectKind.STRATEGY)
    assert verdict is not None
    assert strategy is not None
    assert (verdict.outcome, strategy.outcome) == (Outcome.FAIL, Outcome.FAIL)
    assert verdict.session >= judged
    assert f"{model} was demoted" in strategy.reason
    for role in ("shadow", "challenger", "champion"):
        with pytest.raises(NotCertifiedError, match="no certificate"):
            promote(desk, model, actor="ada", role=role)


def test_the_combination_can_be_demoted_and_its_strategy_stops(desk):
    """It has no hold-out of its own, only parts that are sound."""
    from assets.order.decide import verdict_events

    demote(desk, "combined", actor="ada", reason="test")
    with desk.ledger() as ledger:
        at_once = ledger.verdict("ts_edge", kind=SubjectKind.STRATEGY)
    [tonight] = [
        one
        for one in verdict_events(desk, newest_session(desk), ORIGIN)
        if one.subject == "ts_edge"
    ]
    assert at_once is not None
    assert (at_once.outcome, tonight.outcome) == (Outcome.FAIL, Outcome.FAIL)
    assert "combined was demoted" in tonight.reason


def test_decisions_from_before_a_demotion_replay_the_same(own_home):
    """Demoted on the very session whose verdict let the trades through: the past stays as it was.

    A role that is given back later changes nothing in it either.
    """
    from apps.cli import replay

    with Desk(own_home) as desk:
        for model, session in passed_verdicts(desk).items():
            forge(desk, model, "", session=session)
    found = replay.run(small_cli(own_home), every=True, verify=True)
    assert found.results
    assert [one.first_difference for one in found.failed] == []


def test_without_a_verdict_in_the_ledger_nothing_trades_whatever_else_is_wrong(desk):
    """The journal was forged, MLflow's alias is set, and the graph decided to buy: it is refused.

    The intent is one of the book's own, but for its models: one that nobody ever judged.
    """
    from quant.execution.book import BookPolicy
    from quant.execution.events import IntentRecorded, Mode
    from quant.execution.gates import Desk as Surroundings
    from quant.execution.gates import admit
    from quant.execution.paper import PaperCostPolicy
    from resources.model_aliases import open_registry

    client = open_registry(desk.settings.mlflow_url)
    client.create_registered_model("pmx.oracle")
    run = client.create_run(client.create_experiment("oracle"))
    client.create_model_version("pmx.oracle", source="file:///nowhere", run_id=run.info.run_id)
    client.set_registered_model_alias("pmx.oracle", "champion", "1")
    forge(desk, "oracle", "champion")
    with desk.ledger() as ledger:
        intent = next(
            event.intent for event in ledger.events() if isinstance(event, IntentRecorded)
        )
        surroundings = Surroundings(
            session=intent.valid_session,
            book=ledger.book(intent.book),
            mode=Mode.NORMAL,
            verdict=lambda kind, name: ledger.verdict(name, kind=kind),
            policy=desk.policy("book", BookPolicy),
            costs_of=lambda _symbol: PaperCostPolicy(),
        )
        orders, refusals = admit([dataclasses.replace(intent, models=("oracle",))], surroundings)
    assert orders == []
    assert [one.gate for one in refusals] == ["verdict"]
    assert "holds no verdict on model oracle" in refusals[0].reason


def test_gates_in_the_file_cannot_loosen_what_was_judged_by(own_home):
    cli = small_cli(own_home)
    models.certify(cli, "garch")
    path = own_home.config_dir / "gates.yaml"
    text = path.read_text().replace("history_sessions_min: 252", "history_sessions_min: 20")
    path.write_text(text)
    shown = gates.show(small_cli(own_home))
    assert shown.in_force["certificate.history_sessions_min"] == 252
    assert shown.held_back == {"certificate.history_sessions_min": 20}
    gates.loosen(small_cli(own_home), by="ada", reason="a trial")
    with pytest.raises(UsageError, match="cooling-off"):
        gates.confirm(small_cli(own_home), by="ada")
    assert models.certify(small_cli(own_home), "garch").outcome == "INCONCLUSIVE"


def test_the_go_no_go_list_says_what_is_missing(own_home):
    cli = small_cli(own_home)
    found = ready.run(cli, record="barbell=off", reason="no options yet")
    lines = {line.name: line for line in found.lines}
    assert (found.is_ready, found.exit_code) == (False, 1)
    assert lines["attribution"].passed
    assert lines["UTC stamps"].passed, lines["UTC stamps"]
    assert lines["decision on barbell"].passed
    assert not lines["decision on regime"].passed
    assert not lines["forecast audits"].passed
    with pytest.raises(UsageError, match="no decision"):
        ready.run(cli, record="weather=on", reason="x")


def test_sensors_say_why_they_did_nothing(own_home, monkeypatch):
    from sensors.governance import WATCHED, audit_sensor, demotion_sensor, promotion_sensor

    monkeypatch.setenv("PMX_HOME", str(own_home.home))
    monkeypatch.setenv("PMX_CONFIG_DIR", str(own_home.config_dir))
    with dg.DagsterInstance.ephemeral() as instance:
        quiet = {one.name: say(one, instance) for one in (promotion_sensor, demotion_sensor)}
        assert all("no session was audited" in words for words in quiet.values())
        instance.report_runless_asset_event(
            dg.AssetMaterialization(WATCHED, partition="2022-12-28")
        )
        assert "252 are needed" in say(promotion_sensor, instance)
        assert "no champion" in say(demotion_sensor, instance)
        assert "combined: " in say(audit_sensor, instance)


def say(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> str:
    context = dg.build_sensor_context(instance=instance)
    data = sensor.evaluate_tick(context)
    assert not data.run_requests
    return str(data.skip_message)


def test_certificates_and_trials_are_on_record(desk):
    evidence = evidence_of(desk)
    certify_model(desk, "garch")
    certify_model(desk, "sarimax")
    records = journal_of(desk).records()
    assert len([one for one in records if isinstance(one, CertificateIssued)]) == 2
    assert journal_of(desk).standing(FAMILY).opened == len(evidence.records)
    with contextlib.suppress(FileNotFoundError):
        assert (desk.settings.paths.ledger / "governance" / "journal.jsonl").stat().st_size > 0
