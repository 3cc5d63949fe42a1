"""B3: stored features equal those computed again, or the difference is named."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.features import compute_features, skew
from quant.features.skew import WHOLE_ROW
from quant.market.panel import BarPanel

NAMES = ("close_lag_1_price", "ema_9_price", "close_mean_5_price")


@pytest.fixture
def stored(make_panel: Callable[..., BarPanel]) -> pd.DataFrame:
    """Three features of two symbols."""
    return compute_features(make_panel(symbols=2, sessions=60), names=NAMES).to_frame()


def test_equal_frames_have_no_skew_in_any_row_order(stored: pd.DataFrame) -> None:
    """NaN equals NaN; order of rows and columns does not matter."""
    shuffled = stored.sample(frac=1, random_state=1)[["session", *NAMES[::-1], "symbol"]]
    assert skew(stored, shuffled) == []


def test_one_unit_in_the_last_place_is_found_and_named(stored: pd.DataFrame) -> None:
    """Exact to the bit by default; a tolerance forgives it."""
    other = stored.copy()
    other.loc[70, "ema_9_price"] = np.nextafter(other.loc[70, "ema_9_price"], np.inf)
    [difference] = skew(stored, other)
    assert (difference.symbol, difference.session) == tuple(stored.loc[70, ["symbol", "session"]])
    assert difference.feature == "ema_9_price"
    assert difference.stored == stored.loc[70, "ema_9_price"]
    assert difference.recomputed == other.loc[70, "ema_9_price"]
    assert skew(stored, other, relative_tolerance=1e-12) == []


def test_a_value_against_none_is_skew_even_with_a_tolerance(stored: pd.DataFrame) -> None:
    """Missing is not a small number."""
    other = stored.copy()
    other.loc[70, "close_mean_5_price"] = np.nan
    assert len(skew(stored, other, relative_tolerance=0.5)) == 1


def test_a_row_on_one_side_only_is_one_difference(stored: pd.DataFrame) -> None:
    """None says which side lacks it."""
    [lost] = skew(stored, stored.drop(index=5))
    [extra] = skew(stored.drop(index=5), stored)
    assert (lost.feature, lost.stored, lost.recomputed) == (WHOLE_ROW, 1.0, None)
    assert (extra.feature, extra.stored, extra.recomputed) == (WHOLE_ROW, None, 1.0)


def test_another_start_of_history_shows_in_recursive_features_alone(
    make_panel: Callable[..., BarPanel],
) -> None:
    """The reason why the caller anchors history at one first session."""
    panel = make_panel(symbols=2, sessions=60)
    last = panel.sessions[-1:]
    whole = compute_features(panel, names=NAMES).to_long(last)
    later = compute_features(panel.columns(slice(30, 60)), names=NAMES).to_long(last)
    assert {difference.feature for difference in skew(whole, later)} == {"ema_9_price"}


def test_frames_that_cannot_be_compared_are_refused(stored: pd.DataFrame) -> None:
    """Other features, missing keys and doubled rows are errors of the caller, not skew."""
    with pytest.raises(DataError, match="different features: ema_9_price"):
        skew(stored, stored.drop(columns="ema_9_price"))
    with pytest.raises(DataError, match="lack the columns session"):
        skew(stored, stored.drop(columns="session"))
    with pytest.raises(DataError, match="twice"):
        skew(pd.concat([stored, stored.head(1)]), stored)
