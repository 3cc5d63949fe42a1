"""Which symbols language models are asked about, with which numbers and news, and the rows of that.

Belongs here: finding the silent symbols and building their questions. Does not belong here: asking
(resources.language), or what an answer does to a decision (`fallback`).

A night that is over keeps what it was decided with: nobody is asked about it again.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from quant.market.panel import FloatArray
from quant.signals.edge import EdgePolicy
from quant.signals.flags import switched_off
from quant.signals.generate import is_usable
from quant.signals.language import own_volatility
from quant.signals.language_prompt import NewsLine, Question
from quant.signals.strategies import StrategiesPolicy
from resources.desk import Desk
from resources.language.policy import LlmPolicy

if TYPE_CHECKING:
    import pandas as pd

    from resources.language.client import Asked
    from resources.language.fallback import LanguageNight

COLUMNS = (
    "symbol",
    "session",
    "place",
    "model",
    "outcome",
    "sentence",
    "direction",
    "confidence",
    "horizon_days",
    "reason",
    "text",
    "question_hash",
    "news_hashes",
    "recalled_from",
    "attempts",
    "prompt_tokens",
    "answer_tokens",
    "seconds",
    "cost_usd",
)
# Returns over so many sessions stand in a question.
_LOOKBACKS = (1, 5, 20)
# What the price is missing for a price that is only known to be there: any will do.
_SOME_PRICE = 1.0


def answer_rows(desk: Desk, sessions: Sequence[dt.date]) -> "pd.DataFrame":
    """What was asked and said, of every session."""
    import pandas as pd

    over = [session for session in sessions if _is_over(desk, session)]
    rows = _stored(desk, over) if over else []
    for session in sessions:
        if session not in over:
            rows += _of_session(desk, session)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _is_over(desk: Desk, session: dt.date) -> bool:
    from quant.market.calendars import next_session

    return desk.clock.now() >= desk.as_of(next_session(desk.universe.calendar, session))


def _of_session(desk: Desk, session: dt.date) -> list[dict[str, Any]]:
    from assets.signal.facts import recorded_flags

    flags = recorded_flags(desk.warehouse, [session]).get(session, {})
    if not any(flags.get(one.name, False) for one in desk.policy("llm", LlmPolicy).models):
        return []
    with desk.language_night(session, flags) as night:
        return _asked(desk, session, night, flags)


def _stored(desk: Desk, sessions: Sequence[dt.date]) -> list[dict[str, Any]]:
    stored = desk.warehouse.rows(
        f"SELECT {', '.join(COLUMNS)} FROM signal.llm_answers "
        "WHERE session IN (SELECT unnest(?::DATE[])) ORDER BY session, symbol, place",
        [list(sessions)],
    )
    return [dict(zip(COLUMNS, row, strict=True)) for row in stored]


def _asked(
    desk: Desk, session: dt.date, night: "LanguageNight", flags: Mapping[str, bool]
) -> list[dict[str, Any]]:
    horizon = desk.policy("signals", EdgePolicy).horizon_days
    silent = silent_symbols(desk, session, flags, horizon_days=horizon)
    if not silent:
        return []
    questions = _questions(desk, session, silent, horizon)
    return [
        _row(session, question, news_hashes, place, asked)
        for question, news_hashes in questions
        for place, asked in enumerate(night.ask(question))
    ]


def silent_symbols(
    desk: Desk, session: dt.date, flags: Mapping[str, bool], *, horizon_days: int
) -> list[str]:
    """Symbols on which a strategy that may trade has no usable forecast tonight.

    A strategy that a switch or a verdict has stopped is not spoken for by anybody else.
    """
    from assets.signal.contexts import refused_model
    from resources.warehouse import quoted

    silent: set[str] = set()
    for strategy in desk.policy("strategies", StrategiesPolicy).strategies:
        stopped = switched_off(strategy.models, flags)
        if stopped or refused_model(desk.warehouse, strategy, session):
            continue
        rows = desk.warehouse.rows(
            "SELECT symbol, coalesce(mean, 'nan'::DOUBLE), coalesce(std, 'nan'::DOUBLE) "
            f"FROM {quoted('forecast.' + strategy.forecast)} "
            "WHERE session = ? AND horizon_days = ?",
            [session, horizon_days],
        )
        spoken = {symbol for symbol, mean, std in rows if is_usable(mean, std, _SOME_PRICE)}
        silent |= set(desk.universe.symbols) - spoken
    return sorted(silent)


def _questions(
    desk: Desk, session: dt.date, symbols: Sequence[str], horizon: int
) -> list[tuple[Question, list[str]]]:
    """The questions on the symbols whose own volatility is known, with their news' hashes."""
    from assets.history import histories
    from assets.signal.facts import market_facts
    from quant.signals.validator import ValidationPolicy

    policy = desk.policy("llm", LlmPolicy)
    past = histories(desk, [session], warehouse=desk.warehouse)
    market = market_facts(past, desk.policy("validation", ValidationPolicy))[session]
    news = _news(desk, session, symbols, days=policy.question.news_days)
    asked = []
    for symbol in symbols:
        returns = market.returns[desk.universe.symbols.index(symbol)]
        deviation = own_volatility(returns, horizon_days=horizon, policy=policy.fallback)
        if not np.isfinite(deviation):
            continue
        numbers = {"deviation_over_horizon": deviation, "market_trend": market.trend}
        items = news.get(symbol, [])
        question = Question(
            symbol=symbol,
            as_of=desk.as_of(session),
            horizon_days=horizon,
            facts=_known(numbers | _past_returns(returns)),
            news=tuple(line for line, _ in items),
        )
        asked.append((question, [hash_ for _, hash_ in items]))
    return asked


def _past_returns(returns: FloatArray) -> dict[str, float]:
    return {f"log_return_{days}_sessions": float(returns[-days:].sum()) for days in _LOOKBACKS}


def _known(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def _news(
    desk: Desk, session: dt.date, symbols: Sequence[str], *, days: int
) -> dict[str, list[tuple[NewsLine, str]]]:
    """What was known by the decision, with the tone that it has."""
    from quant.signals.sentiment import sentiment

    as_of = desk.as_of(session)
    rows = desk.warehouse.rows(
        "SELECT symbol, known_at, source, headline, body, hash FROM raw.news "
        "WHERE symbol IN (SELECT unnest(?::VARCHAR[])) AND known_at BETWEEN ? AND ? "
        "ORDER BY symbol, known_at, hash",
        [list(symbols), as_of - dt.timedelta(days=days), as_of],
    )
    found: dict[str, list[tuple[NewsLine, str]]] = {}
    for symbol, known_at, source, headline, body, hash_ in rows:
        line = NewsLine(
            known_at=known_at.astimezone(dt.UTC),
            source=source,
            headline=headline,
            body=body,
            sentiment=sentiment(headline),
        )
        found.setdefault(symbol, []).append((line, hash_))
    return found


def _row(
    session: dt.date, question: Question, news_hashes: list[str], place: int, asked: "Asked"
) -> dict[str, Any]:
    answer = asked.answer
    return {
        "symbol": question.symbol,
        "session": session,
        "place": place,
        "model": asked.model,
        "outcome": asked.outcome.value,
        "sentence": asked.sentence,
        "direction": answer.direction.value if answer else "",
        "confidence": answer.confidence if answer else float("nan"),
        "horizon_days": question.horizon_days,
        "reason": answer.reason if answer else "",
        "text": asked.text,
        "question_hash": asked.question_hash,
        "news_hashes": json.dumps(news_hashes),
        "recalled_from": asked.recalled_from,
        "attempts": asked.attempts,
        "prompt_tokens": asked.prompt_tokens,
        "answer_tokens": asked.answer_tokens,
        "seconds": asked.seconds,
        "cost_usd": asked.cost_usd,
    }
