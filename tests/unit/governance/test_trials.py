"""Families count themselves, abandoned trials too, and luck is taken off without being told."""

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.governance.overfitting import moments, probabilistic_sharpe
from quant.governance.records import (
    RECORD_TYPES,
    AuditCounted,
    TrialClosed,
    TrialOpened,
    from_payload,
    to_payload,
)
from quant.governance.trials import (
    deflate,
    effective_trials,
    families,
    family_overfitting,
    standing_of,
    trial_id,
)

DAYS = pd.bdate_range("2015-01-01", periods=1_000)


def journal(returns: dict[str, pd.Series], *, abandoned: int = 0, family: str = "momentum"):
    """The records that a family of finished and abandoned trials leaves."""
    names = [*returns, *(f"lost{i}" for i in range(abandoned))]
    opened = [
        TrialOpened(
            trial_id=name, family=family, purpose="tuning", description="", parameters_hash=name
        )
        for name in names
    ]
    closed = [
        TrialClosed(
            trial_id=name,
            observations=len(series),
            sharpe=moments(series).sharpe,
            returns_hash="",
        )
        for name, series in returns.items()
    ]
    return [*opened, *closed]


@pytest.fixture
def noise() -> dict[str, pd.Series]:
    rng = np.random.default_rng(4)
    return {f"r{i}": pd.Series(rng.normal(0, 0.01, 1_000), index=DAYS) for i in range(50)}


def test_abandoned_trials_count_and_every_copy_of_one_rule_counts_once(noise):
    standing = standing_of("momentum", journal(noise, abandoned=7), noise)
    assert (standing.opened, standing.closed, standing.abandoned) == (57, 50, 7)
    assert standing.effective == pytest.approx(57, abs=1)
    one = noise["r0"]
    copies = effective_trials([one, one * 2, one * 0.5 + 0.001])
    assert copies == pytest.approx(1.0)
    assert effective_trials([one, None, one, None]) == pytest.approx(3.0)


def test_trials_over_other_days_are_not_taken_for_copies(noise):
    one = noise["r0"]
    other = pd.Series(one.to_numpy(), index=DAYS + pd.Timedelta(days=365))
    assert effective_trials([one, other]) == 2.0


def test_half_correlated_trials_count_for_about_half():
    """r + (1 - r) m: with a correlation of one half, 21 trials tell as much as 11."""
    rng = np.random.default_rng(1)
    common = rng.normal(size=20_000)
    series = [
        pd.Series((common + rng.normal(size=20_000)) / 2**0.5, index=range(20_000))
        for _ in range(21)
    ]
    assert effective_trials(series) == pytest.approx(11.0, abs=0.4)


def test_the_best_of_five_hundred_random_rules_is_refused_and_alone_would_have_looked_fine():
    """The planted overfit: coin-flip rules on four years of one stock, the luckiest is shown.

    Told of one trial, the ratio looks 99 % certain. The family's own count takes it to a coin flip,
    and the overfitting probability says that its rank was luck.
    """
    rng = np.random.default_rng(500)
    market = rng.standard_t(4, 1_000) * 0.01
    rules = {
        f"rule{i}": pd.Series(rng.choice([-1.0, 1.0], 1_000) * market, index=DAYS)
        for i in range(500)
    }
    records = journal(rules, family="coins")
    best = max(rules, key=lambda name: moments(rules[name]).sharpe)

    naive = probabilistic_sharpe(moments(rules[best]))
    alone = deflate(
        rules[best],
        standing_of("coins", journal({best: rules[best]}, family="coins"), {best: rules[best]}),
    )
    honest = deflate(rules[best], standing_of("coins", records, rules))
    found = family_overfitting(rules, blocks=10)

    assert naive > 0.99
    assert alone.probability == pytest.approx(naive)
    assert honest.trials == pytest.approx(500, rel=0.01)
    assert honest.probability < 0.75
    assert found is not None
    assert found.probability > 0.3


def test_a_rule_with_skill_survives_its_own_trials(noise):
    rng = np.random.default_rng(9)
    skilled = noise | {"good": pd.Series(rng.normal(0.0022, 0.01, 1_000), index=DAYS)}
    standing = standing_of("momentum", journal(skilled), skilled)
    assert deflate(skilled["good"], standing).probability > 0.95
    found = family_overfitting(skilled, blocks=10)
    assert found is not None
    assert found.probability < 0.05


def test_one_trial_has_no_overfitting_probability(noise):
    assert family_overfitting({"r0": noise["r0"]}) is None


def test_the_same_question_to_the_same_data_is_the_same_trial():
    parts = {"family": "f", "purpose": "tuning", "parameters_hash": "p", "inputs_hash": "i"}
    assert trial_id(**parts) == trial_id(**parts)
    assert trial_id(**parts) != trial_id(**(parts | {"inputs_hash": "j"}))


def test_records_survive_their_plain_form(noise):
    for record in journal({"r0": noise["r0"]}):
        assert from_payload(to_payload(record)) == record
    assert families(journal(noise)) == ["momentum"]
    assert len({kind.kind for kind in RECORD_TYPES}) == len(RECORD_TYPES)
    with pytest.raises(DataError, match="unknown kind"):
        from_payload({"kind": "not_yet_invented"})
    with pytest.raises(DataError, match="finite"):
        TrialClosed(trial_id="t", observations=10, sharpe=float("nan"), returns_hash="")


def test_an_audit_of_the_same_window_is_the_same_audit_whatever_it_found():
    day = DAYS[0].date()
    parts = {"model": "m", "arm": "", "session": day, "horizon_days": 1, "symbols_hash": "s"}
    one = AuditCounted(**parts, baseline="naive", observations=20, rmse=1.0, rmse_baseline=1.0)
    two = AuditCounted(**parts, baseline="naive", observations=19, rmse=2.0, rmse_baseline=1.0)
    assert one.key == two.key
