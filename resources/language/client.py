"""Asks one language model one question, within a deadline, with at most one repair.

Belongs here: one conversation and what became of it. Does not belong here: which models are asked
and whether they may be (`fallback`), memory (`recall`).

Nothing here raises for what a server does: every failure is an `Asked` with its outcome and a
sentence, since a dead server is no signal and never a crash.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

from quant.core.errors import (
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from quant.core.identity import content_hash
from quant.signals.language import Answer, UnusableAnswerError, read_answer
from quant.signals.language_prompt import Message, Question, messages, repair
from resources.language.policy import GuardPolicy, LanguageModelPolicy, LlmPolicy
from resources.language.wire import PATHS, Reply, body_of, read_reply
from resources.market_data.http import JsonClient, SourceRules, VendorGate

# Raise it when the text of a question changes: answers to the old text are not answers to the new.
LAYOUT = 1


class Outcome(StrEnum):
    """How a question to one model ended."""

    ANSWERED = "answered"
    NO_SERVER = "no_server"  # nobody listens, or not in time to be of use
    TOO_SLOW = "too_slow"
    REFUSED = "refused"  # key, model name or request
    UNUSABLE = "unusable"  # twice not in the form that was asked for
    NOT_ASKED = "not_asked"  # the night's time or money is spent, or the model may know the future


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of one question to one model; `answer` is None but for ANSWERED."""

    model: str
    question_hash: str
    outcome: Outcome
    answer: Answer | None = None
    text: str = ""  # the model's own words, for the record and for nothing else
    sentence: str = ""
    attempts: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0
    is_cost_bound: bool = False  # the server did not say; tokens and cost are the most it can be
    recalled_from: str = ""  # memory, disk or recorded; empty where a server was asked


class LanguageModel:
    """One model of the policy, with one pooled connection."""

    def __init__(
        self,
        model: LanguageModelPolicy,
        policy: LlmPolicy,
        *,
        environment: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._policy = policy
        self._monotonic = monotonic
        self._client: JsonClient | None = None
        self._key = SecretStr((environment or {}).get(model.key_env, "").strip())

    def question_hash(self, question: Question) -> str:
        """Equal for questions that every server would be asked in the same words."""
        chat = messages(question, self._policy.question)
        body = body_of(self.model, chat, answer_tokens_max=self._policy.guard.answer_tokens_max)
        where = [self.model.protocol.value, self.model.base_url, question.horizon_days]
        return content_hash({"layout": LAYOUT, "where": where, "body": body})

    def ask(self, question: Question, *, seconds_max: float) -> Asked:
        """Ask, and ask once more where the answer does not fit; never longer than the deadline."""
        began = self._monotonic()
        ends_at = began + seconds_max
        chat = list(messages(question, self._policy.question))
        texts: list[str] = []
        bill = _Bill(self.model, answer_tokens_max=self._policy.guard.answer_tokens_max)
        outcome, answer, sentence = Outcome.UNUSABLE, None, ""
        for _attempt in range(2):
            try:
                reply = self._reply(chat, ends_at)
                bill.add(chat, reply)
                texts.append(reply.text)
                answer = read_answer(reply.text, horizon_days=question.horizon_days)
                outcome, sentence = Outcome.ANSWERED, ""
                break
            except UnusableAnswerError as error:
                sentence = str(error)
                chat.append(repair(sentence))
            except SourceError as error:
                outcome = _outcome(error, is_late=self._monotonic() >= ends_at)
                sentence = str(error)
                if outcome in (Outcome.TOO_SLOW, Outcome.UNUSABLE):
                    bill.add(chat, None)
                break
        return Asked(
            model=self.model.name,
            question_hash=self.question_hash(question),
            outcome=outcome,
            answer=answer,
            text=texts[-1][:4_000] if texts else "",
            sentence=sentence,
            attempts=_attempt + 1,
            prompt_tokens=bill.prompt_tokens,
            answer_tokens=bill.answer_tokens,
            seconds=self._monotonic() - began,
            cost_usd=bill.cost_usd,
            is_cost_bound=bill.is_bound,
        )

    def _reply(self, chat: list[Message], ends_at: float) -> Reply:
        seconds = ends_at - self._monotonic()
        guard = self._policy.guard
        if seconds <= 0:
            raise SourceUnavailableError(
                f"{self.model.name} used up its {guard.seconds_per_question_max:g} s",
                remedy="take a smaller model, or raise guard.seconds_per_question_max in llm.yaml",
            )
        body = body_of(self.model, chat, answer_tokens_max=guard.answer_tokens_max)
        told = self._connected(guard).post(PATHS[self.model.protocol], body, seconds=seconds)
        return read_reply(self.model, told)

    def _connected(self, guard: GuardPolicy) -> JsonClient:
        if self._client is None:
            rules = SourceRules(
                requests_per_minute=100_000,  # the night's time and money are the limit
                timeout_s=guard.seconds_per_question_max,
                retries=0,
                body_bytes_max=guard.body_bytes_max,
            )
            key = self._key.get_secret_value()
            self._client = JsonClient(
                VendorGate(
                    source=self.model.name, rules=rules, secrets=(self._key,) if key else ()
                ),
                base_url=self.model.base_url,
                headers={"Authorization": f"Bearer {key}"} if key else {},
            )
        return self._client

    def close(self) -> None:
        """Give the connection back."""
        if self._client is not None:
            self._client.close()


class _Bill:
    """Adds up what a conversation took. An answer that does not say is taken at the most it can
    be: a token is at least one character, and what is unknown is not free.
    """

    def __init__(self, model: LanguageModelPolicy, *, answer_tokens_max: int) -> None:
        self._model = model
        self._answer_tokens_max = answer_tokens_max
        self.prompt_tokens = 0
        self.answer_tokens = 0
        self.is_bound = False

    def add(self, chat: list[Message], reply: Reply | None) -> None:
        """One turn; no reply where the server may have worked for nothing."""
        if reply is None or reply.prompt_tokens is None or reply.answer_tokens is None:
            self.is_bound = True
            self.prompt_tokens += sum(len(one.content) for one in chat)
            self.answer_tokens += self._answer_tokens_max
            return
        self.prompt_tokens += reply.prompt_tokens
        self.answer_tokens += reply.answer_tokens

    @property
    def cost_usd(self) -> float:
        """At the prices of the policy."""
        prompt = self.prompt_tokens * self._model.usd_per_million_prompt_tokens
        answer = self.answer_tokens * self._model.usd_per_million_answer_tokens
        return (prompt + answer) / 1e6


def _outcome(error: SourceError, *, is_late: bool) -> Outcome:
    match error:
        case SourceUnavailableError():
            return Outcome.TOO_SLOW if is_late else Outcome.NO_SERVER
        case SourceRefusedError():
            return Outcome.REFUSED
    return Outcome.UNUSABLE
