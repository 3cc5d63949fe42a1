"""The tone of financial news in [-1, 1]: VADER's grammar with a lexicon of finance.

Belongs here: the lexicon and the few rules of the trade. Does not belong here: where news comes
from (quant.market.news), or what a tone does to a decision.

VADER was rated on social media, where "profit" is good news whatever became of it: it scores
"Profit fell sharply" +0.44. Here the things that move (profit, sales, a share) have no tone of
their own, the verb has it, and it turns around where the thing is unwelcome: costs that fall,
losses that narrow. English only; a text of another language scores 0, which means "no tone found".
"""

import re
from functools import cache
from typing import Any, Final


def _words(text: str) -> list[str]:
    return text.split()


def _each(strength: float, text: str) -> dict[str, float]:
    return dict.fromkeys(text.split(), strength)


_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'&-]*|\d[\d.,%]*|[^\sA-Za-z\d]")

# Verbs and nouns of direction: +1 is up. Their strength is how far the word usually means to go.
_DIRECTIONS: Final = {
    **_each(1.7, "rises rise rose risen rising climbs climb climbed gains gain gained"),
    **_each(1.5, "increases increase increased increasing grows grow grew growing"),
    **_each(1.7, "advances advance advanced improves improve improved improving"),
    **_each(1.3, "expands expand expanded expanding widens widen widened widening"),
    **_each(2.7, "jumps jump jumped surges surge surged surging soars soar soared"),
    **_each(2.4, "rallies rally rallied rallying spikes spike spiked doubles doubled"),
    **_each(1.9, "raises raise raised raising boosts boost boosted lifts lift lifted"),
    **_each(1.8, "rebounds rebound rebounded recovers recover recovered higher"),
    **_each(-1.9, "falls fall fell fallen falling drops drop dropped dropping"),
    **_each(-1.8, "declines decline declined declining decreases decrease decreased"),
    **_each(-1.3, "slips slip slipped dips dip dipped eases ease eased lower"),
    **_each(-1.6, "shrinks shrink shrank shrinking contracts contracted narrows"),
    **_each(-1.4, "narrow narrowed narrowing slows slow slowed slowing weakens"),
    **_each(-1.7, "weakened weaken weakening halves halved reduces reduced reduce"),
    **_each(-3.0, "plunges plunge plunged plunging plummets plummet plummeted"),
    **_each(-2.7, "tumbles tumble tumbled sinks sink sank sunk slumps slump slumped"),
    **_each(-2.6, "slides slide slid sliding crashes crash crashed collapses collapse"),
    **_each(-2.0, "collapsed cuts cut cutting slashes slash slashed lowers lowered"),
}
# What nobody wants more of: a direction beside one of these turns around.
_UNWELCOME: Final = frozenset(
    _words(
        "cost costs expense expenses loss losses debt deficit unemployment inflation claims "
        "default defaults delinquencies arrears fine fines penalty penalties layoffs impairment "
        "writedowns churn vacancies complaints leverage tax taxes shortage shortages"
    )
)
# Things that move, and words of the trade that VADER hears otherwise.
_NEUTRAL: Final = _words(
    "profit profits share shares interest value growth earnings revenue sales margin margins "
    "assets security securities trust equity credit credits bond bonds fund funds gross net "
    "natural energy capital liability liabilities tank arrest board mine vice bull bear crude "
    "outstanding reserve reserves alliance united ease please well like number execution"
)
_OUTRIGHT: Final = {
    **_each(2.4, "beat beats beating outperform outperforms outperformed upgrade"),
    **_each(2.3, "upgrades upgraded upbeat bullish tops topped exceeds exceeded"),
    **_each(1.7, "buyback buybacks profitable record breakthrough"),
    **_each(1.8, "approval approves approved wins won award awarded strong stronger"),
    **_each(1.6, "milestone resilient robust accelerates accelerated accretive"),
    **_each(-2.3, "miss misses missed missing underperform underperforms"),
    **_each(-2.4, "downgrade downgrades downgraded bearish warns warned warning"),
    **_each(-2.1, "lawsuit sues sued probe probes investigation subpoena recall"),
    **_each(-1.9, "recalls recalled halts halted suspends suspended delays delayed"),
    **_each(-3.4, "bankruptcy bankrupt insolvent insolvency default defaults fraud"),
    **_each(-2.3, "impairment writedown write-down writeoff write-off restates"),
    **_each(-2.2, "restatement delisting delisted layoffs layoff strike strikes"),
    **_each(-2.1, "weak weaker disappoints disappointing disappointed shortfall"),
    **_each(-1.9, "dilution dilutive breach hack hacked outage resigns resignation"),
    **_each(-1.8, "losses loss deficit penalty fine fined sanction sanctions"),
    **_each(-1.9, "headwinds uncertainty slowdown recession glut oversupply"),
}
_BETTER, _WORSE = "finbetter", "finworse"
_TONES: Final = {**_DIRECTIONS, **_OUTRIGHT, _BETTER: 1.9, _WORSE: -1.9}
# So near a word must stand for the two to speak of one thing.
_REACH: Final = 3
# VADER hears what stands before a word; finance says "fell sharply".
_AFTER: Final = frozenset(_words("sharply steeply significantly strongly dramatically heavily"))


def sentiment(text: str) -> float:
    """The tone of a headline or a paragraph: -1 is bad news for who owns it, 0 has no tone."""
    told = " ".join(_boosted(_turned(_WORD.findall(text))))
    return float(_analyser().polarity_scores(told)["compound"])


def _boosted(words: list[str]) -> list[str]:
    """A booster behind its direction, put before it in a word that VADER knows as one."""
    said = list(words)
    for place in range(1, len(said)):
        if said[place].lower() in _AFTER and said[place - 1].lower() in _TONES:
            said[place - 1 : place + 1] = "extremely", said[place - 1]
    return said


def _turned(words: list[str]) -> list[str]:
    """Directions beside something unwelcome turn around, and that thing's own tone is spent."""
    said = [word.lower() for word in words]
    turned = list(words)
    for place, word in enumerate(said):
        strength = _DIRECTIONS.get(word)
        near = _unwelcome_near(said, place) if strength else None
        if strength and near is not None:
            turned[place] = _WORSE if strength > 0 else _BETTER
            turned[near] = "thing"
    return turned


def _unwelcome_near(said: list[str], place: int) -> int | None:
    """The unwelcome thing that a direction speaks of: before it, else right behind it.

    Another direction in between has taken the word for itself.
    """
    for steps in (range(place - 1, place - 1 - _REACH, -1), range(place + 1, place + 1 + _REACH)):
        for other in steps:
            if not 0 <= other < len(said) or said[other] in {",", ";", ".", *_DIRECTIONS}:
                break
            if said[other] in _UNWELCOME:
                return other
    return None


@cache
def _analyser() -> Any:
    # Only a person who reads news pays for reading 7,500 words.
    from vaderSentiment.vaderSentiment import (  # type: ignore[import-untyped,unused-ignore]
        SentimentIntensityAnalyzer,
    )

    analyser = SentimentIntensityAnalyzer()
    for word in _NEUTRAL:
        analyser.lexicon.pop(word, None)
    analyser.lexicon |= _TONES
    return analyser
