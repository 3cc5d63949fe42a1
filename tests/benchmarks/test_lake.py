"""The lake's benchmark compares like with like; how fast either is shows only at full size."""

import pytest

from benchmarks.lake import run


# pyarrow, the rival, takes zoned times from pandas in a way that pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray")
def test_both_sides_return_the_same_rows_and_every_row_of_the_result_is_complete() -> None:
    """`run` itself refuses a rival that returns other rows."""
    rows = run(symbols=5, sessions=40, repetitions=2)
    assert [row["name"] for row in rows] == [
        "lake_commit_day",
        "lake_read_day",
        "lake_read_symbol",
    ]
    assert [row["limit"] for row in rows] == [None, 2.0, 2.0]
    for row in rows:
        assert row["holds"] is (row["limit"] is None or row["ratio"] <= row["limit"])
        assert row["product_ms"] > 0 < row["rival_ms"]
        assert row["repetitions"] == 2
