"""Which symbols move together: groups whose paths share one subspace.

Belongs here: one pass over the symbols, each joining the group it moves with most. Does not belong
here: what is done with a group. A missing return counts as the mean; a symbol with few returns
therefore correlates with little and stays alone.
"""

import numpy as np

from quant.forecasting.kernels import IntArray
from quant.market.panel import FloatArray


def correlated_clusters(
    returns: FloatArray, symbols: tuple[str, ...], *, correlation_min: float, size_max: int
) -> IntArray:
    """A group's number for each row of (symbols, sessions), numbered as they were opened.

    Symbols come in the order of their names, so the answer does not depend on that of the rows.
    Each joins the group with whose mean it correlates most, if that is at least `correlation_min`
    and the group has room; else it opens a group. The work is one product per symbol and group:
    quadratic on paper, and at 5,000 symbols still a second.
    """
    directions = _directions(returns)
    label = np.zeros(len(returns), dtype=np.int64)
    sums, lengths = np.zeros_like(directions), np.zeros(len(returns))
    sizes = np.zeros(len(returns), dtype=np.int64)
    opened = 0
    for row in sorted(range(len(symbols)), key=symbols.__getitem__):
        products = sums[:opened] @ directions[row]
        likeness = _ratio(products, lengths[:opened])
        likeness[sizes[:opened] >= size_max] = -np.inf
        best = int(np.argmax(likeness)) if opened else -1
        if best < 0 or likeness[best] < correlation_min:
            best, opened = opened, opened + 1
        label[row] = best
        sums[best] += directions[row]
        lengths[best] = np.sqrt(np.sum(sums[best] ** 2))
        sizes[best] += 1
    return label


def _directions(returns: FloatArray) -> FloatArray:
    """Rows with mean zero and length one, so that their products are correlations."""
    known = np.isfinite(returns)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, returns, 0.0).sum(axis=1, keepdims=True) / count
    centred = np.where(known, returns - mean, 0.0)
    length = np.sqrt(np.sum(centred * centred, axis=1, keepdims=True))
    return _ratio(centred, length)


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    """Zero where there is nothing to divide by."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0.0)
