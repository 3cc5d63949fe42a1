"""Backtest fills of ten million bars of signals: the paper model's walk against vectorbt.

Both trade the same entries and exits at the same prices with the same costs; each symbol has money
of its own. vectorbt knows no impact that depends on size and no delay, so impact stays at its floor
and its arrays are shifted before the clock starts; each side gets the layout that it likes best.
Fills must be equal and cash equal to the cent before any time counts. Compilation is not timed.
"""

import gc
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from quant.execution.backtest import SignalFills, simulate_signals
from quant.execution.paper import PaperCostPolicy

SYMBOLS: Final = 4_000
BARS: Final = 2_500
ROUNDS: Final = 5
LIMIT: Final = 2.0
QUANTITY: Final = 100.0
INITIAL_CASH: Final = 20_000.0
COSTS: Final = PaperCostPolicy()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Prices and signals as (symbols, bars)."""

    price: Any
    entries: Any
    exits: Any


def fills_row(
    *, symbols: int = SYMBOLS, bars: int = BARS, rounds: int = ROUNDS
) -> list[dict[str, object]]:
    """One row; without vectorbt the product's own time stands there, and that nothing was held
    against it.
    """
    market = _market(symbols, bars)
    figures: dict[str, object] = {"name": "backtest_fills", "bars": symbols * bars}
    if importlib.util.find_spec("vectorbt") is None:
        _product(market)
        seconds = min(_timed(lambda: _product(market)) for _ in range(rounds))
        return [
            figures
            | {
                # No rival, no limit: the ratio is time against one second for ten million bars.
                "ratio": round(seconds * 1e7 / (symbols * bars), 4),
                "limit": None,
                "skipped": "vectorbt is not installed: pip install vectorbt, in any environment",
                "product_bars_per_s": round(symbols * bars / seconds),
            }
        ]
    warnings.simplefilter("ignore")
    rival = _rival_call(market)
    ours, theirs = _product(market), rival()
    records, cash = theirs.orders.values, theirs.cash().to_numpy()[-1]
    del theirs
    require_same(ours, records, cash)
    calls: tuple[Callable[[], object], ...] = (lambda: _product(market), rival)
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for place, call in enumerate(calls):
            spent[place].append(_timed(call))
    product, other = (statistics.median(seconds) for seconds in spent)
    return [
        figures
        | {
            "ratio": round(product / other, 4),
            "limit": LIMIT,
            "fills": len(ours.fills),
            "product_bars_per_s": round(symbols * bars / product),
            "rival_bars_per_s": round(symbols * bars / other),
            "largest_difference_in_cash": float(np.abs(ours.cash - cash).max()),
        }
    ]


def require_same(ours: SignalFills, records: Any, cash: Any) -> None:
    """Equal fills, and cash equal to the cent, or no time counts."""
    signed = np.where(records["side"] == 0, records["size"], -records["size"])
    same = (
        len(ours.fills) == len(records)
        and np.array_equal(ours.fills["symbol"], records["col"])
        # The product's bar is the one that the order met, as is the rival's after the shift.
        and np.array_equal(ours.fills["bar"], records["idx"])
        and np.allclose(ours.fills["quantity"], signed, rtol=1e-9, atol=0)
        and np.allclose(ours.fills["price"], records["price"], rtol=1e-12, atol=0)
        and np.allclose(ours.fills["fee"], records["fees"], rtol=1e-9, atol=0)
        and np.abs(ours.cash - cash).max() < 0.005
    )
    if not same:
        raise AssertionError("the fills or the cash of the two backtests differ")


def _product(market: Market) -> SignalFills:
    return simulate_signals(
        market.price,
        market.entries,
        market.exits,
        costs=COSTS,
        quantity=QUANTITY,
        initial_cash=INITIAL_CASH,
    )


def _rival_call(market: Market) -> Callable[[], Any]:
    import vectorbt  # type: ignore[import-not-found, unused-ignore]

    price = np.ascontiguousarray(market.price.T)
    entries, exits = (_shifted(signals) for signals in (market.entries, market.exits))
    adverse = COSTS.half_spread_bps + COSTS.slippage_bps + COSTS.impact_bps_min

    def call() -> Any:
        portfolio = vectorbt.Portfolio.from_signals(
            price,
            entries,
            exits,
            size=QUANTITY,
            fees=float(COSTS.fee_bps / 10_000),
            slippage=float(adverse / 10_000),
            init_cash=INITIAL_CASH,
            upon_long_conflict="exit",
        )
        # Its records are lazy; a backtest whose fills nobody has is not done.
        return portfolio if len(portfolio.orders.values) else None

    return call


def _shifted(signals: Any) -> Any:
    later = np.zeros(signals.shape[::-1], dtype=bool)
    later[1:] = signals.T[:-1]
    return later


def _market(symbols: int, bars: int) -> Market:
    """Random walks with gaps; an entry in twenty bars, an exit in twenty, some cash limits."""
    rng = np.random.default_rng(11)
    steps = rng.normal(0.0002, 0.01, (symbols, bars))
    price = 100.0 * np.exp(np.cumsum(steps, axis=1))
    entries, exits = (rng.random(price.shape) < 0.05 for _ in range(2))
    return Market(price=price, entries=entries, exits=exits)


def _timed(call: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    import json

    for row in fills_row():
        print(json.dumps(row))
