"""The stored word of language models in the router's form, and the signal that may follow from it.

Belongs here: reading `signal.llm_answers` and applying the bounds of quant.signals.language. Does
not belong here: asking anybody. A decision derived again reads the same rows.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant.core.identity import content_hash
from quant.signals.generate import Outlook
from quant.signals.language import Answer, Direction, FallbackPolicy, outlook_of, passed_over
from quant.signals.router import Source, SourceSignal

if TYPE_CHECKING:
    from resources.warehouse import Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one model said of one symbol, or why it said nothing."""

    model: str
    answer: Answer | None
    sentence: str
    row_hash: str


Words = Mapping[dt.date, Mapping[str, Sequence[Word]]]


def stored_words(lake: "Warehouse", sessions: Sequence[dt.date]) -> Words:
    """By session and symbol, in the order in which the models were asked."""
    rows = lake.rows(
        "SELECT session, symbol, model, outcome, sentence, direction, confidence, horizon_days, "
        "reason, row_hash FROM signal.llm_answers WHERE session IN (SELECT unnest(?::DATE[])) "
        "ORDER BY session, symbol, place",
        [list(sessions)],
    )
    found: dict[dt.date, dict[str, list[Word]]] = {}
    for session, symbol, model, outcome, sentence, direction, sure, horizon, reason, hash_ in rows:
        answer = None
        if outcome == "answered":
            answer = Answer(
                direction=Direction(direction), confidence=sure, horizon_days=horizon, reason=reason
            )
        word = Word(model=model, answer=answer, sentence=sentence or outcome, row_hash=hash_)
        found.setdefault(session, {}).setdefault(symbol, []).append(word)
    return found


def words_hash(words: Sequence[Word], policy: FallbackPolicy) -> str:
    """What a decision says of the words it weighed, and of the bounds it weighed them by."""
    bounds = policy.model_dump(mode="json")
    return content_hash({"words": [word.row_hash for word in words], "bounds": bounds})


def language_sources(
    symbol: str,
    words: Sequence[Word],
    *,
    price: float,
    volatility: float,
    stopped: str,
    policy: FallbackPolicy,
) -> list[tuple[SourceSignal, Outlook]]:
    """Each word as a source; one that may move nothing says why. `stopped` stops them all."""
    return [_source(symbol, word, price, volatility, stopped, policy) for word in words]


def _source(
    symbol: str, word: Word, price: float, volatility: float, stopped: str, policy: FallbackPolicy
) -> tuple[SourceSignal, Outlook]:
    outlook = Outlook(symbol=symbol, mean=math.nan, std=math.nan, price=price)
    unavailable = stopped or word.sentence
    if word.answer is not None:
        unavailable = stopped or passed_over(word.answer, policy)
        outlook = outlook_of(
            word.answer, symbol=symbol, price=price, volatility=volatility, policy=policy
        )
        if not unavailable and not math.isfinite(outlook.mean):
            unavailable = "the symbol's own volatility is not known"
    source = SourceSignal(
        source=Source.LANGUAGE_MODEL,
        model=word.model,
        symbol=symbol,
        expected_return=math.expm1(outlook.mean),
        volatility=outlook.std,
        priority=word.answer.confidence if word.answer else math.nan,
        unavailable=unavailable,
        provenance={"row_hash": word.row_hash},
    )
    return source, outlook
