"""Governance against what it rests on: forecasts for sprints, skfolio for splits, arch.

A sprint is timed as `pmx audit sprint --compute` does it, on a home that has history and nothing
else; its rival computes the same forecasts of the same sessions on a copy of that home and audits
nothing. Cross-validation runs one estimator of skfolio through both loops over the same splits, and
the paths must be equal. Both bootstraps draw circular blocks of equal length, and the ends of their
intervals must agree within four standard errors of a quantile.
"""

import datetime as dt
import io
import json
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

T = TypeVar("T")

SPRINT_LIMIT: Final = 1.2
PATHS_LIMIT: Final = 1.0
BOOTSTRAP_LIMIT: Final = 0.2
UNTIL: Final = dt.date(2022, 12, 28)
# Of three folds out of eleven, each is tested in 45 of the 165 splits: 45 whole paths.
FOLDS, TEST_FOLDS = 11, 3


def run() -> list[dict[str, object]]:
    """All three, at full size."""
    return [sprint_row(), paths_row(), bootstrap_row()]


def sprint_row(*, audits: int = 20, rounds: int = 3) -> dict[str, object]:
    """The sprint, and the forecasts that it needs, taking turns on fresh copies of one home."""
    spent: tuple[list[float], list[float]] = ([], [])
    sides = (_sprint, _forecasts)
    with tempfile.TemporaryDirectory(prefix="pmx-bench-sprint-") as folder:
        place = Path(folder)
        days = _prepare(place / "home", audits)
        for number in range(rounds):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                home = shutil.copytree(place / "home", place / f"{number}-{which}")
                spent[which].append(sides[which](home, days))
                shutil.rmtree(home)
    return _row(
        "sprint_20_audits_20_symbols",
        # Half a minute each: the quickest turn is the one that least else disturbed.
        *(min(seconds) for seconds in spent),
        limit=SPRINT_LIMIT,
        audits=audits,
        rounds=rounds,
    )


def paths_row(
    *, observations: int = 2_500, symbols: int = 20, repetitions: int = 3
) -> dict[str, object]:
    """Inverse volatility through 165 purged splits, put together to 45 paths."""
    from skfolio.model_selection import CombinatorialPurgedCV, cross_val_predict
    from skfolio.optimization import InverseVolatility

    from quant.governance.splits import CombinatorialPurged
    from quant.governance.validation import validate

    rng = np.random.default_rng(3)
    returns = rng.normal(4e-4, 0.01, (observations, symbols)) * np.linspace(0.5, 2.0, symbols)
    scheme = CombinatorialPurged(folds=FOLDS, test_folds=TEST_FOLDS, purge=5)

    def evaluate(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        weights = InverseVolatility().fit(returns[train]).weights_
        return np.asarray(returns[test] @ weights)

    def ours() -> list[float]:
        report = validate(evaluate, scheme, observations=observations)
        return [float(value) for value in report.known_sharpes]

    def theirs() -> list[float]:
        cv = CombinatorialPurgedCV(n_folds=FOLDS, n_test_folds=TEST_FOLDS, purged_size=5)
        found = cross_val_predict(InverseVolatility(), returns, cv=cv)
        return [float(path.annualized_sharpe_ratio) for path in found]

    product, rival, (own, other) = _turns(ours, theirs, repetitions)
    if len(own) != len(other) or not np.allclose(sorted(own), sorted(other), rtol=1e-9):
        raise RuntimeError(f"{len(own)} and {len(other)} paths with other Sharpe ratios")
    return _row(
        "cpcv_45_paths_20_symbols",
        product,
        rival,
        limit=PATHS_LIMIT,
        paths=len(own),
        splits=scheme.split_count,
        observations=observations,
        rival_name="skfolio.cross_val_predict",
    )


def bootstrap_row(
    *, observations: int = 2_500, resamples: int = 10_000, repetitions: int = 3
) -> dict[str, object]:
    """The 95 % interval of an annual Sharpe ratio."""
    from arch.bootstrap import CircularBlockBootstrap

    from quant.governance.bootstrap import default_block_length, sharpe_interval

    returns = np.random.default_rng(4).standard_t(5, observations) * 0.01 + 4e-4
    length = default_block_length(observations)

    def ours() -> tuple[float, float]:
        found = sharpe_interval(returns, rng=np.random.default_rng(5), resamples=resamples)
        return found.low, found.high

    def theirs() -> tuple[float, float]:
        sampler = CircularBlockBootstrap(length, returns, seed=np.random.default_rng(6))
        low, high = sampler.conf_int(_sharpe, reps=resamples, method="percentile")[:, 0]
        return float(low), float(high)

    product, rival, (own, other) = _turns(ours, theirs, repetitions)
    # A quantile at 2.5 % of a normal law: root of p (1 - p) / n over the density there.
    spread = (other[1] - other[0]) / (2 * 1.96)
    error = math.sqrt(0.025 * 0.975 / resamples) / (0.0584 / spread)
    difference = max(abs(a - b) for a, b in zip(own, other, strict=True))
    if difference > 4 * math.sqrt(2) * error:
        raise RuntimeError(f"intervals {own} and {other} differ by more than chance")
    return _row(
        "bootstrap_sharpe_10000_of_2500",
        product,
        rival,
        limit=BOOTSTRAP_LIMIT,
        interval=[round(value, 3) for value in own],
        rival_interval=[round(value, 3) for value in other],
        difference=round(difference, 4),
        standard_error=round(error, 4),
        block_length=length,
        rival_name="arch.bootstrap.CircularBlockBootstrap",
    )


def _sharpe(values: np.ndarray) -> float:
    return float(values.mean() / values.std(ddof=1) * math.sqrt(252))


def _turns(
    ours: Callable[[], T], theirs: Callable[[], T], repetitions: int
) -> tuple[float, float, tuple[T, T]]:
    """Median seconds of both, after one unmeasured turn, and what they found."""
    found = ours(), theirs()
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        for which, call in enumerate((ours, theirs)):
            start = time.perf_counter()
            call()
            spent[which].append(time.perf_counter() - start)
    return statistics.median(spent[0]), statistics.median(spent[1]), found


def _row(
    name: str, product_s: float, rival_s: float, *, limit: float, **more: object
) -> dict[str, object]:
    ratio = round(product_s / rival_s, 4)
    return {
        "name": name,
        "ratio": ratio,
        "limit": limit,
        "holds": ratio <= limit,
        "product_ms": round(product_s * 1e3, 2),
        "rival_ms": round(rival_s * 1e3, 2),
        **more,
    }


def _prepare(home: Path, audits: int) -> list[dt.date]:
    """A home with the bundled history up to the first session of the sprint."""
    from apps.loading import load_sample
    from apps.night import last_sessions, night_runner

    with night_runner(_settings(home)) as runner:
        days = list(last_sessions(runner.desk.universe.calendar, UNTIL, audits + 1))
        load_sample(runner.desk, until=days[0], run_id="load:benchmark")
    return days


def _sprint(home: Path, days: list[dt.date]) -> float:
    from apps.cli import audit
    from apps.cli.console import Console
    from apps.cli.result import Cli

    cli = Cli(console=Console(stream=io.StringIO(), as_json=True), emit=lambda _result: None)
    cli.settings = _settings(home)
    start = time.perf_counter()
    found = audit.sprint(cli, audits=len(days) - 1, compute=days[-1].isoformat())
    spent = time.perf_counter() - start
    if found.effective_audits != len(days) - 1:
        raise RuntimeError(f"{found.effective_audits} audits of {len(days) - 1} are effective")
    return spent


def _forecasts(home: Path, days: list[dt.date]) -> float:
    from apps.night import night_runner
    from apps.sprints import upstream

    start = time.perf_counter()
    with night_runner(_settings(home)) as runner:
        runner.run_assets(upstream(runner, "forecast"), days[0], days[-1])
        runner.send_to_mlflow().result()
    return time.perf_counter() - start


def _settings(home: Path) -> "Settings":  # noqa: F821
    from resources.settings import Settings

    return Settings.from_env({"PMX_HOME": str(home), "PMX_WORKERS": "1"})


if __name__ == "__main__":
    print(json.dumps({"bench": "governance", "rows": run()}))
