"""A power cut takes what was not synced, a disk spoils the tables: replayed from logged writes."""

from pathlib import Path

from tests.reliability.lost_writes import Score, cut_power, damage_tables


def test_what_was_acknowledged_is_there_after_a_power_cut(tmp_path: Path) -> None:
    """Everything after the last fsync may be gone, there in part, or a hole of zeros."""
    score = Score(seed=4)
    cut_power(tmp_path, score, times=25, commits=20)
    assert not +score.wrong
    assert score.counts["records acknowledged before the power went"] > 200
    assert score.counts["torn tails cut off"] > 0


def test_tables_that_were_cut_short_or_have_a_flipped_bit_are_derived_again(
    tmp_path: Path,
) -> None:
    """Closed or left by a writer that died: the state is that of the journal."""
    score = Score(seed=4)
    damage_tables(tmp_path, score, times=12)
    assert not +score.wrong
    assert score.counts["derived again"] == 12
