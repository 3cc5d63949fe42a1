"""B3: beside each row stands what was known at its moment, and nothing later."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.features import as_of_join


def at(*days: int) -> pd.Series:
    """Moments of January 2020, UTC."""
    return pd.Series([pd.Timestamp(2020, 1, day, tz="UTC") for day in days])


def rows(*entries: tuple[str, int, int, float]) -> pd.DataFrame:
    """Feature rows of (symbol, session, known on day, value)."""
    symbol, session, known, value = zip(*entries, strict=True)
    sessions = [pd.Timestamp(2020, 1, day) for day in session]
    return pd.DataFrame(
        {"symbol": symbol, "session": sessions, "known_at": at(*known), "value": value}
    )


def joined(features: pd.DataFrame, *left: tuple[str, int]) -> list[float]:
    """The value found for each (symbol, day)."""
    symbol, day = zip(*left, strict=True)
    frame = pd.DataFrame({"symbol": symbol, "as_of": at(*day)})
    return as_of_join(frame, features)["value"].tolist()


def test_the_newest_known_row_is_taken_and_the_moment_itself_counts() -> None:
    """Known on the 3rd is usable on the 3rd, not on the 2nd."""
    features = rows(("A", 1, 2, 1.0), ("A", 2, 3, 2.0), ("B", 2, 3, 9.0))
    got = joined(features, ("A", 3), ("A", 2), ("B", 5), ("A", 1), ("C", 9))
    assert got[:3] == [2.0, 1.0, 9.0]
    assert np.isnan(got[3:]).all()


def test_a_late_correction_of_an_old_session_does_not_hide_a_newer_session() -> None:
    """Where a merge on arrival goes wrong: session 1 is corrected once session 2 is known."""
    features = rows(("A", 1, 2, 1.0), ("A", 2, 3, 2.0), ("A", 1, 4, 1.5))
    assert joined(features, ("A", 5)) == [2.0]


def test_a_correction_of_the_newest_session_counts_from_its_arrival() -> None:
    """Before the 4th the first version stands, from then on the second."""
    features = rows(("A", 2, 3, 2.0), ("A", 2, 4, 2.5))
    assert joined(features, ("A", 3), ("A", 4)) == [2.0, 2.5]


def test_the_left_rows_keep_their_order_index_and_columns() -> None:
    """A label frame comes back as it was, with features beside it; clashing names get a suffix."""
    left = pd.DataFrame(
        {"symbol": ["B", "A"], "as_of": at(9, 8).array, "session": [1, 2], "label": [0.1, 0.2]},
        index=[7, 3],
    )
    got = as_of_join(left, rows(("A", 1, 2, 1.0), ("B", 1, 2, 5.0)))
    assert got.index.tolist() == [7, 3]
    assert got["value"].tolist() == [5.0, 1.0]
    assert got["session"].tolist() == [1, 2]
    assert list(got.columns) == [*left.columns, "session_feature", "known_at", "value"]


def test_times_without_a_zone_or_missing_are_refused() -> None:
    """Neither can be ordered safely."""
    features = rows(("A", 1, 2, 1.0))
    naive = features.assign(known_at=features["known_at"].dt.tz_localize(None))
    with pytest.raises(DataError, match="no time zone"):
        joined(naive, ("A", 3))
    unknown = pd.concat([features, features.assign(known_at=pd.NaT)], ignore_index=True)
    with pytest.raises(DataError, match="missing in 1 rows"):
        joined(unknown, ("A", 3))
    with pytest.raises(DataError, match="lack the columns session"):
        joined(features.drop(columns="session"), ("A", 3))


@pytest.mark.parametrize("kind", ["category", "object", "str"])
def test_the_type_of_the_symbol_column_does_not_matter(kind: str) -> None:
    """Frames from DuckDB, Parquet and by hand differ in it; the left one's is kept."""
    left = pd.DataFrame({"symbol": ["A"], "as_of": at(5)}).astype({"symbol": kind})
    got = as_of_join(left, rows(("A", 1, 2, 1.0), ("B", 1, 2, 2.0)))
    assert got["value"].tolist() == [1.0]
    assert got["symbol"].dtype == left["symbol"].dtype


def test_empty_frames_join_to_nothing_known() -> None:
    """A store without rows knows nothing; no question has no answer."""
    left = pd.DataFrame({"symbol": ["A"], "as_of": at(5)})
    none = rows(("A", 1, 2, 1.0)).head(0)
    untyped = pd.DataFrame(columns=["symbol", "session", "known_at", "value"])
    assert as_of_join(left, none)["value"].isna().all()
    assert as_of_join(left, untyped)["value"].isna().all()
    assert len(as_of_join(left.head(0), rows(("A", 1, 2, 1.0)))) == 0


DAY = st.integers(1, 12)
ENTRIES = st.lists(st.tuples(st.sampled_from("AB"), DAY, DAY), min_size=1, max_size=12, unique=True)


@settings(max_examples=60, deadline=None)
@given(entries=ENTRIES, asked=st.lists(st.tuples(st.sampled_from("ABC"), DAY), min_size=1))
def test_the_join_equals_a_search_row_by_row(
    entries: list[tuple[str, int, int]], asked: list[tuple[str, int]]
) -> None:
    """Among rows known by then: the latest session, of it the latest arrival."""
    features = rows(*((*entry, float(place)) for place, entry in enumerate(entries)))

    def search(symbol: str, day: int) -> float:
        known = [
            (session, arrival, float(place))
            for place, (name, session, arrival) in enumerate(entries)
            if name == symbol and arrival <= day
        ]
        return max(known)[2] if known else np.nan

    np.testing.assert_array_equal(joined(features, *asked), [search(*pair) for pair in asked])
