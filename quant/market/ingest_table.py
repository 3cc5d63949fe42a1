"""A table as a file delivered it, with what is needed to point at a cell in an error.

Belongs here: the raw cells, where each row stood in its file, and the wording of a fault.
Does not belong here: reading files (`resources.market_data.folder`) or judging cells (`ingest`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.market.symbols import shown

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawTable:
    """Cells as delivered; `places` holds each row's line (text) or row number (Parquet)."""

    file: str
    frame: pd.DataFrame
    places: NDArray[np.int64]
    place_word: str = "line"
    # What the file's name says the symbol is, for files that have no such column.
    symbol_of_file: str | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def fault(self, *, field: str, problem: str, remedy: str) -> DataError:
        """An error about the whole file."""
        return DataError(f"{self.file}, field {field}: {problem}", remedy=remedy)

    def fault_at(
        self, bad: BoolArray, *, field: str, problem: str, remedy: str, values: pd.Series
    ) -> DataError:
        """An error about the first bad row; says how many more there are."""
        positions = np.flatnonzero(bad)
        first = int(positions[0])
        others = len(positions) - 1
        also = f" (and {others} more row{'s' if others > 1 else ''})" if others else ""
        return DataError(
            f"{self.file}, {self.place_word} {self.places[first]}, field {field}: "
            f"{shown(values.iloc[first])} {problem}{also}",
            remedy=remedy,
        )
