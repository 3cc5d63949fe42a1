"""What a language model may say of a symbol, and how little may follow from it.

Belongs here: the form of its answer, reading an answer, the bounds on what it can move. Does not
belong here: what it is asked (`language_prompt`), who asks it, or when (resources.language).

The bounds hold for any answer, also for one that hostile news dictated: it can only open a small
position where the time series are silent and nothing is held. It never sells, never turns or
changes what is held, and never raises its own size.
"""

import math
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant.core.errors import DataError
from quant.core.policy import Policy
from quant.signals.costs import BPS
from quant.signals.generate import Outlook

# An answer has four short fields; anything longer was written for another purpose.
ANSWER_CHARACTERS_MAX = 4_000
# A month of days is the least that a deviation is taken from.
_RETURNS_MIN = 20


class Direction(StrEnum):
    """Where the model sees the price go."""

    UP = "up"
    DOWN = "down"
    FLAT = "flat"


class Answer(BaseModel):
    """The whole of what a model may say; one more key, or one fewer, and it has said nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    direction: Direction
    confidence: Annotated[float, Field(ge=0, le=1)]
    horizon_days: Annotated[int, Field(ge=1, le=60)]
    reason: Annotated[str, Field(max_length=500)]


class FallbackPolicy(Policy):
    """How far the word of a language model reaches."""

    # The largest return that its confidence is scaled by.
    expected_return_bps_max: Annotated[float, Field(gt=0, le=300)] = 100.0
    # Beyond this many deviations of the symbol's own returns nobody is believed.
    deviations_max: Annotated[float, Field(gt=0, le=2)] = 0.5
    confidence_min: Annotated[float, Field(ge=0.5, le=1)] = 0.6
    weight_max: Annotated[float, Field(gt=0, le=0.05)] = 0.02
    # Its symbols' own returns, over which their deviation is taken.
    volatility_window_sessions: Annotated[int, Field(ge=20, le=250)] = 60


class UnusableAnswerError(DataError):
    """The model answered, and not in the form that was asked for."""


def answer_schema() -> dict[str, Any]:
    """The JSON schema that servers hold their model to; a fresh copy."""
    fields: dict[str, Any] = {
        "direction": {"type": "string", "enum": [one.value for one in Direction]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "horizon_days": {"type": "integer", "minimum": 1, "maximum": 60},
        "reason": {"type": "string", "maxLength": 500},
    }
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def read_answer(text: str, *, horizon_days: int) -> Answer:
    """The answer in `text`, which must be one JSON object of the schema and nothing besides."""
    if len(text) > ANSWER_CHARACTERS_MAX:
        raise _unusable(f"it is longer than {ANSWER_CHARACTERS_MAX} characters")
    try:
        answer = Answer.model_validate_json(text)
    except ValidationError as error:
        # Only names and kinds: what the model wrote is not repeated to a person or to a model.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part in Answer.model_fields)
        raise _unusable(f"{place or 'the whole'}: {first['type'].replace('_', ' ')}") from None
    if answer.horizon_days != horizon_days:
        raise _unusable(f"horizon_days: {horizon_days} was asked for")
    return answer


def _unusable(what: str) -> UnusableAnswerError:
    return UnusableAnswerError(
        f"the answer does not fit its schema ({what})",
        remedy="a model that often answers so is too small for this: name another in llm.yaml",
    )


def passed_over(answer: Answer, policy: FallbackPolicy) -> str:
    """Why an answer moves nothing, or nothing: a word may open a position, and do no more."""
    if answer.direction is not Direction.UP:
        return f"says {answer.direction.value}, and its word alone closes nothing"
    if not answer.confidence >= policy.confidence_min:
        return f"is {answer.confidence:.0%} sure, {policy.confidence_min:.0%} are required"
    return ""


def outlook_of(
    answer: Answer, *, symbol: str, price: float, volatility: float, policy: FallbackPolicy
) -> Outlook:
    """An answer as a bounded outlook; `volatility` is of log returns over the horizon.

    An unknown volatility or price stays unknown, which the forecast gate refuses.
    """
    sign = {Direction.UP: 1.0, Direction.DOWN: -1.0, Direction.FLAT: 0.0}[answer.direction]
    reach = min(policy.expected_return_bps_max * BPS, policy.deviations_max * volatility)
    mean = math.log1p(sign * answer.confidence * reach) if math.isfinite(volatility) else math.nan
    return Outlook(symbol=symbol, mean=mean, std=volatility, price=price)


def own_volatility(
    returns: NDArray[np.float64], *, horizon_days: int, policy: FallbackPolicy
) -> float:
    """The deviation of a symbol's log return over the horizon, from its daily ones.

    Missing days are left out; with fewer than twenty known ones it is unknown (NaN).
    """
    recent = returns[-policy.volatility_window_sessions :]
    known = recent[np.isfinite(recent)]
    if len(known) < _RETURNS_MIN:
        return math.nan
    return float(known.std(ddof=1)) * math.sqrt(horizon_days)


def capped_weight(weight: float, policy: FallbackPolicy) -> float:
    """What is left of a position's size when a language model alone asked for it."""
    return min(max(weight, 0.0), policy.weight_max) if math.isfinite(weight) else 0.0
