"""Synthetic markets: prices that behave like prices, from a seed, with nothing hidden.

Belongs here: the generator and its policy. Does not belong here: planting defects
(`synthetic_defects`), or writing files (`resources.market_data.synthetic_folder`).

The model, so that a test can know what to expect. One Markov chain of three regimes (calm,
turbulent, crisis) sets the drift and the volatility of a market factor; symbols load on it and on
one of a few sector factors, and add noise of their own whose volatility follows the regime too.
That gives correlated returns, clustered volatility and falling markets that are wild. Jumps are
rare and heavy. A day's return is divided into a gap overnight and a path by day, whose high and low
are drawn from the exact law of a Brownian bridge's extremes, so range estimators are unbiased.

A symbol's numbers depend on (seed, symbol, sessions, policy) alone: adding others changes nothing.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from quant.core.errors import UsageError
from quant.core.identity import seed_of
from quant.core.policy import Policy
from quant.market.bars import ACTION_COLUMNS, DAILY_BAR_COLUMNS, AssetClass, Basis
from quant.market.calendars import US_EQUITY_CALENDAR, closes_utc, sessions
from quant.market.panel import DayArray, FloatArray
from quant.market.symbols import check_symbol

REGIMES: Final = ("calm", "turbulent", "crisis")
SESSIONS_PER_YEAR: Final = 252
# Fixed, so that the same seed gives the same bytes on every day on which it is asked.
LAST_DAY: Final = dt.date(2024, 12, 31)
_PRICE_DECIMALS: Final = 4
_PRICE_MIN: Final = 0.01


class SyntheticPolicy(Policy):
    """The generator's numbers. Volatilities and drifts are of daily log returns."""

    # Calm years at 13 % a year, turbulent ones at 25 %, crises at 51 %: roughly the SP500's
    # terciles and the autumn of 2008.
    regime_volatility_daily: tuple[float, float, float] = (0.008, 0.016, 0.032)
    regime_drift_daily: tuple[float, float, float] = (0.0006, 0.0001, -0.0025)
    # Mean lengths of 125, 40 and 25 sessions.
    regime_stay_probability: tuple[float, float, float] = (0.992, 0.975, 0.96)
    sector_count: int = Field(default=5, ge=1)
    sector_volatility_ratio: float = Field(default=0.5, ge=0)
    idiosyncratic_volatility_ratio: float = Field(default=1.2, ge=0)
    overnight_variance_share: float = Field(default=0.25, gt=0, lt=1)
    jump_rate_annual: float = Field(default=2.0, ge=0)
    jump_volatility: float = Field(default=0.06, ge=0)
    tail_degrees_of_freedom: float = Field(default=6.0, gt=2)
    late_listing_share: float = Field(default=0.1, ge=0, le=1)
    delisting_rate_annual: float = Field(default=0.02, ge=0, le=1)
    split_rate_annual: float = Field(default=0.05, ge=0, le=1)
    dividend_payer_share: float = Field(default=0.5, ge=0, le=1)
    dividend_yield_annual: float = Field(default=0.02, ge=0, lt=1)
    publication_lag_minutes: int = Field(default=15, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One planted fault: what a quality rule must find. `sessions` counts the days concerned."""

    symbol: str
    session: dt.date
    kind: str
    sessions: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticMarket:
    """Raw bars, the actions that explain their breaks, the planted faults, and the true regimes."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    defects: tuple[Defect, ...]
    regimes: pd.DataFrame
    seed: int


@dataclass(slots=True, kw_only=True, eq=False)
class SymbolPath:
    """One symbol's life as arrays over its own sessions; defects are planted into it."""

    symbol: str
    days: DayArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    actions: list[tuple[dt.date, str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """What all symbols share."""

    days: DayArray
    regime: NDArray[np.int64]
    volatility: FloatArray
    factor: FloatArray
    sectors: FloatArray


def synthetic_symbols(count: int) -> tuple[str, ...]:
    """Names that no exchange uses: SYN0001, SYN0002 and so on."""
    if count < 1:
        raise UsageError(f"{count} symbols make no market", remedy="ask for at least one symbol")
    return tuple(f"SYN{number:04d}" for number in range(1, count + 1))


def synthetic_sessions(
    years: int, *, last: dt.date = LAST_DAY, calendar: str = US_EQUITY_CALENDAR
) -> DayArray:
    """The sessions of the `years` that end on `last`."""
    if years < 1:
        raise UsageError(f"{years} years make no market", remedy="ask for at least one year")
    first = last - dt.timedelta(days=round(years * 365.25) - 1)
    return sessions(calendar, first, last)


def generate(
    *,
    seed: int,
    symbols: Sequence[str] | int,
    years: int = 5,
    days: DayArray | None = None,
    defects: bool = False,
    calendar: str = US_EQUITY_CALENDAR,
    policy: SyntheticPolicy | None = None,
) -> SyntheticMarket:
    """A market of `symbols` over `years` (or over exactly `days`).

    With `defects`, each symbol carries a few faults, and `defects` of the result lists every one.
    Late listings and delistings simply have no bars before or after; they are no defects.
    """
    from quant.market.synthetic_defects import plant

    rules = policy or SyntheticPolicy()
    names = synthetic_symbols(symbols) if isinstance(symbols, int) else _checked(symbols)
    market = _market(seed, days if days is not None else synthetic_sessions(years), rules)
    paths = [_path(seed, name, market, rules) for name in names]
    planted = tuple(
        defect for path in paths if defects for defect in plant(path, _rng(seed, "defects", path))
    )
    return SyntheticMarket(
        bars=_bars(paths, seed, calendar, rules),
        actions=_actions(paths, seed),
        defects=planted,
        regimes=_regimes(market),
        seed=seed,
    )


def _checked(symbols: Sequence[str]) -> tuple[str, ...]:
    if len(set(symbols)) != len(symbols):
        raise UsageError("a symbol is asked for twice", remedy="name each symbol once")
    return tuple(check_symbol(symbol) for symbol in symbols)


def _rng(seed: int, purpose: str, which: "SymbolPath | str | int") -> np.random.Generator:
    name = which.symbol if isinstance(which, SymbolPath) else which
    return np.random.default_rng(seed_of("synthetic", seed, purpose, name))


def _market(seed: int, days: DayArray, policy: SyntheticPolicy) -> _Market:
    count = len(days)
    if count < 2:
        raise UsageError("a market needs two sessions", remedy="ask for a longer range")
    regime = _regime_path(_rng(seed, "regimes", "market"), count, policy)
    volatility = np.asarray(policy.regime_volatility_daily)[regime]
    drift = np.asarray(policy.regime_drift_daily)[regime]
    noise = _rng(seed, "factor", "market").standard_normal(count)
    sectors = np.stack(
        [
            _rng(seed, "sector", number).standard_normal(count)
            for number in range(policy.sector_count)
        ]
    )
    return _Market(
        days=np.asarray(days, dtype="datetime64[D]"),
        regime=regime,
        volatility=volatility,
        factor=drift - 0.5 * volatility**2 + volatility * noise,
        sectors=sectors * volatility * policy.sector_volatility_ratio,
    )


def _regime_path(
    rng: np.random.Generator, count: int, policy: SyntheticPolicy
) -> NDArray[np.int64]:
    """Stays are geometric; from either end the chain moves to the middle, from there to one end."""
    path = np.empty(count, dtype=np.int64)
    at, regime = 0, 0
    while at < count:
        length = int(rng.geometric(1 - policy.regime_stay_probability[regime]))
        path[at : at + length] = regime
        at += length
        regime = 1 if regime != 1 else (0 if rng.random() < 0.7 else 2)
    return path


def _path(seed: int, symbol: str, market: _Market, policy: SyntheticPolicy) -> SymbolPath:
    rng = _rng(seed, "symbol", symbol)
    first, last = _life(rng, len(market.days), policy)
    part = slice(first, last)
    count = last - first
    volatility = market.volatility[part]
    own = policy.idiosyncratic_volatility_ratio * rng.uniform(0.6, 1.4)
    beta = rng.uniform(0.6, 1.4)
    sector = market.sectors[int(rng.integers(policy.sector_count)), part]
    tails = _heavy_noise(rng, count, policy.tail_degrees_of_freedom)
    total = beta * market.factor[part] + sector + own * volatility * tails
    total = total + _jumps(rng, count, policy)
    day_volatility = volatility * np.sqrt(
        beta**2 + policy.sector_volatility_ratio**2 + own**2, dtype=float
    )
    return _priced(
        rng,
        symbol=symbol,
        days=market.days[part],
        total=total,
        volatility=day_volatility,
        policy=policy,
    )


def _life(rng: np.random.Generator, count: int, policy: SyntheticPolicy) -> tuple[int, int]:
    """First and past-the-last session; a symbol lives for at least half of the range it enters."""
    late, when, gone, until = rng.random(4)
    first = int(when * count * 0.5) if late < policy.late_listing_share else 0
    chance = 1 - (1 - policy.delisting_rate_annual) ** (count / SESSIONS_PER_YEAR)
    rest = count - first
    last = first + max(2, int((0.5 + 0.5 * until) * rest)) if gone < chance else count
    return first, min(last, count)


def _heavy_noise(rng: np.random.Generator, count: int, degrees: float) -> FloatArray:
    """Student's t, scaled to unit variance."""
    noise: FloatArray = rng.standard_t(degrees, count) * np.sqrt((degrees - 2) / degrees)
    return noise


def _jumps(rng: np.random.Generator, count: int, policy: SyntheticPolicy) -> FloatArray:
    happens = rng.random(count) < policy.jump_rate_annual / SESSIONS_PER_YEAR
    sizes: FloatArray = rng.standard_normal(count) * policy.jump_volatility
    return np.where(happens, sizes, 0.0)


def _priced(
    rng: np.random.Generator,
    *,
    symbol: str,
    days: DayArray,
    total: FloatArray,
    volatility: FloatArray,
    policy: SyntheticPolicy,
) -> SymbolPath:
    """Prices from returns: overnight gap, path by day, then dividends and splits."""
    count = len(days)
    share = policy.overnight_variance_share
    # Given the day's sum, the overnight part of two independent normals is normal around its share.
    spread = volatility * np.sqrt(share * (1 - share))
    overnight = share * total + spread * rng.standard_normal(count)
    intraday = total - overnight
    start = float(np.exp(rng.normal(np.log(60.0), 0.6)))
    factor, splits = _splits(rng, count, policy)
    payouts = _payouts(rng, days, policy)
    # A payout and a split on one day would leave open which share the cash is for.
    payouts[list(splits)] = 0.0
    close = start * np.exp(np.cumsum(total + np.log1p(-payouts)))
    opening = close * np.exp(-intraday)
    high, low = _extremes(rng, opening, intraday, volatility * np.sqrt(1 - share))
    raw = {
        name: np.maximum(np.round(values * factor, _PRICE_DECIMALS), _PRICE_MIN)
        for name, values in (("open", opening), ("high", high), ("low", low), ("close", close))
    }
    volume = _volume(rng, total, volatility) / factor
    cash = {int(at): float(payouts[at] * raw["close"][at - 1]) for at in np.flatnonzero(payouts)}
    return SymbolPath(
        symbol=symbol,
        days=days,
        **raw,
        volume=np.round(volume),
        actions=[(days[at].item(), "split", value) for at, value in splits.items()]
        + [(days[at].item(), "cash_dividend", round(value, 6)) for at, value in cash.items()],
    )


def _payouts(rng: np.random.Generator, days: DayArray, policy: SyntheticPolicy) -> FloatArray:
    """A fraction of the price on one session of each quarter, for those who pay."""
    pays = rng.random() < policy.dividend_payer_share
    offset = int(rng.integers(10, 50))
    payouts = np.zeros(len(days))
    if pays:
        payouts[offset :: SESSIONS_PER_YEAR // 4] = policy.dividend_yield_annual / 4
    return payouts


def _extremes(
    rng: np.random.Generator, opening: FloatArray, intraday: FloatArray, volatility: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """High and low of a Brownian bridge from the open to the close, each by its exact law."""
    up, down = rng.random((2, len(opening)))
    root_up = np.sqrt(intraday**2 - 2 * volatility**2 * np.log1p(-up))
    root_down = np.sqrt(intraday**2 - 2 * volatility**2 * np.log1p(-down))
    high: FloatArray = opening * np.exp(0.5 * (intraday + root_up))
    low: FloatArray = opening * np.exp(0.5 * (intraday - root_down))
    return high, low


def _splits(
    rng: np.random.Generator, count: int, policy: SyntheticPolicy
) -> tuple[FloatArray, dict[int, float]]:
    """The factor on raw prices by session, and the splits that make its steps."""
    happens = np.flatnonzero(rng.random(count) < policy.split_rate_annual / SESSIONS_PER_YEAR)
    factor = np.ones(count)
    splits: dict[int, float] = {}
    for at in happens[happens > 0]:
        value = float(rng.choice([0.5, 0.5, 0.25, 2.0]))
        factor[at:] *= value
        splits[int(at)] = value
    return factor, splits


def _volume(rng: np.random.Generator, total: FloatArray, volatility: FloatArray) -> FloatArray:
    """Log-normal, larger on days that move and in wild regimes, as volume is."""
    base = rng.normal(np.log(2e6), 1.0)
    moved = 0.4 * np.abs(total) / volatility
    calm = volatility.min()
    noise = 0.35 * rng.standard_normal(len(total))
    volume: FloatArray = np.exp(base + moved + 0.5 * np.log(volatility / calm) + noise)
    return volume


def _bars(
    paths: list[SymbolPath], seed: int, calendar: str, policy: SyntheticPolicy
) -> pd.DataFrame:
    days = np.concatenate([path.days for path in paths])
    ends = pd.DatetimeIndex(closes_utc(calendar, days), tz="UTC")
    frame = pd.DataFrame(
        {
            "symbol": np.repeat([path.symbol for path in paths], [len(p.days) for p in paths]),
            "basis": Basis.RAW.value,
            "session": days.astype(object),
            "event_time": ends,
            "known_at": ends + dt.timedelta(minutes=policy.publication_lag_minutes),
            "source": f"synthetic/{seed}",
            "asset_class": AssetClass.US_EQUITY.value,
            "currency": "USD",
        }
    )
    for name in ("open", "high", "low", "close", "volume"):
        frame[name] = np.concatenate([getattr(path, name) for path in paths])
    return frame.loc[:, list(DAILY_BAR_COLUMNS)].astype({"symbol": "str"})


def _actions(paths: list[SymbolPath], seed: int) -> pd.DataFrame:
    rows = [
        (path.symbol, day, kind, value)
        for path in paths
        for day, kind, value in sorted(path.actions)
    ]
    frame = pd.DataFrame(rows, columns=["symbol", "ex_session", "kind", "value"])
    moments = np.array(frame["ex_session"].tolist(), dtype="datetime64[us]")
    frame["known_at"] = pd.DatetimeIndex(moments, tz="UTC")
    frame["source"] = f"synthetic/{seed}"
    types = {"symbol": "str", "kind": "str", "value": "float64", "source": "str"}
    return frame.loc[:, list(ACTION_COLUMNS)].astype(types)


def _regimes(market: _Market) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session": market.days.astype(object),
            "regime": np.asarray(REGIMES)[market.regime],
            "volatility_daily": market.volatility,
        }
    )
