"""Whether a series has to be differenced, and whether a polynomial of lags lies inside the circle.

Belongs here: tests and transformations of one complete series. Does not belong here: searching.
Log returns are differences already: the nightly never asks, prices given directly do.
"""

import numpy as np

from quant.market.panel import FloatArray

# Kwiatkowski, Phillips, Schmidt and Shin (1992), table 1, level stationarity at 5 %.
_KPSS_LEVEL_5_PERCENT = 0.463
# A root this close to the circle is a cancelled or missing difference, not a lag; the bound of
# Hyndman and Khandakar (2008), section 3.1.
ROOT_MODULUS_MIN = 1.01


def differences_needed(values: FloatArray, *, differences_max: int = 2) -> int:
    """Differences until KPSS no longer rejects a stable level at 5 %; constants need none."""
    series = values[np.isfinite(values)]
    for count in range(differences_max):
        if kpss_statistic(series) <= _KPSS_LEVEL_5_PERCENT:
            return count
        series = np.diff(series)
    return differences_max


def kpss_statistic(series: FloatArray) -> float:
    """Partial sums over the long-run variance, Bartlett weights on 3 sqrt(n) / 13 lags."""
    count = len(series)
    errors = series - series.mean()
    lags = int(3.0 * np.sqrt(count) / 13.0)
    variance = float(errors @ errors)
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(errors[lag:] @ errors[:-lag])
    if variance <= 0.0:
        return 0.0
    sums = np.cumsum(errors)
    return float(sums @ sums) / (count * variance)


def is_inside(polynomial: FloatArray, *, modulus_min: float = ROOT_MODULUS_MIN) -> bool:
    """Whether all roots of 1 + c1 B + ... have a modulus above `modulus_min`.

    Scaling the coefficients by powers of the modulus moves that circle to the unit circle, where
    the step-down recursion (Durbin 1960) asks for reflections below one.
    """
    last = len(polynomial) - 1
    row = polynomial * modulus_min ** np.arange(last + 1)
    while last > 0:
        reflection = float(row[last])
        if not abs(reflection) < 1.0:
            return False
        row = (row[:last] - reflection * row[last:0:-1]) / (1.0 - reflection * reflection)
        last -= 1
    return True
