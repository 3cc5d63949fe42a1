"""The residual tests against statsmodels and scipy."""

import numpy as np
import pytest

from quant.forecasting.residuals import (
    explained_variance,
    jarque_bera_p,
    ljung_box_p,
    residual_diagnostics,
)


def test_both_p_values_agree_with_the_libraries(few):
    """On real returns, whose normality is refused and said so."""
    from scipy.stats import jarque_bera
    from statsmodels.stats.diagnostic import acorr_ljungbox

    values = few.values[2]
    assert ljung_box_p(values) == pytest.approx(acorr_ljungbox(values, 10)["lb_pvalue"].iloc[-1])
    assert jarque_bera_p(values) == pytest.approx(jarque_bera(values).pvalue, abs=1e-12)
    assert residual_diagnostics(values)["jarque_bera_passes"] is False


def test_white_normal_noise_passes_and_a_trend_does_not():
    """The two verdicts can go both ways."""
    noise = np.random.default_rng(2).normal(size=500)
    fine = residual_diagnostics(noise)
    assert fine["ljung_box_passes"]
    assert fine["jarque_bera_passes"]
    assert not residual_diagnostics(noise + np.linspace(-2, 2, 500))["ljung_box_passes"]


def test_explained_variance_is_what_the_errors_lack_and_never_negative():
    """Returns of plus and minus two, errors of half their size: three quarters are explained."""
    returns = np.array([2.0, -2.0, 2.0, -2.0, np.nan])
    assert explained_variance(returns / 2, returns) == pytest.approx(0.75)
    assert explained_variance(returns * 2, returns) == 0.0
