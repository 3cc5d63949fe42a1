"""Sources written by hand for tests in which only the order of asking matters."""

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pandas as pd

from quant.market.bars import Basis
from quant.market.sources import BarRequest, no_actions, no_bars, normalise_bars
from resources.market_data.vendor_series import vendor_rows
from tests.vendor_answers import NOW, RAW, SESSIONS


def bars_of(symbol: str, request: BarRequest, *, source: str) -> pd.DataFrame:
    columns = dict(
        zip(("open", "high", "low", "close", "volume"), zip(*RAW, strict=True), strict=True)
    )
    rows = vendor_rows(symbol, {"stamp": list(SESSIONS)} | columns)
    own = replace(request, symbols=(symbol,))
    return normalise_bars(rows, request=own, source=source, retrieved_at=NOW)


@dataclass
class FakeSource:
    """A source that has some symbols and one way to fail."""

    name: str
    has: tuple[str, ...] = ("AAPL",)
    failure: Callable[[tuple[str, ...]], Exception | None] = lambda _symbols: None
    basis: Basis | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def bars(self, request: BarRequest) -> pd.DataFrame:
        self.asked.append(request.symbols)
        error = self.failure(request.symbols)
        if error is not None:
            raise error
        frames = [
            bars_of(symbol, request, source=self.name)
            for symbol in request.symbols
            if symbol in self.has
        ]
        bars = pd.concat(frames, ignore_index=True) if frames else no_bars(request)
        return bars if self.basis is None else bars.assign(basis=self.basis.value)

    def actions(
        self,
        symbols: tuple[str, ...],
        start: dt.date,  # noqa: ARG002 - the port's signature
        end: dt.date,  # noqa: ARG002
    ) -> pd.DataFrame:
        self.asked.append(symbols)
        error = self.failure(symbols)
        if error is not None:
            raise error
        return no_actions()


class HangingSource(FakeSource):
    """Never answers until it is released."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.release = threading.Event()

    def bars(self, request: BarRequest) -> pd.DataFrame:
        self.asked.append(request.symbols)
        self.release.wait(30)
        return no_bars(request)
