"""A backtest of entry and exit signals through the paper engine's costs, for millions of bars.

Belongs here: fills and cash of signals, each symbol with money of its own. Does not belong here:
portfolios, limits, stops (`exits`), or the ledger's rounding: research computes in floats, so a
fill differs from the paper engine's by less than a cent and a step of price; `paper` has the last
word on money.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.execution.paper import PaperCostPolicy
from quant.market.panel import FloatArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignalFills:
    """What the signals traded, by symbol and then by bar, and what is left at the end."""

    # Records of symbol, bar, quantity (negative for a sale), price, reference_price, fee.
    fills: NDArray[np.void]
    cash: FloatArray
    held: FloatArray


def simulate_signals(
    price: FloatArray,
    entries: BoolArray,
    exits: BoolArray,
    *,
    costs: PaperCostPolicy,
    quantity: float,
    initial_cash: float,
    volume: FloatArray | None = None,
    delay_bars: int = 1,
) -> SignalFills:
    """Fills of (symbols, bars) of signals; a signal meets the price `delay_bars` later.

    An entry buys `quantity`, or what the cash allows, where nothing is held; an exit sells all and
    wins over an entry on the same bar. An order lives for one bar: without a price (NaN) it is
    gone, and beyond the allowed share of the bar's volume its rest is.
    """
    from quant.execution.fill_kernels import FILL_FIELDS, walk_all

    _require_alike(price, entries, exits, volume)
    if delay_bars < 0:
        raise DataError(f"a signal cannot meet a price from before it: delay_bars={delay_bars}")
    if not quantity > 0 or not initial_cash > 0:
        raise DataError("quantity and initial_cash must be positive")
    cash, held = np.empty(len(price)), np.empty(len(price))
    known = np.empty((0, 0)) if volume is None else volume
    numbers = (price, entries, exits, known, float(quantity), float(initial_cash), _costs(costs))
    # One fill in twenty bars is room for most strategies; whoever trades more is walked again.
    out = np.empty(price.size // 20 + 2 * len(price), dtype=FILL_FIELDS)
    count = walk_all(*numbers, delay_bars, out, cash, held)
    if count > len(out):
        out = np.empty(count, dtype=FILL_FIELDS)
        walk_all(*numbers, delay_bars, out, cash, held)
    return SignalFills(fills=out[:count], cash=cash, held=held)


def _costs(costs: PaperCostPolicy) -> tuple[float, ...]:
    bps = (
        costs.half_spread_bps + costs.slippage_bps,
        costs.impact_bps_min,
        costs.impact_bps_at_full_volume,
        costs.fee_bps,
    )
    return (*(float(one / 10_000) for one in bps), float(costs.volume_share_max))


def _require_alike(
    price: FloatArray, entries: BoolArray, exits: BoolArray, volume: FloatArray | None
) -> None:
    others = [entries, exits] if volume is None else [entries, exits, volume]
    if price.ndim != 2 or any(one.shape != price.shape for one in others):
        shapes = [one.shape for one in (price, *others)]
        raise DataError(f"prices, signals and volumes must be alike in shape, were {shapes}")
