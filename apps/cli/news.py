"""`pmx news ingest` and `pmx news list`: news as an input, and the tone that is heard in it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from apps.cli.days import day
from apps.cli.result import Cli, CommandResult

if TYPE_CHECKING:
    from quant.market.news import NewsItem
    from resources.desk import Desk

SYNTHETIC: Final = "synthetic"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsIngest(CommandResult):
    """What was read and what of it is new."""

    source: str
    items_read: int
    items_landed: int
    symbols: int

    def render(self, console: Any) -> None:
        """One sentence."""
        console.print(
            f"{self.items_read} items of {self.symbols} symbols read, "
            f"{self.items_landed} new in raw.news"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One stored item and its tone."""

    known_at: dt.datetime
    symbol: str
    source: str
    headline: str
    sentiment: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsList(CommandResult):
    """The newest items, newest first."""

    items: tuple[Heard, ...]

    def render(self, console: Any) -> None:
        """One line an item; a headline is somebody else's text and is printed as nothing more."""
        for one in self.items:
            headline = "".join(letter for letter in one.headline if letter.isprintable())
            console.print(
                f"{one.known_at:%Y-%m-%d %H:%M} {one.symbol:<8} {one.sentiment:+.2f}  {headline}",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )
        if not self.items:
            console.print("No news. Load some: pmx news ingest PATH")


def ingest(
    cli: Cli,
    path: Annotated[
        str, typer.Argument(help="A CSV, JSON Lines or Parquet file, a folder, or synthetic.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of synthetic news.")] = 7,
    until: Annotated[
        str, typer.Option(help="Last day of synthetic news (YYYY-MM-DD); a year of them is made.")
    ] = "2022-12-28",
) -> NewsIngest:
    """Read every file before anything is written; what is there already is not added again."""
    import uuid

    from assets.keys import NEWS_KEY
    from quant.market.news import news_frame
    from resources.desk import Desk
    from resources.market_data.news_files import read_news

    last = day(until, option="--until")
    with Desk(cli.settings) as desk:
        items: Sequence[NewsItem]
        if path == SYNTHETIC:
            items = _synthetic(desk, seed, last)
        else:
            now = desk.clock.now()
            items = read_news(Path(path), now=now, until=now)
        frame = news_frame(items)
        provenance = desk.provenance(f"ingest:{uuid.uuid4().hex[:16]}", "raw")
        written = desk.warehouse.append_versions("raw.news", frame, provenance, key=NEWS_KEY)
    return NewsIngest(
        source=path,
        items_read=len(items),
        items_landed=written.rows,
        symbols=len({item.symbol for item in items}),
    )


def _synthetic(desk: "Desk", seed: int, until: dt.date) -> "list[NewsItem]":
    from quant.market.news_synthetic import synthetic_news

    days = [until - dt.timedelta(days=back) for back in range(365, -1, -1)]
    return [one.item for one in synthetic_news(desk.universe.symbols, days, seed=seed)]


def show(
    cli: Cli,
    symbol: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")] = 20,
) -> NewsList:
    """List the newest items with their tone."""
    from quant.signals.sentiment import sentiment
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        rows = desk.warehouse.rows(
            "SELECT known_at, symbol, source, headline FROM raw.news "
            "WHERE $1 IS NULL OR symbol = $1 ORDER BY known_at DESC, hash LIMIT $2",
            [symbol, limit],
        )
    return NewsList(
        items=tuple(
            Heard(
                known_at=known_at.astimezone(dt.UTC),
                symbol=name,
                source=source,
                headline=headline,
                sentiment=sentiment(headline),
            )
            for known_at, name, source, headline in rows
        )
    )
