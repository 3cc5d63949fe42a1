"""The paper engine's fills as one compiled walk over bars: the inner loop of a backtest.

Belongs here: nothing but that loop, on plain arrays; numba is imported here and nowhere else.
Does not belong here: what the numbers mean and who may call it (`backtest`).
"""

from collections.abc import Callable
from math import sqrt
from typing import Any, Final

import numba
import numpy as np

# Columns of a fill's record, in this order.
FILL_FIELDS: Final = np.dtype(
    [
        ("symbol", np.int64),
        ("bar", np.int64),
        ("quantity", np.float64),
        ("price", np.float64),
        ("reference_price", np.float64),
        ("fee", np.float64),
    ]
)


def _walk_all(
    price: Any,
    entries: Any,
    exits: Any,
    volume: Any,
    quantity: float,
    initial_cash: float,
    costs: Any,
    delay: int,
    out: Any,
    cash: Any,
    held: Any,
) -> int:
    """Walk every symbol by itself; records are counted always and kept where `out` has room.

    `costs` are fractions: half spread and slippage, least impact, impact at full volume, fee,
    largest share of the volume. An empty `volume` means that none is known.
    """
    adverse, impact_min, impact_full, fee_rate, share_max = costs
    count = 0
    for symbol in range(price.shape[0]):
        money, shares = initial_cash, 0.0
        for bar in range(price.shape[1] - delay):
            is_exit, is_entry = exits[symbol, bar], entries[symbol, bar]
            wants_out = is_exit and shares > 0.0
            if not wants_out and not (is_entry and not is_exit and shares == 0.0):
                continue
            at = bar + delay
            reference = price[symbol, at]
            if not reference > 0.0:
                continue
            wanted = shares if wants_out else quantity
            impact = impact_min
            if volume.size:
                traded = volume[symbol, at]
                if traded > 0.0:
                    wanted = min(wanted, share_max * traded)
                    impact = max(impact_min, impact_full * sqrt(min(wanted / traded, 1.0)))
            if wants_out:
                paid = reference * (1.0 - (adverse + impact))
                fee = wanted * paid * fee_rate
                money += wanted * paid - fee
                shares -= wanted
            else:
                paid = reference * (1.0 + (adverse + impact))
                wanted = min(wanted, money / (paid * (1.0 + fee_rate)))
                if wanted <= 0.0:
                    continue
                fee = wanted * paid * fee_rate
                money -= wanted * paid + fee
                shares += wanted
            if count < out.shape[0]:
                record = out[count]
                record["symbol"] = symbol
                record["bar"] = at
                record["quantity"] = -wanted if wants_out else wanted
                record["price"] = paid
                record["reference_price"] = reference
                record["fee"] = fee
            count += 1
        cash[symbol] = money
        held[symbol] = shares
    return count


# Compiled when first called, once for each kind of array; `_walk_all` itself stays plain Python,
# so that a test can hold one against the other.
plain_walk: Final[Callable[..., int]] = _walk_all
walk_all: Final[Callable[..., int]] = numba.njit(nogil=True)(_walk_all)
