"""Performance and risk of a book: from an equity curve or its returns to one number each.

Belongs here: measures of one series, with their conventions stated. Trades and their money are in
`trades`; limits and sizing are elsewhere.

Missing data, for every function: NaN observations are left out, never read as zero, and a return is
taken only between two neighbouring known values. A measure that the history cannot support (too
short, constant, a value that is infinite or beyond 1e100, a zero denominator) is `None`, without a
warning.

Conventions, for every function: returns are simple returns per session; a year has 252 sessions;
standard deviations divide by n - 1; the risk-free rate is annual and compounds over the sessions of
a year; losses and drawdowns are positive fractions (0.1 is a loss of ten percent).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SESSIONS_PER_YEAR = 252

# Below this share of the largest observation a deviation is rounding noise: ten returns of 0.01
# have a computed deviation of about 1e-18, and a ratio over that would be an invented number.
_NOISE = 1e-12

# No amount and no return is that large; squares and sums of what is smaller cannot overflow.
_ABSURD = 1e100

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The measures of one equity curve side by side; `None` is "the history cannot say"."""

    observations: int
    total_return: float | None
    annual_return: float | None
    volatility_annual: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float | None
    current_drawdown: float | None
    calmar: float | None
    value_at_risk_95: float | None
    expected_shortfall_95: float | None


def performance(equity: pd.Series, *, risk_free_annual: float = 0.0) -> Performance:
    """Every measure of this module that an equity curve alone can give."""
    returns = returns_from_equity(equity)
    depths = _known(drawdowns(equity))
    return Performance(
        observations=len(_known(returns)),
        total_return=total_return(equity),
        annual_return=annual_return(equity),
        volatility_annual=volatility_annual(returns),
        sharpe=sharpe(returns, risk_free_annual=risk_free_annual),
        sortino=sortino(returns, risk_free_annual=risk_free_annual),
        max_drawdown=max_drawdown(equity),
        current_drawdown=float(depths[-1]) if len(depths) else None,
        calmar=calmar(equity),
        value_at_risk_95=value_at_risk(returns),
        expected_shortfall_95=expected_shortfall(returns),
    )


def returns_from_equity(equity: pd.Series) -> pd.Series:
    """Simple returns, one fewer than `equity`; NaN beside a gap and after a value of zero or less.

    A book without money has no return: the division would have a sign, but no meaning.
    """
    values = equity.to_numpy(dtype=float)
    before, after = values[:-1], values[1:]
    usable = np.isfinite(before) & np.isfinite(after) & (before > 0)
    out = np.full(len(after), np.nan)
    # Dividing by a subnormal number may overflow; such a return is infinite and is reported as
    # such.
    with np.errstate(over="ignore"):
        out[usable] = after[usable] / before[usable] - 1.0
    return pd.Series(out, index=equity.index[1:], name="return")


def total_return(equity: pd.Series) -> float | None:
    """Last known value over first known value, less one."""
    known = _known(equity)
    if len(known) < 2 or known[0] <= 0:
        return None
    return _finite(float(known[-1]) / float(known[0]) - 1.0)


def annual_return(equity: pd.Series) -> float | None:
    """Compound growth a year: (last / first) ** (252 / sessions between them) - 1."""
    known = equity.to_numpy(dtype=float)
    places = np.flatnonzero(np.isfinite(known))
    growth = total_return(equity)
    if growth is None or growth <= -1:
        return None
    years = float(places[-1] - places[0]) / SESSIONS_PER_YEAR
    exponent = math.log1p(growth) / years
    # exp overflows above 709; a growth of that size is an artefact of two neighbouring values.
    return math.expm1(exponent) if exponent < 700 else None


def volatility_annual(returns: pd.Series) -> float | None:
    """Standard deviation of returns (n - 1), times the root of 252; zero for a constant history."""
    known = _known(returns)
    if len(known) < 2:
        return None
    return _finite(_deviation(known) * math.sqrt(SESSIONS_PER_YEAR))


def sharpe(returns: pd.Series, *, risk_free_annual: float = 0.0) -> float | None:
    """Mean excess return over its standard deviation, annualised by the root of 252."""
    excess = _known(returns) - _per_session(risk_free_annual)
    if len(excess) < 2:
        return None
    return _ratio(float(excess.mean()), _deviation(excess))


def sortino(returns: pd.Series, *, risk_free_annual: float = 0.0) -> float | None:
    """Mean excess return over its downside deviation, annualised by the root of 252.

    The downside deviation is the root of the mean square of the shortfalls below the risk-free
    rate; the mean is over all sessions, the good ones counting as zero. `None` without any
    shortfall.
    """
    excess = _known(returns) - _per_session(risk_free_annual)
    if len(excess) < 2:
        return None
    shortfall = np.minimum(excess, 0.0)
    return _ratio(float(excess.mean()), math.sqrt(float(np.mean(shortfall**2))))


def drawdowns(equity: pd.Series) -> pd.Series:
    """The fraction lost since the highest value so far; NaN where equity is or the peak is not
    above 0.

    Between 0 and 1 for a book that owes nothing; above 1 once equity is negative.
    """
    values = equity.to_numpy(dtype=float)
    peaks = np.fmax.accumulate(values) if len(values) else values
    usable = np.isfinite(values) & np.isfinite(peaks) & (peaks > 0)
    out = np.full(len(values), np.nan)
    with np.errstate(over="ignore"):
        out[usable] = 1.0 - values[usable] / peaks[usable]
    return pd.Series(out, index=equity.index, name="drawdown")


def max_drawdown(equity: pd.Series) -> float | None:
    """The deepest drawdown; `None` for an empty history."""
    depths = _known(drawdowns(equity))
    return float(depths.max()) if len(depths) else None


def calmar(equity: pd.Series) -> float | None:
    """Compound annual growth over the deepest drawdown; `None` when there was no drawdown."""
    growth, depth = annual_return(equity), max_drawdown(equity)
    if growth is None or depth is None or depth <= _NOISE:
        return None
    return _finite(growth / depth)


def value_at_risk(returns: pd.Series, *, confidence: float = 0.95) -> float | None:
    """The loss of one session that history exceeded in a share of 1 - `confidence` at most.

    Historical, without interpolation: the k-th worst return with k = ceil((1 - confidence) n). A
    negative value means that even this bad day was a gain. `None` when the tail holds less than one
    observation (fewer than 20 returns at 95 %).
    """
    tail = _tail(returns, confidence)
    return None if tail is None else float(-tail[0][-1])


def expected_shortfall(returns: pd.Series, *, confidence: float = 0.95) -> float | None:
    """The mean loss of the worst sessions, a share of 1 - `confidence` (CVaR).

    Historical, as Rockafellar and Uryasev (2002) define it: the observation on the edge of the tail
    counts with the fraction that fits in. Never smaller than `value_at_risk`.
    """
    tail = _tail(returns, confidence)
    if tail is None:
        return None
    worst, size = tail
    inside = worst[:-1]
    mean = (float(inside.sum()) + float(worst[-1]) * (size - len(inside))) / size
    # A mean of losses is never below the smallest of them; summation may miss that by one digit.
    return max(-mean, float(-worst[-1]))


def turnover_annual(traded_notional: pd.Series, equity: pd.Series) -> float | None:
    """Half of all buying and selling over the mean equity, a year; 1.0 replaces the book once.

    `traded_notional` has one row a session (or a trade) and its sign does not matter. A NaN in it
    is an unknown amount, so the whole answer is `None`.
    """
    traded, held = traded_notional.to_numpy(dtype=float), _known(equity)
    if len(held) < 2 or not np.isfinite(traded).all() or held.mean() <= 0:
        return None
    one_way = float(np.abs(traded).sum()) / 2.0
    return _finite(one_way / float(held.mean()) * SESSIONS_PER_YEAR / (len(held) - 1))


def equal_weight_buy_and_hold(closes: pd.DataFrame, *, capital: float) -> pd.Series:
    """What `capital` becomes when split equally over the columns at the first row and left alone.

    Columns without a price in the first row are not bought. A later gap, and a delisting, keeps the
    last known value: the money is then in hand, earning nothing.
    """
    if closes.empty:
        return pd.Series(dtype=float, name="benchmark")
    bought = closes.loc[:, closes.iloc[0].gt(0)]
    if bought.empty:
        return pd.Series(np.nan, index=closes.index, name="benchmark")
    grown = bought.ffill() / bought.iloc[0]
    return (grown.mean(axis=1) * capital).rename("benchmark")


def _known(series: pd.Series) -> FloatArray:
    """The observations that count; none at all when one of them cannot be a return or money."""
    values: FloatArray = series.to_numpy(dtype=float)
    known: FloatArray = values[~np.isnan(values)]
    return known if (np.abs(known) < _ABSURD).all() else known[:0]


def _per_session(annual: float) -> float:
    return float((1.0 + annual) ** (1.0 / SESSIONS_PER_YEAR)) - 1.0


def _deviation(values: FloatArray) -> float:
    """Standard deviation with n - 1; exactly zero where only rounding differs."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return 0.0
    # Scaled first, so that squares of very small or very large numbers neither vanish nor overflow.
    spread = float(np.std(values / largest, ddof=1))
    return 0.0 if spread <= _NOISE else spread * largest


def _ratio(mean: float, deviation: float) -> float | None:
    if deviation <= 0:
        return None
    return _finite(mean / deviation * math.sqrt(SESSIONS_PER_YEAR))


def _tail(returns: pd.Series, confidence: float) -> tuple[FloatArray, float] | None:
    """The worst returns, ascending, and how many observations (a fraction) the tail holds."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, was {confidence}")
    known = _known(returns)
    # 0.05 x 20 is 1.0000000000000009 in floats; nine digits decide whether one or two lie inside.
    size = round((1.0 - confidence) * len(known), 9)
    if size < 1:
        return None
    return np.sort(known)[: math.ceil(size)], size


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
