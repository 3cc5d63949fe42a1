"""What `measure` sees in a bar: each check by hand, and that it never looks ahead."""

import datetime as dt
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quant.core.errors import DataError
from quant.market.bars import DAILY_BAR_COLUMNS, Basis
from quant.market.quality import measure
from quant.market.quality_gate import judge
from quant.market.quality_missing import missing_bars, with_missing_bars
from quant.market.quality_rules import BAR_RULES, CHECK_COLUMNS, QualityPolicy

# Business days stand for an exchange's calendar.
SESSIONS: NDArray[np.datetime64] = np.arange("2021-01-01", "2023-01-01", dtype="datetime64[D]")
SESSIONS = SESSIONS[np.is_busday(SESSIONS)]


def bars(close: Any, *, symbol: str = "AAA", basis: str = "raw", **columns: Any) -> pd.DataFrame:
    """A series on the first sessions; other prices are missing unless given."""
    count = len(close)
    session = pd.Series(SESSIONS[:count].astype("datetime64[s]"))
    frame = pd.DataFrame(
        {
            "symbol": symbol,
            "basis": basis,
            "session": session,
            "event_time": session.dt.tz_localize("UTC") + pd.Timedelta(hours=21),
            "known_at": session.dt.tz_localize("UTC") + pd.Timedelta(hours=22),
            "source": "test",
            "asset_class": "us_equity",
            "currency": "USD",
            "open": np.nan,
            "high": np.nan,
            "low": np.nan,
            "close": np.asarray(close, dtype=float),
            "volume": np.nan,
        }
    )
    return frame.assign(**columns)


def walk(count: int, *, seed: int, daily: float = 0.01) -> NDArray[np.float64]:
    """A price that moves by about `daily` every session."""
    steps = np.random.default_rng(seed).normal(0, daily, count)
    return np.asarray(100 * np.exp(np.cumsum(steps)))


def rules_at(frame: pd.DataFrame, **options: Any) -> list[tuple[str, str, int]]:
    """(rule, symbol, number of the session) of every finding."""
    found = judge(measure(frame, sessions=SESSIONS, **options))
    number = np.searchsorted(SESSIONS, found["session"].to_numpy().astype("datetime64[D]"))
    return sorted(zip(found["rule"], found["symbol"], number.tolist(), strict=True))


def test_a_clean_series_has_no_findings_and_keeps_its_rows() -> None:
    """The bars come back as they were, in their order, with the check columns behind them."""
    frame = bars(walk(200, seed=1)).sample(frac=1, random_state=1)
    measured = measure(frame, sessions=SESSIONS)
    assert list(measured.columns) == [*DAILY_BAR_COLUMNS, *CHECK_COLUMNS]
    expected = frame.loc[:, list(DAILY_BAR_COLUMNS)].reset_index(drop=True)
    pd.testing.assert_frame_equal(measured.loc[:, list(DAILY_BAR_COLUMNS)], expected)
    assert judge(measured).empty


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("close", np.nan, "missing_close"),
        ("close", np.inf, "missing_close"),
        ("close", 0.0, "price_not_positive"),
        ("open", -1.0, "price_not_positive"),
        ("volume", 0.0, "zero_volume"),
        ("volume", -5.0, "negative_volume"),
        ("volume", np.inf, "negative_volume"),
        ("high", np.inf, "price_not_positive"),
        ("high", 100.4, "ohlc_order"),
        ("low", 100.2, "ohlc_order"),
        ("known_at", pd.NaT, "known_before_event"),
        ("known_at", pd.Timestamp("2021-01-08 20:59", tz="UTC"), "known_before_event"),
    ],
)
def test_a_bar_that_is_wrong_in_itself_is_found(column: str, value: object, rule: str) -> None:
    """One value of one good bar (100.1, 101, 99, 100.5) is made wrong; that rule speaks."""
    frame = bars([100.5] * 10, open=100.1, high=101.0, low=99.0, volume=1e6)
    assert rules_at(frame) == []
    frame.loc[5, column] = value
    assert (rule, "AAA", 5) in rules_at(frame)


def test_a_bar_with_only_a_close_is_not_judged_by_what_it_lacks() -> None:
    """Null is not wrong: no order of high and low, no volume, so no finding about them."""
    measured = measure(bars([100.0, 101.0]), sessions=SESSIONS)
    assert measured["ohlc_violation"].isna().all()
    assert measured["volume_is_zero"].isna().all()
    assert judge(measured).empty


def test_phantoms_duplicates_and_gaps_are_counted() -> None:
    """Sessions 3 and 4 are missing, a Saturday has a bar, session 6 has two."""
    frame = bars(walk(10, seed=2))
    saturday = frame.iloc[[0]].assign(session=pd.Timestamp("2021-01-09"))
    twin = frame.iloc[[6]].assign(close=1.0, known_at=frame["event_time"].iloc[6])
    frame = pd.concat([frame.drop([3, 4]), saturday, twin], ignore_index=True)
    assert rules_at(frame) == [
        ("duplicate_bar", "AAA", 6),
        ("duplicate_bar", "AAA", 6),
        ("gap", "AAA", 5),
        ("phantom_bar", "AAA", 6),
    ]
    measured = measure(frame, sessions=SESSIONS)
    assert measured["sessions_missing_before"].max() == 2
    # The twin was known earlier, so the series is that of the other one and shows no jump.
    assert measured["sessions_missing_before"].isna().sum() == 3


def test_two_price_bases_of_one_symbol_are_two_series() -> None:
    """Raw and adjusted bars of one session are neither duplicates nor a jump."""
    both = pd.concat([bars(walk(60, seed=3)), bars(walk(60, seed=3) / 10, basis="total_return")])
    assert rules_at(both) == []


def test_a_price_that_stands_still_is_stale_unless_it_traded() -> None:
    """Five repeats of a close are too many; with a range between high and low they are real."""
    close = walk(120, seed=4)
    close[100:106] = close[100]
    assert ("stale_close", "AAA", 105) in rules_at(bars(close))
    assert ("stale_close", "AAA", 104) not in rules_at(bars(close))
    traded = bars(close, open=close, high=close * 1.01, low=close * 0.99)
    assert rules_at(traded) == []


def test_a_short_standstill_is_surprising_only_where_closes_never_repeat() -> None:
    """Repeats every other session teach the series to expect them."""
    sticky = np.repeat(walk(60, seed=5), 2)
    sticky[100:105] = sticky[100]
    lively = walk(120, seed=5)
    lively[100:105] = lively[100]
    measured = measure(
        pd.concat([bars(sticky, symbol="STICKY"), bars(lively, symbol="LIVELY")]),
        sessions=SESSIONS,
    )
    surprise = measured.groupby("symbol")["unchanged_run_surprise"].max()
    # By hand: four repeats, none before: 4 x -log10(1/83); the other has about half repeats.
    assert surprise["LIVELY"] == pytest.approx(4 * np.log10(83))
    assert surprise["STICKY"] < 2


def test_a_spike_is_doubted_at_once_and_convicted_when_it_is_taken_back() -> None:
    """The close jumps by half for one session and returns: nothing of the second finding is known
    on the first day.
    """
    close = walk(150, seed=6)
    close[120] *= 1.5
    spoken = rules_at(bars(close))
    assert ("uncorroborated_outlier", "AAA", 120) in spoken
    assert ("spike_reversed", "AAA", 121) in spoken
    first_night = bars(close).iloc[:121]
    assert "spike_reversed" not in {rule for rule, _, _ in rules_at(first_night)}


def test_turnover_backs_a_move() -> None:
    """A fall of 40 % in five times the usual turnover is news: a warning, nothing critical."""
    close = walk(150, seed=7)
    close[120:] *= 0.6
    volume = np.full(150, 1e6)
    quiet = rules_at(bars(close, volume=volume))
    assert ("uncorroborated_outlier", "AAA", 120) in quiet
    volume[120] *= 10
    assert rules_at(bars(close, volume=volume)) == [("outlier_return", "AAA", 120)]


def test_a_crash_of_the_whole_market_is_no_outlier_but_the_one_wrong_price_in_it_is() -> None:
    """Nine series fall by 20 % in one session; one of them by 60 %."""
    frames = []
    for seed in range(9):
        close = walk(150, seed=seed)
        close[120:] *= 0.4 if seed == 0 else 0.8
        frames.append(bars(close, symbol=f"S{seed}"))
    found = {(symbol, number) for _, symbol, number in rules_at(pd.concat(frames))}
    assert found == {("S0", 120)}
    alone = {(symbol, number) for _, symbol, number in rules_at(frames[1])}
    assert alone == {("S1", 120)}


def actions(kind: str, value: float, number: int) -> pd.DataFrame:
    day = pd.Timestamp(SESSIONS[number])
    row = {"symbol": "AAA", "ex_session": day, "kind": kind, "value": value}
    return pd.DataFrame([{**row, "known_at": day.tz_localize("UTC"), "source": "test"}])


@pytest.mark.parametrize("factor", [1 / 2, 1 / 3, 2 / 3, 1 / 7, 2.0, 10.0])
def test_a_split_needs_an_action_on_file(factor: float) -> None:
    """Unexplained it is critical, explained it is nothing, and on file without a jump it is
    critical again, because the price had the split in it already.
    """
    close = walk(150, seed=8)
    split = close * np.where(np.arange(150) < 120, 1.0, factor)
    on_file = actions("split", factor, 120)
    assert ("unadjusted_split", "AAA", 120) in rules_at(bars(split))
    assert rules_at(bars(split), actions=on_file) == []
    assert ("unadjusted_split", "AAA", 120) in rules_at(bars(close), actions=on_file)
    assert rules_at(bars(close, basis="split_adjusted"), actions=on_file) == []


def test_a_special_dividend_and_a_split_on_a_missing_session_are_explained() -> None:
    """A tenth of the price is paid out; and a split whose ex-session has no bar counts next."""
    close = walk(150, seed=9, daily=0.003)
    paid = np.where(np.arange(150) < 120, close, close - 10)
    dividend = actions("cash_dividend", 10.0, 120)
    assert rules_at(bars(paid)) != []
    assert rules_at(bars(paid), actions=dividend) == []
    split = bars(close * np.where(np.arange(150) < 120, 1.0, 0.5)).drop(120)
    assert rules_at(split, actions=actions("split", 0.5, 120)) == [("gap", "AAA", 121)]


def test_an_absent_symbol_gets_a_row_that_says_for_how_long() -> None:
    """AAA is there, BBB stopped three sessions ago, CCC was never seen; DDD is not expected."""
    frame = pd.concat(
        [bars(walk(30, seed=1)), bars(walk(27, seed=2), symbol="BBB"), bars([1.0], symbol="DDD")]
    )
    measured = measure(frame, sessions=SESSIONS)
    options: dict[str, Any] = {
        "expected": ["AAA", "BBB", "CCC"],
        "basis": Basis.RAW,
        "sessions": SESSIONS,
    }
    rows = missing_bars(measured, session=SESSIONS[29], **options)
    assert dict(zip(rows["symbol"], rows["staleness_sessions"], strict=True)) == {
        "BBB": 3,
        "CCC": 30,
    }
    whole = with_missing_bars(measured, session=SESSIONS[29].item(), **options)
    found = judge(whole)
    assert set(zip(found["rule"], found["symbol"], strict=True)) == {
        ("missing_bar", "BBB"),
        ("missing_bar", "CCC"),
    }
    assert whole.dtypes["is_session"] == "boolean"
    assert len(with_missing_bars(measured, session=SESSIONS[0], **options)) == len(frame) + 1


def test_a_wrong_call_is_refused_with_a_remedy() -> None:
    """A calendar out of order and bars without a column are the caller's errors."""
    with pytest.raises(DataError, match="not in order") as caught:
        measure(bars([1.0, 2.0]), sessions=SESSIONS[::-1])
    assert "sorted" in caught.value.remedy
    with pytest.raises(DataError, match="lacks the columns volume"):
        measure(bars([1.0]).drop(columns="volume"), sessions=SESSIONS)


def test_no_bars_have_no_findings() -> None:
    """An empty table is measured like any other."""
    empty = measure(bars([1.0]).iloc[:0], sessions=SESSIONS)
    assert list(empty.columns) == [*DAILY_BAR_COLUMNS, *CHECK_COLUMNS]
    assert judge(empty).empty


def test_the_scale_is_that_of_a_plain_loop() -> None:
    """The reference computes each row's z from its own past with numpy alone."""
    close = np.concatenate([walk(100, seed=10), walk(50, seed=11, daily=0.04)])
    measured = measure(bars(close), sessions=SESSIONS)
    move = np.diff(np.log(close))
    for row in range(1, len(close)):
        past = np.abs(move[max(0, row - 1 - 63) : row - 1])
        if len(past) < 20:
            assert np.isnan(measured["return_robust_z"][row])
            continue
        scale = max(1.4826 * np.median(past), 1.2533 * np.mean(past), 0.001)
        expected = abs(move[row - 1]) / scale
        assert measured["return_robust_z"][row] == pytest.approx(expected, rel=1e-9)


prices = st.lists(
    st.one_of(st.floats(0.5, 2.0), st.sampled_from([0.0, np.nan, 1.0, 1.0, 1.0])),
    min_size=40,
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(one=prices, other=prices, cut=st.integers(25, 59), gone=st.integers(0, 39))
def test_the_future_cannot_change_the_past(
    one: list[float], other: list[float], cut: int, gone: int
) -> None:
    """Measured up to a session or measured later with more, the rows of then are the same to the
    last bit; so tonight's verdict is the one that a replay finds.
    """
    frame = pd.concat(
        [
            bars(one, volume=1e6).drop(gone),
            bars(other, symbol="BBB"),
            bars(other, symbol="BBB", basis="total_return"),
        ],
        ignore_index=True,
    )
    policy = QualityPolicy(peers_min=2)
    everything = measure(frame, sessions=SESSIONS, policy=policy)
    known = (frame["session"] <= pd.Timestamp(SESSIONS[cut])).to_numpy()
    then = measure(frame[known], sessions=SESSIONS[: cut + 1], policy=policy)
    pd.testing.assert_frame_equal(then, everything[known].reset_index(drop=True), rtol=0, atol=0)


@settings(max_examples=15, deadline=None)
@given(one=prices, other=prices, seed=st.integers(0, 99))
def test_neither_other_symbols_nor_the_order_of_rows_matter(
    one: list[float], other: list[float], seed: int
) -> None:
    """Without a market to compare with, a series is judged by itself alone, bit for bit."""
    alone = measure(bars(one), sessions=SESSIONS)
    mixed = pd.concat([bars(other, symbol="BBB"), bars(one)]).sample(frac=1, random_state=seed)
    measured = measure(mixed, sessions=SESSIONS)
    own = measured[measured["symbol"] == "AAA"].sort_values("session", ignore_index=True)
    pd.testing.assert_frame_equal(own, alone, rtol=0, atol=0)


def test_every_rule_can_be_broken_and_reads_a_column_that_exists() -> None:
    """The rules and the measures fit together; limits come from the policy."""
    assert len({rule.name for rule in BAR_RULES}) == len(BAR_RULES)
    policy = QualityPolicy()
    for rule in BAR_RULES:
        assert rule.column in CHECK_COLUMNS
        assert rule.sentence.endswith(".")
        assert (rule.limit(policy) is None) == (rule.limit_field is None)


def test_three_hundred_thousand_bars_take_less_than_two_seconds() -> None:
    """600 symbols over 500 sessions, all checks, on one core's own time."""
    symbols, count = 600, 500
    close = np.concatenate([walk(count, seed=seed) for seed in range(symbols)])
    frame = pd.concat([bars(close[:count])] * symbols, ignore_index=True)
    frame = frame.assign(
        symbol=np.repeat([f"S{number:03d}" for number in range(symbols)], count),
        open=close,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        volume=1e6,
    )
    began = time.process_time()
    measured = measure(frame, sessions=SESSIONS)
    assert time.process_time() - began < 2.0
    assert len(judge(measured)) == 0


def test_sessions_may_be_dates() -> None:
    """What a warehouse hands back as plain dates is measured alike."""
    frame = bars(walk(30, seed=12))
    plain = frame.assign(session=[dt.date.fromisoformat(str(day)) for day in SESSIONS[:30]])
    checks = list(CHECK_COLUMNS)
    pd.testing.assert_frame_equal(
        measure(plain, sessions=SESSIONS)[checks], measure(frame, sessions=SESSIONS)[checks]
    )
