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
from typing import Final

import pandas as pd

from quant.core.errors import (
    PmxError,
    SourceAnswerError,
    SourceRefusedError,
    SourceUnavailableError,
    UsageError,
)
from quant.market.sources import (
    BadBarError,
    BarRequest,
    BarSource,
    no_actions,
    no_bars,
)
from resources.market_data.promises import believed_actions, believed_bars
from resources.market_data.skips import (
    BENCHING,
    FailoverResult,
    SkipReason,
    SourceLimit,
    SourceSkip,
    all_failed,
)
from resources.market_data.vendor_series import joined

# So many symbols of one source may prove bad, one by one, before the rest is not trusted either.
BAD_SYMBOLS_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why a source gave nothing; `culprit` is the one symbol to blame, where there is one."""

    reason: SkipReason
    message: str
    culprit: str = ""


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
    from asking to having the answer of the first source that works. Each source gets at most its
    share (by weight) of what is left; one that fails fast leaves its share to the rest. A source
    that hangs is left behind in its thread and not asked again while that thread lives.
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
            size, bad_symbols = self._limit(source).symbols_per_call, 0
            while waiting:
                batch, waiting = tuple(waiting[:size]), waiting[size:]
                limit_s = self._share_s(state, sources[place:])
                outcome, seconds = self._timed(source, ask, batch, limit_s)
                if isinstance(outcome, _Failure):
                    bad_symbols += 1
                    passed_on, again = self._pass_on(state, source, batch, outcome, seconds)
                    state.remaining += passed_on
                    waiting = [*again, *waiting]
                    if outcome.reason in BENCHING or bad_symbols > BAD_SYMBOLS_MAX:
                        state.remaining += waiting
                        break
                else:
                    _take(state, source, batch, outcome, seconds, empty_is_answer=empty_is_answer)

    def _share_s(self, state: _Round, sources_left: Sequence[BarSource]) -> float:
        """The time that one question to the first of `sources_left` may take."""
        weights = [self._limit(source).weight for source in sources_left]
        share_s = (self._deadline_s - state.lost_s) * weights[0] / sum(weights)
        return min(share_s, self._limit(sources_left[0]).timeout_s or share_s)

    def _timed(
        self, source: BarSource, ask: Ask, batch: tuple[str, ...], limit_s: float
    ) -> tuple[pd.DataFrame | _Failure, float]:
        started = self._monotonic()
        outcome = self._answer(source, lambda: ask(source, batch), limit_s)
        return outcome, self._monotonic() - started

    def _pass_on(
        self,
        state: _Round,
        source: BarSource,
        batch: tuple[str, ...],
        failure: _Failure,
        seconds: float,
    ) -> tuple[list[str], list[str]]:
        """Records the skip; which symbols go to the next source, and which to this one again."""
        state.lost_s += seconds
        has_culprit = failure.culprit in batch
        blamed = (failure.culprit,) if has_culprit else batch
        state.skips.append(
            SourceSkip(
                source=source.name,
                symbols=blamed,
                reason=failure.reason,
                message=failure.message,
                seconds=seconds,
            )
        )
        return list(blamed), [symbol for symbol in batch if symbol not in blamed]

    def _answer(
        self, source: BarSource, call: Callable[[], pd.DataFrame], limit_s: float
    ) -> pd.DataFrame | _Failure:
        """What `call` returns within its time, or the reason why that is nothing."""
        if limit_s <= 0:
            words = f"the {self._deadline_s:g} s for failover are over"
            return _Failure(reason=SkipReason.OUT_OF_TIME, message=words)
        old = self._left_behind.get(source.name)
        if old is not None and old.is_alive():
            words = f"{source.name} still hangs in an earlier request"
            return _Failure(reason=SkipReason.STILL_HANGING, message=words)
        try:
            return self._in_time(source, call, limit_s)
        except UsageError:
            raise
        except TimeoutError:
            words = f"{source.name} gave no answer within {limit_s:.2f} s"
            return _Failure(reason=SkipReason.TIMED_OUT, message=words)
        except SourceUnavailableError as error:
            return _Failure(reason=SkipReason.UNAVAILABLE, message=_words(error))
        except SourceRefusedError as error:
            return _Failure(reason=SkipReason.REFUSED, message=_words(error))
        except SourceAnswerError as error:
            culprit = error.symbol if isinstance(error, BadBarError) else ""
            return _Failure(reason=SkipReason.UNBELIEVABLE, message=_words(error), culprit=culprit)
        except Exception as error:
            # A fault in one adapter must not cost the night; it is recorded and shown.
            words = f"{type(error).__name__}: {error}"
            return _Failure(reason=SkipReason.CRASHED, message=words)

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
        bars = joined(state.frames, nothing=nothing)
        return FailoverResult(
            bars=bars,
            skips=tuple(state.skips),
            served=state.served,
            unserved=tuple(state.remaining),
            missing_bars=int(bars.attrs.get("missing_bars", 0)),
        )


def _take(
    state: _Round,
    source: BarSource,
    batch: tuple[str, ...],
    frame: pd.DataFrame,
    seconds: float,
    *,
    empty_is_answer: bool,
) -> None:
    """Enter an answer; symbols that it lacks go to the next source, with that recorded."""
    if not frame.empty:
        state.frames.append(frame)
    present = set(frame["symbol"])
    served = [symbol for symbol in batch if empty_is_answer or symbol in present]
    lacking = tuple(symbol for symbol in batch if symbol not in served)
    state.served |= dict.fromkeys(served, source.name)
    state.remaining += lacking
    if lacking:
        state.skips.append(
            SourceSkip(
                source=source.name,
                symbols=lacking,
                reason=SkipReason.LACKS,
                message=f"{source.name} has no bars of {', '.join(lacking)} in this range",
                seconds=seconds,
            )
        )


def _words(error: PmxError) -> str:
    return f"{error} ({error.remedy})" if error.remedy else str(error)
