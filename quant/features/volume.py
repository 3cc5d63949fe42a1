"""What volume says: its own averages, and prices weighted or signed by it, through TA-Lib.

Running totals (on-balance volume and its kin) begin with the history: only their changes mean
anything, and two computations agree only from the same first session.
"""

from collections.abc import Sequence

import numpy as np
import talib

from quant.features.bars import Bars
from quant.features.feature import Family, Feature, Unit
from quant.features.indicators import indicator
from quant.market.panel import FloatArray

_CLOSE_VOLUME = ("close", "volume")
_HLCV = ("high", "low", "close", "volume")
_SUBJECT = "volume"
_AVERAGE_BARS = 20


def volume_and_average(bars: Bars) -> Sequence[FloatArray]:
    """The simple average of volume, and volume as a multiple of it."""
    volume = bars.field("volume")
    average = np.full(bars.shape, np.nan)
    for row, length in enumerate(bars.lengths):
        if length >= _AVERAGE_BARS:
            average[row, :length] = talib.SMA(volume[row, :length], timeperiod=_AVERAGE_BARS)
    return [average, volume / average]


_AVERAGE = Family(
    function=volume_and_average,
    features=tuple(
        Feature(
            name=name,
            unit=unit,
            subject=_SUBJECT,
            inputs=("volume",),
            warm_up_bars=_AVERAGE_BARS - 1,
            description=description,
        )
        for name, unit, description in (
            ("volume_sma_20_shares", Unit.SHARES, "Average volume over 20 bars."),
            ("volume_to_sma_20_ratio", Unit.RATIO, "Volume over its average of 20 bars."),
        )
    ),
)

FAMILIES = (
    _AVERAGE,
    *(
        indicator(
            call,
            (name, unit, description),
            subject=_SUBJECT,
            inputs=inputs,
            is_anchored=is_anchored,
            **options,
        )
        for call, inputs, options, is_anchored, name, unit, description in (
            ("OBV", _CLOSE_VOLUME, {}, True, "obv_shares", Unit.SHARES,
             "On-balance volume: total of volume signed by the close's change."),
            ("AD", _HLCV, {}, True, "chaikin_ad_shares", Unit.SHARES,
             "Chaikin's accumulation: total of volume by the close's place in the range."),
            ("ADOSC", _HLCV, {"fastperiod": 3, "slowperiod": 10}, True,
             "chaikin_oscillator_3_10_shares", Unit.SHARES, "Its fast less its slow average."),
            ("CMF", _HLCV, {"timeperiod": 20}, False, "chaikin_flow_20_ratio", Unit.RATIO,
             "Chaikin's money flow over 20 bars."),
            ("MFI", _HLCV, {"timeperiod": 14}, False, "mfi_14_percent", Unit.PERCENT,
             "Money flow index, 14 bars."),
            ("EFI", _CLOSE_VOLUME, {"timeperiod": 13}, True, "force_13_cash", Unit.CASH,
             "Elder's force: averaged change of the close times volume."),
            ("MARKETFI", ("high", "low", "volume"), {}, False, "market_facilitation_ratio",
             Unit.RATIO, "Range moved per share traded."),
            ("NVI", _CLOSE_VOLUME, {}, True, "negative_volume_index", Unit.INDEX,
             "Compounded returns of the bars on which volume fell."),
            ("PVI", _CLOSE_VOLUME, {}, True, "positive_volume_index", Unit.INDEX,
             "Compounded returns of the bars on which volume rose."),
            ("PVO", ("volume",), {"fastperiod": 12, "slowperiod": 26, "matype": 1}, True,
             "pvo_12_26_percent", Unit.PERCENT, "Percentage oscillator of volume."),
            ("PVT", _CLOSE_VOLUME, {}, True, "price_volume_trend_shares", Unit.SHARES,
             "Total of volume times the close's relative change."),
            ("RVOL", ("volume",), {"timeperiod": 20}, False, "relative_volume_20_ratio",
             Unit.RATIO, "Volume over the average of the 20 bars before."),
            ("VWAP", _HLCV, {}, True, "vwap_since_start_price", Unit.PRICE,
             "Average typical price weighted by volume since the history's start."),
            ("CORREL", _CLOSE_VOLUME, {"timeperiod": 30}, False, "close_volume_30_ratio",
             Unit.RATIO, "Correlation of close and volume over 30 bars."),
        )
    ),
)  # fmt: skip
