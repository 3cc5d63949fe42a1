"""`pmx ingest`: files of any vendor into the warehouse, all of them or none."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError
from quant.market.bars import AssetClass, Basis

if TYPE_CHECKING:
    import pandas as pd

    from apps.loading import SeriesLoad
    from resources.desk import Desk
    from resources.market_data.folder import IngestResult

SAMPLE: Final = "sample"
_SERIES_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest(CommandResult):
    """What was read, landed in raw, and published to clean."""

    source: str
    files: tuple[str, ...]
    skipped: tuple[str, ...]
    rows_delivered: int
    rows_landed: int
    rows_published: int
    intraday_delivered: int
    intraday_landed: int
    actions_landed: int
    findings: int
    series: tuple["SeriesLoad", ...]

    def render(self, console: Any) -> None:
        """One line a symbol and basis, then the sums."""
        for one in self.series[:_SERIES_SHOWN]:
            console.print(
                f"{one.symbol:<12} {one.basis:<14} {one.first} to {one.last}  {one.rows} rows, "
                f"{one.landed} new, {one.published} published, {one.findings} findings",
                soft_wrap=True,
            )
        if len(self.series) > _SERIES_SHOWN:
            console.print(f"... and {len(self.series) - _SERIES_SHOWN} more (--json lists all)")
        console.print(
            f"daily: {self.rows_delivered} rows read, {self.rows_landed} new in raw, "
            f"{self.rows_published} published to clean, {self.findings} findings"
        )
        if self.intraday_delivered:
            console.print(
                f"intraday: {self.intraday_delivered} rows read, {self.intraday_landed} new in raw"
            )
        if self.actions_landed:
            console.print(f"splits and dividends: {self.actions_landed} new in raw")
        if self.skipped:
            console.print(f"not read, since they are no tables: {', '.join(self.skipped[:10])}")
        if not (self.rows_landed or self.intraday_landed or self.actions_landed):
            console.print("All of it was there already; nothing was changed.")
        if self.findings:
            console.print("See what was found: pmx data quality")


def run(
    cli: Cli,
    path: Annotated[
        str, typer.Argument(help="A CSV or Parquet file, a folder of them, or the word sample.")
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="FIELD=COLUMN, such as close=Last; may be repeated."),
    ] = None,
    basis: Annotated[
        Basis, typer.Option(help="What has been divided out of the prices.")
    ] = Basis.RAW,
    asset_class: Annotated[
        AssetClass, typer.Option(help="Decides calendar and costs.")
    ] = AssetClass.US_EQUITY,
    timezone: Annotated[
        str | None, typer.Option(help="Zone of clock times without one, such as America/New_York.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Currency of the prices.")] = "USD",
    calendar: Annotated[
        str | None, typer.Option(help="Exchange calendar; default: the asset class's own.")
    ] = None,
    date_format: Annotated[
        str | None, typer.Option(help="How dates are written, such as %d/%m/%Y.")
    ] = None,
    interval_minutes: Annotated[
        int | None, typer.Option(help="Length of an intraday bar, if the file does not tell.")
    ] = None,
) -> Ingest:
    """Read every file before anything is written; judge what is new and publish the rest."""
    from quant.market.ingest_columns import parse_mapping
    from resources.desk import Desk

    with Desk(cli.settings) as desk:
        if path == SAMPLE:
            if mapping or timezone or calendar or date_format or interval_minutes:
                raise UsageError(
                    "the bundled data take no --map, --timezone, --calendar, --date-format and "
                    "--interval-minutes",
                    remedy="give a path to your own files, or leave these options out",
                )
            return ingest_sample(cli, desk)
        content = _read(
            cli,
            Path(path),
            now=desk.clock.now(),
            basis=basis,
            asset_class=asset_class,
            currency=currency,
            mapping=parse_mapping(mapping or []),
            timezone=timezone,
            calendar=calendar,
            date_format=date_format,
            interval_minutes=interval_minutes,
        )
        return _load(
            cli,
            desk,
            content.daily,
            content.actions,
            content.intraday,
            calendar=calendar,
            source=path,
            files=tuple(file.name for file in content.files),
            skipped=tuple(file.name for file in content.skipped),
        )


def ingest_sample(cli: Cli, desk: "Desk") -> Ingest:
    """The bundled market data, daily and intraday."""
    from quant.market.sources import BarRequest
    from resources.market_data.sample import SampleSource

    source = SampleSource(desk.sample_folder)
    intraday = BarRequest(
        symbols=("BTC-USD",),
        start=dt.date(2000, 1, 1),
        end=desk.clock.now().date(),
        basis=Basis.RAW,
        asset_class=AssetClass.CRYPTO,
        interval_minutes=15,
    )
    bars = source.all_daily_bars()
    return _load(
        cli,
        desk,
        bars,
        source.all_actions(),
        source.bars(intraday),
        calendar=None,
        source=SAMPLE,
        files=tuple(sorted({file.name for file in source.catalogue()})),
        skipped=(),
    )


def _read(cli: Cli, path: Path, **options: Any) -> "IngestResult":
    from resources.market_data.folder import read_bar_files

    with cli.console.progress("reading files") as progress:

        def on_file(file: Path, _number: int, count: int) -> None:
            progress.total = count
            progress.advance(note=file.name if file.name.isprintable() else "")

        return read_bar_files(path, on_file=on_file, **options)


def _load(
    cli: Cli,
    desk: "Desk",
    daily: "pd.DataFrame",
    actions: "pd.DataFrame",
    intraday: "pd.DataFrame",
    *,
    calendar: str | None,
    source: str,
    files: tuple[str, ...],
    skipped: tuple[str, ...],
) -> Ingest:
    import uuid

    from apps.loading import land_and_publish, land_intraday

    # The run's name is told apart from every other one; nothing is derived from it.
    run_id = f"ingest:{uuid.uuid4().hex[:16]}"
    if len(daily):
        desk.companion  # noqa: B018 (imports the judge while the bars land)
    with cli.console.progress("loading") as progress:
        loaded = land_and_publish(
            desk,
            daily,
            actions,
            run_id=run_id,
            calendar=calendar,
            on_step=lambda words: progress.advance(note=words),
        )
        intraday_landed = land_intraday(desk, intraday, run_id=run_id)
    return Ingest(
        source=source,
        files=files,
        skipped=skipped,
        rows_delivered=loaded.rows_delivered,
        rows_landed=loaded.rows_landed,
        rows_published=loaded.rows_published,
        intraday_delivered=len(intraday),
        intraday_landed=intraday_landed,
        actions_landed=loaded.actions_landed,
        findings=loaded.findings,
        series=loaded.series,
    )
