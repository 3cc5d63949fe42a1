"""Splits against scikit-learn's and skfolio's, and what purging promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from quant.core.errors import UsageError
from quant.governance.splits import CombinatorialPurged, TimeSeriesFolds, WalkForward, paths_of


def test_a_walk_forward_over_ten_days_can_be_counted_on_fingers():
    """Train on four days, test two, leave one day between: the last test has no second day."""
    splits = list(WalkForward(train_size=4, test_size=2, purge=1).splits(9))
    assert [s.train.tolist() for s in splits] == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert [s.test.tolist() for s in splits] == [[4, 5], [6, 7], [8]]
    growing = list(WalkForward(train_size=4, test_size=2, expanding=True).splits(8))
    assert [len(s.train) for s in growing] == [4, 6]


@pytest.mark.parametrize(("observations", "folds", "gap"), [(23, 4, 0), (100, 5, 3), (61, 7, 2)])
def test_folds_for_series_are_those_of_scikit_learn(observations, folds, gap):
    ours = list(TimeSeriesFolds(folds=folds, purge=gap).splits(observations))
    theirs = list(TimeSeriesSplit(n_splits=folds, gap=gap).split(np.zeros(observations)))
    for split, (train, test) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(split.train, train)
        np.testing.assert_array_equal(split.test, test)


@pytest.mark.parametrize(
    ("observations", "folds", "tests", "purge", "embargo"),
    [(12, 3, 2, 1, 0), (12, 3, 2, 0, 1), (101, 6, 2, 3, 4), (250, 10, 8, 5, 2), (77, 7, 3, 0, 0)],
)
def test_combinatorial_splits_are_those_of_skfolio(observations, folds, tests, purge, embargo):
    """Train sets, test blocks, and which block belongs to which path."""
    from skfolio.model_selection import CombinatorialPurgedCV

    ours = CombinatorialPurged(folds=folds, test_folds=tests, purge=purge, embargo=embargo)
    theirs = CombinatorialPurgedCV(
        n_folds=folds, n_test_folds=tests, purged_size=purge, embargo_size=embargo
    )
    splits = list(ours.splits(observations))
    assert (ours.split_count, ours.path_count) == (theirs.n_splits, theirs.n_test_paths)
    for split, (train, blocks) in zip(
        splits, theirs.split(np.zeros((observations, 1))), strict=True
    ):
        np.testing.assert_array_equal(split.train, train)
        for block, their_block in zip(split.blocks, blocks, strict=True):
            np.testing.assert_array_equal(block, their_block)
    marked = [[(i, j) for j in range(tests)] for i in range(len(splits))]
    ids = theirs.get_path_ids()
    for number, path in enumerate(paths_of(splits, marked)):
        assert {ids[i, j] for i, j in path} == {number}


@given(
    st.integers(60, 200), st.integers(3, 7), st.integers(1, 2), st.integers(0, 3), st.integers(0, 3)
)
def test_no_training_observation_is_near_a_test_and_every_path_covers_all(n, folds, k, purge, emb):
    scheme = CombinatorialPurged(folds=folds, test_folds=k, purge=purge, embargo=emb)
    splits = list(scheme.splits(n))
    for split in splits:
        for block in split.blocks:
            near = np.arange(block[0] - purge, block[-1] + purge + emb + 1)
            assert not np.intersect1d(split.train, near).size
    paths = paths_of(splits, [split.blocks for split in splits])
    assert len(paths) == scheme.path_count
    for path in paths:
        np.testing.assert_array_equal(np.concatenate(path), np.arange(n))


def test_a_scheme_that_leaves_nothing_says_so():
    with pytest.raises(UsageError, match="leave nothing"):
        list(CombinatorialPurged(folds=5, test_folds=2, purge=9).splits(50))
    with pytest.raises(UsageError, match="no test"):
        list(WalkForward(train_size=10, test_size=1).splits(10))
    with pytest.raises(UsageError, match="too many"):
        CombinatorialPurged(folds=40, test_folds=20)
