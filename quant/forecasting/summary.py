"""One fit of one model over many symbols, in the few numbers a tracker or a report can show."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

import numpy as np
import pandas as pd

from quant.core.errors import DataError
from quant.forecasting.port import FittedState

_LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


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
    numbers, shares = _pooled(good)
    columns = {f"{name}_median": values for name, values in numbers.items()}
    return {
        **{name: float(count) for name, count in counts.items()},
        **{name: median(values) for name, values in sorted(columns.items())},
        **{f"{name}_share": sum(said) / len(said) for name, said in sorted(shares.items())},
    }


def pooled_numbers(states: Sequence[FittedState]) -> pd.DataFrame:
    """How each parameter and numeric diagnostic lies over the symbols that converged."""
    numbers, _ = _pooled([state for state in states if state.converged])
    rows = [
        (name, len(values), *np.quantile(values, _LEVELS))
        for name, values in sorted(numbers.items())
    ]
    return pd.DataFrame(rows, columns=["name", "symbols", "q05", "q25", "q50", "q75", "q95"])


def _pooled(
    states: Sequence[FittedState],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """By name: numbers, and yes-or-no answers as ones and zeros. Lists and texts have no median."""
    numbers: dict[str, list[float]] = {}
    answers: dict[str, list[float]] = {}
    for state in states:
        for name, value in {**state.params, **state.diagnostics}.items():
            if isinstance(value, bool):
                answers.setdefault(name, []).append(float(value))
            elif isinstance(value, int | float) and math.isfinite(value):
                numbers.setdefault(name, []).append(float(value))
    return numbers, answers
