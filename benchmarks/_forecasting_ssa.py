"""Leading triples of a long series against `ssalib`: its full SVD, and its randomised solver.

N = 5,000, window 1,000, rank 10, one thread, one process, the two taking turns. Each side begins at
the bare series. The limits hold for the decomposition alone; beside it stand the times with the ten
components rebuilt, where the rival loses more. Before any clock starts the components of both are
compared: where they differ by 1e-6 of the series' deviation there is no row but an error. The
series is five swings in noise; on a random walk, where the rival's randomised solver misses that
accuracy itself, only the full SVD is compared.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from quant.core.compute import single_threaded
from quant.forecasting.ssa import Solver, components, leading_triples
from quant.market.panel import FloatArray

LENGTH, WINDOW, RANK = 5_000, 1_000, 10
REPETITIONS = 7
FULL_REPETITIONS = 2  # seconds each
TOLERANCE = 1e-6
FULL_LIMIT, RANDOMISED_LIMIT = 0.05, 0.5


def rows(
    *,
    length: int = LENGTH,
    window: int = WINDOW,
    rank: int = RANK,
    repetitions: int = REPETITIONS,
    full_repetitions: int = FULL_REPETITIONS,
) -> list[dict[str, object]]:
    """Median time of the product over that of the rival's solver."""
    import scipy.fft  # noqa: F401  # loaded, so that the limit on threads reaches it
    import ssalib  # type: ignore[import-untyped]  # noqa: F401

    shape = {"length": length, "window": window, "rank": rank}
    with single_threaded():
        swings, walk = swings_in_noise(length), random_walk(length)
        full = {"solver": "numpy_standard", "limit": FULL_LIMIT, "repetitions": full_repetitions}
        quick = {
            "solver": "sklearn_randomized",
            "limit": RANDOMISED_LIMIT,
            "repetitions": repetitions,
        }
        return [
            _row("ssa_full_svd", swings, window, rank, "lanczos", **full) | shape,
            _row("ssa_full_svd_random_walk", walk, window, rank, "lanczos", **full) | shape,
            _row("ssa_randomised", swings, window, rank, "lanczos", **quick) | shape,
            _row("ssa_randomised_by_randomised", swings, window, rank, "randomised", **quick)
            | shape,
        ]


run = rows


def swings_in_noise(length: int) -> FloatArray:
    """Five swings, of 5 to 300 steps, in noise: ten triples stand above the rest."""
    t = np.arange(length)
    swings = zip((5.0, 4.0, 3.0, 2.2, 1.5), (300, 120, 63, 21, 5), strict=True)
    noise = np.random.default_rng(0).standard_normal(length)
    series: FloatArray = noise + sum(size * np.sin(2 * np.pi * t / n + size) for size, n in swings)
    return series


def random_walk(length: int) -> FloatArray:
    """What a log price resembles: no step in its spectrum."""
    path = np.cumsum(np.random.default_rng(0).standard_normal(length))
    return path - path.mean()


def _row(
    name: str,
    series: FloatArray,
    window: int,
    rank: int,
    ours: Solver,
    *,
    solver: str,
    limit: float,
    repetitions: int,
) -> dict[str, object]:
    mine = leading_triples(series, window=window, rank=rank, solver=ours)
    theirs = _rival(series, window, rank, solver)
    gap = np.abs(components(mine) - _rival_components(theirs, rank)).max()
    difference = float(gap / series.std())
    if not difference <= TOLERANCE:
        raise AssertionError(f"{name}: components differ by {difference:.1e} deviations")
    product, rival = _times(
        lambda: leading_triples(series, window=window, rank=rank, solver=ours),
        lambda: _rival(series, window, rank, solver),
        repetitions,
    )
    rebuilt, rival_rebuilt = _times(
        lambda: components(mine), lambda: _rival_components(theirs, rank), repetitions
    )
    ratio = product / rival
    return {
        "name": name,
        "ratio": ratio,
        "limit": limit,
        "holds": ratio <= limit,
        "product_ms": product * 1e3,
        "rival_ms": rival * 1e3,
        "ratio_with_components": (product + rebuilt) / (rival + rival_rebuilt),
        "components_difference": difference,
        "product_solver": ours,
        "rival_solver": solver,
        "repetitions": repetitions,
        "threads": 1,
    }


def _rival(series: FloatArray, window: int, rank: int, solver: str) -> Any:
    from ssalib import SingularSpectrumAnalysis

    analysis = SingularSpectrumAnalysis(series, window=window, svd_solver=solver, standardize=False)
    asked = {"n_components": rank} if solver == "sklearn_randomized" else {}
    return analysis.decompose(**asked)


def _rival_components(analysis: Any, rank: int) -> FloatArray:
    return np.array([analysis[[number]] for number in range(rank)])


def _times(
    product: Callable[[], object], rival: Callable[[], object], repetitions: int
) -> tuple[float, float]:
    """Medians in seconds; who goes first alternates. The comparison before has warmed both."""
    spent: tuple[list[float], list[float]] = ([], [])
    for index in range(repetitions):
        for which in (0, 1) if index % 2 == 0 else (1, 0):
            start = time.perf_counter()
            (product, rival)[which]()
            spent[which].append(time.perf_counter() - start)
    return statistics.median(spent[0]), statistics.median(spent[1])


if __name__ == "__main__":
    print(json.dumps({"bench": "forecasting_ssa", "rows": rows()}))
