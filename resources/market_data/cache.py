"""Answers of a source kept on disk: closed sessions are asked for once.

Belongs here: which bars may be kept, and how a file is written and believed again. Does not belong
here: retries, failover, or storage of record (the warehouse). A cache may vanish at any time.

Sessions that may still change (today's, and those that ended less than `SETTLE` ago) are never
kept. Adjusted prices change with every later action, so theirs are kept for the day only.
"""

import datetime as dt
import hashlib
import io
import json
import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from quant.core.clock import Clock, SystemClock
from quant.core.identity import content_hash
from quant.market.bars import Basis
from quant.market.sources import MARKET_DAYS, BarRequest, BarSource, columns_of, no_bars
from resources.market_data.http import SymbolRefusedError
from resources.market_data.vendor_series import joined

log = logging.getLogger(__name__)

# Vendors correct the last prints of a session for some hours after its end.
SETTLE: Final = dt.timedelta(hours=6)
# Part of every key: raise it when the columns or the file's layout change.
LAYOUT: Final = 1


class CachedSource:
    """`BarSource` that remembers another one's closed sessions, one file a symbol and range."""

    def __init__(
        self,
        inner: BarSource,
        *,
        directory: Path,
        clock: Clock | None = None,
        keep: dt.timedelta = dt.timedelta(days=30),
        variant: str = "",
    ) -> None:
        self._inner = inner
        self._directory = directory
        self._clock = clock or SystemClock()
        self._keep = keep
        # Whatever else decides the answer: the feed, the exchange, the address.
        self._variant = variant

    @property
    def name(self) -> str:
        """The name of the source behind it: a cached row is still that source's row."""
        return self._inner.name

    def actions(self, symbols: tuple[str, ...], start: dt.date, end: dt.date) -> pd.DataFrame:
        """Always asked afresh: a missed split costs more than a request."""
        return self._inner.actions(symbols, start, end)

    def bars(self, request: BarRequest) -> pd.DataFrame:
        """Closed sessions from disk where they are there, the rest from the source."""
        closed = self._closed_part(request)
        if closed is None:
            return self._inner.bars(request)
        kept = {}
        for symbol in request.symbols:
            bars = self._read(closed, symbol)
            if bars is not None:
                kept[symbol] = bars
        missing = tuple(symbol for symbol in request.symbols if symbol not in kept)
        parts = list(kept.values())
        if missing:
            parts.append(self._fresh(request, closed, missing, others_are_kept=bool(kept)))
        if kept and request.end > closed.end:
            parts.append(self._since(request, closed, tuple(kept)))
        both = joined(parts, nothing=no_bars(request))
        return both.sort_values(["symbol", "event_time"], ignore_index=True)

    def _closed_part(self, request: BarRequest) -> BarRequest | None:
        """The request cut to sessions that no longer change; None if there are none."""
        day = MARKET_DAYS[request.asset_class]
        now = self._clock.now()
        last = min(request.end, now.date())
        while last >= request.start and day.end_of(last) + SETTLE > now:
            last -= dt.timedelta(days=1)
        return replace(request, end=last) if last >= request.start else None

    def _fresh(
        self,
        request: BarRequest,
        closed: BarRequest,
        symbols: tuple[str, ...],
        *,
        others_are_kept: bool,
    ) -> pd.DataFrame:
        """The whole range from the source; what is closed of it is kept."""
        try:
            bars = self._inner.bars(replace(request, symbols=symbols))
        except SymbolRefusedError:
            if others_are_kept:
                return no_bars(request)
            raise
        for symbol in symbols:
            own = bars.loc[(bars["symbol"] == symbol) & (bars["session"] <= closed.end)]
            if not own.empty:
                own = own.reset_index(drop=True)
                # The count of missing bars is that of the whole answer, not of this symbol.
                own.attrs.clear()
                self._write(closed, symbol, own)
        return bars

    def _since(
        self, request: BarRequest, closed: BarRequest, symbols: tuple[str, ...]
    ) -> pd.DataFrame:
        """The open end of the range; a vendor may refuse it where no session has begun yet."""
        start = closed.end + dt.timedelta(days=1)
        try:
            return self._inner.bars(replace(request, symbols=symbols, start=start))
        except SymbolRefusedError:
            return no_bars(request)

    def _path(self, closed: BarRequest, symbol: str) -> Path:
        is_raw = closed.basis is Basis.RAW
        key = content_hash(
            {
                "layout": LAYOUT,
                "source": self.name,
                "variant": self._variant,
                "request": replace(closed, symbols=(symbol,)),
                "adjusted_on": None if is_raw else self._clock.now().date(),
            }
        )
        return self._directory / f"{key}.bars"

    def _read(self, closed: BarRequest, symbol: str) -> pd.DataFrame | None:
        """The kept bars; None where there are none, they are too old or cannot be believed."""
        path = self._path(closed, symbol)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("cache file %s cannot be read: %s", path.name, error)
            return None
        try:
            head, _, body = content.partition(b"\n")
            header = json.loads(head)
            if hashlib.sha256(body).hexdigest() != header["sha256"]:
                raise ValueError("the content has changed")
            written_at = dt.datetime.fromisoformat(header["written_at"])
            bars = pd.read_parquet(io.BytesIO(body))[list(columns_of(closed))]
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.warning("cache file %s is damaged and is fetched again: %s", path.name, error)
            path.unlink(missing_ok=True)
            return None
        return bars if self._clock.now() - written_at <= self._keep else None

    def _write(self, closed: BarRequest, symbol: str, bars: pd.DataFrame) -> None:
        """Whole or not at all. A full disk costs the cache, not the answer."""
        buffer = io.BytesIO()
        bars.to_parquet(buffer, index=False)
        body = buffer.getvalue()
        header = {
            "sha256": hashlib.sha256(body).hexdigest(),
            "written_at": self._clock.now().isoformat(),
        }
        try:
            _replace_file(self._path(closed, symbol), json.dumps(header).encode() + b"\n" + body)
        except OSError as error:
            log.warning("nothing is cached under %s: %s", self._directory, error)


def _replace_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
