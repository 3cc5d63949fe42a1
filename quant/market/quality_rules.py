"""What a believable bar is: the rules, their severity, and the limits a person may change.

Belongs here: the policy, and one line per rule that says which check column it reads and what that
column may hold. Does not belong here: how the columns are computed (`quality`), or what follows
from a finding (`quality_gate`). The expectation suites of the bar tables state the same rules for
Great Expectations; a test keeps the two word for word alike.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import Field

from quant.core.policy import Policy


class Severity(StrEnum):
    """What follows: critical makes a symbol reduce-only, warning lowers the score, info is told."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Shape(StrEnum):
    """The three forms that a rule about one column can take."""

    AT_MOST = "at_most"
    IS_TRUE = "is_true"
    IS_FALSE = "is_false"


class QualityPolicy(Policy):
    """Limits of the data quality gates. Moves are in robust standard deviations of the series."""

    quality_score_min: float = Field(default=0.95, ge=0, le=1)
    # A critical finding binds for one trading week: by then a vendor has corrected the bar or not.
    lookback_sessions: int = Field(default=5, ge=1)

    # A quarter of trading days follows the regime and still outvotes a bad week.
    scale_window_sessions: int = Field(default=63, ge=10)
    scale_sessions_min: int = Field(default=20, ge=5)
    # Below ten basis points a day a scale says more about rounding than about risk.
    return_scale_floor: float = Field(default=0.001, gt=0)
    # Fewer peers than this cannot tell what the market did.
    peers_min: int = Field(default=5, ge=2)

    duplicate_rows_max: int = Field(default=1, ge=1)
    ohlc_excess_fraction_max: float = Field(default=1e-6, ge=0)
    staleness_sessions_max: int = Field(default=0, ge=0)
    gap_sessions_max: int = Field(default=0, ge=0)
    long_gap_sessions_max: int = Field(default=4, ge=0)
    unchanged_run_sessions_max: int = Field(default=4, ge=1)
    # In powers of ten: 6 is a run that chance gives to one bar in a million.
    unchanged_run_surprise_max: float = Field(default=6.0, gt=0)
    outlier_robust_z_max: float = Field(default=12.0, gt=0)
    uncorroborated_robust_z_max: float = Field(default=20.0, gt=0)
    reversal_robust_z_max: float = Field(default=8.0, gt=0)

    # Real news trades: turnover in money at least this multiple of its own median backs a move.
    corroborating_turnover_ratio: float = Field(default=2.0, gt=1)
    # A jump counts as a split ratio within this distance of its logarithm ...
    split_log_distance_max: float = Field(default=0.03, gt=0)
    # ... and only if it would be an outlier by itself: some ratio is near to any large move.
    split_robust_z_min: float = Field(default=12.0, gt=0)

    @property
    def history_sessions(self) -> int:
        """How many sessions of bars a night has to read to judge its window as all of them would.

        One window for the scale, one more for what is compared with the time before it.
        """
        return 2 * self.scale_window_sessions + self.lookback_sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRule:
    """One claim about one check column. A null there means: cannot be judged, no finding."""

    name: str
    column: str
    shape: Shape
    severity: Severity
    sentence: str
    limit_field: str | None = None

    def limit(self, policy: QualityPolicy) -> float | None:
        """The largest value allowed; None for rules about a claim that is true or false."""
        return float(getattr(policy, self.limit_field)) if self.limit_field else None


def _at_most(
    name: str, column: str, limit_field: str, severity: Severity, sentence: str
) -> QualityRule:
    return QualityRule(
        name=name,
        column=column,
        shape=Shape.AT_MOST,
        severity=severity,
        sentence=sentence,
        limit_field=limit_field,
    )


def _claim(
    name: str, column: str, severity: Severity, sentence: str, *, holds: bool
) -> QualityRule:
    shape = Shape.IS_TRUE if holds else Shape.IS_FALSE
    return QualityRule(name=name, column=column, shape=shape, severity=severity, sentence=sentence)


_CRITICAL, _WARNING = Severity.CRITICAL, Severity.WARNING

MISSING_BAR: Final = "missing_bar"

BAR_RULES: Final[tuple[QualityRule, ...]] = (
    _at_most(
        MISSING_BAR,
        "staleness_sessions",
        "staleness_sessions_max",
        _CRITICAL,
        "There is no bar for the latest expected session.",
    ),
    _claim(
        "phantom_bar",
        "is_session",
        _CRITICAL,
        "The bar is dated on a day on which the exchange was closed.",
        holds=True,
    ),
    _at_most(
        "duplicate_bar",
        "duplicate_count",
        "duplicate_rows_max",
        _CRITICAL,
        "Several bars claim the same symbol, price basis and session.",
    ),
    _claim(
        "missing_close",
        "close_is_missing",
        _CRITICAL,
        "The bar has no finite closing price.",
        holds=False,
    ),
    _claim(
        "price_not_positive",
        "price_is_not_positive",
        _CRITICAL,
        "A price of the bar is zero, negative or infinite.",
        holds=False,
    ),
    _at_most(
        "ohlc_order",
        "ohlc_violation",
        "ohlc_excess_fraction_max",
        _CRITICAL,
        "The high is not the highest or the low is not the lowest price of the bar.",
    ),
    _claim(
        "negative_volume",
        "volume_is_negative",
        _CRITICAL,
        "The volume is negative or infinite.",
        holds=False,
    ),
    _claim(
        "zero_volume",
        "volume_is_zero",
        _WARNING,
        "The bar claims that nothing was traded in a whole session.",
        holds=False,
    ),
    _claim(
        "known_before_event",
        "known_before_event",
        _CRITICAL,
        "The bar was known before it was complete, or does not say when it was known.",
        holds=False,
    ),
    _at_most(
        "gap",
        "sessions_missing_before",
        "gap_sessions_max",
        _WARNING,
        "Sessions are missing between this bar and the one before it.",
    ),
    _at_most(
        "long_gap",
        "sessions_missing_before",
        "long_gap_sessions_max",
        _CRITICAL,
        "About a week or more of sessions is missing before this bar.",
    ),
    _at_most(
        "stale_close",
        "unchanged_run_length",
        "unchanged_run_sessions_max",
        _CRITICAL,
        "The close has repeated for a trading week or more without a sign of trading.",
    ),
    _at_most(
        "unlikely_stale_close",
        "unchanged_run_surprise",
        "unchanged_run_surprise_max",
        _WARNING,
        "The close has repeated for longer than chance explains in this series.",
    ),
    _at_most(
        "outlier_return",
        "return_robust_z",
        "outlier_robust_z_max",
        _WARNING,
        "The move is far outside of what this series and its market have done.",
    ),
    _at_most(
        "uncorroborated_outlier",
        "uncorroborated_robust_z",
        "uncorroborated_robust_z_max",
        _CRITICAL,
        "The move is extreme and no surge of turnover backs it.",
    ),
    _at_most(
        "spike_reversed",
        "reversal_robust_z",
        "reversal_robust_z_max",
        _CRITICAL,
        "The move takes back the whole extreme move of the session before: that one was a spike.",
    ),
    _claim(
        "unadjusted_split",
        "split_ratio_suspect",
        _CRITICAL,
        "The jump has the ratio of a split and no action on file explains it.",
        holds=False,
    ),
)

# The columns that `quality.measure` adds to a bar, in the order of their first rule.
CHECK_COLUMNS: Final = tuple(dict.fromkeys(rule.column for rule in BAR_RULES))
