"""`pmx synth`: a synthetic market as a folder that `pmx ingest` takes."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult

# Bars are made in memory; this many of them take about 2 GB.
BARS_MAX = 10_000_000
_DEFECTS_SHOWN = 30


class FileFormat(StrEnum):
    """What the tables are written as."""

    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedDefect:
    """One planted fault, and where a quality rule should find it."""

    symbol: str
    session: dt.date
    kind: str
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Synth(CommandResult):
    """The market that was written."""

    folder: Path
    files: tuple[str, ...]
    seed: int
    symbols: int
    first: dt.date
    last: dt.date
    bars: int
    actions: int
    defects: tuple[PlantedDefect, ...]

    def render(self, console: Any) -> None:
        """What lies where, and what was planted."""
        console.print(
            f"{self.bars} bars of {self.symbols} symbols, {self.first} to {self.last}, "
            f"{self.actions} splits and dividends; seed {self.seed}"
        )
        if self.defects:
            kinds = Counter(defect.kind for defect in self.defects)
            planted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            console.print(f"planted {len(self.defects)} defects: {planted}")
        for one in self.defects[:_DEFECTS_SHOWN]:
            console.print(f"  {one.session} {one.symbol} {one.kind} ({one.sessions} sessions)")
        if len(self.defects) > _DEFECTS_SHOWN:
            console.print("  ... all of them are listed in market.json")
        console.print(f"written: {', '.join(self.files)}")
        console.print(f"Next: pmx ingest {self.folder}", soft_wrap=True)


def run(
    cli: Cli,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 7,
    symbols: Annotated[int, typer.Option(min=1, max=20_000, help="How many symbols.")] = 50,
    years: Annotated[int, typer.Option(min=1, max=30, help="How many years, up to 2024.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="A new or empty folder; default: under PMX_HOME.")
    ] = None,
    defects: Annotated[
        bool, typer.Option("--defects", help="Plant faults for the quality rules to find.")
    ] = False,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="What the tables are written as.")
    ] = FileFormat.PARQUET,
) -> Synth:
    """Generate the market and write it; an existing folder must be empty."""
    from quant.core.errors import UsageError
    from quant.market.synthetic import SESSIONS_PER_YEAR, generate
    from resources.market_data.synthetic_folder import write_market

    if symbols * years * SESSIONS_PER_YEAR > BARS_MAX:
        raise UsageError(
            f"{symbols} symbols over {years} years are more than {BARS_MAX:,} bars",
            remedy="ask for fewer symbols or years",
        )
    name = f"seed{seed}-{symbols}x{years}y{'-defects' if defects else ''}-{file_format}"
    folder = out if out is not None else cli.settings.home / "synthetic" / name
    with cli.console.progress("making the market", total=2) as progress:
        market = generate(seed=seed, symbols=symbols, years=years, defects=defects)
        progress.advance(note=f"writing {len(market.bars)} bars")
        files = write_market(market, folder, file_format=file_format.value)
        progress.advance()
    days = market.regimes["session"]
    return Synth(
        folder=folder,
        files=tuple(file.name for file in files),
        seed=seed,
        symbols=int(market.bars["symbol"].nunique()),
        first=days.min(),
        last=days.max(),
        bars=len(market.bars),
        actions=len(market.actions),
        defects=tuple(
            PlantedDefect(symbol=d.symbol, session=d.session, kind=d.kind, sessions=d.sessions)
            for d in market.defects
        ),
    )
