"""Synthetic news from a seed, each item with the tone that was planted in it.

Belongs here: the sentences and their dates. Does not belong here: scoring them, which is what they
are made to test. The source says `synthetic`, so that nobody takes them for news.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quant.core.identity import seed_of
from quant.market.news import NewsItem

SOURCE: Final = "synthetic"
_SENTENCES: Final = {
    1: (
        "{symbol} beats estimates and raises its outlook",
        "{symbol} sales rise sharply on strong demand",
        "{symbol} announces share buyback",
        "{symbol} upgraded after record quarter",
        "{symbol} cuts costs and narrows its losses",
    ),
    0: (
        "{symbol} to report results next week",
        "{symbol} names new head of communications",
        "{symbol} board meets on Thursday",
        "{symbol} publishes annual report",
    ),
    -1: (
        "{symbol} misses estimates and cuts its outlook",
        "{symbol} profit fell sharply",
        "{symbol} warns of weak demand",
        "{symbol} downgraded after regulator opens probe",
        "{symbol} recalls product, costs rise",
    ),
}
# From the publication until a feed has it.
_DELAY: Final = dt.timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedNews:
    """An item and its tone: 1 good, 0 none, -1 bad."""

    item: NewsItem
    tone: int


def synthetic_news(
    symbols: Sequence[str], days: Sequence[dt.date], *, seed: int, items_a_week: float = 1.0
) -> tuple[PlantedNews, ...]:
    """News of `days`, by symbol and time; a symbol's items do not depend on the others."""
    return tuple(
        planted
        for symbol in symbols
        for day in days
        for planted in _of_day(symbol, day, seed=seed, rate=items_a_week / 5.0)
    )


def _of_day(symbol: str, day: dt.date, *, seed: int, rate: float) -> list[PlantedNews]:
    draw = np.random.default_rng(seed_of("news", seed, symbol, day))
    minutes = np.sort(draw.integers(0, 24 * 60, size=draw.poisson(rate)))
    planted = []
    for minute in minutes.tolist():
        tone = int(draw.integers(-1, 2))
        sentence = _SENTENCES[tone][int(draw.integers(len(_SENTENCES[tone])))]
        midnight = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
        event_time = midnight + dt.timedelta(minutes=minute)
        item = NewsItem(
            event_time=event_time,
            known_at=event_time + _DELAY,
            source=SOURCE,
            symbol=symbol,
            headline=sentence.format(symbol=symbol),
        )
        planted.append(PlantedNews(item=item, tone=tone))
    return planted
