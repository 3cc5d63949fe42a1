"""Rules run through splits, and pipelines that peek are caught."""

import math

import numpy as np
import pytest

from quant.core.errors import DataError
from quant.governance.splits import CombinatorialPurged, TimeSeriesFolds, WalkForward
from quant.governance.validation import (
    leakage_sentinel,
    out_of_sample_paths,
    shuffles_needed,
    validate,
)

RETURNS = np.random.default_rng(8).normal(0.0004, 0.01, 1_500)


def follow(returns: np.ndarray) -> np.ndarray:
    """Hold the sign of yesterday's return."""
    return np.concatenate([[0.0], np.sign(returns[:-1])])


def peek(returns: np.ndarray) -> np.ndarray:
    """The planted look-ahead: it knows today's return, in one part of twenty."""
    return follow(returns) + 0.2 * np.sign(returns)


def scaled_by_all(returns: np.ndarray) -> np.ndarray:
    """A quieter leak: standardised with the mean of the whole series, its future included."""
    return np.concatenate([[0.0], np.sign(returns[:-1] - returns.mean())])


def test_an_honest_rule_passes_the_sentinel():
    found = leakage_sentinel(follow, RETURNS)
    assert found.passed
    assert abs(found.sharpe) < 0.1
    assert found.standard_error < 0.1 / 2
    assert found == leakage_sentinel(follow, RETURNS)


def test_a_planted_look_ahead_model_is_refused():
    """On shuffled returns nobody can earn; the one who does has seen them."""
    found = leakage_sentinel(peek, RETURNS)
    assert not found.passed
    assert found.sharpe > 1
    assert found.first_leak is not None


def test_a_leak_too_small_to_earn_is_found_by_rewriting_the_future():
    found = leakage_sentinel(scaled_by_all, RETURNS)
    assert abs(found.sharpe) < 0.1
    assert not found.passed
    assert "looks ahead" in found.reason


def test_holding_earns_the_market_and_is_no_leak():
    drifting = RETURNS + 0.001
    assert leakage_sentinel(np.ones_like, drifting).passed


def test_a_history_too_short_to_tell_is_refused():
    assert shuffles_needed(2_500, sharpe_max=0.1) == math.ceil(252 / 2_500 * 900)
    with pytest.raises(DataError, match="shuffles"):
        leakage_sentinel(follow, RETURNS[:100])


@pytest.mark.parametrize(
    "scheme",
    [
        WalkForward(train_size=500, test_size=100),
        TimeSeriesFolds(folds=5, purge=2),
        CombinatorialPurged(folds=10, test_folds=2, purge=2, embargo=2),
        CombinatorialPurged(folds=6, test_folds=1),
    ],
)
def test_every_scheme_fills_the_same_report(scheme):
    """A rule without parameters earns its own returns, whatever it was trained on."""
    earned = follow(RETURNS) * RETURNS
    report = validate(lambda _train, test: earned[test], scheme, observations=len(RETURNS))
    tested = np.unique(np.concatenate([s.test for s in scheme.splits(len(RETURNS))]))
    whole = earned[tested]
    expected = whole.mean() / whole.std(ddof=1) * math.sqrt(252)
    assert report.path_sharpes == pytest.approx([expected] * len(report.path_sharpes))
    assert report.loss_fraction == (0.0 if expected > 0 else 1.0)
    assert report.returns_hash


def test_paths_are_those_of_skfolio_for_its_own_estimator():
    """The same portfolio rule, fitted on the same splits: equal returns on every path."""
    from skfolio.model_selection import CombinatorialPurgedCV, cross_val_predict
    from skfolio.optimization import InverseVolatility

    returns = np.random.default_rng(1).normal(0.0005, 0.01, (300, 5)) * np.arange(1, 6)

    def evaluate(train, test):
        weights = InverseVolatility().fit(returns[train]).weights_
        return returns[test] @ weights

    ours = out_of_sample_paths(
        evaluate, CombinatorialPurged(folds=6, test_folds=2, purge=1), observations=300
    )
    population = cross_val_predict(
        InverseVolatility(),
        returns,
        cv=CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=1),
    )
    assert len(ours) == len(population) == 5
    for path, portfolio in zip(ours, population, strict=True):
        np.testing.assert_allclose(path, np.asarray(portfolio.returns), rtol=1e-12)


def test_a_rule_that_loses_returns_is_an_error():
    with pytest.raises(DataError, match="test observations"):
        validate(lambda _train, _test: np.zeros(1), TimeSeriesFolds(folds=3), observations=90)
