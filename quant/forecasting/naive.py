"""The yardstick and the last resort: the recent past's mean and deviation, carried forward.

Missing returns are left out of the window; a session without one shortens it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quant.forecasting.port import Cost
from quant.forecasting.trailing import TrailingModel
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveForecaster(TrailingModel):
    """Drift plus historic volatility."""

    name: ClassVar[str] = "naive"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(fit_ms_per_symbol=0.01, forecast_ms_per_symbol=0.05)

    def of_window(self, window: FloatArray, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean n-fold; the variance n-fold, and with it the doubt about the mean n^2-fold."""
        mean, variance, count = moments(window)
        return mean[:, None] * days, variance[:, None] * (days + days * days / count[:, None])


def moments(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance (n - 1) and count of each row's known values; NaN where fewer than two."""
    known = np.isfinite(values)
    count = known.sum(axis=1).astype(float)
    enough = count >= 2
    safe_count = np.where(enough, count, 2.0)
    mean = np.where(known, values, 0.0).sum(axis=1) / safe_count
    centred = np.where(known, values - mean[:, None], 0.0)
    variance = (centred * centred).sum(axis=1) / (safe_count - 1.0)
    return (
        np.where(enough, mean, np.nan),
        np.where(enough, variance, np.nan),
        np.where(enough, count, np.nan),
    )
