"""Gates tighten at once and loosen only after a pause and a second yes."""

import datetime as dt

import pytest

from quant.core.errors import UsageError
from quant.governance.audits import GatesPolicy
from quant.governance.gate_changes import (
    accept_tightening,
    confirm_loosening,
    gates_in_force,
    looser_keys,
    request_loosening,
)
from quant.governance.gate_policy import flat, loosens, nested

NOW = dt.datetime(2023, 1, 2, 12, tzinfo=dt.UTC)
WHO = {"actor": "ada"}


def test_every_gate_says_which_way_it_loosens():
    """Weights are no gates; every other number is."""
    undecided = [key for key in flat(GatesPolicy()) if loosens(key) == "none"]
    assert undecided == [
        f"selection.{name}_weight" for name in ("profit_factor", "drawdown", "sharpe", "stability")
    ]
    assert nested(flat(GatesPolicy())) == GatesPolicy().model_dump()


def test_a_looser_file_does_not_hold_until_it_was_asked_for_paused_and_confirmed():
    strict = GatesPolicy(rmse_excess_max_fraction=0.10)
    loose = strict.model_copy(update={"rmse_excess_max_fraction": 0.20})
    journal = [accept_tightening(strict, [], now=NOW, **WHO)]

    assert gates_in_force(loose, journal).policy.rmse_excess_max_fraction == 0.10
    assert gates_in_force(loose, journal).held_back == {"rmse_excess_max_fraction": (0.10, 0.20)}

    journal.append(request_loosening(loose, journal, now=NOW, reason="new market", **WHO))
    soon = NOW + dt.timedelta(hours=71)
    with pytest.raises(UsageError, match="cooling-off"):
        confirm_loosening(loose, journal, now=soon, **WHO)
    later = NOW + dt.timedelta(hours=72)
    journal += confirm_loosening(loose, journal, now=later, **WHO)
    assert gates_in_force(loose, journal).policy.rmse_excess_max_fraction == 0.20
    with pytest.raises(UsageError, match="no request"):
        confirm_loosening(loose, journal, now=later, **WHO)


def test_a_request_covers_exactly_the_values_it_named():
    """Asking for 0.12 and then writing 0.50 needs a new request."""
    strict = GatesPolicy()
    first = strict.model_copy(update={"rmse_excess_max_fraction": 0.12})
    second = strict.model_copy(update={"rmse_excess_max_fraction": 0.50})
    journal = [accept_tightening(strict, [], now=NOW, **WHO)]
    journal.append(request_loosening(first, journal, now=NOW, reason="why", **WHO))
    with pytest.raises(UsageError, match="no request"):
        confirm_loosening(second, journal, now=NOW + dt.timedelta(days=9), **WHO)


def test_the_pause_cannot_be_shortened_to_skip_it():
    strict = GatesPolicy(loosening_cooling_off_hours=72)
    sly = strict.model_copy(
        update={"loosening_cooling_off_hours": 24, "violation_rate_max_fraction": 0.4}
    )
    journal = [accept_tightening(strict, [], now=NOW, **WHO)]
    journal.append(request_loosening(sly, journal, now=NOW, reason="why", **WHO))
    with pytest.raises(UsageError, match="72 hours"):
        confirm_loosening(sly, journal, now=NOW + dt.timedelta(hours=30), **WHO)


def test_tightening_holds_at_once_and_cannot_be_taken_back_by_the_file():
    plain = GatesPolicy()
    tight = plain.model_copy(update={"effective_audits_min": 40})
    journal = [accept_tightening(plain, [], now=NOW, **WHO)]
    journal.append(accept_tightening(tight, journal, now=NOW, **WHO))
    assert gates_in_force(plain, journal).policy.effective_audits_min == 40
    assert accept_tightening(tight, journal, now=NOW, **WHO) is None
    assert looser_keys(flat(tight), flat(plain)) == ["effective_audits_min"]
    with pytest.raises(UsageError, match="not looser"):
        request_loosening(tight, journal, now=NOW, reason="why", **WHO)
