"""In one sentence: is there a language model to fall back on?

Belongs here: switches, and whether somebody listens. Does not belong here: asking a question.
Only this machine is knocked at; a server elsewhere hears nothing until its switch is on.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from resources.language.policy import LanguageModelPolicy, LlmPolicy
from resources.market_data.http import is_loopback

if TYPE_CHECKING:
    from resources.desk import Desk

NO_SERVER: Final = "LLM fallback: no server, skipped"
_KNOCK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model of the policy; `is_listening` is None where nobody knocked."""

    name: str
    model: str
    base_url: str
    is_on: bool
    is_listening: bool | None


def model_statuses(policy: LlmPolicy, flags: Mapping[str, bool]) -> tuple[ModelStatus, ...]:
    """Every model, in the order of asking."""
    return tuple(_status(one, is_on=flags.get(one.name, False)) for one in policy.models)


def language_status(desk: "Desk") -> str:
    """The sentence for this installation, now."""
    return sentence(model_statuses(desk.policy("llm", LlmPolicy), desk.flags.current().models))


def sentence(models: tuple[ModelStatus, ...]) -> str:
    """Who would be asked where the time series are silent."""
    on = [one for one in models if one.is_on and one.is_listening is not False]
    if on:
        return f"LLM fallback: {on[0].name} ({on[0].model}) is asked where no forecast is usable"
    off = [one for one in models if one.is_listening]
    if off:
        return (
            f"LLM fallback: a server is there, switched off (pmx flags set {off[0].name} on), "
            "skipped"
        )
    return NO_SERVER


def _status(model: LanguageModelPolicy, *, is_on: bool) -> ModelStatus:
    return ModelStatus(
        name=model.name,
        model=model.model,
        base_url=model.base_url,
        is_on=is_on,
        is_listening=_listens(model.base_url) if is_loopback(model.base_url) else None,
    )


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_KNOCK_SECONDS):
            return True
    except OSError:
        return False
