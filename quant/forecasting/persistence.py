"""A candidate that exists to be judged: every coming day repeats the last return.

Daily returns hardly repeat, so its error is about the root of two times that of a constant. It
runs through the same port, hold-out and verdict as a serious model, and a reader of the report sees
a gate that refuses. It never enters the decision forecast.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quant.forecasting.naive import moments
from quant.forecasting.port import Cost
from quant.forecasting.trailing import TrailingModel
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistenceForecaster(TrailingModel):
    """Its deviation is honest: that of the changes from one return to the next."""

    name: ClassVar[str] = "persistence"
    version: ClassVar[str] = "1"
    cost: ClassVar[Cost] = Cost(fit_ms_per_symbol=0.01, forecast_ms_per_symbol=0.05)

    def of_window(self, window: FloatArray, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A missing last return leaves nothing to repeat: NaN, and so a recorded failure."""
        _, variance, _ = moments(np.diff(window, axis=1))
        return window[:, -1:] * days, variance[:, None] * days
