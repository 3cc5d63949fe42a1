"""One symbol's volatility model: every kind the policy names, fitted, and one of them chosen.

Belongs here: starting points, the search within arch's bounds, the choice by AIC or BIC, and the
record of all that. Does not belong here: likelihoods (`garch_likelihood`), nor forecasts (`garch`).
The search is scipy's SLSQP as in arch, but with exact derivatives: an evaluation gives the slope in
all directions at once, where arch pays one more evaluation for each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np

from quant.core.errors import ModelError
from quant.forecasting.fitting import FitOutcome, FitTask, finite_params, unit_scale
from quant.forecasting.garch_likelihood import (
    GarchSeries,
    VolatilityKind,
    backcast_of,
    forgets_its_start,
    negative,
    variance_path,
)
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import Params
from quant.forecasting.residuals import residual_diagnostics
from quant.market.panel import FloatArray

# In log-likelihood; a change that matters to a choice is a thousand times as large.
_TOLERANCE = 1e-6
_ITERATIONS_MAX = 200
# The grid from which arch starts, and typical tails of daily returns.
_ALPHAS, _PERSISTENCES = (0.01, 0.05, 0.1, 0.2), (0.5, 0.7, 0.9, 0.98)
_GAMMAS = (-0.1, 0.0)
# With an earlier fit at hand the grid only has to tell that the market has changed beyond it.
_GRID_STEP_BESIDE_KNOWN = 5
_NU_START, _NU_MIN, _NU_MAX = 8.0, 2.05, 500.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolatilityFit:
    """Where one kind's search ended, in units of the series it was given."""

    kind: VolatilityKind
    theta: FloatArray
    log_likelihood: float
    observations: int
    converged: bool
    evaluations: int
    message: str

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * len(self.theta) - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return float(np.log(self.observations)) * len(self.theta) - 2.0 * self.log_likelihood


def kinds_of(policy: ForecastPolicy) -> list[VolatilityKind]:
    """Simple ones first: what they find is where their relatives begin."""
    return [
        VolatilityKind(model=model, distribution=distribution)
        for distribution in sorted(policy.garch_distributions)
        for model in sorted(policy.garch_models, key=("garch", "gjr", "egarch").index)
    ]


def fit_garch(task: FitTask) -> FitOutcome:
    """Fit on the known returns, gaps left out; from the previous parameters where they fit."""
    known = task.values[np.isfinite(task.values)]
    scale = unit_scale(known)
    series = GarchSeries(values=known * scale)
    earlier = None if task.start is None else _to_unit(task.start, scale)
    fits = fit_kinds(series, kinds_of(task.policy), earlier)
    chosen, usable = _choose(fits, task.policy.garch_criterion)
    spread = np.sqrt(variance_path(chosen.kind, chosen.theta, series))
    # A likelihood of enlarged returns is a density per enlarged unit.
    units = len(known) * float(np.log(scale))
    return FitOutcome(
        params=_from_unit(chosen, scale, backcast_of(known - known.mean())),
        converged=chosen.converged,
        diagnostics={
            "observations": len(known),
            "gaps": len(task.values) - len(known),
            "kind": str(chosen.kind),
            "kinds_fitted": len(fits),
            "kinds_failed": "; ".join(
                f"{fit.kind}: {fit.message}" for fit in fits if not fit.converged
            ),
            "runner_up": str(usable[1].kind) if len(usable) > 1 else "",
            "log_likelihood": chosen.log_likelihood + units,
            "aic": chosen.aic - 2.0 * units,
            "bic": chosen.bic - 2.0 * units,
            "optimizer": f"{chosen.message} after {chosen.evaluations} evaluations",
            **residual_diagnostics((series.values - chosen.theta[0]) / spread),
        },
    )


def fit_kinds(
    series: GarchSeries,
    kinds: Sequence[VolatilityKind],
    earlier: tuple[VolatilityKind, FloatArray] | None = None,
) -> list[VolatilityFit]:
    """Every kind, each begun at the best of the grid, an earlier fit and its relatives here."""
    known = [] if earlier is None else [earlier]
    fits: list[VolatilityFit] = []
    for kind in kinds:
        fit = _fit(kind, series, known)
        fits.append(fit)
        if fit.converged:
            known.append((kind, fit.theta))
    return fits


def _choose(
    fits: Sequence[VolatilityFit], criterion: str
) -> tuple[VolatilityFit, Sequence[VolatilityFit]]:
    """The least criterion among those that converged; without any the most likely, as it is."""
    usable = sorted((fit for fit in fits if fit.converged), key=lambda fit: getattr(fit, criterion))
    if usable:
        return usable[0], usable
    return max(fits, key=lambda fit: fit.log_likelihood), usable


def _fit(
    kind: VolatilityKind,
    series: GarchSeries,
    known: Sequence[tuple[VolatilityKind, FloatArray]],
) -> VolatilityFit:
    """From the likeliest starting points in turn until one converges."""
    starts = [
        start for other, theta in known if (start := _relative(kind, other, theta)) is not None
    ]
    starts += islice(_grid(kind, series), 0, None, _GRID_STEP_BESIDE_KNOWN if starts else 1)
    values = [negative(kind, start, series)[0] for start in starts]
    order = np.argsort(values, kind="stable")
    evaluations = len(starts)
    for place in order[:3]:
        result = _search(kind, series, starts[int(place)])
        evaluations += int(result.nfev)
        if result.success and not forgets_its_start(kind, result.x, series):
            result.success, result.message = False, "the variance does not forget its start"
        if result.success:
            break
    return VolatilityFit(
        kind=kind,
        theta=np.asarray(result.x, dtype=np.float64),
        log_likelihood=-float(result.fun),
        observations=len(series.values),
        converged=bool(result.success),
        evaluations=evaluations,
        message=str(result.message).strip(),
    )


def _search(kind: VolatilityKind, series: GarchSeries, start: FloatArray) -> Any:
    from scipy.optimize import minimize

    matrix, limits = _constraints(kind)
    low, high = np.array(_bounds(kind, series)).T
    return minimize(
        lambda theta: negative(kind, theta, series),
        np.clip(start, low, high),
        jac=True,
        method="SLSQP",
        bounds=np.stack([low, high], axis=1),
        constraints=[
            {
                "type": "ineq",
                "fun": lambda theta: matrix @ theta - limits,
                "jac": lambda _: matrix,
            }
        ],
        options={"ftol": _TOLERANCE, "maxiter": _ITERATIONS_MAX},
    )


def _bounds(kind: VolatilityKind, series: GarchSeries) -> list[tuple[float, float]]:
    """Those of arch 8; the mean, free there, within the data, and EGARCH within reason.

    arch leaves alpha and gamma of EGARCH free. On two years of daily returns a negative alpha is
    common and an accident: it says that a crash calms the market (5 of 20 bundled stocks to the end
    of 2022). Values beyond one make the recursion chaotic.
    """
    variance = float(np.mean(series.deviations**2))
    mean = (float(series.values.min()), float(series.values.max()))
    tails = [(_NU_MIN, _NU_MAX)] if kind.is_t else []
    if kind.model == "egarch":
        middle, width = float(np.log(variance)), float(np.log(10_000.0))
        level = (middle - width, middle + width)
        return [mean, level, (0.0, 1.0), (-1.0, 1.0), (0.0, 1.0), *tails]
    gamma = [(-1.0, 2.0)] if kind.has_gamma else []
    return [mean, (1e-8 * variance, 10.0 * variance), (0.0, 1.0), *gamma, (0.0, 1.0), *tails]


def _constraints(kind: VolatilityKind) -> tuple[FloatArray, FloatArray]:
    """matrix @ theta >= limits: a stationary variance, and one that no shock makes negative."""
    tail = [0.0] * kind.is_t
    if kind.model == "egarch":
        return np.array([[0.0, 0.0, 0.0, 0.0, -1.0, *tail]]), np.array([-1.0])
    if kind.model == "garch":
        return np.array([[0.0, 0.0, -1.0, -1.0, *tail]]), np.array([-1.0])
    return (
        np.array([[0.0, 0.0, -1.0, -0.5, -1.0, *tail], [0.0, 0.0, 1.0, 1.0, 0.0, *tail]]),
        np.array([-1.0, 0.0]),
    )


def _grid(kind: VolatilityKind, series: GarchSeries) -> Iterator[FloatArray]:
    variance, mean = float(np.mean(series.deviations**2)), float(series.values.mean())
    tail = [_NU_START] * kind.is_t
    for alpha, persistence in product(_ALPHAS, _PERSISTENCES):
        omega = (1.0 - persistence) * variance
        if kind.model == "garch":
            yield np.array([mean, omega, alpha, persistence - alpha, *tail])
        elif kind.model == "gjr":
            yield np.array([mean, omega, 0.5 * alpha, alpha, persistence - alpha, *tail])
        else:
            omega = (1.0 - persistence) * float(np.log(variance))
            yield from (
                np.array([mean, omega, alpha, gamma, persistence, *tail]) for gamma in _GAMMAS
            )


def _relative(kind: VolatilityKind, other: VolatilityKind, theta: FloatArray) -> FloatArray | None:
    """Another kind's parameters as this one's, where one contains the other."""
    if (kind.model == "egarch") != (other.model == "egarch"):
        return None
    named = dict(zip(other.names(), theta, strict=True))
    named = {"gamma": 0.0, "nu": _NU_START, **named}
    if other.has_gamma and not kind.has_gamma:
        named["alpha"] += 0.5 * named["gamma"]
    return np.array([named[name] for name in kind.names()])


def kind_of(params: Params) -> VolatilityKind:
    """The kind that a set of stored parameters has."""
    model = "egarch" if "log_omega" in params else "gjr" if "gamma" in params else "garch"
    return VolatilityKind(
        model=model,  # type: ignore[arg-type]  # one of the three by construction
        distribution="t" if "nu" in params else "normal",
    )


def _to_unit(params: Params, scale: float) -> tuple[VolatilityKind, FloatArray]:
    kind = kind_of(params)
    named = dict(params)
    named["mean"] *= scale
    if kind.model == "egarch":
        named["omega"] = params["log_omega"] + (1.0 - params["beta"]) * 2.0 * np.log(scale)
    else:
        named["omega"] *= scale * scale
    return kind, np.array([named[name] for name in kind.names()])


def _from_unit(fit: VolatilityFit, scale: float, backcast: float) -> Params:
    named = {name: float(value) for name, value in zip(fit.kind.names(), fit.theta, strict=True)}
    named["mean"] /= scale
    if fit.kind.model == "egarch":
        named["log_omega"] = named.pop("omega") - (1.0 - named["beta"]) * 2.0 * np.log(scale)
        return finite_params({**named, "backcast": backcast})
    named["omega"] /= scale * scale
    # The optimiser may end a rounding error outside its bounds.
    named |= {name: max(named[name], 0.0) for name in ("omega", "alpha", "beta")}
    if "gamma" in named:
        named["gamma"] = max(named["gamma"], -named["alpha"])
    if not named["omega"] + backcast > 0:
        raise ModelError("the fitted variance is zero")
    return finite_params({**named, "backcast": backcast})
