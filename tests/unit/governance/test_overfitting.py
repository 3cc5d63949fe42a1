"""Deflated Sharpe ratios against the papers' numbers; overfitting against an obvious twin."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.governance.overfitting import (
    Moments,
    average_correlation,
    backtest_overfitting,
    deflated_sharpe,
    expected_best_sharpe,
    moments,
    probabilistic_sharpe,
)

# Bailey and Lopez de Prado (2014), "The Deflated Sharpe Ratio", numerical example: an annual ratio
# of 2.5 over five years of daily returns, variance over the trials of one half.
DAILY = math.sqrt(250)
PAPER = Moments(sharpe=2.5 / DAILY, observations=1250, skewness=-3.0, kurtosis=10.0)
DEVIATION = math.sqrt(0.5) / DAILY


def test_the_deflated_sharpe_ratio_is_that_of_the_paper():
    """100 trials: a benchmark of 0.1132 a day, and 90.04 %; below the 95 % that were wanted."""
    found = deflated_sharpe(PAPER, trials=100, deviation=DEVIATION)
    assert found.benchmark == pytest.approx(0.1132, abs=5e-5)
    assert found.probability == pytest.approx(0.9004, abs=5e-5)


def test_fewer_trials_or_normal_returns_would_have_passed_as_in_the_paper():
    """46 trials give 95.05 %; normal returns allow 88."""
    assert deflated_sharpe(PAPER, trials=46, deviation=DEVIATION).probability == pytest.approx(
        0.9505, abs=5e-5
    )
    normal = Moments(sharpe=PAPER.sharpe, observations=1250, skewness=0.0, kurtosis=3.0)
    assert deflated_sharpe(normal, trials=88, deviation=DEVIATION).probability == pytest.approx(
        0.9505, abs=5e-4
    )


def test_the_probabilistic_ratio_is_that_of_the_earlier_paper():
    """Bailey and Lopez de Prado (2012), table 1: two years of months, annual ratio 1.59.

    Skewness -2.448 and kurtosis 10.164 take the confidence in a positive ratio from 0.982 to
    0.913.
    """
    normal = Moments(sharpe=0.458, observations=24, skewness=0.0, kurtosis=3.0)
    fat = Moments(sharpe=0.458, observations=24, skewness=-2.448, kurtosis=10.164)
    assert probabilistic_sharpe(normal) == pytest.approx(0.982, abs=1e-3)
    assert probabilistic_sharpe(fat) == pytest.approx(0.913, abs=1e-3)


def test_the_expected_best_of_many_is_what_a_simulation_finds():
    """Table of the paper's appendix: 2.5 standard deviations for the best of 100 normal draws."""
    rng = np.random.default_rng(3)
    for trials in (10, 100, 500):
        simulated = rng.normal(size=(4_000, trials)).max(axis=1).mean()
        assert expected_best_sharpe(trials=trials, deviation=1.0) == pytest.approx(
            simulated, rel=0.03
        )
    assert expected_best_sharpe(trials=1, deviation=1.0) == 0.0


@given(st.floats(1.0, 1e6), st.floats(1.0, 100.0))
def test_more_trials_never_raise_the_probability(trials, factor):
    few = deflated_sharpe(PAPER, trials=trials, deviation=DEVIATION).probability
    many = deflated_sharpe(PAPER, trials=trials * factor, deviation=DEVIATION).probability
    assert many <= few + 1e-12


def test_moments_are_scipys():
    from scipy import stats

    values = np.random.default_rng(1).standard_t(5, size=400) * 0.01
    found = moments(values)
    assert found.skewness == pytest.approx(stats.skew(values))
    assert found.kurtosis == pytest.approx(stats.kurtosis(values, fisher=False))
    with pytest.raises(DataError, match="not finite"):
        moments([0.01, math.nan, 0.02, 0.01])
    with pytest.raises(DataError, match="no Sharpe ratio"):
        moments([0.01] * 50)


def obvious_pbo(values: np.ndarray, blocks: int) -> list[float]:
    """The paper's procedure step by step, with ranks from scipy."""
    from scipy.stats import rankdata

    parts = np.split(values, blocks)
    logits = []
    for half in itertools.combinations(range(blocks), blocks // 2):
        first = np.concatenate([parts[i] for i in half])
        second = np.concatenate([parts[i] for i in range(blocks) if i not in half])
        best = (first.mean(axis=0) / first.std(axis=0, ddof=1)).argmax()
        ranks = rankdata(second.mean(axis=0) / second.std(axis=0, ddof=1))
        share = ranks[best] / (values.shape[1] + 1)
        logits.append(math.log(share / (1 - share)))
    return logits


def test_overfitting_is_what_the_procedure_gives_step_by_step():
    values = np.random.default_rng(5).normal(0.001, 0.01, size=(240, 13))
    found = backtest_overfitting(values, blocks=8)
    np.testing.assert_allclose(found.logits, obvious_pbo(values, 8), atol=1e-9)


def test_noise_is_overfitted_about_half_of_the_time_and_skill_is_not():
    rng = np.random.default_rng(11)
    noise = rng.normal(0, 0.01, size=(1_600, 100))
    skill = noise.copy()
    skill[:, 7] += 0.002
    assert np.mean(
        [backtest_overfitting(rng.normal(size=(800, 30)), blocks=8).probability for _ in range(40)]
    ) == pytest.approx(0.5, abs=0.08)
    assert backtest_overfitting(skill, blocks=16).probability < 0.01


def test_rules_whose_whole_record_is_zero_are_overfitted_for_certain_as_in_the_paper():
    """The Monte Carlo study of Bailey et al., its case of a Sharpe ratio of zero: PBO is 1.000.

    There every rule is shifted and scaled to a ratio of exactly zero over all sessions, so whoever
    was best in one half must have been worst in the other.
    """
    rng = np.random.default_rng(500)
    for observations, rules in ((512, 500), (1_008, 100), (512, 50)):
        values = rng.normal(size=(observations, rules))
        values = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
        assert backtest_overfitting(values, blocks=16).probability == pytest.approx(1.0, abs=5e-4)


def test_the_average_correlation_is_that_of_the_whole_matrix():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(300, 1)) + rng.normal(size=(300, 12))
    matrix = np.corrcoef(values.T)
    mean = matrix[np.triu_indices(12, 1)].mean()
    assert average_correlation(values) == pytest.approx(mean)
