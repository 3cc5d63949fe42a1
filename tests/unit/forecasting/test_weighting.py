"""From evidence to weights: each kind by hand, and what holds whatever the evidence."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.forecasting.ensemble_policy import EnsemblePolicy
from quant.forecasting.weighting import Fits, Record, compare_losses, weigh

MODELS = ("sarimax", "garch", "naive")
PLAIN = EnsemblePolicy(
    mean_naive_share_min=0.0,
    mean_naive_share_max=0.0,
    volatility_naive_share=0.0,
    weight_max=1.0,
    record_half_life_sessions=1e9,
)
EVERYBODY = np.ones((3, 1), dtype=bool)


def _weigh(policy=PLAIN, *, answers=EVERYBODY, fits=None, returns=None, **losses):
    count = answers.shape[1]
    record = Record(
        squared=losses.get("squared", {}),
        pinball=losses.get("pinball", {}),
        returns=np.zeros((count, 0)) if returns is None else returns,
    )
    return weigh(
        answers,
        models=MODELS,
        fits=fits or Fits.unknown(3, count),
        record=record,
        policy=policy,
    )


def _constant(**values):
    return {model: np.full((1, 20), value) for model, value in values.items()}


def test_a_tenth_less_pinball_over_twenty_sessions_is_odds_of_eight():
    """0.9^-20 = 8.2; a model as good as naive drift keeps odds of one."""
    found = _weigh(pinball=_constant(garch=0.9, sarimax=1.0, naive=1.0)).parts["volatility"]
    odds = 0.9**-20
    assert found.loss_ratio[:, 0].tolist() == pytest.approx([1.0, 0.9, 1.0])
    assert found.sessions[:, 0].tolist() == pytest.approx([20.0, 20.0, 0.0])
    assert found.weights[:, 0].tolist() == pytest.approx(
        [1 / (odds + 2), odds / (odds + 2), 1 / (odds + 2)]
    )


def test_squared_errors_count_as_a_normal_likelihood_of_free_scale():
    """An error four fifths as large, squared: odds (0.64)^(-20/2)."""
    found = _weigh(squared=_constant(sarimax=0.64, garch=1.0, naive=1.0)).parts["mean"]
    assert math.exp(found.realised[0, 0]) == pytest.approx(0.64**-10)


def test_only_sessions_that_both_were_scored_on_are_compared():
    """The model missed the two bad days; without them it is no better than naive drift."""
    naive = np.array([[1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0]])
    model = np.array([[1.0, 1.0, np.nan, np.nan, 1.0, 1.0, 1.0, 1.0]])
    losses = {"garch": model, "naive": naive}
    ratio, sessions = compare_losses(losses, MODELS, np.array([-1]), PLAIN)
    assert (ratio[1, 0], sessions[1, 0]) == pytest.approx((1.0, 6.0))


def test_a_short_record_says_nothing_and_an_old_one_fades():
    """Four sessions are too few by policy; with a half-life of one, older sessions count half."""
    four = {model: np.full((1, 4), loss) for model, loss in (("garch", 0.1), ("naive", 1.0))}
    ratio, sessions = compare_losses(four, MODELS, np.array([-1]), PLAIN)
    assert (ratio[1, 0], sessions[1, 0]) == (1.0, 0.0)

    fading = PLAIN.model_copy(update={"record_half_life_sessions": 1.0, "record_sessions_min": 1})
    losses = {"garch": np.array([[4.0, 1.0]]), "naive": np.array([[1.0, 1.0]])}
    ratio, sessions = compare_losses(losses, MODELS, np.array([-1]), fading)
    # Weights 1/2 and 1: (4/2 + 1) / (1/2 + 1).
    assert (ratio[1, 0], sessions[1, 0]) == pytest.approx((2.0, 1.5))


def test_after_a_change_the_record_before_it_fades_at_the_pace_of_its_age():
    """A change one session ago: a half-life of one instead of nearly infinite."""
    losses = {"garch": np.array([[4.0] * 4 + [1.0]]), "naive": np.ones((1, 5))}
    ratio, _ = compare_losses(losses, MODELS, np.array([1]), PLAIN)
    shares = 0.5 ** np.arange(5)[::-1]
    assert ratio[1, 0] == pytest.approx((shares @ [4, 4, 4, 4, 1]) / shares.sum())


def test_akaikes_criterion_is_weighed_against_a_constant_normal():
    """One tenth of a nat a return, worth twenty returns: odds e^2; enlarged units are refused."""
    returns = np.random.default_rng(1).normal(0, 0.01, size=(1, 400))
    constant = math.log(2 * math.pi * returns.var()) + 1 + 4 / 400
    criteria = np.array([[constant], [constant - 0.2], [np.nan]])
    fits = Fits(aic_per_return=criteria, explained_variance=np.full((3, 1), np.nan))
    found = _weigh(fits=fits, returns=returns).parts["volatility"]
    assert found.fit[:, 0].tolist() == pytest.approx([0.0, 2.0, 0.0], abs=1e-9)

    # Of returns enlarged 64 times the criterion is 2 log 64 larger, which is no worse fit.
    enlarged = Fits(
        aic_per_return=criteria + 2 * math.log(64), explained_variance=fits.explained_variance
    )
    assert _weigh(fits=enlarged, returns=returns).parts["volatility"].fit.tolist() == [[0]] * 3


def test_explained_variance_speaks_for_the_mean_alone():
    """A share of 2 % is -log(0.98) / 2 nats a return, worth twenty returns."""
    fits = Fits(
        aic_per_return=np.full((3, 1), np.nan),
        explained_variance=np.array([[0.02], [np.nan], [0.0]]),
    )
    found = _weigh(fits=fits)
    assert found.parts["mean"].fit[:, 0].tolist() == pytest.approx([-10 * math.log(0.98), 0, 0])
    assert found.parts["volatility"].fit[:, 0].tolist() == [0, 0, 0]


def test_a_random_walk_leaves_the_mean_to_naive_drift_and_a_trend_does_not():
    """An AR(1) of 0.5 has a variance ratio far from one, white noise does not."""
    rng = np.random.default_rng(11)
    noise = rng.normal(0, 0.01, size=(2, 300))
    trend = noise.copy()
    for day in range(1, 300):
        trend[1, day] = 0.5 * trend[1, day - 1] + noise[1, day]
    found = _weigh(EnsemblePolicy(), answers=np.ones((3, 2), dtype=bool), returns=trend)
    assert found.variance_ratio_p_value[1] < 1e-3
    assert found.variance_ratio_p_value[0] > 0.2
    walk, trending = found.parts["mean"].naive_share
    assert trending == pytest.approx(0.25, abs=1e-3)
    assert walk == pytest.approx(0.25 + 0.5 * found.variance_ratio_p_value[0])
    naive_of_walk, naive_of_trend = found.parts["mean"].weights[2]
    assert naive_of_walk > naive_of_trend


def test_a_recent_change_of_volatility_favours_quick_models():
    """Thirty days at four times the deviation: odds of GARCH double, in the volatility alone."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.01, size=(2, 252))
    returns[1, -30:] *= 4
    found = _weigh(answers=np.ones((3, 2), dtype=bool), returns=returns)
    calm, changed = found.change_sessions_ago
    assert calm == -1
    assert 25 <= changed <= 35
    assert np.exp(found.parts["volatility"].change[:, 1]).tolist() == [1.0, 2.0, 1.0]
    assert found.parts["volatility"].weights[:, 1].tolist() == pytest.approx([0.25, 0.5, 0.25])
    assert not found.parts["mean"].change.any()


def test_no_model_but_naive_drift_gets_more_than_the_cap():
    """GARCH has odds of a billion; what is above the cap goes to the others by their shares."""
    policy = PLAIN.model_copy(update={"weight_max": 0.8})
    losses = _constant(garch=0.3, sarimax=1.0, naive=1.0)
    found = _weigh(policy, pinball=losses).parts["volatility"].weights[:, 0]
    assert found.tolist() == pytest.approx([0.1, 0.8, 0.1])
    alone = np.array([[False], [True], [False]])
    only = _weigh(policy, answers=alone, pinball=losses).parts["volatility"].weights[:, 0]
    assert only.tolist() == [0.0, 1.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_weights_are_shares_whatever_the_evidence(data):
    """They sum to one, are never negative, never above the cap, and zero for the silent."""
    symbols = data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    answers = rng.random((3, symbols)) < 0.7
    scale = 10.0 ** rng.uniform(-6, 6, size=(3, 1, 1))
    losses = rng.random((3, symbols, 30)) * scale
    losses[rng.random(losses.shape) < 0.3] = np.nan
    by_model = {
        model: loss for model, loss in zip(MODELS, losses, strict=True) if rng.random() < 0.9
    }
    fits = Fits(
        aic_per_return=rng.normal(-6, 3, size=(3, symbols)),
        explained_variance=rng.uniform(-1, 1, size=(3, symbols)),
    )
    returns = rng.standard_t(3, size=(symbols, 260)) * 0.01
    policy = EnsemblePolicy(weight_max=rng.uniform(0.5, 1.0))
    found = _weigh(
        policy, answers=answers, fits=fits, returns=returns, squared=by_model, pinball=by_model
    )
    for part in found.parts.values():
        totals = part.weights.sum(axis=0)
        assert totals.tolist() == pytest.approx(answers.any(axis=0).astype(float).tolist())
        assert (part.weights >= 0).all()
        assert not part.weights[~answers].any()
        several = answers.sum(axis=0) > 1
        assert (part.weights[:2, several] <= policy.weight_max + 1e-12).all()
