"""The causal decomposition finds a season that is there, and adds up."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose

from quant.features import CATALOGUE, compute_features
from quant.market.panel import BarPanel

PARTS = ("trend", "seasonal", "residual")


def decomposed(log_close: np.ndarray, period: int) -> np.ndarray:
    """The three parts of one symbol whose other fields are missing."""
    empty = np.full((1, len(log_close)), np.nan)
    panel = BarPanel(
        symbols=("X",),
        sessions=np.busday_offset("2000-01-03", np.arange(len(log_close)), roll="forward"),
        open=empty,
        high=empty,
        low=empty,
        close=np.exp(log_close)[np.newaxis],
        volume=empty,
    )
    names = [f"season_{period}_{part}_log" for part in PARTS]
    return compute_features(panel, names=names).values[:, 0]


@pytest.mark.parametrize("period", [5, 21, 252])
def test_a_line_plus_a_season_is_recovered_exactly(period: int) -> None:
    """log close = 4 + 0.001 t + wave: trend, wave and a residual of nothing come back."""
    warm_up = CATALOGUE.feature(f"season_{period}_trend_log").warm_up_bars
    t = np.arange(warm_up + 3 * period)
    wave = 0.02 * np.sin(2 * np.pi * t / period) + 0.01 * np.cos(4 * np.pi * t / period)
    trend, seasonal, residual = decomposed(4 + 0.001 * t + wave, period)[:, warm_up:]
    assert_allclose(trend, (4 + 0.001 * t)[warm_up:], rtol=1e-12)
    assert_allclose(seasonal, wave[warm_up:], atol=1e-12)
    assert_allclose(residual, 0, atol=1e-12)


def test_the_parts_add_up_to_the_log_close(make_panel: Callable[..., BarPanel]) -> None:
    """On any prices."""
    panel = make_panel(sessions=400)
    parts = [compute_features(panel, names=[f"season_5_{part}_log"]).values[0] for part in PARTS]
    assert_allclose(sum(parts)[:, 68:], np.log(panel.close)[:, 68:], rtol=1e-13)


def test_a_season_that_begins_today_is_all_residual() -> None:
    """Only earlier cycles make the season: a first jump is a surprise, not a season."""
    log_close = np.full(200, 4.0)
    log_close[-1] += 0.1
    trend, seasonal, residual = decomposed(log_close, 5)[:, -1]
    assert seasonal == pytest.approx(0, abs=1e-12)
    assert residual == pytest.approx(0.08)
    assert trend == pytest.approx(4.02)
