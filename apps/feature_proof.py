"""The proof that no feature looks ahead, run over every series that is stored.

Belongs here: which bars the proof is run on. Does not belong here: the proof (quant.features).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from quant.features import CATALOGUE, Catalogue, prove
from quant.market.bars import AssetClass
from quant.market.calendars import US_EQUITY_CALENDAR, sessions
from quant.market.ingest_options import default_calendar
from quant.market.panel import BarPanel

if TYPE_CHECKING:
    from resources.desk import Desk

_CLASSES: Final = tuple(
    str(kind) for kind in AssetClass if default_calendar(kind) == US_EQUITY_CALENDAR
)
_STORED = (
    "SELECT symbol || ' ' || basis AS symbol, basis, session, open, high, low, close, volume "
    "FROM clean.daily_bars WHERE asset_class IN (SELECT unnest(?::VARCHAR[])) "
    "QUALIFY row_number() OVER "
    "(PARTITION BY symbol, basis, session ORDER BY known_at DESC, row_hash) = 1"
)
# Series that are alike prove the same thing; these many keep the proof within a minute.
SERIES_MAX: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureProof:
    """The verdict on one feature: where it was proved, on how many values, and the first leak."""

    feature: str
    holds: bool
    values_compared: int
    proved_on: str
    leak: str | None


def prove_features(
    desk: "Desk", on_panel: Callable[[str], None], *, catalogue: Catalogue = CATALOGUE
) -> list[FeatureProof]:
    """Every feature of the catalogue on the stored bars, the rest on the bundled ones.

    A feature without a single value proves nothing: bars with a close alone say nothing about
    a feature of the range, so those that found no value are proved on the bundled data.
    """
    found: dict[str, FeatureProof] = {}
    stored = _panels(desk.warehouse.read(_STORED, [list(_CLASSES)]))
    _prove_on(stored, "clean", catalogue, found, on_panel)
    left = _without(catalogue, set(found))
    if left.families:
        _prove_on(_panels(_bundled(desk)), "bundled", left, found, on_panel)
    return [found.get(name) or _unproved(name) for name in catalogue.names()]


def _without(catalogue: Catalogue, found: set[str]) -> Catalogue:
    """The families that have a feature which is not among `found`."""
    return Catalogue(
        families=tuple(
            family
            for family in catalogue.families
            if not {feature.name for feature in family.features} <= found
        )
    )


def _prove_on(
    panels: list[tuple[str, BarPanel]],
    source: str,
    catalogue: Catalogue,
    found: dict[str, FeatureProof],
    on_panel: Callable[[str], None],
) -> None:
    """Add to `found` what these panels prove; a verdict from a better source is kept."""
    settled = {name for name, proof in found.items() if proof.proved_on != source}
    for title, panel in panels:
        on_panel(f"{source} {title}: {len(panel.symbols)} series")
        for result in prove(catalogue, panel):
            name = result.feature
            if name in settled or not result.values_compared:
                continue
            before = found.get(name)
            leak = str(result.leak) if result.leak else None
            found[name] = FeatureProof(
                feature=name,
                holds=result.holds and (before is None or before.holds),
                values_compared=result.values_compared + (before.values_compared if before else 0),
                proved_on=source,
                leak=(before.leak if before else None) or leak,
            )


def _unproved(name: str) -> FeatureProof:
    return FeatureProof(
        feature=name, holds=False, values_compared=0, proved_on="nothing", leak=None
    )


def _panels(bars: pd.DataFrame) -> list[tuple[str, BarPanel]]:
    """One panel a basis: its longest series, those with all prices first."""
    panels = []
    for basis, rows in bars.groupby("basis", sort=True):
        chosen = rows[rows["symbol"].isin(_fullest(rows))]
        days = chosen["session"].to_numpy().astype("datetime64[D]")
        calendar = sessions(US_EQUITY_CALENDAR, days.min().item(), days.max().item())
        if len(calendar) > 2:
            panels.append((str(basis), BarPanel.from_long(chosen, sessions=calendar)))
    return panels


def _fullest(rows: pd.DataFrame) -> list[str]:
    complete = rows[["open", "high", "low", "volume"]].notna().all(axis=1)
    counts = pd.DataFrame({"symbol": rows["symbol"], "complete": complete, "close": 1})
    totals = counts.groupby("symbol")[["complete", "close"]].sum()
    order = totals.sort_values(["complete", "close"], ascending=False, kind="stable")
    return [str(symbol) for symbol in order.index[:SERIES_MAX]]


def _bundled(desk: "Desk") -> pd.DataFrame:
    from resources.market_data.sample import SampleSource

    bars = SampleSource(desk.sample_folder).all_daily_bars()
    chosen = bars[bars["asset_class"].isin(_CLASSES)]
    days = np.asarray(chosen["session"].to_numpy(), dtype="datetime64[D]")
    return chosen.assign(
        symbol=chosen["symbol"].astype("str") + " " + chosen["basis"].astype("str"),
        session=days.astype("datetime64[us]"),
    )
