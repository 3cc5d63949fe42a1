"""The SSA benchmark compares equal components; how fast either is shows only at full size."""

from benchmarks._forecasting_ssa import rows


def test_both_sides_find_the_same_components_and_every_row_is_complete() -> None:
    """`rows` itself refuses a rival that finds others."""
    found = rows(length=900, window=320, repetitions=2, full_repetitions=1)
    assert [row["limit"] for row in found] == [0.05, 0.05, 0.5, 0.5]
    for row in found:
        assert row["holds"] is (row["ratio"] <= row["limit"])
        assert row["components_difference"] <= 1e-6
        assert row["product_ms"] > 0 < row["rival_ms"]
        assert row["threads"] == 1
