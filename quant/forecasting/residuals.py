"""Whether what a model left over looks like noise: two classical tests, cheap enough for every fit.

A failed test does not stop a model; it stands in the record beside the forecast. Most daily
returns fail Jarque-Bera: a fact about markets, and why the volatility model has fat tails.
"""

import numpy as np

from quant.market.panel import FloatArray

_LJUNG_BOX_LAGS = 10
_LEVEL = 0.01


def residual_diagnostics(
    residuals: FloatArray, *, lags_fitted: int = 0
) -> dict[str, str | float | bool]:
    """p-values of Ljung-Box (10 lags) and Jarque-Bera, whether each passes at 1 %, and in words.

    `residual_warning` names what failed, so that a reader of the record need not know the level.
    """
    known = residuals[np.isfinite(residuals)]
    white, normal = ljung_box_p(known, lags_fitted=lags_fitted), jarque_bera_p(known)
    failed = [
        f"{name} rejects {what} at {_LEVEL:.0%} (p {p:.2g})"
        for name, what, p in (
            ("Ljung-Box", "white residuals", white),
            ("Jarque-Bera", "normal residuals", normal),
        )
        if p < _LEVEL
    ]
    return {
        "ljung_box_p": white,
        "ljung_box_passes": white >= _LEVEL,
        "jarque_bera_p": normal,
        "jarque_bera_passes": normal >= _LEVEL,
        "residual_warning": "; ".join(failed),
    }


def explained_variance(errors: FloatArray, returns: FloatArray) -> float:
    """The share of the variance of returns that one-step forecasts took away; at least nothing.

    `errors` must be of forecasts from the returns before each: a smoother's would know the answer.
    """
    known = np.isfinite(errors) & np.isfinite(returns)
    left = float(np.mean(np.square(errors[known])))
    return max(0.0, 1.0 - left / float(np.var(returns[known])))


def ljung_box_p(
    residuals: FloatArray, *, lags: int = _LJUNG_BOX_LAGS, lags_fitted: int = 0
) -> float:
    """Probability of autocorrelations this large under white noise (Ljung and Box 1978).

    Each coefficient that was fitted on lags takes a degree of freedom, and one is always left.
    """
    from scipy.special import chdtrc

    count = len(residuals)
    centred = residuals - residuals.mean()
    power = float(np.sum(centred * centred))
    shares = [float(np.sum(centred[k:] * centred[:-k])) / power for k in range(1, lags + 1)]
    terms = [share * share / (count - k) for k, share in enumerate(shares, start=1)]
    return float(chdtrc(max(lags - lags_fitted, 1), count * (count + 2) * sum(terms)))


def jarque_bera_p(residuals: FloatArray) -> float:
    """Probability of this skewness and kurtosis under normality (Jarque and Bera 1980)."""
    from scipy.special import chdtrc

    centred = residuals - residuals.mean()
    variance = float(np.mean(centred**2))
    skewness = float(np.mean(centred**3)) / variance**1.5
    excess = float(np.mean(centred**4)) / variance**2 - 3.0
    return float(chdtrc(2, len(residuals) / 6.0 * (skewness**2 + excess**2 / 4.0)))
