"""The governance journal on a real disk: counted once, chained, signed."""

import dataclasses
import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError, LedgerDamagedError, UsageError
from quant.governance.certification import objection
from quant.governance.gate_policy import CertificatePolicy
from quant.governance.records import RoleChanged
from resources.governance_journal import GovernanceJournal, trial_record
from resources.settings import Settings
from resources.signatures import PUBLIC_KEY, SIGNING_KEY, signer_of, verifier_of
from tests.unit.governance.test_certification import DAY, LIMITS, candidate

DAYS = pd.bdate_range("2020-01-01", periods=300)


def rules(count: int) -> dict[str, pd.Series]:
    rng = np.random.default_rng(3)
    return {f"r{i}": pd.Series(rng.normal(0, 0.01, 300), index=DAYS) for i in range(count)}


def opened(name: str):
    return trial_record(
        family="f", purpose="tuning", description=name, parameters={"rule": name}, inputs_hash="d"
    )


@pytest.fixture
def journal(tmp_path) -> GovernanceJournal:
    return GovernanceJournal(tmp_path / "ledger")


def test_a_tuning_run_counts_before_it_computes_and_a_crash_counts_as_well(journal):
    """Eight trials are opened; the run dies after five results; it is started again."""
    series = rules(8)
    records = {name: opened(name) for name in series}
    journal.append(records.values())
    journal.close_trials({records[n].trial_id: series[n] for n in list(series)[:5]})
    assert (journal.standing("f").opened, journal.standing("f").abandoned) == (8, 3)

    assert journal.append(records.values()) == []
    journal.close_trials({records[n].trial_id: series[n] for n in series})
    again = journal.standing("f")
    assert (again.opened, again.closed) == (8, 8)
    assert again.effective == pytest.approx(8, abs=0.3)
    kept = journal.trial_returns("f")[records["r2"].trial_id]
    assert kept.tolist() == series["r2"].tolist()
    assert kept.index[0] == "2020-01-01"


def test_a_trial_that_raises_is_counted_and_abandoned(journal):
    asked = {
        "family": "f",
        "purpose": "backtest",
        "description": "",
        "parameters": 1,
        "inputs_hash": "d",
    }
    with pytest.raises(RuntimeError), journal.trial(**asked):
        raise RuntimeError
    with journal.trial(**(asked | {"parameters": 2})) as trial:
        trial.returns = rules(1)["r0"]
    assert (journal.standing("f").opened, journal.standing("f").closed) == (2, 1)
    with pytest.raises(DataError, match="no counted trial"):
        journal.close_trials({"t-nobody": rules(1)["r0"]})


def test_returns_that_somebody_changed_count_as_lost(journal):
    """Two copies of one rule are worth one trial; with the evidence gone they are worth two."""
    one = rules(1)["r0"]
    records = [opened("a"), opened("b")]
    journal.append(records)
    journal.close_trials({records[0].trial_id: one, records[1].trial_id: one * 2})
    assert journal.standing("f").effective == pytest.approx(1.0)
    place = next((journal.folder / "returns").iterdir())
    place.write_text(place.read_text().replace("-", "", 1))
    assert journal.standing("f").effective == 2.0


def test_an_edited_journal_is_refused_whole(journal):
    journal.append([RoleChanged(model="garch", role="shadow", session=DAY, actor="a", reason="")])
    path = journal.folder / "journal.jsonl"
    path.write_text(path.read_text().replace("shadow", "champion"))
    with pytest.raises(LedgerDamagedError, match="damaged"):
        journal.records()
    with pytest.raises(LedgerDamagedError):
        journal.append([RoleChanged(model="b", role="", session=DAY, actor="a", reason="")])


def settings(tmp_path, **secrets: str) -> Settings:
    return Settings.from_env({"PMX_HOME": str(tmp_path), **secrets})


def test_with_a_key_only_its_signature_counts(tmp_path):
    """A certificate that was hashed anew after an edit has the right hash and no signature."""
    owner = settings(tmp_path, **{SIGNING_KEY: "11" * 32})
    signer = signer_of(owner)
    assert signer is not None
    checker = settings(tmp_path, **{PUBLIC_KEY: signer.public.hex()})
    stranger = settings(tmp_path, **{SIGNING_KEY: "22" * 32})
    policy = CertificatePolicy()

    from quant.governance.certification import certify

    record = certify(candidate(), policy, **LIMITS, signer=signer).record()
    said = {"subject": "garch", "on": DAY, "policy": policy}
    for who in (owner, checker):
        assert objection(record, verifier=verifier_of(who), **said) == ""
    assert "signature" in objection(record, verifier=verifier_of(stranger), **said)
    assert "signature" in objection(
        dataclasses.replace(record, signature=""), verifier=verifier_of(owner), **said
    )
    late = json.loads(record.text) | {"valid_until": "2099-01-01"}
    forged = certify(candidate(), policy, session=DAY, valid_until=dt.date(2099, 1, 1)).record()
    assert json.loads(forged.text)["valid_until"] == late["valid_until"]
    assert "signature" in objection(
        dataclasses.replace(forged, signature=record.signature), verifier=verifier_of(owner), **said
    )
    assert "signature" not in objection(forged, verifier=verifier_of(settings(tmp_path)), **said)


def test_a_wrong_key_is_named_and_never_repeated(tmp_path):
    with pytest.raises(UsageError, match=SIGNING_KEY) as caught:
        signer_of(settings(tmp_path, **{SIGNING_KEY: "not-a-key"}))
    assert "not-a-key" not in str(caught.value)
