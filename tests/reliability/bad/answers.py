"""Wrong answers of data vendors: one cell of a bar, or the whole body, over real HTTP."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from quant.market.sources import BarSource
from resources.market_data.http import SourceRules
from tests.loopback import Vendor, response, serving
from tests.reliability.bad.case import Case, Refused, Workshop, attempt
from tests.vendor_answers import FIELDS, RAW, SESSIONS, VENDORS, Bars, VendorCase

KIND: Final = "vendor"
RULES: Final = SourceRules(requests_per_minute=1_000_000, timeout_s=10.0, retries=0)
Words = tuple[str, ...]
# What stands in place of the fourth day's cell.
CELLS: Final[Mapping[str, tuple[Any, Words]]] = {
    "NaN": (math.nan, ("nan",)),
    "infinity": (math.inf, ("inf",)),
    "minus infinity": (-math.inf, ("inf",)),
    "a negative number": (-134.18, ("-",)),
    "1e308": (1e308, ("1e+308", "inf", "above", "impossible")),
    "text": ("ten", ("ten",)),
    "a list": ([134.18], ("[134.18]", "list", "134.18")),
    "a mapping": ({"v": 1}, ("{'v': 1}", "mapping", "dict")),
    "empty text": ("", ("''",)),
}
BODIES: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "null": b"null",
    "a number": b"17",
    "text": b'"soon"',
    "a list": b"[]",
    "a list of nulls": b"[null]",
    "an empty object": b"{}",
    "NaN": b"NaN",
    "a web page": b"<html><body>We will be right back</body></html>",
    "a web page of a proxy": b"<!doctype html><title>403</title>",
    "JSON cut off": b'{"bars": {"AAPL": [{"t": "2020',
    "two objects": b"{}{}",
    "a key twice": b'{"bars": null, "bars": 17}',
    "deep nesting": b"[" * 100_000,
    "Latin-1": '{"error": "Z\u00fcrich"}'.encode("latin-1"),
    "UTF-16": '{"bars": 1}'.encode("utf-16"),
    "a number of 5,000 digits": b'{"bars": ' + b"9" * 5_000 + b"}",
    "random bytes": bytes(range(256)),
}


def cases(shop: Workshop) -> Iterator[Case]:
    """Every vendor, every column with every wrong cell, then every wrong body."""
    for vendor in VENDORS.values():
        server = shop.stack.enter_context(serving(vendor.respond(RAW)))
        source = vendor.build(server.url, RULES)
        for place, field in enumerate(FIELDS):
            for what, (value, words) in CELLS.items():
                if (vendor.name, what) == ("ccxt_binance", "empty text"):
                    continue  # ccxt takes it for an absent value, which is a gap
                yield Case(
                    kind=KIND,
                    sample=f"a cell: {what}",
                    name=f"{vendor.name}: {field} is {what}",
                    ask=partial(_ask_cell, server, source, vendor, place, value),
                    names=(vendor.name, vendor.symbol, SESSIONS[3].isoformat(), field),
                    words=words,
                )
        for what, body in BODIES.items():
            if (vendor.name, what) == ("ccxt_binance", "a list"):
                continue  # an exchange without candles of that time says so
            yield Case(
                kind=KIND,
                sample=f"a body: {what}",
                name=f"{vendor.name}: the body is {what}",
                ask=partial(_ask_body, server, source, vendor, body),
                names=(vendor.name,),
                words=("answered", "JSON"),
            )


def _ask_cell(
    server: Vendor, source: BarSource, vendor: VendorCase, place: int, value: Any
) -> Refused | None:
    rows = [list(bar) for bar in RAW]
    rows[3][place] = value
    bars: Bars = tuple(tuple(row) for row in rows)
    server.respond = vendor.respond(bars)
    return attempt(lambda: source.bars(vendor.request()))


def _ask_body(server: Vendor, source: BarSource, vendor: VendorCase, body: bytes) -> Refused | None:
    honest = server.answer
    server.answer = lambda _ask: response(200, body)  # type: ignore[method-assign]
    try:
        return attempt(lambda: source.bars(vendor.request()))
    finally:
        server.answer = honest  # type: ignore[method-assign]
