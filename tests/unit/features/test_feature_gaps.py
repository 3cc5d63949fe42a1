"""Missing, partial and absurd bars: NaN where nothing can be said, and never more than that."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from quant.core.errors import UsageError
from quant.features import CATALOGUE, FeaturePanel, compute_features
from quant.features.bars import differing
from quant.market.panel import FIELDS, BarPanel

MakePanel = Callable[..., BarPanel]


def with_fields(panel: BarPanel, **fields: np.ndarray) -> BarPanel:
    """The panel with some fields replaced."""
    return dataclasses.replace(panel, **fields)


def without_sessions(panel: BarPanel, mask: np.ndarray) -> BarPanel:
    """The panel with all fields missing where `mask`."""
    fields = {name: np.where(mask, np.nan, getattr(panel, name)) for name in FIELDS}
    return with_fields(panel, **fields)


def bar_features() -> list[str]:
    """Names of the features that read bars, not dates."""
    return [feature.name for feature in CATALOGUE.features() if feature.subject != "calendar"]


def same(left: FeaturePanel, right: FeaturePanel) -> bool:
    """Equal to the bit."""
    return not differing(left.values, right.values).any()


def test_bars_with_only_a_close_leave_what_needs_more_empty(make_panel: MakePanel) -> None:
    """Close-only history: features of the close are as ever, the others are NaN throughout."""
    panel = make_panel(sessions=1300)
    empty = np.full(panel.close.shape, np.nan)
    bare = with_fields(panel, open=empty, high=empty, low=empty, volume=empty)
    whole, got = compute_features(panel), compute_features(bare)
    for feature in CATALOGUE.features():
        if set(feature.inputs) <= {"close"}:
            assert not differing(got.of(feature.name), whole.of(feature.name)).any(), feature.name
        else:
            assert np.isnan(got.of(feature.name)).all(), feature.name


def test_a_gap_costs_its_own_sessions_and_nothing_else(make_panel: MakePanel) -> None:
    """Values around a gap equal those of a history from which the gap's days are cut out."""
    panel = make_panel(symbols=2, sessions=1400)
    mask = np.zeros(panel.close.shape, dtype=bool)
    mask[:, 100:103] = mask[:, 700] = True
    gappy = compute_features(without_sessions(panel, mask), names=bar_features())
    kept = ~mask[0]
    dense = BarPanel(
        symbols=panel.symbols,
        sessions=panel.sessions[kept],
        **{name: np.ascontiguousarray(getattr(panel, name)[:, kept]) for name in FIELDS},
    )
    closed_up = compute_features(dense, names=bar_features())
    assert not differing(gappy.values[:, :, kept], closed_up.values).any()
    assert np.isnan(gappy.values[:, :, ~kept]).all()


def test_symbols_with_different_gaps_do_not_touch_each_other(make_panel: MakePanel) -> None:
    """Computed together or one at a time, with random holes in every field: the same bits."""
    panel = make_panel(symbols=20, sessions=500)
    rng = np.random.default_rng(5)
    holes = {
        name: np.where(rng.random(panel.close.shape) < 0.05, np.nan, getattr(panel, name))
        for name in FIELDS
    }
    panel = with_fields(panel, **holes)
    together = compute_features(panel)
    for row in (0, 7, 19):
        fields = {name: getattr(panel, name)[[row]] for name in FIELDS}
        alone = BarPanel(symbols=(panel.symbols[row],), sessions=panel.sessions, **fields)
        assert not differing(compute_features(alone).values[:, 0], together.values[:, row]).any()


def test_a_late_listing_warms_up_from_its_first_bar(make_panel: MakePanel) -> None:
    """Listed at session 200: the first RSI comes 14 bars later."""
    panel = make_panel(symbols=2, sessions=300)
    mask = np.zeros(panel.close.shape, dtype=bool)
    mask[1, :200] = True
    rsi = compute_features(without_sessions(panel, mask), names=["rsi_14_percent"]).values[0]
    assert np.isnan(rsi[1, :214]).all()
    assert not np.isnan(rsi[1, 214:]).any()


@pytest.mark.parametrize("sessions", [0, 1, 2, 3, 30])
def test_any_length_of_history_works(make_panel: MakePanel, sessions: int) -> None:
    """Down to nothing, without exception or warning."""
    whole = make_panel(symbols=2, sessions=30)
    result = compute_features(whole.columns(slice(0, sessions)))
    assert result.values.shape == (len(CATALOGUE.names()), 2, sessions)


def test_a_symbol_without_any_bar_is_empty(make_panel: MakePanel) -> None:
    """All NaN in, all NaN out, dates included: no bar, no features."""
    panel = make_panel(symbols=2, sessions=100)
    mask = np.zeros(panel.close.shape, dtype=bool)
    mask[0] = True
    assert np.isnan(compute_features(without_sessions(panel, mask)).values[:, 0]).all()


@pytest.mark.parametrize("value", [0.0, -5.0, np.inf, -np.inf, 1e300, 1e-300])
def test_absurd_numbers_give_no_infinity_and_no_warning(
    make_panel: MakePanel, value: float
) -> None:
    """Zero and negative prices, infinities, extremes: some NaN, never inf; warnings are errors."""
    panel = make_panel(symbols=2, sessions=400)
    for name in FIELDS:
        field = getattr(panel, name).copy()
        field[0, 50:60] = value
        result = compute_features(with_fields(panel, **{name: field}))
        assert not np.isinf(result.values).any()
        untouched = compute_features(panel).values[:, 1]
        assert not differing(result.values[:, 1], untouched).any()


def test_flat_prices_have_no_spread_and_no_shape(make_panel: MakePanel) -> None:
    """A price of 0.1 forever: deviation exactly 0, skewness undefined, returns 0."""
    panel = make_panel(symbols=1, sessions=100)
    flat = np.full(panel.close.shape, 0.1)
    panel = with_fields(panel, open=flat, high=flat, low=flat, close=flat)
    names = ["close_std_60_price", "close_skew_60_ratio", "return_std_20_log", "return_1_log"]
    last = compute_features(panel, names=names).values[:, 0, -1]
    assert last[[0, 2, 3]].tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(last[1])


def test_the_number_of_workers_does_not_show(make_panel: MakePanel) -> None:
    """Threads share the symbols; every value is the same to the bit."""
    panel = make_panel(symbols=40, sessions=200)
    assert same(compute_features(panel), compute_features(panel, workers=3))


def test_asking_for_some_gives_those_in_that_order(make_panel: MakePanel) -> None:
    """A selection has the values of the whole."""
    panel = make_panel()
    names = ["macd_12_26_9_signal_price", "close_lag_1_price", "is_month_end"]
    some, whole = compute_features(panel, names=names), compute_features(panel)
    assert some.names == tuple(names)
    for name in names:
        assert not differing(some.of(name), whole.of(name)).any()
    with pytest.raises(UsageError, match="asked for twice"):
        compute_features(panel, names=["is_month_end", "is_month_end"])


def test_rows_of_the_long_frame_are_the_bars(make_panel: MakePanel) -> None:
    """One row a bar with any value, one column a feature; `sessions` restricts."""
    panel = make_panel(symbols=2, sessions=30)
    mask = np.zeros(panel.close.shape, dtype=bool)
    mask[1, :10] = True
    result = compute_features(
        without_sessions(panel, mask), names=["day_of_week_index", "close_lag_1_price"]
    )
    frame = result.to_frame()
    assert list(frame.columns) == ["symbol", "session", "day_of_week_index", "close_lag_1_price"]
    assert frame["symbol"].value_counts().to_dict() == {"S0": 30, "S1": 20}
    last = result.to_long(panel.sessions[-1:])
    assert last["symbol"].tolist() == ["S0", "S1"]
    assert last["close_lag_1_price"].tolist() == panel.close[:, -2].tolist()
    assert (last["session"] == frame["session"].max()).all()
    empty = result.to_long(panel.sessions[:0])
    assert len(empty) == 0
    assert list(empty.dtypes) == list(frame.dtypes)
