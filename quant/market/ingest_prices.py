"""Foreign cells as prices and volumes, or an error that names the cell.

Belongs here: numbers without which a bar has no meaning (not a number, infinite, negative, high
below low). Does not belong here: doubts about numbers that could be true (`quality`).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.market.bars import PRICE_COLUMNS, PRICE_MAX, VOLUME_MAX, AssetClass, Basis
from quant.market.ingest_table import BoolArray, RawTable

_EMPTY_WORDS: Final = ("", "nan", "null", "none", "na", "n/a", "<na>")


def parse_prices(
    table: RawTable, chosen: Mapping[str, str], *, basis: Basis, asset_class: AssetClass
) -> dict[str, NDArray[np.float64]]:
    """Open, high, low, close; a column that the file lacks is NaN throughout."""
    # Crude oil for May 2020 settled at -37.63 dollars; nothing but a future may do that.
    lowest = -PRICE_MAX if asset_class is AssetClass.FUTURE else 0.0
    prices = {field: _price(table, field, chosen.get(field), lowest) for field in PRICE_COLUMNS}
    if (bad := prices["high"] < prices["low"]).any():
        raise table.fault_at(
            bad,
            field="high",
            problem="is a high below the same bar's low",
            remedy="check the order of the columns, or map them: --map high=COLUMN",
            values=table.frame[chosen["high"]],
        )
    if basis is not Basis.TOTAL_RETURN or "adj_close" not in chosen:
        return prices
    adjusted = _price(table, "adj_close", chosen["adj_close"], lowest)
    if "close" not in chosen:
        return prices | {"close": adjusted}
    # One factor a day moves the whole bar onto the adjusted basis, as the vendor moved the close.
    moved = {field: values * (adjusted / prices["close"]) for field, values in prices.items()}
    return moved | {"close": adjusted}


def _price(table: RawTable, field: str, column: str | None, lowest: float) -> NDArray[np.float64]:
    if column is None:
        return np.full(len(table), np.nan)
    values = _numbers(table, field, column)
    remedy = "correct the row, or remove it: nothing is filled in"
    for bad, problem in (
        (np.isnan(values), "is no price (empty or NaN)"),
        (np.isinf(values), "is infinite"),
        (values < lowest, "is a negative price"),
        (values == lowest, "is a price of zero"),
        (values > PRICE_MAX, f"is above {PRICE_MAX:g}, so it is no price"),
    ):
        _refuse_cells(table, field, column, bad, problem=problem, remedy=remedy)
    return values


def parse_volume(table: RawTable, column: str | None) -> NDArray[np.float64]:
    """Many indices and currencies have none, so a missing volume is allowed and stays NaN."""
    if column is None:
        return np.full(len(table), np.nan)
    values = _numbers(table, "volume", column)
    remedy = "correct the row, or leave the volume empty where it is unknown"
    for bad, problem in (
        (np.isinf(values), "is infinite"),
        (values < 0, "is a negative volume"),
        (values > VOLUME_MAX, f"is above {VOLUME_MAX:g}, so it is no volume"),
    ):
        _refuse_cells(table, "volume", column, bad, problem=problem, remedy=remedy)
    return values


def _numbers(table: RawTable, field: str, column: str) -> NDArray[np.float64]:
    raw = table.frame[column]
    if pd.api.types.is_numeric_dtype(raw.dtype) and not pd.api.types.is_bool_dtype(raw.dtype):
        return raw.to_numpy(dtype=np.float64, na_value=np.nan)
    if (quick := _all_numbers(raw)) is not None:
        return quick
    text = raw.astype("str").str.strip()
    empty = raw.isna() | text.str.lower().isin(_EMPTY_WORDS)
    values = pd.to_numeric(text.mask(empty), errors="coerce").to_numpy(dtype=np.float64)
    _refuse_cells(
        table,
        field,
        column,
        np.isnan(values) & ~empty.to_numpy(),
        problem="is not a number",
        remedy="write plain numbers with a decimal point: 1234.5",
    )
    return values


def _all_numbers(raw: pd.Series) -> NDArray[np.float64] | None:
    """Arrow's conversion, four times as fast, for a column of nothing but plain numbers."""
    import pyarrow as pa

    try:
        cast = pa.array(raw, type=pa.string()).cast(pa.float64())
    except (pa.ArrowException, TypeError):
        return None
    values: NDArray[np.float64] = cast.to_numpy(zero_copy_only=False)
    return values


def _refuse_cells(
    table: RawTable, field: str, column: str, bad: BoolArray, *, problem: str, remedy: str
) -> None:
    if bad.any():
        raise table.fault_at(
            bad, field=field, problem=problem, remedy=remedy, values=table.frame[column]
        )
