"""From a panel to fitted states: windows, fan-out, and what a fit that failed leaves behind.

Belongs here: what every estimated model shares. Does not belong here: any likelihood.
"""

import datetime as dt
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quant.core.compute import Done, Failed, Result, fan_out
from quant.core.errors import DataError, ModelError
from quant.forecasting.forecast import Diagnostics
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState, Params
from quant.forecasting.returns import ReturnPanel, why_unusable
from quant.market.panel import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTask:
    """One symbol's window, and where the search may begin.

    `regressors` are (names, sessions), each column as known at its session's close.
    """

    values: FloatArray
    start: Params | None
    policy: ForecastPolicy
    regressor_names: tuple[str, ...] = ()
    regressors: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOutcome:
    """What an estimator found; `converged` is its own word for it."""

    params: Params
    diagnostics: Diagnostics
    converged: bool


FitOne = Callable[[FitTask], FitOutcome]


def fit_panel(
    fit_one: FitOne,
    panel: ReturnPanel,
    *,
    model: str,
    version: str,
    session: dt.date,
    start: Mapping[str, Params] | None,
    policy: ForecastPolicy,
    imports: tuple[str, ...],
) -> list[FittedState]:
    """Fit every symbol that has something to say; one state per symbol, in the panel's order."""
    window = fit_window(panel, session=session, policy=policy)
    starts = start or {}
    blank = [
        FittedState(
            symbol=symbol,
            model=model,
            version=version,
            fit_as_of=session,
            filter_from=_first_known(window, row),
            params={},
            start_params=starts.get(symbol),
            converged=False,
            error=ModelError.__name__,
            reason="not fitted",
        )
        for row, symbol in enumerate(window.symbols)
    ]
    reasons = why_unusable(
        window.values,
        observations_min=policy.model_observations_min,
        stale_sessions_max=policy.stale_sessions_max,
    )
    able = [row for row, reason in enumerate(reasons) if reason is None]
    results = fan_out(
        fit_one,
        [_task(window, row, start=blank[row].start_params, policy=policy) for row in able],
        workers=policy.fit_workers,
        backend=policy.fit_backend,
        time_limit_s=policy.fit_time_limit_s,
        imports=imports,
    )
    states = [
        replace(state, reason=reason or "") if reason else state
        for state, reason in zip(blank, reasons, strict=True)
    ]
    for row, result in zip(able, results, strict=True):
        states[row] = _state_after(blank[row], result)
    return states


def fit_window(panel: ReturnPanel, *, session: dt.date, policy: ForecastPolicy) -> ReturnPanel:
    """The sessions a fit may look at; `session` itself must be one of them."""
    known = panel.until(session)
    if len(known.sessions) == 0 or known.sessions[-1] != np.datetime64(session, "D"):
        raise DataError(
            f"the panel of returns has no session {session}",
            remedy="ask for one of its sessions, or load the bars of that day first",
        )
    return known.last(policy.fit_window_sessions)


def unit_scale(values: FloatArray) -> float:
    """A power of two that brings the deviation of `values` near one.

    Optimisers stop by absolute steps, so a return of 0.01 has to be enlarged; a power of two makes
    the way back exact.
    """
    return float(2.0 ** np.round(-np.log2(np.nanstd(values))))


def recorded_warnings(caught: list[warnings.WarningMessage]) -> str:
    """What a library warned of, once each, for the diagnostics."""
    return "; ".join(sorted({f"{w.category.__name__}: {str(w.message).strip()}" for w in caught}))


def finite_params(params: Mapping[str, Any]) -> Params:
    """Plain floats, so that they have one JSON text; `ModelError` names one that is no number."""
    plain = {name: float(value) for name, value in params.items()}
    broken = [name for name, value in plain.items() if not np.isfinite(value)]
    if broken:
        raise ModelError(f"the fit gave no number for {', '.join(broken)}")
    return plain


def _state_after(blank: FittedState, result: Result[FitOutcome]) -> FittedState:
    match result:
        case Done(value=outcome) if outcome.converged:
            return replace(
                blank,
                params=outcome.params,
                diagnostics=outcome.diagnostics,
                converged=True,
                error="",
                reason="",
            )
        case Done(value=outcome):
            why = str(outcome.diagnostics.get("optimizer", "no reason given"))
            return _keep_previous(blank, ModelError.__name__, f"did not converge: {why}")
        case Failed() as failed:
            return _keep_previous(blank, failed.error, failed.message)


def _keep_previous(blank: FittedState, error: str, reason: str) -> FittedState:
    """An estimate that cannot be trusted is not used: the last one stays, flagged, if any."""
    return replace(
        blank,
        params=blank.start_params or {},
        diagnostics={
            "fit_error": error,
            "fit_reason": reason,
            "kept_previous": bool(blank.start_params),
        },
        error=error,
        reason=reason,
    )


def _first_known(window: ReturnPanel, row: int) -> dt.date:
    position = int(np.argmax(np.isfinite(window.values[row])))
    first: dt.date = window.sessions[position].item()
    return first


def _task(
    window: ReturnPanel, row: int, *, start: Params | None, policy: ForecastPolicy
) -> FitTask:
    first = int(np.argmax(np.isfinite(window.values[row])))
    beside = window.regressors
    return FitTask(
        values=window.values[row, first:],
        start=start,
        policy=policy,
        regressor_names=() if beside is None else beside.names,
        regressors=None if beside is None else beside.values[:, row, first:],
    )
