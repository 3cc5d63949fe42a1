"""Who leads, who must go, and how many sessions a degraded champion lasts."""

import dataclasses
import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from quant.governance.gate_policy import SelectionPolicy
from quant.governance.records import RoleChanged
from quant.governance.selection import (
    ModelFigures,
    Role,
    champion,
    demoted_models,
    demotion_reason,
    figures_of,
    held_since,
    previous_champions,
    revert,
    roles,
    score,
    select,
    watch,
)

POLICY = SelectionPolicy()
DAY = dt.date(2022, 12, 28)


def change(model: str, role: Role, number: int = 0) -> RoleChanged:
    return RoleChanged(
        model=model, role=role.value, session=DAY, actor="test", reason="", number=number
    )


def figures(model: str, sharpe: float) -> ModelFigures:
    return ModelFigures(
        model=model, profit_factor=1.0 + sharpe / 5, drawdown=0.1, sharpe=sharpe, stability=0.6
    )


def test_the_score_can_be_worked_out_by_hand():
    """Factor 1.5 is 0.6, drawdown 0.2 is 0.8, a Sharpe ratio of 0 is 0.5, stability 0.7."""
    one = ModelFigures(model="m", profit_factor=1.5, drawdown=0.2, sharpe=0.0, stability=0.7)
    assert score(one, POLICY) == pytest.approx(0.25 * 0.6 + 0.25 * 0.8 + 0.3 * 0.5 + 0.2 * 0.7)
    nothing = ModelFigures(model="m", profit_factor=None, drawdown=None, sharpe=None, stability=0.0)
    assert score(nothing, POLICY) == 0.0


def test_figures_come_from_returns():
    returns = pd.Series([0.02, -0.01] * 10)
    found = figures_of("m", returns)
    assert found.profit_factor == pytest.approx(2.0)
    assert found.stability == 1.0
    assert found.drawdown == pytest.approx(0.01)
    assert figures_of("m", pd.Series([0.01, 0.02])).profit_factor == math.inf


def test_nobody_leads_without_a_certificate_however_good():
    found = select([figures("a", 9.0)], objections={"a": "expired"}, standing="", policy=POLICY)
    assert (found.model, "expired" in found.reason) == ("", True)
    assert select([figures("a", 9.0)], objections={}, standing="", policy=POLICY).model == ""


def test_a_challenger_needs_the_minimum_uplift():
    both = {"a": "", "b": ""}
    near = select(
        [figures("a", 1.0), figures("b", 1.05)], objections=both, standing="a", policy=POLICY
    )
    far = select(
        [figures("a", 1.0), figures("b", 3.0)], objections=both, standing="a", policy=POLICY
    )
    assert near.model == ""
    assert "is asked" in near.reason
    assert (far.model, far.role) == ("b", Role.CHAMPION)


def test_one_champion_at_a_time_and_reversion_goes_to_the_last_certified_one():
    records = [
        change("a", Role.CHAMPION),
        change("b", Role.CHAMPION, 1),
        change("c", Role.CHAMPION, 2),
    ]
    assert roles(records) == {"a": Role.CHALLENGER, "b": Role.CHALLENGER, "c": Role.CHAMPION}
    assert previous_champions(records) == ["b", "a"]
    later = dataclasses.replace(change("b", Role.CHAMPION, 3), session=DAY + dt.timedelta(days=9))
    assert held_since([*records, later]) == {
        "a": DAY,
        "b": later.session,
        "c": later.session,
    }
    records.append(change("c", Role.NONE, 3))
    assert champion(records) == ""
    assert list(demoted_models(records)) == ["c"]
    assert revert(records, objections={"a": "", "b": "expired"}) == "a"
    assert revert(records, objections={"b": "", "a": ""}) == "b"
    assert revert(records, objections={}) == ""


def scored(sessions: int, *, degraded_from: int, rng: np.random.Generator) -> pd.DataFrame:
    """Twenty symbols a session; from one session on, the model's errors are half as large again."""
    rows = []
    for number in range(sessions):
        noise = rng.normal(size=20)
        wide = 1.5 if number >= degraded_from else 1.0
        for symbol, value in enumerate(noise):
            row = {"session": DAY + dt.timedelta(days=number), "symbol": symbol, "horizon_days": 1}
            rows.append(
                row
                | {
                    "model": "m",
                    "squared_error": (wide * value) ** 2,
                    "in_90": abs(wide * value) < 1.645,
                }
            )
            rows.append(row | {"model": "naive", "squared_error": value**2, "in_90": True})
    return pd.DataFrame(rows)


def test_a_degraded_champion_is_demoted_within_five_sessions_and_a_sound_one_stays():
    """Errors half as large again, twenty symbols, the last twenty sessions watched.

    Forty champions degrade at session 30: every one is demoted within N = 5 sessions, half of them
    within four. None of the forty was demoted in the ten watched sessions before.
    """
    took = []
    for seed in range(40):
        frame = scored(45, degraded_from=30, rng=np.random.default_rng(seed))
        for number in range(20, 46):
            until = frame[frame["session"] < DAY + dt.timedelta(days=number)]
            watched = watch(until, model="m", baseline="naive", sessions=20)
            if watched is not None and demotion_reason(watched, POLICY):
                took.append(number - 30)
                break
    assert len(took) == 40
    assert min(took) >= 1
    assert max(took) <= 5
    assert np.median(took) <= 4


def test_too_few_sessions_are_no_reason():
    frame = scored(19, degraded_from=0, rng=np.random.default_rng(0))
    assert watch(frame, model="m", baseline="naive", sessions=20) is None
