"""News as it lies in the folder, append-only."""

import dagster as dg

from assets.keys import NEWS_KEY
from assets.support import Night, stage_asset_arguments
from resources.desk import Desk


@dg.asset(**stage_asset_arguments("raw", "news"))
def news(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """One row an item and symbol; an empty or missing folder is a night without news."""
    from quant.market.news import news_frame
    from resources.market_data.news_files import read_news

    night, folder = Night(context, desk), desk.settings.paths.news
    items = read_news(folder, now=desk.clock.now()) if folder.is_dir() else []
    written = desk.warehouse.append_versions(
        night.table, news_frame(items), night.provenance, key=NEWS_KEY
    )
    return night.result(len(items), written, symbols=len({item.symbol for item in items}))
