"""News as it lies in the folder, append-only."""

import dagster as dg

from assets.keys import NEWS_KEY
from assets.support import Night, check, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments("raw", "news"),
    check_specs=[check("raw", "news", "files_are_read", description="no file of news is broken")],
)
def news(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """One row an item and symbol; an empty or missing folder is a night without news.

    A broken file is left out as a whole and named by the check: nothing that trades waits for news.
    """
    from quant.core.errors import DataError
    from quant.market.news import news_frame
    from resources.market_data.news_files import news_files, read_news

    night, folder = Night(context, desk), desk.settings.paths.news
    items, broken = [], []
    for file in news_files(folder) if folder.is_dir() else []:
        try:
            items += read_news(file, now=desk.clock.now())
        except DataError as error:
            broken.append(str(error))
    written = desk.warehouse.append_versions(
        night.table, news_frame(items), night.provenance, key=NEWS_KEY
    )
    read = dg.AssetCheckResult(
        passed=not broken,
        check_name="files_are_read",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"broken": dg.MetadataValue.md("\n".join(broken) or "none")},
    )
    return night.result(
        len(items), written, checks=[read], symbols=len({item.symbol for item in items})
    )
