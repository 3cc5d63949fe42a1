"""News as an input: one item a symbol, with the moment from which it may be used.

Belongs here: the columns, what one record must say, and its identity. Does not belong here: files
(resources.market_data.news_files), or what an item means (quant.signals.sentiment).

An item is identified by what it says, so the same news read twice is one row; an agency's
correction says something else and is another row, known from its own moment on.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd

from quant.core.errors import DataError
from quant.core.identity import content_hash
from quant.market.symbols import SYMBOL_REMEDY, shown, symbol_fault

NEWS_COLUMNS: Final = (
    "event_time",
    "known_at",
    "source",
    "symbol",
    "headline",
    "body",
    "hash",
)
HEADLINE_CHARACTERS_MAX: Final = 2_000
BODY_CHARACTERS_MAX: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsItem:
    """One item about one symbol, as delivered. `known_at` is never before `event_time`."""

    event_time: dt.datetime
    known_at: dt.datetime
    source: str
    symbol: str
    headline: str
    body: str = ""

    @property
    def hash(self) -> str:
        """Of what it says, whenever it was learned."""
        said = asdict(self)
        del said["known_at"]
        return content_hash(said)


def parse_item(
    record: Mapping[str, Any],
    *,
    place: str,
    source: str,
    now: dt.datetime,
    until: dt.datetime | None = None,
) -> NewsItem:
    """One record of a file; `DataError` names the place and the field.

    Times after `until` are refused. A night of the past leaves it out: what its file knew later
    waits, unseen, until then.

    Where a record does not say when it was known, it is known from `now` on: that it happened
    earlier is no proof that anybody here could have read it.
    """
    event_time = _moment(record.get("event_time"), place, "event_time")
    said = record.get("known_at")
    known_at = now if _is_empty(said) else _moment(said, place, "known_at")
    if known_at < event_time:
        raise _fault(place, "known_at", "it is before event_time", "check both columns")
    for field, moment in (("event_time", event_time), ("known_at", known_at)):
        if until is not None and moment > until:
            raise _fault(
                place,
                field,
                f"{moment:%Y-%m-%d %H:%M} is in the future",
                "correct the clock or the row",
            )
    symbol = _text(record.get("symbol")).strip()
    if fault := symbol_fault(symbol):
        raise _fault(place, "symbol", f"{shown(symbol)}: {fault}", SYMBOL_REMEDY)
    headline = _text(record.get("headline")).strip()
    if not 0 < len(headline) <= HEADLINE_CHARACTERS_MAX:
        problem = f"it has {len(headline)} characters"
        raise _fault(place, "headline", problem, f"give 1 to {HEADLINE_CHARACTERS_MAX}")
    body = _text(record.get("body"))
    if not _is_unicode(headline + body):
        raise _fault(place, "headline", "it has half a character (a lone surrogate)", "write UTF-8")
    if len(body) > BODY_CHARACTERS_MAX:
        problem = f"it has {len(body)} characters"
        raise _fault(place, "body", problem, f"give at most {BODY_CHARACTERS_MAX}")
    return NewsItem(
        event_time=event_time,
        known_at=known_at,
        source=_text(record.get("source")).strip()[:60] or source,
        symbol=symbol,
        headline=headline,
        body=body,
    )


def news_frame(items: Iterable[NewsItem]) -> pd.DataFrame:
    """The items as rows of `raw.news`, each once."""
    unique = {item.hash: item for item in items}
    frame = pd.DataFrame(
        [asdict(item) | {"hash": hash_} for hash_, item in unique.items()],
        columns=list(NEWS_COLUMNS),
    )
    times = {
        name: pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        for name in ("event_time", "known_at")
    }
    return frame.assign(**times)


def _moment(value: object, place: str, field: str) -> dt.datetime:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            value = None
    # NaT is a datetime by class and has no zone.
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        problem = "it is no time with a zone"
        raise _fault(place, field, problem, "write ISO 8601, such as 2026-03-02T21:15:00Z")
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime(warn=False)
    return value.astimezone(dt.UTC)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _text(value: object) -> str:
    return "" if _is_empty(value) else str(value)


def _is_empty(value: object) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or value is pd.NaT or is_nan or value == ""


def _fault(place: str, field: str, problem: str, remedy: str) -> DataError:
    return DataError(f"{place}, field {field}: {problem}", remedy=remedy)
