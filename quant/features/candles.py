"""Candlestick patterns through TA-Lib: -100 bearish, 0 none, 100 bullish.

The patterns that traders name most often; each looks back only, at averages of the bars before it.
"""

from quant.features.feature import Unit
from quant.features.indicators import indicator

_PATTERNS = (
    ("CDLDOJI", "doji"),
    ("CDLDRAGONFLYDOJI", "dragonfly_doji"),
    ("CDLGRAVESTONEDOJI", "gravestone_doji"),
    ("CDLLONGLEGGEDDOJI", "long_legged_doji"),
    ("CDLSPINNINGTOP", "spinning_top"),
    ("CDLMARUBOZU", "marubozu"),
    ("CDLHAMMER", "hammer"),
    ("CDLINVERTEDHAMMER", "inverted_hammer"),
    ("CDLHANGINGMAN", "hanging_man"),
    ("CDLSHOOTINGSTAR", "shooting_star"),
    ("CDLENGULFING", "engulfing"),
    ("CDLHARAMI", "harami"),
    ("CDLPIERCING", "piercing"),
    ("CDLDARKCLOUDCOVER", "dark_cloud_cover"),
    ("CDLBELTHOLD", "belt_hold"),
    ("CDLMORNINGSTAR", "morning_star"),
    ("CDLEVENINGSTAR", "evening_star"),
    ("CDL3WHITESOLDIERS", "three_white_soldiers"),
    ("CDL3BLACKCROWS", "three_black_crows"),
    ("CDL3INSIDE", "three_inside"),
    ("CDL3OUTSIDE", "three_outside"),
    ("CDLHIKKAKE", "hikkake"),
)

FAMILIES = tuple(
    indicator(
        call,
        (f"candle_{name}_score", Unit.SCORE, f"Candlestick pattern: {name.replace('_', ' ')}."),
        subject="candles",
        inputs=("open", "high", "low", "close"),
    )
    for call, name in _PATTERNS
)
