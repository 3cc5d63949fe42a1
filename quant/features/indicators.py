"""How a TA-Lib function becomes features: one call per symbol on contiguous rows, no pandas.

Belongs here: the call, its warm-up, and the short way to declare one.
Does not belong here: which indicators there are (`trend`, `momentum`, `volume`, `candles`).

TA-Lib marks "not yet" with NaN in float results but with 0 in integer ones, where 0 also means "no
pattern"; here every result is NaN until the function's own look-back has passed.

Some TA-Lib functions keep running sums, so a wild print leaves rounding behind in later values. One
a million times too high changed values 1,400 bars later by at most 5 parts in 10^8 (measured with
TA-Lib 0.8.2); a decimal slip of 100 by 2 in 10^11. Keeping worse prints out is the quality rules'
business.

Left out: the three functions on the phase of the dominant cycle (HT_DCPHASE, HT_SINE,
HT_TRENDMODE), of which each costs as much as eighty others, and FRACTAL, whose plotted place is not
the bar on which it is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import talib
import talib.abstract

from quant.features.bars import Bars
from quant.features.feature import Family, Feature, Unit
from quant.market.panel import FloatArray

Output = tuple[str, Unit, str]


def call_rows(
    bars: Bars,
    *,
    call: str,
    inputs: Sequence[str],
    options: Mapping[str, float],
    outputs: int,
    warm_up_bars: int,
) -> Sequence[FloatArray]:
    """Run one TA-Lib function over every symbol's own bars."""
    function = getattr(talib, call)
    fields = bars.select(inputs)
    results = [np.full(bars.shape, np.nan) for _ in range(outputs)]
    for row, length in enumerate(bars.lengths):
        if length <= warm_up_bars:
            continue
        answer = function(*(field[row, :length] for field in fields), **options)
        parts = answer if outputs > 1 else (answer,)
        for result, part in zip(results, parts, strict=True):
            result[row, warm_up_bars:length] = part[warm_up_bars:]
    return results


def indicator(
    call: str,
    *outputs: Output,
    subject: str,
    inputs: tuple[str, ...],
    is_anchored: bool = False,
    **options: float,
) -> Family:
    """The features of one TA-Lib function; `outputs` name what it returns, in its order."""
    warm_up_bars = look_back_bars(call, options)
    return Family(
        function=call_rows,
        parameters={
            "call": call,
            "inputs": inputs,
            "options": options,
            "outputs": len(outputs),
            "warm_up_bars": warm_up_bars,
        },
        features=tuple(
            Feature(
                name=name,
                unit=unit,
                subject=subject,
                inputs=inputs,
                warm_up_bars=warm_up_bars,
                description=description,
                is_anchored=is_anchored,
            )
            for name, unit, description in outputs
        ),
    )


def look_back_bars(call: str, options: Mapping[str, float]) -> int:
    """Bars that TA-Lib needs before its first value."""
    function: Any = talib.abstract.Function(call)  # type: ignore[attr-defined]  # made at run time
    if options:
        function.set_parameters(dict(options))
    return int(function.lookback)
