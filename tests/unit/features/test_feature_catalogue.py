"""The catalogue tells the truth about what it lists."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quant.core.errors import UsageError
from quant.features import (
    CATALOGUE,
    Catalogue,
    Family,
    Feature,
    Unit,
    compute_features,
    feature_code_hash,
    feature_set_version,
)
from quant.market.panel import BarPanel

NAMED_BY_THE_SPECIFICATION = (
    *(f"close_lag_{k}_price" for k in (1, 5, 10, 20)),
    *(f"return_lag_{k}_log" for k in (1, 5, 10, 20)),
    *(f"close_{s}_{w}_price" for s in ("mean", "std") for w in (5, 10, 20, 60)),
    *(f"close_{s}_{w}_ratio" for s in ("skew", "kurtosis") for w in (5, 10, 20, 60)),
    *(f"return_{s}_{w}_log" for s in ("mean", "std") for w in (5, 10, 20, 60)),
    *(f"return_{s}_{w}_ratio" for s in ("skew", "kurtosis") for w in (5, 10, 20, 60)),
    "close_difference_1_price",
    "is_month_end",
    "is_quarter_end",
    "since_closure_days",
    "to_closure_days",
    "day_of_week_index",
    "season_5_seasonal_log",
    *(f"ema_{k}_price" for k in (9, 21, 50, 200)),
    "rsi_14_percent",
    "atr_14_price",
    "macd_12_26_9_price",
    "macd_12_26_9_signal_price",
    "macd_12_26_9_histogram_price",
    *(f"bollinger_20_{edge}_price" for edge in ("upper", "middle", "lower")),
    "volume_sma_20_shares",
    "volume_to_sma_20_ratio",
    "roc_10_percent",
    "stochastic_14_3_slow_k_percent",
    "stochastic_14_3_slow_d_percent",
    "adx_14_percent",
    *(
        f"volatility_{name}_20_annual"
        for name in ("parkinson", "garman_klass", "rogers_satchell", "yang_zhang")
    ),
)


def test_every_feature_the_specification_names_is_there() -> None:
    """B1 and B2, name by name."""
    assert CATALOGUE.require(NAMED_BY_THE_SPECIFICATION) == NAMED_BY_THE_SPECIFICATION


def test_more_than_a_hundred_indicators_come_from_talib_and_few_are_candles() -> None:
    """B2 asks for a hundred and more; candlestick patterns are not the bulk of them."""
    indicators = [
        feature
        for family in CATALOGUE.families
        if "call" in family.parameters
        for feature in family.features
    ]
    candles = [feature for feature in indicators if feature.subject == "candles"]
    assert len(indicators) - len(candles) >= 100
    assert len(candles) < len(indicators) / 4


def test_each_feature_starts_exactly_when_its_warm_up_is_over(
    make_panel: Callable[..., BarPanel],
) -> None:
    """Without gaps the first value comes after `warm_up_bars` bars, not one earlier or later."""
    result = compute_features(make_panel(symbols=1, sessions=1400))
    first = {
        name: int(np.argmax(~np.isnan(values[0])))
        for name, values in zip(result.names, result.values, strict=True)
        if not np.isnan(values[0]).all()
    }
    assert first == {feature.name: feature.warm_up_bars for feature in CATALOGUE.features()}


def test_a_feature_is_called_anchored_exactly_if_the_start_of_history_shows_in_it(
    make_panel: Callable[..., BarPanel],
) -> None:
    """Start the history 300 sessions later: anchored features differ, the others agree."""
    whole = make_panel(symbols=4, sessions=1800)
    early, late = compute_features(whole), compute_features(whole.columns(slice(300, 1800)))
    wrong = []
    for feature in CATALOGUE.features():
        warm = feature.warm_up_bars
        before = early.of(feature.name)[:, 300 + warm :]
        gap = np.nanmax(np.abs(before - late.of(feature.name)[:, warm:]))
        if (gap > 1e-7 * np.nanmean(np.abs(before))) != feature.is_anchored:
            wrong.append((feature.name, gap))
    assert wrong == []


def test_every_feature_says_what_it_is() -> None:
    """A description, a subject and known inputs; the unit in the name is checked by `Feature`."""
    for feature in CATALOGUE.features():
        assert feature.description.endswith(".")
        assert set(feature.inputs) <= {"open", "high", "low", "close", "volume"}
        assert feature.name == feature.name.lower()


def test_a_name_without_its_unit_is_refused() -> None:
    """Units stand last in names."""
    with pytest.raises(ValueError, match="must carry its unit"):
        _feature("range", Unit.PRICE)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    """The remedy is a name that exists."""
    with pytest.raises(UsageError, match="no feature 'rsi_14'") as caught:
        CATALOGUE.require(["rsi_14"])
    assert "rsi_14_percent" in caught.value.remedy


def test_the_same_name_twice_is_refused() -> None:
    """Names are columns: a second one would overwrite the first."""
    with pytest.raises(ValueError, match="must be unique"):
        Catalogue(families=(*CATALOGUE.families, CATALOGUE.families[0]))


def test_the_hashes_are_the_same_in_another_process() -> None:
    """Hash seeds, import order and memory addresses do not enter."""
    code = (
        "import quant.forecasting\n"
        "from quant.features import feature_code_hash, feature_set_version\n"
        "print(feature_code_hash(), feature_set_version())"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert ran.stdout.split() == [feature_code_hash(), feature_set_version()]


HELPED = """
SCALE = {scale}
SHIFT = {shift}
def helper(close):
    return close {sign} 1
class Helper:
    @property
    def shift(self):
        return SHIFT
def planted(bars):
    return [[helper(close) + Helper().shift for close in bars.field("close")] * SCALE]
"""


@pytest.mark.parametrize("edit", [{"sign": "-"}, {"scale": 2}, {"shift": 3}])
def test_the_code_hash_follows_helpers_and_constants(
    tmp_path: Path, edit: dict[str, object]
) -> None:
    """Editing what a feature function calls, however deep, is editing the feature."""
    values = {"sign": "+", "scale": 1, "shift": 0}
    plain = _hash_of(tmp_path / "a", HELPED.format(**values))
    again = _hash_of(tmp_path / "b", HELPED.format(**values))
    edited = _hash_of(tmp_path / "c", HELPED.format(**values | edit))
    assert plain == again
    assert plain != edited


def test_the_version_follows_the_list_of_features() -> None:
    """Taking a feature away makes another feature set."""
    fewer = Catalogue(families=CATALOGUE.families[1:])
    assert feature_set_version(fewer) != feature_set_version()


def _feature(name: str, unit: Unit) -> Feature:
    return Feature(
        name=name, unit=unit, subject="planted", inputs=(), warm_up_bars=0, description="Planted."
    )


def _hash_of(folder: Path, text: str) -> str:
    folder.mkdir()
    path = folder / "planted_module.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("planted_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted_module"] = module  # where inspect looks up a class's file
    spec.loader.exec_module(module)
    family = Family(function=module.planted, features=(_feature("planted_price", Unit.PRICE),))
    try:
        return feature_code_hash(Catalogue(families=(family,)))
    finally:
        del sys.modules["planted_module"]
