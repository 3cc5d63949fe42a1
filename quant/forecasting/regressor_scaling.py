"""Regressors as a fit takes them: one session late, centred, and of deviation one.

Belongs here: aligning, scaling, and leaving out what says too little. Does not belong here: which
features are asked for (the policy), nor their effect on a forecast (`sarimax`).
"""

from dataclasses import dataclass

import numpy as np

from quant.forecasting.fitting import FitTask
from quant.market.panel import FloatArray

# A regressor that is known for less of the window than this would be mostly its own mean.
_KNOWN_SHARE_MIN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledRegressors:
    """Regressors a session late, with mean 0 and deviation 1, and the way back."""

    names: tuple[str, ...]
    left_out: tuple[str, ...]
    values: FloatArray
    centres: FloatArray
    deviations: FloatArray

    @property
    def columns(self) -> FloatArray | None:
        """(regressors, sessions), or none."""
        return self.values if self.names else None


def scale_regressors(task: FitTask) -> ScaledRegressors:
    """Those that are known for half the window and vary; the first session has none."""
    given = task.regressors
    if given is None:
        given = np.empty((0, len(task.values)))
    late = given[:, :-1]
    known = np.isfinite(late)
    is_used = known.mean(axis=1) >= _KNOWN_SHARE_MIN
    centres, deviations = np.zeros(len(given)), np.zeros(len(given))
    for row in np.flatnonzero(is_used):
        centres[row] = late[row, known[row]].mean()
        deviations[row] = late[row, known[row]].std()
        is_used[row] = deviations[row] > 1e-12 * max(abs(centres[row]), 1e-300)
    picked = np.flatnonzero(is_used)
    values = np.zeros((len(picked), len(task.values)))
    scaled = (late[picked] - centres[picked, None]) / deviations[picked, None]
    values[:, 1:] = np.nan_to_num(scaled, nan=0.0)
    names = np.array(task.regressor_names, dtype=object)
    return ScaledRegressors(
        names=tuple(names[is_used]),
        left_out=tuple(names[~is_used]),
        values=values,
        centres=centres[picked],
        deviations=deviations[picked],
    )
