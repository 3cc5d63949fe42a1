"""Five looks at a purchase before it is sized: each gives a value, a threshold and a sentence.

Belongs here: the layers, for one signal (`validate`) and for thousands (`validate_many`), with the
same results. Does not belong here: where the values come from, or what a refusal costs (E6).

The layers judge entries only. A signal to hold nothing is never stopped here: refusing to sell
because the market falls would be the wrong way round. A value that is not a number fails its layer:
unknown is not harmless.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from quant.core.policy import Policy
from quant.market.panel import FloatArray

Share = Annotated[float, Field(ge=0, le=1)]


class Layer(StrEnum):
    """In the order in which they are asked."""

    STATISTICS = "statistics"
    REGIME = "regime"
    POSITION = "position"
    CORRELATION = "correlation"
    COST = "cost"


class Outcome(StrEnum):
    """What a layer says."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


LAYERS = tuple(Layer)
OUTCOMES = (Outcome.PASS, Outcome.WARN, Outcome.FAIL)
_PASS, _WARN, _FAIL = range(3)


class ValidationPolicy(Policy):
    """Where each layer warns, and where it refuses. None of these numbers was fitted to a result.

    One half is a coin; one standard deviation is the usual word for "clearly against the market";
    a correlation of 0.9 leaves a fifth of a purchase's variance to itself.
    """

    probability_min: Share = 0.50
    probability_warn: Share = 0.55
    trend_deviations_min: Annotated[float, Field(ge=-5, le=5)] = -1.0
    trend_deviations_warn: Annotated[float, Field(ge=-5, le=5)] = 0.0
    trend_window_sessions: Annotated[int, Field(ge=20, le=252)] = 60
    weight_min: Annotated[float, Field(ge=0, le=0.05)] = 0.005
    weight_warn: Annotated[float, Field(ge=0, le=0.10)] = 0.010
    correlation_max: Annotated[float, Field(gt=0, le=1)] = 0.90
    correlation_warn: Annotated[float, Field(gt=0, le=1)] = 0.70
    correlation_window_sessions: Annotated[int, Field(ge=20, le=504)] = 126
    cost_share_max: Annotated[float, Field(gt=0, le=1)] = 0.80
    cost_share_warn: Annotated[float, Field(gt=0, le=1)] = 0.50
    # The rolling backtest of a strategy's own calls (SPEC E5).
    backtest_sessions: Annotated[int, Field(ge=5, le=252)] = 30
    hit_rate_min: Share = 0.55
    # Calls on twenty names over overlapping weeks are far fewer independent ones than they look.
    backtest_calls_min: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _warns_before_it_refuses(self) -> "ValidationPolicy":
        pairs = (
            (self.probability_min, self.probability_warn, "probability"),
            (self.trend_deviations_min, self.trend_deviations_warn, "trend_deviations"),
            (self.weight_min, self.weight_warn, "weight"),
            (self.correlation_warn, self.correlation_max, "correlation"),
            (self.cost_share_warn, self.cost_share_max, "cost_share"),
        )
        for lower, upper, name in pairs:
            if lower > upper:
                raise ValueError(f"{name}: a layer warns before it refuses, not after")
        return self

    @property
    def minima(self) -> tuple[float, float, float]:
        """Thresholds of the layers whose value must be large."""
        return self.probability_min, self.trend_deviations_min, self.weight_min

    @property
    def maxima(self) -> tuple[float, float]:
        """Thresholds of the layers whose value must be small."""
        return self.correlation_max, self.cost_share_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the layers look at for one purchase."""

    probability: float  # to earn the cost
    trend: float  # the market's trend in its own standard deviations, positive upwards
    weight: float  # what sizing would give it
    correlation: float  # with everything else that is to be bought tonight; 0 if it is alone
    cost: float  # of the round trip
    expected_return: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVerdict:
    """What one layer saw and said."""

    layer: Layer
    outcome: Outcome
    value: float
    threshold: float

    @property
    def sentence(self) -> str:
        """For a reader; empty where there is nothing to say."""
        if self.outcome is Outcome.PASS:
            return ""
        if not math.isfinite(self.value):
            return f"{self.layer}: {_NAMES[self.layer]} is not known"
        word = "refuses" if self.outcome is Outcome.FAIL else "warns"
        return (
            f"{self.layer} {word}: {_NAMES[self.layer]} is {self.value:.3f}, "
            f"the limit is {self.threshold:.3f}"
        )


_NAMES = {
    Layer.STATISTICS: "the chance to earn the cost",
    Layer.REGIME: "the market's trend in standard deviations",
    Layer.POSITION: "the weight it would get",
    Layer.CORRELATION: "the correlation with tonight's other purchases",
    Layer.COST: "the cost's share of the expected return",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The five verdicts."""

    layers: tuple[LayerVerdict, ...]

    @property
    def is_approved(self) -> bool:
        """Whether no layer refuses."""
        return all(layer.outcome is not Outcome.FAIL for layer in self.layers)

    @property
    def refused_by(self) -> LayerVerdict | None:
        """The first layer that refuses."""
        failed = (one for one in self.layers if one.outcome is Outcome.FAIL)
        return next(failed, None)

    @property
    def reason(self) -> str:
        """The first refusal in words, or nothing."""
        refused = self.refused_by
        return refused.sentence if refused else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was noted and not refused."""
        return tuple(one.sentence for one in self.layers if one.outcome is Outcome.WARN)

    def to_record(self) -> list[dict[str, object]]:
        """Plain values, as they are stored with the signal; an unknown value is null."""
        return [
            {
                "layer": one.layer.value,
                "outcome": one.outcome.value,
                "value": one.value if math.isfinite(one.value) else None,
                "threshold": one.threshold,
                "warning": one.sentence,
            }
            for one in self.layers
        ]


def validate(evidence: Evidence, policy: ValidationPolicy) -> Validation:
    """The five layers on one purchase: the obvious form."""
    expected = evidence.expected_return
    share = evidence.cost / expected if expected > 0 else math.inf
    chance, trend, weight = policy.probability_min, policy.trend_deviations_min, policy.weight_min
    return Validation(
        layers=(
            _at_least(Layer.STATISTICS, evidence.probability, chance, policy.probability_warn),
            _at_least(Layer.REGIME, evidence.trend, trend, policy.trend_deviations_warn),
            _at_least(Layer.POSITION, evidence.weight, weight, policy.weight_warn),
            _at_most(
                Layer.CORRELATION,
                evidence.correlation,
                policy.correlation_max,
                policy.correlation_warn,
            ),
            _at_most(Layer.COST, share, policy.cost_share_max, policy.cost_share_warn),
        )
    )


def _at_least(layer: Layer, value: float, least: float, warn: float) -> LayerVerdict:
    if value >= warn and value < math.inf:
        return LayerVerdict(layer=layer, outcome=Outcome.PASS, value=value, threshold=least)
    if value >= least and value < math.inf:
        return LayerVerdict(layer=layer, outcome=Outcome.WARN, value=value, threshold=warn)
    return LayerVerdict(layer=layer, outcome=Outcome.FAIL, value=value, threshold=least)


def _at_most(layer: Layer, value: float, most: float, warn: float) -> LayerVerdict:
    if value <= warn and value > -math.inf:
        return LayerVerdict(layer=layer, outcome=Outcome.PASS, value=value, threshold=most)
    if value <= most and value > -math.inf:
        return LayerVerdict(layer=layer, outcome=Outcome.WARN, value=value, threshold=warn)
    return LayerVerdict(layer=layer, outcome=Outcome.FAIL, value=value, threshold=most)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidenceBatch:
    """`Evidence` of many purchases, one row each."""

    probability: FloatArray
    trend: FloatArray
    weight: FloatArray
    correlation: FloatArray
    cost: FloatArray
    expected_return: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationBatch:
    """(purchases, layers); an outcome is a place in `OUTCOMES`."""

    values: FloatArray
    outcomes: NDArray[np.int8]

    @property
    def is_approved(self) -> NDArray[np.bool_]:
        """Purchases that no layer refuses."""
        return np.asarray((self.outcomes != _FAIL).all(axis=1))

    def refused_by(self) -> dict[str, int]:
        """How many purchases each layer was the first to refuse."""
        failed = self.outcomes == _FAIL
        first = np.where(failed.any(axis=1), failed.argmax(axis=1), len(LAYERS))
        return {layer.value: int((first == i).sum()) for i, layer in enumerate(LAYERS)}


def validate_many(evidence: EvidenceBatch, policy: ValidationPolicy) -> ValidationBatch:
    """The five layers on many purchases at once; the same as `validate` on each."""
    expected = evidence.expected_return
    share = np.full(len(expected), math.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        np.divide(evidence.cost, expected, out=share, where=expected > 0)
    columns = (evidence.probability, evidence.trend, evidence.weight, evidence.correlation, share)
    values = np.stack(columns, axis=1)
    high = np.array((policy.probability_warn, policy.trend_deviations_warn, policy.weight_warn))
    low = np.array((policy.correlation_warn, policy.cost_share_warn))
    with np.errstate(invalid="ignore"):
        rising, falling = values[:, :3], values[:, 3:]
        warned = np.hstack([rising >= high, falling <= low])
        allowed = np.hstack([rising >= policy.minima, falling <= policy.maxima])
    outcomes = np.where(warned, _PASS, np.where(allowed, _WARN, _FAIL))
    outcomes = np.where(np.isinf(values) & _is_wrong_infinity(values), _FAIL, outcomes)
    return ValidationBatch(values=values, outcomes=outcomes.astype(np.int8))


def _is_wrong_infinity(values: FloatArray) -> NDArray[np.bool_]:
    """An infinity on the side that would otherwise pass."""
    return np.hstack([values[:, :3] > 0, values[:, 3:] < 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a strategy's recent calls say of it."""

    hit_rate: float
    calls: int
    state: str  # "green", "red", or "exploration" while too little is known


def standing_of(hits: Sequence[bool] | NDArray[np.bool_], policy: ValidationPolicy) -> Standing:
    """The rolling backtest: approved (green) above `hit_rate_min`, red at or below it."""
    calls = len(hits)
    rate = float(np.mean(hits)) if calls else math.nan
    if calls < policy.backtest_calls_min:
        return Standing(hit_rate=rate, calls=calls, state="exploration")
    state = "green" if rate > policy.hit_rate_min else "red"
    return Standing(hit_rate=rate, calls=calls, state=state)


def rolling_hits(
    calls: FloatArray, outcomes: FloatArray, *, cost: float | FloatArray = 0.0
) -> NDArray[np.bool_]:
    """Whether each call (its expected return) had the market's sign after cost; unknown left out.

    A call to buy hits when the price rose by more than `cost`; a call to hold nothing hits when it
    did not rise by more than that, since nothing was paid to stay out.
    """
    known = np.isfinite(calls) & np.isfinite(outcomes)
    hurdle = np.broadcast_to(np.asarray(cost, dtype=float), calls.shape)[known]
    return np.asarray((calls[known] > 0) == (outcomes[known] > hurdle))
