"""Which language models are asked, how hard, and how far their word reaches (config/llm.yaml).

Belongs here: `LlmPolicy`. Does not belong here: keys. The policy states the names of environment
variables; their values are read when a client is built. Whether a model may be asked at all is a
switch like any other model's: config/flags.yaml, by its `name`, off as shipped.
"""

import datetime as dt
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from quant.core.policy import Policy
from quant.signals.language import FallbackPolicy
from quant.signals.language_prompt import QuestionPolicy
from quant.signals.strategies import Name


class Protocol(StrEnum):
    """How a server speaks."""

    OLLAMA = "ollama"  # POST /api/chat
    OPENAI = "openai"  # POST /v1/chat/completions


class LanguageModelPolicy(Policy):
    """One model on one server."""

    name: Name
    protocol: Protocol
    base_url: str
    # It stands in requests and in records.
    model: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")]
    # The end of its training data. A session up to then is never asked about: the model may have
    # read what came after, and would be praised for remembering.
    knows_until: dt.date
    # The variable that holds the key; empty for none.
    key_env: str = ""
    # None or 0 for a model on an own machine.
    usd_per_million_prompt_tokens: Annotated[float, Field(ge=0)] = 0.0
    usd_per_million_answer_tokens: Annotated[float, Field(ge=0)] = 0.0

    @property
    def is_paid(self) -> bool:
        """Whether its tokens cost money."""
        return self.usd_per_million_prompt_tokens + self.usd_per_million_answer_tokens > 0

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("must be http://host:port or https://host, without a password")
        return value.rstrip("/")


class GuardPolicy(Policy):
    """What asking may cost in time and money."""

    # One answer, with its repair: SPEC E3 allows 5 s.
    seconds_per_question_max: Annotated[float, Field(gt=0, le=60)] = 5.0
    seconds_per_night_max: Annotated[float, Field(gt=0)] = 60.0
    usd_per_night_max: Annotated[float, Field(ge=0)] = 1.0
    answer_tokens_max: Annotated[int, Field(ge=32, le=2048)] = 256
    # An honest answer is under 10 KB, with everything that servers put around it.
    body_bytes_max: Annotated[int, Field(ge=1024)] = 256 * 1024


class RecallPolicy(Policy):
    """How long an answer stands before the same question is asked again; 0 asks at once."""

    memory_seconds: Annotated[int, Field(ge=0)] = 60
    disk_seconds: Annotated[int, Field(ge=0)] = 3_600
    recorded_seconds: Annotated[int, Field(ge=0)] = 86_400


class LlmPolicy(Policy):
    """Up to three models, asked in this order until one answers."""

    models: Annotated[tuple[LanguageModelPolicy, ...], Field(max_length=3)] = ()
    guard: GuardPolicy = GuardPolicy()
    recall: RecallPolicy = RecallPolicy()
    question: QuestionPolicy = QuestionPolicy()
    fallback: FallbackPolicy = FallbackPolicy()

    @model_validator(mode="after")
    def _each_name_once(self) -> "LlmPolicy":
        names = [one.name for one in self.models]
        if len(set(names)) != len(names):
            raise ValueError("two language models have the same name")
        return self
