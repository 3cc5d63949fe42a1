"""Governance on a small installation: sprints, certificates, roles, MLflow's aliases, sensors."""

import contextlib
import dataclasses
import datetime as dt

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
    look_for_demotion,
    look_for_promotion,
    newest_session,
    objections,
    promote,
    roll_back,
)
from quant.core.errors import DataError, UsageError
from quant.execution import Outcome, SubjectKind
from quant.governance.records import AuditCounted, CertificateIssued, RoleChanged
from quant.governance.selection import champion, roles
from resources.desk import Desk
from resources.settings import Settings
from resources.warehouse import Provenance
from tests.support.small_home import small_cli

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


SKILLED = {"garch": 0.64, "sarimax": 0.60, "persistence": 0.5}


def test_a_sprint_decides_and_the_same_window_is_never_counted_twice(own_home):
    """The small home has five audited sessions; asked again, nothing is added."""
    cli = small_cli(own_home)
    first = audit.sprint(cli, audits=20)
    again = audit.sprint(cli, audits=20)
    assert first == again
    assert first.counted == first.effective_audits == 5 or first.decision == "INCONCLUSIVE"
    with Desk(own_home) as desk:
        records = journal_of(desk).records()
    counted = [one for one in records if isinstance(one, AuditCounted)]
    assert len(counted) == first.counted
    assert trials.run(cli, family="audit.combined").families[0].trials == 1
    assert first.fills == first.fills_attributed > 0


def test_a_sprint_over_other_symbols_is_another_sprint(own_home):
    cli = small_cli(own_home)
    audit.sprint(cli, audits=3)
    audit.sprint(cli, audits=3, symbols="AAPL,KO")
    assert trials.run(cli, family="audit.combined").families[0].trials == 2
    with pytest.raises(UsageError, match="no arm"):
        audit.sprint(cli, arm="regime")
    with pytest.raises(DataError, match="combined_regime"):
        audit.sprint(cli, arm="regime=on")
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

    acted = look_for_promotion(desk)
    assert (acted.model, acted.is_change) == ("garch", True)
    assert champion(journal_of(desk).records()) == "garch"
    assert "champion" in acted.aliases["garch"] or acted.registry_problem

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
    client.create_registered_model("pmx.sarimax")
    run = client.create_run(client.create_experiment("x"))
    client.create_model_version("pmx.sarimax", source="file:///nowhere", run_id=run.info.run_id)
    client.set_registered_model_alias("pmx.sarimax", "champion", "1")

    records = journal_of(desk).records()
    assert champion(records) == ""
    report = sync_aliases(client, roles(records), objections={})
    assert report.removed == ["sarimax: champion"]
    assert not client.get_registered_model("pmx.sarimax").aliases

    # A role that was written without a certificate is not shown either.
    journal_of(desk).append(
        [
            RoleChanged(
                model="sarimax", role="champion", session=dt.date(2022, 1, 3), actor="x", reason=""
            )
        ]
    )
    held = roles(journal_of(desk).records())
    said = objections(desk, list(held), on=newest_session(desk), records=journal_of(desk).records())
    assert sync_aliases(client, held, objections=said).left == {
        "sarimax": "sarimax has no certificate"
    }
    assert not client.get_registered_model("pmx.sarimax").aliases

    # With one it is, on the newest version.
    client.create_model_version("pmx.sarimax", source="file:///nowhere", run_id=run.info.run_id)
    assert sync_aliases(client, held, objections={"sarimax": ""}).set == {
        "sarimax": "champion on version 2"
    }
    assert client.get_model_version_by_alias("pmx.sarimax", "champion").version == "2"


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


def test_a_demoted_model_gets_no_passing_verdict_from_a_good_hold_out(desk):
    """Verdicts of sessions before the demotion stay what they were."""
    from assets.history import histories
    from assets.model.verdicts import judge

    day = newest_session(desk)
    demote(desk, "garch", actor="ada", reason="test")
    [row] = [row for row in judge(histories(desk, [day])[0]) if row["model"] == "garch"]
    before = [
        row
        for row in judge(histories(desk, [day - dt.timedelta(days=1)])[0])
        if row["model"] == "garch"
    ]
    assert not row["passed"]
    assert "demoted" in row["reason"]
    assert "demoted" not in before[0]["reason"]


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
