"""The filter that both low-rank models run every night: a fixed recurrence on the path of prices.

Belongs here: from returns to deviations around a drift line, one-step forecasts, their
surprises and variances, forecasts over horizons. Does not belong here: how the coefficients were
found.

The deviation of the log price from its drift line is y. The signal's recurrence S continues it, and
an AR model A continues what S misses, so (1 - A)(1 - S) y = e with surprises e: one recurrence with
the coefficients of the product. As in `kernels`, only elementwise operations touch the data, in
the order of the lags: a symbol's numbers are the same bits alone or among thousands, in one sweep
or night by night. Arrays of returns are (sessions, symbols), time first. A missing return counts as
the drift.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quant.core.errors import DataError
from quant.forecasting.filtering import column, filter_start
from quant.forecasting.forecast import Predictive
from quant.forecasting.kernels import IntArray
from quant.forecasting.policy import HORIZON_DAYS_MAX
from quant.forecasting.port import FittedState, Params
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.volatility_kernels import GarchParams, garch_filter, garch_forecast
from quant.market.panel import FloatArray

SCALARS: Final = ("drift", "deviation", "variance", "shock_alpha", "shock_beta")
LISTS: Final = ("signal", "residual", "doubt", "trust")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recurrence:
    """Of many symbols: drift line, coefficients (symbols, lags), variance of the surprises.

    `deviation` says where the drift line lies: so far below the log price at the anchor, which is
    the session of the fit. So the numbers mean the same wherever a filter begins.
    `doubt` is the variance of the forecast sum over 1, 2, ... sessions that comes from estimating
    everything else, and `trust` the share that is kept of what the sum promises beside the drift;
    both (symbols, HORIZON_DAYS_MAX). `lags` counts a symbol's own coefficients: beside longer
    recurrences its own is filled with zeros.
    """

    drift: FloatArray
    deviation: FloatArray
    signal: FloatArray
    residual: FloatArray
    variance: FloatArray
    shock_alpha: FloatArray
    shock_beta: FloatArray
    doubt: FloatArray
    trust: FloatArray
    lags: IntArray

    def coefficients(self) -> FloatArray:
        """Of the product (1 - A)(1 - S), for lags 1, 2, ..., (symbols, lags)."""
        return product_coefficients(self.signal, self.residual)

    def shocks(self) -> GarchParams:
        """A variance that moves with the surprises and returns to that of the fit."""
        rest = 1.0 - self.shock_alpha - self.shock_beta
        return GarchParams(
            mean=np.zeros_like(self.variance),
            omega=rest * self.variance,
            alpha=self.shock_alpha,
            gamma=np.zeros_like(self.variance),
            beta=self.shock_beta,
            backcast=self.variance,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """A filter's course through a panel, (sessions, symbols), and what it carries beyond the end.

    `means`, `variances` and `errors` belong to the session they speak of. The means keep the share
    of trust, while the errors are those of the recurrence as it stands: they are its surprises.
    `history` holds the last deviations, newest first, (symbols, lags); `next_variance` is of the
    session after the last.
    """

    means: FloatArray
    variances: FloatArray
    errors: FloatArray
    history: FloatArray
    next_variance: FloatArray

    def standardised_errors(self) -> FloatArray:
        """Surprises in units of what was expected of them."""
        standardised: FloatArray = self.errors / np.sqrt(self.variances)
        return standardised


def product_coefficients(signal: FloatArray, residual: FloatArray) -> FloatArray:
    """Lags of (1 - A)(1 - S) from those of S and A; a leading axis is carried along."""
    lags, order = signal.shape[-1], residual.shape[-1]
    product = np.zeros((*signal.shape[:-1], lags + order))
    product[..., :lags] += signal
    product[..., :order] += residual
    for lag in range(order):
        product[..., lag + 1 : lag + 1 + lags] -= residual[..., lag : lag + 1] * signal
    return product


def sweep(params: Recurrence, returns: FloatArray, start: IntArray, anchor: IntArray) -> Sweep:
    """Run the filter over `returns`; row t of a symbol before its `start` is not its own.

    `anchor` is the row of the session at which each symbol's deviation is stated.
    """
    coefficients = params.coefficients()
    path = deviations(params, returns, start, anchor)
    lags = coefficients.shape[1]
    padded = np.concatenate([np.zeros((lags, path.shape[1])), path])
    promised = np.zeros_like(path)
    for lag in range(1, lags + 1):
        promised = promised + coefficients[:, lag - 1] * padded[lags - lag : len(padded) - lag]
    promised = promised - padded[lags - 1 : -1]
    # The first forecasts lack a part of their past, so their surprises say nothing of the model.
    is_whole = np.arange(len(returns))[:, None] >= start + params.lags
    errors = np.where(is_whole, returns - params.drift - promised, np.nan)
    variances, next_variance = garch_filter(params.shocks(), errors, params.variance, start)
    return Sweep(
        means=params.drift + params.trust[:, 0] * promised,
        variances=variances,
        errors=errors,
        history=padded[: -lags - 1 : -1].T,
        next_variance=next_variance,
    )


def deviations(
    params: Recurrence, returns: FloatArray, start: IntArray, anchor: IntArray
) -> FloatArray:
    """The path of log prices less its drift line; zero before a symbol's start."""
    is_own = np.arange(len(returns))[:, None] >= start
    steps = np.where(is_own & np.isfinite(returns), returns - params.drift, 0.0)
    path = np.cumsum(steps, axis=0)
    level = path[anchor, np.arange(path.shape[1])] - params.deviation
    return np.where(is_own, path - level, 0.0)


def forecast_sums(
    params: Recurrence, course: Sweep, horizon: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of the sum of the next 1..horizon returns, variance by surprises, variance by doubt.

    A surprise goes on through the recurrence, so each is counted with its weight on the sum's end.
    As far as the recurrence is not trusted, a surprise simply stays, as in a walk around the drift.
    """
    coefficients = params.coefficients()
    promised = _continuation(coefficients, course.history, horizon) - course.history[:, :1]
    days = np.arange(1, horizon + 1)
    means = params.drift[:, None] * days + params.trust[:, :horizon] * promised
    weights = impulse_response(coefficients, horizon)
    expected = _expected_variances(params, course, horizon)
    surprise = np.zeros_like(means)
    for step in range(horizon):
        for back in range(step + 1):
            weight = weights[:, step - back]
            share = params.trust[:, step] * (weight * weight) + (1.0 - params.trust[:, step])
            surprise[:, step] += share * expected[:, back]
    return means, surprise, params.doubt[:, :horizon]


def impulse_response(coefficients: FloatArray, steps: int) -> FloatArray:
    """What a surprise of one adds to the values 0, 1, ... steps later, (..., steps)."""
    response = np.zeros((*coefficients.shape[:-1], steps))
    response[..., 0] = 1.0
    for step in range(1, steps):
        for lag in range(1, min(step, coefficients.shape[-1]) + 1):
            response[..., step] += coefficients[..., lag - 1] * response[..., step - lag]
    return response


def weights_ahead(coefficients: FloatArray, steps: int) -> FloatArray:
    """Weights on the known values, newest first, of the value 1, 2, ... steps later.

    (..., steps, lags); the sum they give is the recurrence applied to itself.
    """
    weights = np.empty((*coefficients.shape[:-1], steps, coefficients.shape[-1]))
    row = coefficients
    for step in range(steps):
        weights[..., step, :] = row
        shifted = np.concatenate([row[..., 1:], np.zeros_like(row[..., :1])], axis=-1)
        row = row[..., :1] * coefficients + shifted
    return weights


def normal_predictive(mean: FloatArray, variance: FloatArray) -> Predictive:
    """Normal around the mean; the tails of a share are fatter, which the residual tests record."""
    return Predictive(
        mean=mean, std=np.sqrt(variance), degrees_of_freedom=np.full(mean.shape, np.inf)
    )


def recurrence_params(
    params: Recurrence, row: int, *, prefix: str = "", lists: Sequence[str] = LISTS
) -> dict[str, float]:
    """One symbol's numbers by name, as a state stores them; of the lists, those that are named."""
    scalars = {name: getattr(params, name)[row] for name in SCALARS}
    numbered = {
        f"{name}{place}": value
        for name in lists
        for place, value in enumerate(getattr(params, name)[row], start=1)
    }
    return {prefix + name: float(value) for name, value in {**scalars, **numbered}.items()}


def recurrence_of(states: Sequence[FittedState], *, prefix: str = "") -> Recurrence:
    """The numbers back as arrays; a shorter recurrence than others gets zeros behind it.

    Where no doubt is stored there is none, and where no trust is, it is whole.
    """
    lists = {name: [_list_of(s.params, prefix + name) for s in states] for name in LISTS}
    lags = [len(s) + len(a) for s, a in zip(lists["signal"], lists["residual"], strict=True)]
    return Recurrence(
        **{name: column(states, prefix + name) for name in SCALARS},
        signal=_filled(lists["signal"], max(map(len, lists["signal"]), default=0), 0.0),
        residual=_filled(lists["residual"], max(map(len, lists["residual"]), default=1), 0.0),
        doubt=_filled(lists["doubt"], HORIZON_DAYS_MAX, 0.0),
        trust=_filled(lists["trust"], HORIZON_DAYS_MAX, 1.0),
        lags=np.array(lags, dtype=np.int64),
    )


def anchor_param(session: dt.date) -> dict[str, float]:
    """The session at which the deviations of a fit are stated, as a number: days since 1970."""
    return {"anchor_day": float(np.datetime64(session, "D").astype(np.int64))}


def filter_rows(
    states: Sequence[FittedState], panel: ReturnPanel
) -> tuple[int, IntArray, IntArray]:
    """First session that any filter needs, and from there each filter's start and anchor."""
    begin, start = filter_start(states, panel)
    if not states:
        return begin, start, start
    days = column(states, "anchor_day").astype(np.int64).astype("datetime64[D]")
    anchor = np.searchsorted(panel.sessions, days, side="right").astype(np.int64) - 1 - begin
    if (anchor < start).any():
        late = states[int(np.argmax(anchor < start))]
        raise DataError(
            f"the numbers of {late.symbol} are stated for a session before its filter starts on "
            f"{late.filter_from}",
            remedy="fit again",
        )
    return begin, start, anchor


def _continuation(coefficients: FloatArray, history: FloatArray, horizon: int) -> FloatArray:
    known = history
    values = np.empty((len(history), horizon))
    for step in range(horizon):
        value = np.zeros(len(history))
        for lag in range(coefficients.shape[1]):
            value = value + coefficients[:, lag] * known[:, lag]
        values[:, step] = value
        known = np.concatenate([value[:, None], known[:, :-1]], axis=1)
    return values


def _expected_variances(params: Recurrence, course: Sweep, horizon: int) -> FloatArray:
    _, sums = garch_forecast(params.shocks(), course.next_variance, horizon)
    return np.diff(sums, axis=1, prepend=0.0)


def _filled(rows: list[list[float]], width: int, value: float) -> FloatArray:
    return np.array([row + [value] * (width - len(row)) for row in rows]).reshape(len(rows), width)


def _list_of(params: Params, name: str) -> list[float]:
    values: list[float] = []
    while (key := f"{name}{len(values) + 1}") in params:
        values.append(params[key])
    return values
