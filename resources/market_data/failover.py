"""Many sources behind one port: asked in order, skipped with a recorded reason, never waited for.

Belongs here: who is asked next, for how long, and what is written down about those passed over.
Does not belong here: one vendor's protocol, retries within one source (`http`), what is cached.

One symbol comes from one source and in one basis: splicing two vendors' histories would show their
differences as returns.
"""

import datetime as dt
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd

from quant.core.errors import (
    PmxError,
    SourceAnswerError,
    SourceRefusedError,
    SourceUnavailableError,
    UsageError,
)
from quant.market.bars import ACTION_COLUMNS, PRICE_COLUMNS, AssetClass, require_columns
from quant.market.sources import BarRequest, BarSource, columns_of, no_actions, no_bars


class SkipReason(StrEnum):
    """Why a source was passed over for some symbols."""

    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    UNBELIEVABLE = "unbelievable"
    TIMED_OUT = "timed_out"
    STILL_HANGING = "still_hanging"
    OUT_OF_TIME = "out_of_time"
    LACKS = "lacks"
    NO_KEY = "no_key"
    CRASHED = "crashed"


# After one of these the source is not asked again within the same request.
BENCHING: Final = frozenset(
    {
        SkipReason.UNAVAILABLE,
        SkipReason.TIMED_OUT,
        SkipReason.STILL_HANGING,
        SkipReason.OUT_OF_TIME,
        SkipReason.CRASHED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSkip:
    """One source passed over once."""

    source: str
    symbols: tuple[str, ...]
    reason: SkipReason
    message: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimit:
    """What the failover itself bounds for one source."""

    timeout_s: float | None = None
    symbols_per_call: int = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FailoverResult:
    """Bars (or actions), who served each symbol, and every source that was passed over."""

    bars: pd.DataFrame
    skips: tuple[SourceSkip, ...]
    served: Mapping[str, str]
    unserved: tuple[str, ...]


# A question to one source about some symbols, and the judgement of its answer.
Ask = Callable[[BarSource, tuple[str, ...]], pd.DataFrame]


@dataclass(slots=True)
class _Round:
    """The state of one request: what is served, skipped and lost so far."""

    remaining: list[str]
    skips: list[SourceSkip]
    frames: list[pd.DataFrame] = field(default_factory=list)
    served: dict[str, str] = field(default_factory=dict)
    lost_s: float = 0.0


class FailoverSource:
    """`BarSource` over others, in the order of their priority.

    `deadline_s` bounds the time that failing sources may cost in one request, and thereby the time
    from asking to having the answer of the first source that works. Each source gets at most an
    equal share of what is left; one that fails fast leaves its share to the rest. A source that
    hangs is left behind in its thread and not asked again while that thread lives.
    """

    name = "failover"

    def __init__(
        self,
        sources: Sequence[BarSource],
        *,
        limits: Mapping[str, SourceLimit] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        deadline_s: float = 5.0,
        absent: Sequence[SourceSkip] = (),
    ) -> None:
        names = [source.name for source in sources]
        if len(set(names)) != len(names):
            raise UsageError(f"two sources share a name: {', '.join(names)}")
        self._sources = tuple(sources)
        self._limits = dict(limits or {})
        self._monotonic = monotonic
        self._deadline_s = deadline_s
        self._absent = tuple(absent)
        self._left_behind: dict[str, threading.Thread] = {}
        self._bars_from: dict[str, str] = {}

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """The bars of `fetch`, for callers that need no record of the skips."""
        return self.fetch(request).bars

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """The actions of `fetch_actions`."""
        return self.fetch_actions(symbols, start, end).bars

    def fetch(self, request: BarRequest) -> FailoverResult:
        """Every symbol from the first source that has it and answers believably."""

        def ask(source: BarSource, symbols: tuple[str, ...]) -> pd.DataFrame:
            part = replace(request, symbols=symbols)
            return believed_bars(source.bars(part), request=part, source=source.name)

        state = _Round(remaining=list(request.symbols), skips=self._absences(request.symbols))
        self._serve(state, ask, self._sources, empty_is_answer=False)
        self._bars_from.update(state.served)
        return self._result(state, nothing=no_bars(request))

    def fetch_actions(
        self, symbols: tuple[str, ...], start: dt.date, end: dt.date
    ) -> FailoverResult:
        """Splits and dividends; a symbol whose bars came from a source is asked for there first.

        An empty answer means "no action", which only a source that has the symbol can say; hence
        the memory of who served its bars.
        """

        def ask(source: BarSource, part: tuple[str, ...]) -> pd.DataFrame:
            return believed_actions(source.actions(part, start, end), part, source=source.name)

        state = _Round(remaining=[], skips=self._absences(symbols))
        for first, part in self._by_origin(symbols):
            state.remaining = list(part)
            order = sorted(self._sources, key=lambda source: source.name != first)
            self._serve(state, ask, order, empty_is_answer=True)
        state.remaining = [symbol for symbol in symbols if symbol not in state.served]
        return self._result(state, nothing=no_actions())

    def _by_origin(self, symbols: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        origins = {symbol: self._bars_from.get(symbol, "") for symbol in symbols}
        for origin in sorted(set(origins.values())):
            yield origin, tuple(symbol for symbol in symbols if origins[symbol] == origin)

    def _absences(self, symbols: tuple[str, ...]) -> list[SourceSkip]:
        return [replace(skip, symbols=symbols) for skip in self._absent]

    def _serve(
        self, state: _Round, ask: Ask, sources: Sequence[BarSource], *, empty_is_answer: bool
    ) -> None:
        for place, source in enumerate(sources):
            if not state.remaining:
                return
            waiting, state.remaining = state.remaining, []
            size = self._limit(source).symbols_per_call
            while waiting:
                batch, waiting = tuple(waiting[:size]), waiting[size:]
                got, reason = self._ask_for(
                    state, ask, source, batch, sources_left=len(sources) - place
                )
                served = batch if empty_is_answer and reason is None else got
                state.served |= dict.fromkeys(served, source.name)
                state.remaining += [symbol for symbol in batch if symbol not in served]
                if reason in BENCHING:
                    state.remaining += waiting
                    break

    def _ask_for(
        self,
        state: _Round,
        ask: Ask,
        source: BarSource,
        batch: tuple[str, ...],
        *,
        sources_left: int,
    ) -> tuple[tuple[str, ...], SkipReason | None]:
        """The symbols that `source` served, or why it did not answer."""
        started = self._monotonic()
        share_s = (self._deadline_s - state.lost_s) / sources_left
        limit_s = min(share_s, self._limit(source).timeout_s or share_s)
        outcome = self._answer(source, lambda: ask(source, batch), limit_s)
        seconds = self._monotonic() - started
        if isinstance(outcome, pd.DataFrame):
            if not outcome.empty:
                state.frames.append(outcome)
            present = set(outcome["symbol"])
            lacking = tuple(symbol for symbol in batch if symbol not in present)
            got = tuple(symbol for symbol in batch if symbol in present)
            if lacking and "session" in outcome.columns:
                words = f"{source.name} has no bars of {', '.join(lacking)} in this range"
                state.skips.append(
                    SourceSkip(
                        source=source.name,
                        symbols=lacking,
                        reason=SkipReason.LACKS,
                        message=words,
                        seconds=seconds,
                    )
                )
            return got, None
        reason, message = outcome
        state.lost_s += seconds
        skip = SourceSkip(
            source=source.name, symbols=batch, reason=reason, message=message, seconds=seconds
        )
        state.skips.append(skip)
        return (), reason

    def _answer(
        self, source: BarSource, call: Callable[[], pd.DataFrame], limit_s: float
    ) -> pd.DataFrame | tuple[SkipReason, str]:
        """What `call` returns within its time, or the reason why that is nothing."""
        if limit_s <= 0:
            return SkipReason.OUT_OF_TIME, f"the {self._deadline_s:g} s for failover are over"
        old = self._left_behind.get(source.name)
        if old is not None and old.is_alive():
            return SkipReason.STILL_HANGING, f"{source.name} still hangs in an earlier request"
        try:
            return self._in_time(source, call, limit_s)
        except UsageError:
            raise
        except TimeoutError:
            return SkipReason.TIMED_OUT, f"{source.name} gave no answer within {limit_s:.2f} s"
        except SourceUnavailableError as error:
            return SkipReason.UNAVAILABLE, _words(error)
        except SourceRefusedError as error:
            return SkipReason.REFUSED, _words(error)
        except SourceAnswerError as error:
            return SkipReason.UNBELIEVABLE, _words(error)
        except Exception as error:
            # A fault in one adapter must not cost the night; it is recorded and shown.
            return SkipReason.CRASHED, f"{type(error).__name__}: {error}"

    def _in_time(
        self, source: BarSource, call: Callable[[], pd.DataFrame], limit_s: float
    ) -> pd.DataFrame:
        """Run `call` in a daemon thread, since a thread stuck in a socket cannot be stopped."""
        box: queue.SimpleQueue[pd.DataFrame | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                box.put(call())
            except Exception as error:
                box.put(error)

        thread = threading.Thread(target=work, name=f"source-{source.name}", daemon=True)
        thread.start()
        try:
            outcome = box.get(timeout=limit_s)
        except queue.Empty:
            self._left_behind[source.name] = thread
            raise TimeoutError from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _limit(self, source: BarSource) -> SourceLimit:
        return self._limits.get(source.name, SourceLimit())

    def _result(self, state: _Round, *, nothing: pd.DataFrame) -> FailoverResult:
        failures = [skip for skip in state.skips if skip.reason is not SkipReason.LACKS]
        if not state.served and (failures or not self._sources):
            raise all_failed(state.skips)
        frames = state.frames
        return FailoverResult(
            bars=pd.concat(frames, ignore_index=True) if frames else nothing,
            skips=tuple(state.skips),
            served=state.served,
            unserved=tuple(state.remaining),
        )


def believed_bars(frame: pd.DataFrame, *, request: BarRequest, source: str) -> pd.DataFrame:
    """The frame, if it keeps the port's promises; whichever source it came from."""
    frame = require_columns(frame, columns_of(request), what=f"the answer of {source}")
    if frame.empty:
        return frame
    _refuse(~frame["symbol"].isin(request.symbols), frame, source, "a symbol nobody asked for")
    _refuse(frame["basis"] != request.basis.value, frame, source, "prices of another basis")
    days = pd.Series(frame["session"])
    outside = (days < request.start) | (days > request.end)
    _refuse(outside, frame, source, "a session outside the range")
    _refuse(frame.duplicated(["symbol", "event_time"]), frame, source, "a bar twice")
    _refuse(frame["close"].isna(), frame, source, "a bar without a close")
    for column in PRICE_COLUMNS:
        values = frame[column].to_numpy(dtype=np.float64)
        wrong = np.isinf(values)
        if request.asset_class is not AssetClass.FUTURE:
            wrong |= values < 0
        _refuse(pd.Series(wrong, index=frame.index), frame, source, f"an impossible {column}")
    return frame


def believed_actions(frame: pd.DataFrame, symbols: tuple[str, ...], *, source: str) -> pd.DataFrame:
    """The frame, if it has the port's columns and only what was asked."""
    frame = require_columns(frame, ACTION_COLUMNS, what=f"the answer of {source}")
    if not frame["symbol"].isin(symbols).all():
        raise SourceAnswerError(f"{source} answered actions of a symbol nobody asked for")
    return frame


def _refuse(wrong: pd.Series, frame: pd.DataFrame, source: str, what: str) -> None:
    if wrong.any():
        row = frame.loc[wrong].iloc[0]
        raise SourceAnswerError(
            f"{source} answered {what}: {row['symbol']} on {row['session']} "
            f"({int(wrong.sum())} rows)",
            remedy="ask another source for this symbol",
        )


def all_failed(skips: Sequence[SourceSkip]) -> SourceUnavailableError:
    """The error that lists every source with its reason."""
    if not skips:
        return SourceUnavailableError(
            "no source of market data is set up",
            remedy="name at least one source in the priority list, such as sample",
        )
    reasons = "; ".join(f"{skip.source} ({skip.reason}): {skip.message}" for skip in skips)
    return SourceUnavailableError(
        f"no source answered: {reasons}",
        remedy="check the network and the keys named above, add a source to the priority list, "
        "or run from the bundled sample, which needs neither",
    )


def _words(error: PmxError) -> str:
    return f"{error} ({error.remedy})" if error.remedy else str(error)
