"""The benchmark compares like with like; how fast either is shows only at full size."""

from benchmarks.features import run


def test_the_rival_computes_the_same_values_and_the_rows_are_complete() -> None:
    """`run` itself refuses a rival that gives other values."""
    rows = run(symbols=2, sessions=1400)
    assert [row["name"] for row in rows] == ["features", "features_talib"]
    for row in rows:
        assert row["limit"] == 1.3
        assert isinstance(row["ratio"], float)
        assert row["holds"] is (row["ratio"] <= 1.3)
