"""A loopback server that speaks Ollama's protocol, or OpenAI's, and the values that ask it."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quant.signals.language_prompt import NewsLine, Question
from resources.language.policy import LanguageModelPolicy, LlmPolicy
from tests.loopback import Ask, Vendor, serving

NOW = dt.datetime(2026, 3, 2, 21, 15, tzinfo=dt.UTC)
SESSION = dt.date(2026, 3, 2)
GOOD = {"direction": "up", "confidence": 0.8, "horizon_days": 5, "reason": "orders rose"}


def question(*news: str, symbol: str = "AAPL") -> Question:
    """A question whose news was known an hour before."""
    lines = tuple(
        NewsLine(
            known_at=NOW - dt.timedelta(hours=1),
            source="agency",
            headline=text,
            body=text,
            sentiment=0.0,
        )
        for text in news
    )
    return Question(symbol=symbol, as_of=NOW, horizon_days=5, facts={"return_5": 0.013}, news=lines)


def model(url: str, *, protocol: str = "ollama", **more: Any) -> LanguageModelPolicy:
    """A model on the loopback server."""
    values = {"name": "llm_first", "model": "small:1b", "knows_until": "2025-01-01"}
    return LanguageModelPolicy.model_validate(
        {**values, "base_url": url, "protocol": protocol, **more}
    )


def policy(*models: LanguageModelPolicy, **more: Any) -> LlmPolicy:
    """A policy with these models."""
    return LlmPolicy.model_validate({"models": [one.model_dump() for one in models], **more})


def ollama(text: str) -> dict[str, Any]:
    """Ollama's whole answer around a model's text."""
    return {
        "model": "small:1b",
        "created_at": "2026-03-02T21:15:01Z",
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 300,
        "eval_count": 40,
    }


def openai(text: str) -> dict[str, Any]:
    """The answer of an OpenAI-compatible server."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
    }


@contextmanager
def saying(*answers: Any, **settings: Any) -> Iterator[Vendor]:
    """An Ollama server whose model gives these answers in turn, the last one for ever."""
    left = list(answers)

    def respond(_ask: Ask) -> Any:
        said = left.pop(0) if len(left) > 1 else left[0]
        return ollama(said if isinstance(said, str) else json.dumps(said))

    with serving(respond, **settings) as server:
        yield server


def bodies(server: Vendor) -> list[dict[str, Any]]:
    """Every request body that the server saw."""
    return [json.loads(ask.body) for ask in server.asks]
