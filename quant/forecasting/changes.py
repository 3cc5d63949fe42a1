"""When did it change? A causal alarm for every night, and an exact search for every fit.

Belongs here: the two-sided CUSUM over many symbols, and the division of one window into pieces of
equal mean. Does not belong here: what a model does about a change. A missing value is passed over:
sums stay as they were, and it cannot raise an alarm.
"""

from dataclasses import dataclass

import numpy as np

from quant.forecasting.forecast import BoolArray, Diagnostics
from quant.forecasting.kernels import IntArray
from quant.market.panel import FloatArray

# Sessions since the last alarm where there was none: longer than any history.
NEVER = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CusumPath:
    """What stood after every session, (sessions, symbols).

    `up` and `down` are zero after an alarm, when the search begins anew; `peak` is the larger of
    the two before that. `since_alarm` is zero on the session of an alarm.
    """

    up: FloatArray
    down: FloatArray
    peak: FloatArray
    since_alarm: IntArray

    def is_alarm(self) -> BoolArray:
        """Where the limit was passed."""
        alarm: BoolArray = self.since_alarm == 0
        return alarm


def cusum(standardised: FloatArray, *, slack_std: float, limit_std: float) -> CusumPath:
    """Page's two-sided sums over values that should have mean zero and deviation one.

    `standardised` is (sessions, symbols). A shift of twice the slack is what the sums notice
    soonest (Page 1954; Montgomery, Introduction to Statistical Quality Control, section 9.1).
    """
    shape = standardised.shape
    ups, downs, peaks = np.empty(shape), np.empty(shape), np.empty(shape)
    since_alarm = np.empty(shape, dtype=np.int64)
    up, down = np.zeros(shape[1]), np.zeros(shape[1])
    since = np.full(shape[1], NEVER, dtype=np.int64)
    for t, values in enumerate(standardised):
        is_known = np.isfinite(values)
        up = np.where(is_known, np.maximum(up + values - slack_std, 0.0), up)
        down = np.where(is_known, np.maximum(down - values - slack_std, 0.0), down)
        peaks[t] = np.maximum(up, down)
        is_alarm = is_known & (peaks[t] > limit_std)
        since = np.where(is_alarm, 0, np.minimum(since + 1, NEVER))
        up, down = np.where(is_alarm, 0.0, up), np.where(is_alarm, 0.0, down)
        ups[t], downs[t], since_alarm[t] = up, down, since
    return CusumPath(up=ups, down=downs, peak=peaks, since_alarm=since_alarm)


def cusum_notes(alarms: CusumPath, row: int) -> Diagnostics:
    """The last night of one symbol, for the record."""
    if not len(alarms.up):
        return {}
    since = int(alarms.since_alarm[-1, row])
    return {
        "cusum_up": float(alarms.up[-1, row]),
        "cusum_down": float(alarms.down[-1, row]),
        "sessions_since_alarm": None if since >= NEVER else since,
    }


def mean_changes(
    values: FloatArray, *, size_min: int, penalty_factor: float = 3.0
) -> tuple[int, ...]:
    """First places of the pieces after the first, in the best division into pieces of equal mean.

    The best of all divisions and not of some: the search of ruptures is exact. A further piece has
    to lower the squared deviations by `penalty_factor` times log n variances; three is about the
    modified BIC for one unknown place and one unknown mean (Zhang and Siegmund 2007). Missing
    values are left out of the search; places count all values.
    """
    places = np.flatnonzero(np.isfinite(values))
    known = values[places]
    if len(known) < 2 * size_min or float(known.std()) == 0.0:
        return ()
    import ruptures  # type: ignore[import-untyped]  # ships no types

    # Deviation from differences: a shift of the mean hardly touches them, and would inflate the
    # plain one until it hid itself.
    noise = float(np.std(np.diff(known)) / np.sqrt(2.0)) or float(known.std())
    signal = np.ascontiguousarray(known / noise)[:, None]
    search = ruptures.KernelCPD(kernel="linear", min_size=size_min).fit(signal)
    ends = search.predict(pen=penalty_factor * float(np.log(len(known))))
    return tuple(int(places[end]) for end in ends[:-1])
