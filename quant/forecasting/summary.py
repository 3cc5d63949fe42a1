"""One fit of one model over many symbols, in the few numbers a tracker or a report can show."""

import math
from collections.abc import Sequence
from statistics import median

from quant.core.errors import DataError
from quant.forecasting.port import FittedState


def fit_summary(states: Sequence[FittedState]) -> dict[str, float]:
    """Counts, and the median over symbols of every parameter and every numeric diagnostic.

    `symbols` = `converged` + `kept_previous` + `without_parameters`. Medians are over the symbols
    whose fit converged; a yes-or-no diagnostic becomes the share of symbols that say yes.
    """
    if len({(state.model, state.version, state.fit_as_of) for state in states}) != 1:
        raise DataError("a summary is over the states of one fit of one model")
    good = [state for state in states if state.converged]
    counts = {
        "symbols": len(states),
        "converged": len(good),
        "kept_previous": sum(state.is_usable and not state.converged for state in states),
        "without_parameters": sum(not state.is_usable for state in states),
    }
    columns: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}
    for state in good:
        for name, value in {**state.params, **state.diagnostics}.items():
            if isinstance(value, bool):
                shares.setdefault(f"{name}_share", []).append(float(value))
            elif isinstance(value, int | float) and math.isfinite(value):
                columns.setdefault(f"{name}_median", []).append(float(value))
    return {
        **{name: float(count) for name, count in counts.items()},
        **{name: median(values) for name, values in sorted(columns.items())},
        **{name: sum(values) / len(values) for name, values in sorted(shares.items())},
    }
