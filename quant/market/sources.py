"""The port for bars: what a caller asks of any source, and what every source promises in return.

Belongs here: the request, the protocol, and the two helpers through which every adapter's rows pass
(`normalise_bars`, `refuse_unbelievable`). Does not belong here: a vendor's protocol, HTTP, files,
failover (all in `resources.market_data`), or whether a believable bar is a good one (`quality`).
"""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from quant.core.errors import SourceAnswerError, UsageError
from quant.market.bars import (
    ACTION_COLUMNS,
    DAILY_BAR_COLUMNS,
    INTRADAY_BAR_COLUMNS,
    PRICE_COLUMNS,
    PRICE_MAX,
    VOLUME_MAX,
    AssetClass,
    Basis,
    require_columns,
)
from quant.market.symbols import check_symbol

MINUTES_PER_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRequest:
    """Bars of some symbols over a closed range of sessions; `interval_minutes` None means daily."""

    symbols: tuple[str, ...]
    start: dt.date
    end: dt.date
    basis: Basis = Basis.RAW
    asset_class: AssetClass = AssetClass.US_EQUITY
    interval_minutes: int | None = None

    def __post_init__(self) -> None:
        _require_symbols(self.symbols)
        if isinstance(self.start, dt.datetime) or isinstance(self.end, dt.datetime):
            raise UsageError(
                "start and end are sessions (dates), not moments", remedy="use .date()"
            )
        if self.start > self.end:
            raise UsageError(
                f"the range starts on {self.start}, after its end {self.end}",
                remedy="swap the two dates",
            )
        minutes = self.interval_minutes
        if minutes is not None and not 1 <= minutes < MINUTES_PER_DAY:
            raise UsageError(
                f"a bar of {minutes} minutes is not intraday",
                remedy=f"ask for 1 to {MINUTES_PER_DAY - 1} minutes, or for daily bars",
            )

    @property
    def is_daily(self) -> bool:
        """Whether one bar is one session."""
        return self.interval_minutes is None


class BarSource(Protocol):
    """Delivers bars and corporate actions.

    A source answers only for the symbols it has, with an empty frame (columns in place) when it has
    none of them. It raises `SourceUnavailableError` when asking again may help,
    `SourceRefusedError` when it will not (also where the vendor says that it knows none of the
    symbols), and `SourceAnswerError` when an answer came that cannot be believed. `session` and
    `ex_session` hold `datetime.date`; times are aware and in UTC.
    """

    @property
    def name(self) -> str:
        """The word under which its rows and its failures are recorded."""
        ...

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Rows of DAILY_BAR_COLUMNS, or INTRADAY_BAR_COLUMNS where an interval is asked."""
        ...

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Splits and cash dividends with their ex-session in the range, as ACTION_COLUMNS."""
        ...


def _require_symbols(symbols: tuple[str, ...]) -> None:
    if not symbols:
        raise UsageError("no symbol was asked for", remedy="name at least one symbol")
    if len(set(symbols)) != len(symbols):
        raise UsageError("a symbol is asked for twice", remedy="name each symbol once")
    for symbol in symbols:
        check_symbol(symbol)


# What an adapter parses out of a vendor's answer, one row a bar. `stamp` is the session (a date) of
# a daily bar and the opening moment (aware) of an intraday one. A missing field is None.
VENDOR_COLUMNS: Final = ("symbol", "stamp", *PRICE_COLUMNS, "volume")


class BadBarError(SourceAnswerError):
    """One symbol's bars cannot be believed; the source's other symbols may be sound."""

    def __init__(self, message: str, *, symbol: str) -> None:
        super().__init__(
            message,
            remedy="ask another source for this symbol, and report the value to the vendor",
        )
        self.symbol = symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDay:
    """When a session ends: a zone and a local hour of the session's own date (24 is midnight).

    Half-days end earlier than this says. That errs to the safe side: a bar is believed complete
    later than it was, never sooner; the exchange calendar can only bring it forward.
    """

    zone: str
    close_hour: int
    # Currencies and futures open the next session when the last one closes.
    rolls_at_close: bool = False

    def end_of(self, session: dt.date) -> dt.datetime:
        """The moment (UTC) after which the session's bar no longer changes."""
        midnight = dt.datetime.combine(session, dt.time(), tzinfo=ZoneInfo(self.zone))
        # Local arithmetic, so that a day of 23 or 25 hours still closes at the local hour.
        return (midnight + dt.timedelta(hours=self.close_hour)).astimezone(dt.UTC)

    def session_of(self, event_time: pd.Series) -> pd.Series:
        """The session in which bars that ended at `event_time` lie; an end belongs to its bar."""
        local = (event_time - pd.Timedelta(microseconds=1)).dt.tz_convert(self.zone)
        if self.rolls_at_close:
            local = local.dt.tz_localize(None) + pd.Timedelta(hours=24 - self.close_hour)
        return pd.Series(local.dt.date, index=event_time.index, dtype=object)


_NEW_YORK: Final = "America/New_York"
_EQUITY_DAY: Final = MarketDay(zone=_NEW_YORK, close_hour=16)
_ROLLING_DAY: Final = MarketDay(zone=_NEW_YORK, close_hour=17, rolls_at_close=True)
_UTC_DAY: Final = MarketDay(zone="UTC", close_hour=24)

# Frontier exchanges close between 11:00 and 16:00 UTC; the end of the UTC day is after all of them.
MARKET_DAYS: Final = {
    AssetClass.US_EQUITY: _EQUITY_DAY,
    AssetClass.ETF: _EQUITY_DAY,
    AssetClass.INDEX: _EQUITY_DAY,
    AssetClass.CRYPTO: _UTC_DAY,
    AssetClass.FX: _ROLLING_DAY,
    AssetClass.FUTURE: _ROLLING_DAY,
    AssetClass.FRONTIER: _UTC_DAY,
}


def columns_of(request: BarRequest) -> tuple[str, ...]:
    """The columns of an answer to `request`."""
    return DAILY_BAR_COLUMNS if request.is_daily else INTRADAY_BAR_COLUMNS


def no_bars(request: BarRequest) -> pd.DataFrame:
    """The answer of a source that has nothing: no rows, every column."""
    return pd.DataFrame({column: [] for column in columns_of(request)})


def no_actions() -> pd.DataFrame:
    """The answer of a source that knows of no split and no dividend."""
    return pd.DataFrame({column: [] for column in ACTION_COLUMNS})


def normalise_bars(
    rows: pd.DataFrame,
    *,
    request: BarRequest,
    source: str,
    retrieved_at: dt.datetime,
    currency: str = "USD",
) -> pd.DataFrame:
    """A vendor's parsed rows (VENDOR_COLUMNS) as the port promises them.

    Missing data: a bar without a close is dropped and counted in `attrs["missing_bars"]`; another
    absent field is NaN. Bars outside the range and bars not complete at `retrieved_at` are dropped,
    since the one that is still growing would later look like a restatement. A raw price was known
    when its bar ended; an adjusted one depends on every later action, so it is known only now.
    """
    rows, missing = refuse_unbelievable(
        require_columns(rows, VENDOR_COLUMNS, what=f"the answer of {source}"),
        asset_class=request.asset_class,
        source=source,
    )
    day = MARKET_DAYS[request.asset_class]
    event_time = _event_times(rows["stamp"], request=request, day=day)
    bars = rows.assign(
        basis=request.basis.value,
        session=day.session_of(event_time) if request.interval_minutes else rows["stamp"],
        event_time=event_time,
        known_at=event_time if request.basis is Basis.RAW else pd.Timestamp(retrieved_at),
        source=source,
        asset_class=request.asset_class.value,
        currency=currency,
        interval_minutes=request.interval_minutes or MINUTES_PER_DAY,
    )
    wanted = (
        bars["symbol"].isin(request.symbols)
        & (bars["session"] >= request.start)
        & (bars["session"] <= request.end)
        & (bars["event_time"] <= pd.Timestamp(retrieved_at))
    )
    bars = _one_row_per_bar(bars.loc[wanted, list(columns_of(request))], source=source)
    bars.attrs["missing_bars"] = missing
    return bars


def refuse_unbelievable(
    rows: pd.DataFrame,
    *,
    asset_class: AssetClass = AssetClass.US_EQUITY,
    source: str = "the source",
) -> tuple[pd.DataFrame, int]:
    """The rows with float64 fields, without those that lack a close, and how many those were.

    None means "no value" and is a gap. Anything else that is not a finite number, the text NaN
    included, is a vendor's fault and no price: it raises `BadBarError`, as does a negative
    price (except for futures, which did settle below zero in April 2020) or volume.
    """
    numbers = rows.copy()
    for field in (*PRICE_COLUMNS, "volume"):
        may_be_negative = asset_class is AssetClass.FUTURE and field != "volume"
        numbers[field] = _numbers(rows, field, may_be_negative=may_be_negative, source=source)
    has_close = numbers["close"].notna()
    return numbers.loc[has_close].reset_index(drop=True), int((~has_close).sum())


def _numbers(
    rows: pd.DataFrame, field: str, *, may_be_negative: bool, source: str
) -> "pd.Series[float]":
    values = rows[field]
    absent = values.map(lambda value: value is None).to_numpy(dtype=bool)
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    largest = VOLUME_MAX if field == "volume" else PRICE_MAX
    believable = np.abs(numbers) <= largest  # not a number is not below anything
    if not may_be_negative:
        believable &= numbers >= 0
    bad = np.flatnonzero(~absent & ~believable)
    if bad.size:
        row = rows.iloc[int(bad[0])]
        raise BadBarError(
            f"{source} answered {field} {str(row[field])[:40]!r} for {row['symbol']} on "
            f"{row['stamp']} ({bad.size} such values)",
            symbol=str(row["symbol"]),
        )
    return pd.Series(numbers, index=rows.index)


def _number(value: object) -> float:
    """Numbers and their text; everything else is NaN, which the caller refuses."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | np.number):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _event_times(stamps: pd.Series, *, request: BarRequest, day: MarketDay) -> pd.Series:
    if request.interval_minutes is not None:
        opened = pd.to_datetime(stamps, utc=True).astype("datetime64[us, UTC]")
        return opened + pd.Timedelta(minutes=request.interval_minutes)
    ends = {session: day.end_of(session) for session in stamps.unique()}
    return pd.to_datetime(stamps.map(ends), utc=True).astype("datetime64[us, UTC]")


def _one_row_per_bar(bars: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Sorted; a bar told twice in the same words counts once, in different words not at all."""
    bars = bars.drop_duplicates().sort_values(["symbol", "event_time"], ignore_index=True)
    twice = bars.duplicated(["symbol", "event_time"])
    if twice.any():
        row = bars.loc[twice].iloc[0]
        raise BadBarError(
            f"{source} answered two different bars for {row['symbol']} on {row['session']}",
            symbol=str(row["symbol"]),
        )
    return bars


def normalise_actions(
    rows: list[tuple[str, dt.date, str, float]], *, source: str, start: dt.date, end: dt.date
) -> pd.DataFrame:
    """Rows of (symbol, ex-session, kind, value) as ACTION_COLUMNS, cut to the range.

    An action is announced well before its ex-session, on a day that few vendors tell; known from
    the first minute of the ex-session is late by days and early by none.
    """
    kept = sorted({row for row in rows if start <= row[1] <= end})
    for symbol, ex_session, kind, value in kept:
        if not (math.isfinite(value) and value > 0):
            raise SourceAnswerError(
                f"{source} answered a {kind} of {value} for {symbol} on {ex_session}",
                remedy="ask another source for this symbol",
            )
    if not kept:
        return no_actions()
    frame = pd.DataFrame(kept, columns=["symbol", "ex_session", "kind", "value"])
    opened = pd.to_datetime(frame["ex_session"]).dt.tz_localize(_NEW_YORK).dt.tz_convert("UTC")
    return frame.assign(known_at=opened.astype("datetime64[us, UTC]"), source=source).loc[
        :, list(ACTION_COLUMNS)
    ]
