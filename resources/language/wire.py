"""What goes to a language server and what comes back, in the two protocols that servers speak.

Belongs here: bodies and their reading. Does not belong here: sending, retrying, believing.

No body ever carries tools, functions or files: a model that is told to call something by its news
has nothing to call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quant.core.errors import SourceAnswerError
from quant.signals.language import answer_schema
from quant.signals.language_prompt import Message
from resources.language.policy import LanguageModelPolicy, Protocol

# The same question shall have the same answer as far as a server can promise it.
_SEED = 20_240_101
PATHS = {Protocol.OLLAMA: "/api/chat", Protocol.OPENAI: "/v1/chat/completions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server sent: the model's text, untouched, and what it took; None where not told."""

    text: str
    prompt_tokens: int | None
    answer_tokens: int | None


def body_of(
    model: LanguageModelPolicy, chat: Sequence[Message], *, answer_tokens_max: int
) -> dict[str, Any]:
    """The request for one turn."""
    turns = [{"role": one.role, "content": one.content} for one in chat]
    common: dict[str, Any] = {"model": model.model, "messages": turns, "stream": False}
    if model.protocol is Protocol.OLLAMA:
        options = {"temperature": 0, "seed": _SEED, "num_predict": answer_tokens_max}
        return common | {"format": answer_schema(), "options": options}
    schema = {"name": "answer", "strict": True, "schema": answer_schema()}
    return common | {
        "temperature": 0,
        "seed": _SEED,
        "max_tokens": answer_tokens_max,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


def read_reply(model: LanguageModelPolicy, told: Any) -> Reply:
    """The reply in a server's JSON; `SourceAnswerError` where it is not one."""
    if model.protocol is Protocol.OLLAMA:
        message, is_cut = _at(told, "message"), _at(told, "done_reason") == "length"
        spent = _count(told, "prompt_eval_count"), _count(told, "eval_count")
    else:
        choices = _at(told, "choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message, is_cut = _at(choice, "message"), _at(choice, "finish_reason") == "length"
        usage = _at(told, "usage")
        spent = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    text = _at(message, "content")
    if not isinstance(text, str) or _at(message, "tool_calls"):
        raise SourceAnswerError(
            f"{model.name} sent no text",
            remedy="check that llm.yaml names the protocol that the server speaks",
        )
    if is_cut:
        raise SourceAnswerError(
            f"{model.name} was cut off before its answer ended",
            remedy="raise guard.answer_tokens_max in llm.yaml",
        )
    return Reply(text=text, prompt_tokens=spent[0], answer_tokens=spent[1])


def _at(told: Any, key: str) -> Any:
    return told.get(key) if isinstance(told, Mapping) else None


def _count(told: Any, key: str) -> int | None:
    found = _at(told, key)
    return found if type(found) is int and found >= 0 else None
