"""What follows from measured bars: findings, quarantine, the score, and what may be published.

Belongs here: pure decisions over findings. Does not belong here: how columns are measured
(`quality`), how Great Expectations arrives at the same findings (`resources.quality`), or what the
execution side does with a quarantined symbol.

Findings that name no symbol concern a whole table (a missing column). They quarantine nobody; they
set the score to zero, and that stops all trading.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.market.quality import Day, DayArray, day_of, days_of
from quant.market.quality_rules import (
    BAR_RULES,
    MISSING_BAR,
    QualityPolicy,
    QualityRule,
    Severity,
    Shape,
)

FINDING_COLUMNS: Final = ("symbol", "session", "rule", "column", "value", "severity", "message")

# A row that breaks one of these is wrong in itself and never leaves `raw`. The other critical rules
# doubt a bar that may be right, so it is published and its symbol becomes reduce-only instead.
UNPUBLISHABLE_RULES: Final = (
    MISSING_BAR,
    "phantom_bar",
    "duplicate_bar",
    "missing_close",
    "price_not_positive",
    "ohlc_order",
    "negative_volume",
    "known_before_event",
)


def judge(
    measured: pd.DataFrame,
    *,
    policy: QualityPolicy | None = None,
    rules: Iterable[QualityRule] = BAR_RULES,
) -> pd.DataFrame:
    """Every row that breaks a rule, one finding each, with the columns of `FINDING_COLUMNS`."""
    limits = policy or QualityPolicy()
    found = [
        findings_at(
            measured,
            np.flatnonzero(breaks(measured, rule, limits)),
            rule=rule.name,
            column=rule.column,
            severity=rule.severity,
            sentence=rule.sentence,
            limit=rule.limit(limits),
        )
        for rule in rules
    ]
    return merge_findings(found)


def breaks(measured: pd.DataFrame, rule: QualityRule, policy: QualityPolicy) -> NDArray[np.bool_]:
    """Which rows break a rule; a null breaks none."""
    values = measured[rule.column]
    match rule.shape:
        case Shape.AT_MOST:
            return np.asarray(values.to_numpy(dtype=float) > rule.limit(policy))
        case Shape.IS_TRUE:
            return ~values.fillna(True).to_numpy(dtype=bool)
        case Shape.IS_FALSE:
            return np.asarray(values.fillna(False).to_numpy(dtype=bool))


def findings_at(
    frame: pd.DataFrame,
    rows: NDArray[np.int64],
    *,
    rule: str,
    column: str,
    severity: Severity,
    sentence: str,
    limit: float | None = None,
) -> pd.DataFrame:
    """One finding for each row number of `frame`; tables without a key leave it empty."""
    bad = frame.iloc[rows]
    values = bad[column] if column in frame else pd.Series(np.nan, index=bad.index)
    suffix = f", limit {limit:g})" if limit is not None else ")"
    return pd.DataFrame(
        {
            "symbol": bad["symbol"].astype(str).to_numpy() if "symbol" in frame else "",
            "session": days_of(bad["session"]).astype("datetime64[s]")
            if "session" in frame
            else np.datetime64("NaT", "s"),
            "rule": rule,
            "column": column,
            "value": pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan),
            "severity": str(severity),
            "message": [f"{sentence} ({column} {_shown(value)}{suffix}" for value in values],
        }
    )


def _shown(value: object) -> str:
    if value is None or value is pd.NA:
        return "null"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def table_finding(*, rule: str, column: str, severity: Severity, sentence: str) -> pd.DataFrame:
    """A finding about a table as a whole: it names no symbol and no session."""
    return pd.DataFrame(
        {
            "symbol": [""],
            "session": np.array(["NaT"], dtype="datetime64[s]"),
            "rule": rule,
            "column": column,
            "value": np.nan,
            "severity": str(severity),
            "message": sentence,
        }
    )


def merge_findings(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All findings in one frame, sorted by session, symbol and rule."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return no_findings()
    merged = pd.concat(filled, ignore_index=True).loc[:, list(FINDING_COLUMNS)]
    return merged.sort_values(["session", "symbol", "rule"], kind="stable", ignore_index=True)


def no_findings() -> pd.DataFrame:
    """An empty frame of findings, with its types."""
    empty = pd.DataFrame({column: pd.Series(dtype=str) for column in FINDING_COLUMNS})
    return empty.astype({"session": "datetime64[s]", "value": float})


def quarantine(
    findings: pd.DataFrame,
    *,
    session: dt.date | np.datetime64,
    sessions: DayArray,
    lookback_sessions: int | None = None,
    policy: QualityPolicy | None = None,
) -> dict[str, tuple[str, ...]]:
    """The symbols that are reduce-only on `session`, each with the rules that say so.

    Only critical findings count that are dated within the last `lookback_sessions` sessions up to
    and including `session` (default: the policy's). Later findings are ignored, so one set of
    findings serves every night of a replay.
    """
    span = lookback_sessions or (policy or QualityPolicy()).lookback_sessions
    last = day_of(session)
    first = _window_start(sessions, last, span)
    days = days_of(findings["session"])
    binding = (
        (findings["severity"] == Severity.CRITICAL.value).to_numpy()
        & (findings["symbol"] != "").to_numpy()
        & (days >= first)
        & (days <= last)
    )
    reasons = findings[binding].groupby("symbol", sort=True)["rule"]
    return {str(symbol): tuple(sorted(set(rules))) for symbol, rules in reasons}


def judged_window(
    measured: pd.DataFrame,
    *,
    session: dt.date | np.datetime64,
    sessions: DayArray,
    policy: QualityPolicy | None = None,
) -> pd.DataFrame:
    """The measured rows whose findings can bind tonight: the rest of the history is context."""
    last = day_of(session)
    first = _window_start(sessions, last, (policy or QualityPolicy()).lookback_sessions)
    days = days_of(measured["session"])
    return measured[(days >= first) & (days <= last)]


def _window_start(sessions: DayArray, session: Day, span: int) -> Day:
    days = np.asarray(sessions, dtype="datetime64[D]")
    end = int(np.searchsorted(days, session, side="right"))
    if end == 0 or days[end - 1] != session:
        raise DataError(
            f"{session} is not a session of the calendar",
            remedy="ask for the verdict of a trading day",
        )
    return day_of(days[max(end - span, 0)])


def quality_score(
    findings: pd.DataFrame,
    *,
    session: dt.date | np.datetime64,
    universe: Iterable[str],
    rules: Iterable[QualityRule] = BAR_RULES,
) -> float:
    """The share of (symbol, rule) pairs of the session's universe that pass, from 0 to 1.

    Rules of severity info do not count. A symbol without a bar passes nothing, since nothing about
    it could be judged; an empty universe and a critical finding about the whole table score 0.
    """
    counted = {rule.name for rule in rules if rule.severity is not Severity.INFO}
    symbols = set(universe)
    critical = findings["severity"] == Severity.CRITICAL.value
    if not symbols or not counted or bool((critical & (findings["symbol"] == "")).any()):
        return 0.0
    tonight = findings[days_of(findings["session"]) == day_of(session)]
    pairs = {
        (symbol, rule)
        for symbol, rule in zip(tonight["symbol"], tonight["rule"], strict=True)
        if symbol in symbols and rule in counted
    }
    absent = {symbol for symbol, rule in pairs if rule == MISSING_BAR}
    failed = len(absent) * len(counted) + sum(symbol not in absent for symbol, _ in pairs)
    return 1.0 - failed / (len(symbols) * len(counted))


def stops_trading(score: float, *, policy: QualityPolicy | None = None) -> bool:
    """Whether the night's data is too poor to trade on; an unknown score (NaN) is."""
    return not score >= (policy or QualityPolicy()).quality_score_min


def is_publishable(
    measured: pd.DataFrame, *, policy: QualityPolicy | None = None
) -> NDArray[np.bool_]:
    """Which measured rows may go on to `clean`; the others stay in `raw` with their findings."""
    limits = policy or QualityPolicy()
    wrong = np.zeros(len(measured), dtype=bool)
    for rule in BAR_RULES:
        if rule.name in UNPUBLISHABLE_RULES:
            wrong |= breaks(measured, rule, limits)
    return ~wrong
