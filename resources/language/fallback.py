"""The language models of a night: who is asked, in which order, and until when.

Belongs here: switches, the night's time and money, and passing a dead server by. Does not belong
here: one conversation (`client`), or what an answer may do (quant.signals.language).
"""

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from quant.core.clock import Clock
from quant.signals.language_prompt import Question
from resources.language.client import Asked, LanguageModel, Outcome
from resources.language.costs import CostLedger
from resources.language.policy import LlmPolicy
from resources.language.recall import Recall

# After one of these the next question of the night would end the same way.
_HOPELESS: Final = frozenset({Outcome.NO_SERVER, Outcome.REFUSED})


class LanguageNight:
    """Asks the models that are switched on about the symbols of one session."""

    def __init__(
        self,
        policy: LlmPolicy,
        session: dt.date,
        *,
        flags: Mapping[str, bool],
        recall: Recall,
        costs: CostLedger,
        clock: Clock,
        environment: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._session = session
        self._recall = recall
        self._costs = costs
        self._clock = clock
        self._monotonic = monotonic
        self._ends_at = monotonic() + policy.guard.seconds_per_night_max
        self._hopeless: dict[str, Asked] = {}
        self._usd = costs.usd_of(session)
        self._models = [
            LanguageModel(one, policy, environment=environment, monotonic=monotonic)
            for one in policy.models
            if flags.get(one.name, False)
        ]

    @property
    def is_on(self) -> bool:
        """Whether any model may be asked."""
        return bool(self._models)

    def ask(self, question: Question) -> Sequence[Asked]:
        """What each model said, in order, up to the first that answered."""
        said: list[Asked] = []
        for model in self._models:
            said.append(self._ask(model, question))
            if said[-1].outcome is Outcome.ANSWERED:
                break
        return said

    def _ask(self, model: LanguageModel, question: Question) -> Asked:
        known = model.question_hash(question)
        if self._session <= model.model.knows_until:
            return _not_asked(
                model, known, f"may have read what came after: it knows {model.model.knows_until}"
            )
        kept = self._recall.find(known)
        if kept is not None:
            return kept
        if model.model.name in self._hopeless:
            first = self._hopeless[model.model.name]
            return Asked(
                model=first.model,
                question_hash=known,
                outcome=first.outcome,
                sentence=first.sentence,
            )
        guard, left = self._policy.guard, self._ends_at - self._monotonic()
        if left <= 0:
            return _not_asked(model, known, f"the night's {guard.seconds_per_night_max:g} s are up")
        if model.model.is_paid and self._usd >= guard.usd_per_night_max:
            return _not_asked(
                model, known, f"the night's {guard.usd_per_night_max:g} USD are spent"
            )
        asked = model.ask(question, seconds_max=min(left, guard.seconds_per_question_max))
        self._costs.add(asked, session=self._session, symbol=question.symbol, now=self._clock.now())
        self._usd += asked.cost_usd
        self._recall.keep(asked)
        if asked.outcome in _HOPELESS:
            self._hopeless[model.model.name] = asked
        return asked

    def close(self) -> None:
        """Give the connections back."""
        for model in self._models:
            model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _not_asked(model: LanguageModel, question_hash: str, sentence: str) -> Asked:
    return Asked(
        model=model.model.name,
        question_hash=question_hash,
        outcome=Outcome.NOT_ASKED,
        sentence=f"{model.model.name} {sentence}",
    )
