"""Where the price tends: averages, bands, channels and regression lines, through TA-Lib."""

from quant.features.feature import Unit
from quant.features.indicators import Output, indicator

_CLOSE = ("close",)
_HIGH_LOW = ("high", "low")
_HLC = ("high", "low", "close")
_SUBJECT = "trend"


def _bands(name: str, words: str) -> tuple[Output, Output, Output]:
    upper, middle, lower = (
        (f"{name}_{edge}_price", Unit.PRICE, f"{edge.capitalize()} line of the {words}.")
        for edge in ("upper", "middle", "lower")
    )
    return upper, middle, lower


_AVERAGES = tuple(
    indicator(
        call,
        (f"{call.lower()}_{bars}_price", Unit.PRICE, f"{words} of the close over {bars} bars."),
        subject=_SUBJECT,
        inputs=_CLOSE,
        is_anchored=is_anchored,
        timeperiod=bars,
    )
    for call, lengths, words, is_anchored in (
        ("EMA", (9, 21, 50, 200), "Exponential average, seeded with a simple one,", True),
        ("SMA", (10, 20, 50, 200), "Simple average", False),
        ("WMA", (20,), "Linearly weighted average", False),
        ("DEMA", (20,), "Double exponential average", True),
        ("TEMA", (20,), "Triple exponential average", True),
        ("TRIMA", (20,), "Triangular average", False),
        ("KAMA", (20,), "Kaufman's adaptive average", True),
        ("T3", (10,), "Tillson's smoothed average", True),
        ("HMA", (20,), "Hull's average", False),
        ("RMA", (14,), "Wilder's average", True),
        ("ZLEMA", (20,), "Exponential average corrected for lag", True),
        ("LINEARREG", (14,), "End of the regression line", False),
        ("LINEARREG_SLOPE", (14,), "Slope per bar of the regression line", False),
        ("LINEARREG_INTERCEPT", (14,), "Start of the regression line", False),
        ("TSF", (14,), "Regression line one bar on, a forecast from the past alone,", False),
        ("MIDPOINT", (14,), "Middle of highest and lowest", False),
        ("MAX", (20, 252), "Highest", False),
        ("MIN", (20, 252), "Lowest", False),
    )
    for bars in lengths
)

FAMILIES = (
    *_AVERAGES,
    indicator(
        "LINEARREG_ANGLE",
        ("linearreg_angle_14_index", Unit.INDEX, "Angle of the regression line in degrees."),
        subject=_SUBJECT,
        inputs=_CLOSE,
        timeperiod=14,
    ),
    indicator(
        "MAMA",
        ("mama_price", Unit.PRICE, "Ehlers' adaptive average."),
        ("fama_price", Unit.PRICE, "Its following average."),
        subject=_SUBJECT,
        inputs=_CLOSE,
        is_anchored=True,
    ),
    indicator(
        "HT_TRENDLINE",
        ("hilbert_trendline_price", Unit.PRICE, "Price without its dominant cycle."),
        subject=_SUBJECT,
        inputs=_CLOSE,
        is_anchored=True,
    ),
    indicator(
        "VWMA",
        ("vwma_20_price", Unit.PRICE, "Average of the close weighted by volume over 20 bars."),
        subject=_SUBJECT,
        inputs=("close", "volume"),
        timeperiod=20,
    ),
    indicator(
        "MIDPRICE",
        ("midprice_14_price", Unit.PRICE, "Middle of highest high and lowest low, 14 bars."),
        subject=_SUBJECT,
        inputs=_HIGH_LOW,
        timeperiod=14,
    ),
    indicator(
        "SAR",
        ("sar_price", Unit.PRICE, "Wilder's parabolic stop and reverse."),
        subject=_SUBJECT,
        inputs=_HIGH_LOW,
        is_anchored=True,
        acceleration=0.02,
        maximum=0.2,
    ),
    indicator(
        "SUPERTREND",
        ("supertrend_10_price", Unit.PRICE, "Trailing band at 3 average true ranges, 10 bars."),
        ("supertrend_10_score", Unit.SCORE, "Side of the band: 1 above, -1 below."),
        subject=_SUBJECT,
        inputs=_HLC,
        is_anchored=True,
        timeperiod=10,
        multiplier=3.0,
    ),
    indicator(
        "BBANDS",
        *_bands("bollinger_20", "Bollinger bands, 20 bars, 2 deviations"),
        subject=_SUBJECT,
        inputs=_CLOSE,
        timeperiod=20,
        nbdevup=2.0,
        nbdevdn=2.0,
    ),
    indicator(
        "ACCBANDS",
        *_bands("acceleration_bands_20", "acceleration bands, 20 bars"),
        subject=_SUBJECT,
        inputs=_HLC,
        timeperiod=20,
    ),
    indicator(
        "DONCHIAN",
        *_bands("donchian_20", "Donchian channel, 20 bars"),
        subject=_SUBJECT,
        inputs=_HIGH_LOW,
        timeperiod=20,
    ),
    indicator(
        "KC",
        *_bands("keltner_20", "Keltner channel, 20 bars, 2 average true ranges"),
        subject=_SUBJECT,
        inputs=_HLC,
        is_anchored=True,
        timeperiod=20,
        atrperiod=10,
        nbdev=2.0,
    ),
    indicator(
        "AVGPRICE",
        ("average_price", Unit.PRICE, "Mean of open, high, low and close."),
        subject=_SUBJECT,
        inputs=("open", "high", "low", "close"),
    ),
    indicator(
        "MEDPRICE",
        ("median_price", Unit.PRICE, "Middle of high and low."),
        subject=_SUBJECT,
        inputs=_HIGH_LOW,
    ),
    indicator(
        "TYPPRICE",
        ("typical_price", Unit.PRICE, "Mean of high, low and close."),
        subject=_SUBJECT,
        inputs=_HLC,
    ),
    indicator(
        "WCLPRICE",
        ("weighted_close_price", Unit.PRICE, "Mean of high, low and twice the close."),
        subject=_SUBJECT,
        inputs=_HLC,
    ),
)
