"""Five layers by hand, the batch against one by one, and the rolling backtest."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.signals.validator import (
    LAYERS,
    OUTCOMES,
    Evidence,
    EvidenceBatch,
    Layer,
    Outcome,
    ValidationPolicy,
    rolling_hits,
    standing_of,
    validate,
    validate_many,
)

POLICY = ValidationPolicy()
GOOD = {
    "probability": 0.60,
    "trend": 0.5,
    "weight": 0.05,
    "correlation": 0.4,
    "cost": 0.0008,
    "expected_return": 0.01,
}


def outcome(layer: Layer, **changed: float) -> Outcome:
    verdicts = validate(Evidence(**GOOD | changed), POLICY).layers
    return next(one.outcome for one in verdicts if one.layer is layer)


def test_a_good_purchase_passes_every_layer():
    validation = validate(Evidence(**GOOD), POLICY)
    assert validation.is_approved
    assert (validation.reason, validation.warnings) == ("", ())
    assert [one.layer for one in validation.layers] == list(LAYERS)


@pytest.mark.parametrize(
    ("layer", "field", "passes", "warns", "fails"),
    [
        (Layer.STATISTICS, "probability", 0.55, 0.50, 0.4999),
        (Layer.REGIME, "trend", 0.0, -1.0, -1.01),
        (Layer.POSITION, "weight", 0.01, 0.005, 0.0049),
        (Layer.CORRELATION, "correlation", 0.70, 0.90, 0.901),
        (Layer.COST, "cost", 0.005, 0.008, 0.0081),
    ],
)
def test_each_layer_warns_and_then_refuses(layer, field, passes, warns, fails):
    """The edges themselves are still inside; cost is a share of an expected 1 %."""
    found = [outcome(layer, **{field: value}) for value in (passes, warns, fails)]
    assert found == [Outcome.PASS, Outcome.WARN, Outcome.FAIL]


@pytest.mark.parametrize("field", list(GOOD))
@pytest.mark.parametrize("value", [math.nan])
def test_what_is_not_known_refuses(field, value):
    """Unknown is not harmless, and its sentence says so."""
    validation = validate(Evidence(**GOOD | {field: value}), POLICY)
    assert not validation.is_approved
    assert "is not known" in validation.reason


def test_a_refusal_says_value_and_limit():
    validation = validate(Evidence(**GOOD | {"trend": -1.5, "probability": 0.52}), POLICY)
    assert validation.reason == (
        "regime refuses: the market's trend in standard deviations is -1.500, the limit is -1.000"
    )
    assert validation.warnings == (
        "statistics warns: the chance to earn the cost is 0.520, the limit is 0.550",
    )
    record = validation.to_record()
    assert record[1] | {"warning": ""} == {
        "layer": "regime",
        "outcome": "fail",
        "value": -1.5,
        "threshold": -1.0,
        "warning": "",
    }


def test_a_policy_that_refuses_before_it_warns_is_refused():
    with pytest.raises(ValueError, match="probability"):
        ValidationPolicy(probability_min=0.6, probability_warn=0.5)


numbers = st.floats() | st.sampled_from([0.5, 0.55, -1.0, 0.0, 0.005, 0.9, 0.7])


@given(st.lists(st.tuples(*[numbers] * len(GOOD)), min_size=1, max_size=30))
def test_many_at_once_are_judged_as_one_by_one(rows):
    """Any numbers, infinities and NaN among them."""
    columns = dict(zip(GOOD, np.array(rows, dtype=float).T, strict=True))
    together = validate_many(EvidenceBatch(**columns), POLICY)
    for row, values in enumerate(rows):
        alone = validate(Evidence(**dict(zip(GOOD, values, strict=True))), POLICY)
        assert [OUTCOMES[code] for code in together.outcomes[row]] == [
            one.outcome for one in alone.layers
        ]
        np.testing.assert_array_equal(together.values[row], [one.value for one in alone.layers])
        assert together.is_approved[row] == alone.is_approved


@given(st.sampled_from(list(GOOD)), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_nothing_that_is_not_finite_is_approved_by_its_own_layer(field, value):
    """An infinite expected return makes the share zero, and an infinite trend is no trend."""
    validation = validate(Evidence(**GOOD | {field: value}), POLICY)
    if field not in {"expected_return"} or value != math.inf:
        assert not validation.is_approved


def test_refusals_are_counted_by_the_first_layer_that_refuses():
    columns = {name: np.array([value] * 3) for name, value in GOOD.items()}
    columns["trend"] = np.array([-2.0, 0.0, -2.0])
    columns["probability"] = np.array([0.1, 0.6, 0.6])
    counts = validate_many(EvidenceBatch(**columns), POLICY).refused_by()
    assert counts == {"statistics": 1, "regime": 1, "position": 0, "correlation": 0, "cost": 0}


def test_a_call_hits_when_the_market_did_what_it_said():
    """Up by more than the cost, or not up by more than it; what is unknown does not count."""
    calls = np.array([0.02, 0.02, -0.01, -0.01, math.nan, 0.02])
    outcomes = np.array([0.01, 0.0005, 0.01, -0.02, 0.01, math.nan])
    assert rolling_hits(calls, outcomes, cost=0.001).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("hits", "calls", "state"),
    [(56, 100, "green"), (55, 100, "red"), (0, 100, "red"), (99, 99, "exploration")],
)
def test_a_strategy_is_approved_above_fifty_five_percent(hits, calls, state):
    """Exactly 55 % is not above it; ninety-nine right calls are too few to know."""
    standing = standing_of([True] * hits + [False] * (calls - hits), POLICY)
    assert (standing.state, standing.calls) == (state, calls)
    assert math.isnan(standing_of([], POLICY).hit_rate)
