"""How wide bars are and how prices spread: true range and its kin, dispersion, rank, by TA-Lib."""

from quant.features.feature import Unit
from quant.features.indicators import indicator

_CLOSE = ("close",)
_HIGH_LOW = ("high", "low")
_HLC = ("high", "low", "close")

FAMILIES = tuple(
    indicator(
        call,
        (name, unit, description),
        subject="ranges",
        inputs=inputs,
        is_anchored=is_anchored,
        **options,
    )
    for call, inputs, options, is_anchored, name, unit, description in (
        ("TRANGE", _HLC, {}, False, "true_range_price", Unit.PRICE,
         "Range of the bar including the gap from the previous close."),
        ("ATR", _HLC, {"timeperiod": 14}, True, "atr_14_price", Unit.PRICE,
         "Wilder's average true range, 14 bars."),
        ("NATR", _HLC, {"timeperiod": 14}, True, "natr_14_percent", Unit.PERCENT,
         "Average true range in percent of the close."),
        ("ADR", _HIGH_LOW, {"timeperiod": 14}, False, "adr_14_price", Unit.PRICE,
         "Mean of high less low, 14 bars."),
        ("CVI", _HIGH_LOW, {"timeperiod": 10, "rocperiod": 10}, True,
         "chaikin_volatility_10_percent", Unit.PERCENT,
         "Chaikin's volatility: change of the averaged range."),
        ("MASSI", _HIGH_LOW, {"fastperiod": 9, "slowperiod": 25}, True, "mass_25_index",
         Unit.INDEX, "Mass index: widening and narrowing of the range."),
        ("RVI", _CLOSE, {"timeperiod": 14, "stddevperiod": 10}, True,
         "relative_volatility_14_percent", Unit.PERCENT,
         "Share of deviation that falls on rising bars."),
        ("AVGDEV", _CLOSE, {"timeperiod": 14}, False, "mean_deviation_14_price", Unit.PRICE,
         "Mean absolute deviation of the close, 14 bars."),
        ("STDDEV", _CLOSE, {"timeperiod": 20, "nbdev": 1.0}, False, "stddev_20_price",
         Unit.PRICE, "Population standard deviation of the close, as Bollinger's bands use it."),
        ("PERCENTRANK", _CLOSE, {"timeperiod": 100}, False, "percent_rank_100_percent",
         Unit.PERCENT, "Share of the last 100 closes below this one."),
        ("PERCENTILE", _CLOSE, {"timeperiod": 31, "percentile": 50.0}, False,
         "median_31_price", Unit.PRICE,
         "Median of the last 31 closes; odd, for TA-Lib takes the nearest rank."),
    )
)  # fmt: skip
