"""What follows from findings: quarantine, the score, and what may be published."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_quality import SESSIONS, bars, walk

from quant.core.errors import DataError
from quant.market.quality import measure
from quant.market.quality_gate import (
    FINDING_COLUMNS,
    is_publishable,
    judge,
    judged_window,
    merge_findings,
    no_findings,
    quality_score,
    quarantine,
    stops_trading,
    table_finding,
)
from quant.market.quality_rules import BAR_RULES, QualityPolicy, Severity

UNIVERSE = [f"S{number}" for number in range(20)]


def finding(
    symbol: str, number: int, *, rule: str = "gap", severity: str = "warning"
) -> pd.DataFrame:
    row = {
        "symbol": symbol,
        "session": pd.Timestamp(SESSIONS[number]),
        "rule": rule,
        "column": "c",
        "value": 1.0,
        "severity": severity,
        "message": "m",
    }
    return pd.DataFrame([row])


def test_findings_say_what_where_and_how_far_in_words() -> None:
    """Ten good bars and one high that lies 0.1 below the close of 100."""
    frame = bars([100.0] * 3, open=99.0, high=101.0, low=98.0)
    frame.loc[1, "high"] = 99.9
    found = judge(measure(frame, sessions=SESSIONS))
    assert list(found.columns) == list(FINDING_COLUMNS)
    row = found.iloc[0]
    assert (row["symbol"], row["rule"], row["severity"]) == ("AAA", "ohlc_order", "critical")
    assert row["session"] == pd.Timestamp(SESSIONS[1])
    assert row["value"] == pytest.approx(0.001)
    assert row["message"] == (
        "The high is not the highest or the low is not the lowest price of the bar."
        " (ohlc_violation 0.001, limit 1e-06)"
    )


def test_a_critical_finding_binds_its_symbol_for_five_sessions_and_no_other() -> None:
    """Found at session 10: reduce-only from the night of 10 to that of 14, with its reasons."""
    found = merge_findings(
        [
            finding("AAA", 10, rule="spike_reversed", severity="critical"),
            finding("AAA", 10, rule="ohlc_order", severity="critical"),
            finding("BBB", 10),
        ]
    )
    bound = {
        night: quarantine(found, session=SESSIONS[night], sessions=SESSIONS)
        for night in range(8, 18)
    }
    assert [night for night, symbols in bound.items() if symbols] == [10, 11, 12, 13, 14]
    assert bound[14] == {"AAA": ("ohlc_order", "spike_reversed")}
    one = quarantine(found, session=SESSIONS[11].item(), sessions=SESSIONS, lookback_sessions=1)
    assert one == {}
    longer = QualityPolicy(lookback_sessions=7)
    assert quarantine(found, session=SESSIONS[16], sessions=SESSIONS, policy=longer) != {}


def test_a_phantom_bar_between_sessions_binds_too() -> None:
    """Its date is no session; it counts from there."""
    found = finding("AAA", 0, severity="critical").assign(session=pd.Timestamp("2021-01-09"))
    assert quarantine(found, session=np.datetime64("2021-01-08"), sessions=SESSIONS) == {}
    assert set(quarantine(found, session=np.datetime64("2021-01-11"), sessions=SESSIONS)) == {"AAA"}


def test_only_trading_days_have_a_verdict() -> None:
    """Asking for a Saturday is a mistake of the caller."""
    with pytest.raises(DataError, match="2021-01-09 is not a session"):
        quarantine(no_findings(), session=np.datetime64("2021-01-09"), sessions=SESSIONS)


def test_the_score_is_the_share_of_pairs_that_pass() -> None:
    """20 symbols by 17 rules are 340 pairs. Three pairs fail (one of them twice): 337 / 340."""
    assert len(BAR_RULES) == 17
    found = merge_findings(
        [
            finding("S1", 5),
            finding("S1", 5),
            finding("S1", 5, rule="zero_volume"),
            finding("S2", 5, rule="ohlc_order", severity="critical"),
            finding("S3", 4),
            finding("STRANGER", 5),
        ]
    )
    score = quality_score(found, session=SESSIONS[5], universe=UNIVERSE)
    assert score == pytest.approx(337 / 340)
    assert not stops_trading(score)


def test_a_symbol_without_a_bar_passes_nothing() -> None:
    """One absent symbol of 20 is 0.95, the least that trades; two absent stop the night."""
    one = finding("S1", 5, rule="missing_bar", severity="critical")
    also = merge_findings([one, finding("S1", 5)])
    assert quality_score(also, session=SESSIONS[5], universe=UNIVERSE) == pytest.approx(0.95)
    two = merge_findings([one, finding("S2", 5, rule="missing_bar", severity="critical")])
    assert stops_trading(quality_score(two, session=SESSIONS[5], universe=UNIVERSE))


def test_what_cannot_be_judged_stops_trading() -> None:
    """A table without a column, an empty universe, a score that is no number."""
    broken = table_finding(
        rule="schema", column="", severity=Severity.CRITICAL, sentence="A column is missing."
    )
    assert quality_score(broken, session=SESSIONS[5], universe=UNIVERSE) == 0.0
    assert quarantine(broken, session=SESSIONS[5], sessions=SESSIONS) == {}
    assert quality_score(no_findings(), session=SESSIONS[5], universe=[]) == 0.0
    assert stops_trading(float("nan"))


@given(
    failed=st.lists(
        st.tuples(st.sampled_from(UNIVERSE), st.sampled_from([rule.name for rule in BAR_RULES])),
        max_size=40,
    )
)
def test_more_findings_never_raise_the_score(failed: list[tuple[str, str]]) -> None:
    """The score stays in [0, 1] and only falls."""
    found = pd.DataFrame(failed, columns=["symbol", "rule"]).assign(
        session=pd.Timestamp(SESSIONS[5]), severity="warning"
    )
    scores = [
        quality_score(found.head(count), session=SESSIONS[5], universe=UNIVERSE)
        for count in range(len(found) + 1)
    ]
    assert scores[0] == 1.0
    assert all(0 <= later <= earlier for earlier, later in itertools.pairwise(scores))


def test_a_night_needs_only_the_history_that_the_policy_names() -> None:
    """Years of bars and the last few months of them give the same checks for the judged window."""
    policy = QualityPolicy()
    close = walk(400, seed=3)
    close[390:394] = close[390]
    frame = pd.concat([bars(close), bars(walk(400, seed=4), symbol="BBB", volume=1e6)])
    night, sessions = SESSIONS[399], SESSIONS[:400]
    recent = frame["session"] >= pd.Timestamp(sessions[-policy.history_sessions])
    windows = [
        judged_window(
            measure(part, sessions=sessions), session=night, sessions=sessions, policy=policy
        ).reset_index(drop=True)
        for part in (frame, frame[recent])
    ]
    assert len(windows[0]) == 2 * policy.lookback_sessions
    pd.testing.assert_frame_equal(windows[0], windows[1], rtol=1e-9)


def test_wrong_bars_are_not_published_and_doubtful_ones_are() -> None:
    """A phantom stays in raw; a spike may be true, so it is published and its symbol watched."""
    close = walk(150, seed=6)
    close[120] *= 1.5
    phantom = bars(close).iloc[[0]].assign(session=pd.Timestamp("2021-01-09"))
    frame = pd.concat([bars(close), phantom], ignore_index=True)
    measured = measure(frame, sessions=SESSIONS)
    assert np.flatnonzero(~is_publishable(measured)).tolist() == [150]
    assert "spike_reversed" in set(judge(measured)["rule"])
