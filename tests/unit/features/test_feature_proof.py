"""B4: no feature of the catalogue looks ahead, and those that do are caught in the act."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from quant.core.errors import DataError
from quant.features import CATALOGUE, Catalogue, Family, Feature, Unit, prove
from quant.features.bars import Bars
from quant.features.calendar import SessionList
from quant.features.proof import futures
from quant.market.panel import BarPanel, FloatArray

MakePanel = Callable[..., BarPanel]


def test_no_feature_of_the_catalogue_looks_ahead(sample_panel: BarPanel) -> None:
    """Real bars, three cuts, three futures each, every value up to the cut, to the bit."""
    results = prove(CATALOGUE, sample_panel, seed=1)
    assert [result.feature for result in results] == list(CATALOGUE.names())
    assert [(result.feature, str(result.leak)) for result in results if not result.holds] == []


def shifted(bars: Bars) -> Sequence[FloatArray]:
    """Tomorrow's close: pandas' shift(-1)."""
    close = bars.field("close")
    return [np.concatenate([close[:, 1:], np.full((len(close), 1), np.nan)], axis=1)]


def full_sample_z_score(bars: Bars) -> Sequence[FloatArray]:
    """Mean and deviation of the whole history."""
    close = bars.field("close")
    count = bars.lengths[:, np.newaxis]
    mean = np.nansum(close, axis=1, keepdims=True) / count
    variance = np.nansum((close - mean) ** 2, axis=1, keepdims=True) / count
    return [(close - mean) / np.sqrt(variance)]


def centred_mean(bars: Bars) -> Sequence[FloatArray]:
    """The classic decomposition's trend: five bars around the middle one."""
    close = bars.field("close")
    result = np.full_like(close, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(close, 5, axis=1)
    result[:, 2:-2] = windows.mean(axis=-1)
    return [result]


def faint_leak(bars: Bars) -> Sequence[FloatArray]:
    """Yesterday's truth plus 1e-14 of the sample's last close."""
    close = bars.field("close")
    last = np.array([row[length - 1] for row, length in zip(close, bars.lengths, strict=True)])
    return [close * (1 + 1e-14 * last[:, np.newaxis])]


def backfilled(bars: Bars) -> Sequence[FloatArray]:
    """The maximum still to come, as a lazily reversed accumulation gives it."""
    close = np.nan_to_num(bars.field("close"))
    return [np.maximum.accumulate(close[:, ::-1], axis=1)[:, ::-1]]


def last_session_on_the_list(days: SessionList) -> Sequence[FloatArray]:
    """Month ends read off the list of sessions: that of the running month is a guess ahead."""
    month = days.sessions.astype("datetime64[M]")
    return [np.append(month[1:] != month[:-1], True).astype(float)]


def catalogue_of(function: Callable[..., Sequence[FloatArray]], *, on_sessions: bool) -> Catalogue:
    """One planted feature."""
    feature = Feature(
        name="planted_price",
        unit=Unit.PRICE,
        subject="planted",
        inputs=("close",),
        warm_up_bars=0,
        description="Planted.",
    )
    return Catalogue(
        families=(Family(function=function, features=(feature,), on_sessions=on_sessions),)
    )


@pytest.mark.parametrize(
    "function", [shifted, full_sample_z_score, centred_mean, faint_leak, backfilled]
)
def test_a_planted_leak_is_caught_and_named(
    sample_panel: BarPanel, function: Callable[..., Sequence[FloatArray]]
) -> None:
    """Feature, symbol, session, both values and what was done are all told."""
    [result] = prove(catalogue_of(function, on_sessions=False), sample_panel, seed=1)
    assert not result.holds
    assert result.leak is not None
    assert result.leak.session <= result.leak.cut
    assert result.leak.symbol in sample_panel.symbols
    assert result.leak.before != result.leak.after
    assert result.leak.symbol in str(result.leak)


def test_a_shift_by_one_shows_at_the_cut_itself(sample_panel: BarPanel) -> None:
    """The first value to move is the one whose tomorrow was rewritten."""
    [result] = prove(catalogue_of(shifted, on_sessions=False), sample_panel, seed=1)
    assert result.leak is not None
    assert result.leak.session == result.leak.cut
    assert np.isnan(result.leak.after)


def test_month_ends_read_off_the_list_of_sessions_are_caught(sample_panel: BarPanel) -> None:
    """The list of sessions is data too: its future is cut off and replaced as well."""
    cut = np.datetime64("2010-03-31")  # a real month end; cutting a day before shows the guess
    before = sample_panel.sessions[np.searchsorted(sample_panel.sessions, cut) - 1]
    planted = catalogue_of(last_session_on_the_list, on_sessions=True)
    [result] = prove(planted, sample_panel, [before])
    assert not result.holds
    assert result.leak is not None
    assert (result.leak.before, result.leak.after) == (0.0, 1.0)


def test_nothing_compared_is_nothing_proved(make_panel: MakePanel) -> None:
    """A panel shorter than the warm-up proves nothing, so the result does not hold."""
    [result] = prove(["ema_200_price"], make_panel(sessions=100))
    assert result.leak is None
    assert not result.holds


def test_the_futures_leave_the_past_alone(make_panel: MakePanel) -> None:
    """A proof whose rewriting touched the past would accuse everyone."""
    panel = make_panel(symbols=2, sessions=60)
    for word, other in futures(panel, 30, seed=4):
        assert (other.sessions[:31] == panel.sessions[:31]).all()
        assert (other.close[:, :31] == panel.close[:, :31]).all()
        assert word == "cut off" or not np.array_equal(other.close, panel.close)


def test_the_same_seed_finds_the_same_leak(sample_panel: BarPanel) -> None:
    """A finding can be shown again."""
    planted = catalogue_of(full_sample_z_score, on_sessions=False)
    assert prove(planted, sample_panel, seed=9) == prove(planted, sample_panel, seed=9)


def test_a_cut_outside_the_panel_is_refused(make_panel: MakePanel) -> None:
    """There must be a past to compare and a future to rewrite."""
    panel = make_panel(sessions=60)
    with pytest.raises(DataError, match="cut needs"):
        prove(["close_lag_1_price"], panel, [panel.sessions[-1]])
