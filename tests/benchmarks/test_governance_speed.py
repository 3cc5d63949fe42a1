"""Governance's benchmark compares like with like; its limits mean something at full size."""

from benchmarks.governance import bootstrap_row, paths_row


def test_both_loops_give_the_same_45_paths_and_both_bootstraps_the_same_interval() -> None:
    """Each row refuses a rival that finds something else."""
    rows = [
        paths_row(observations=400, symbols=5, repetitions=1),
        bootstrap_row(observations=400, resamples=3_000, repetitions=1),
    ]
    assert [row["limit"] for row in rows] == [1.0, 0.2]
    assert (rows[0]["paths"], rows[0]["splits"]) == (45, 165)
    for row in rows:
        assert row["holds"] is (row["ratio"] <= row["limit"])
        assert row["product_ms"] > 0 < row["rival_ms"]
