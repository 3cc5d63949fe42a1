import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import UsageError
from quant.market.bars import ACTION_COLUMNS, DAILY_BAR_COLUMNS
from quant.market.synthetic import (
    SyntheticPolicy,
    generate,
    synthetic_sessions,
    synthetic_symbols,
)
from quant.market.synthetic_defects import DEFECT_KINDS, STALE_SESSIONS

# Without listings, splits and payouts, so that returns can be read off the closes.
PLAIN = SyntheticPolicy(
    late_listing_share=0, delisting_rate_annual=0, split_rate_annual=0, dividend_payer_share=0
)


@pytest.fixture(scope="module")
def plain():
    return generate(seed=7, symbols=40, years=10, policy=PLAIN)


@pytest.fixture(scope="module")
def closes(plain):
    return plain.bars.pivot(index="session", columns="symbol", values="close")


@pytest.fixture(scope="module")
def returns(closes):
    return np.log(closes).diff().dropna()


def test_the_same_seed_gives_the_same_market():
    one = generate(seed=3, symbols=4, years=2, defects=True)
    two = generate(seed=3, symbols=4, years=2, defects=True)
    pd.testing.assert_frame_equal(one.bars, two.bars, check_exact=True)
    pd.testing.assert_frame_equal(one.actions, two.actions, check_exact=True)
    assert one.defects == two.defects


def test_another_seed_gives_another_market():
    one, two = (generate(seed=seed, symbols=1, years=1, policy=PLAIN).bars for seed in (1, 2))
    assert (one["close"].to_numpy() != two["close"].to_numpy()).mean() > 0.99


def test_a_symbol_does_not_depend_on_its_neighbours():
    """Growing a universe must not rewrite the history of those already in it."""
    few = generate(seed=5, symbols=("SYN0002",), years=3, defects=True)
    many = generate(seed=5, symbols=20, years=3, defects=True)
    own = many.bars[many.bars["symbol"] == "SYN0002"].reset_index(drop=True)
    pd.testing.assert_frame_equal(few.bars, own, check_exact=True)


def test_the_frames_have_the_columns_of_the_warehouse():
    market = generate(seed=1, symbols=3, years=1)
    assert tuple(market.bars.columns) == DAILY_BAR_COLUMNS
    assert tuple(market.actions.columns) == ACTION_COLUMNS
    assert (market.bars["known_at"] > market.bars["event_time"]).all()
    assert str(market.bars["event_time"].dtype) == "datetime64[us, UTC]"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_no_bar_breaks_the_order_of_its_prices(seed):
    bars = generate(seed=seed, symbols=3, years=2).bars
    top = bars[["open", "close"]].max(axis=1)
    bottom = bars[["open", "close"]].min(axis=1)
    assert (bars["high"] >= top).all()
    assert (bars["low"] <= bottom).all()
    assert (bars["low"] > 0).all()
    assert (bars["volume"] > 0).all()
    assert bars[["open", "high", "low", "close", "volume"]].notna().all().all()


def test_volatility_clusters(returns):
    """The size of moves is correlated from day to day, their direction is not."""
    sizes = returns.abs()
    clustering = np.mean([sizes[name].autocorr(lag) for name in returns for lag in range(1, 11)])
    direction = np.mean([returns[name].autocorr(1) for name in returns])
    assert clustering > 0.1
    assert abs(direction) < 0.04


def test_symbols_move_together(returns):
    correlation = returns.corr().to_numpy()
    off_diagonal = correlation[np.triu_indices_from(correlation, k=1)]
    assert 0.2 < off_diagonal.mean() < 0.6
    assert off_diagonal.min() > 0


def test_returns_have_heavy_tails(returns):
    assert returns.kurt().median() > 2


def test_regimes_rule_the_volatility_they_claim(plain, returns):
    """The realised spread in each regime follows the policy's ratio of one to two to four."""
    regime = plain.regimes.set_index("session")["regime"].loc[returns.index]
    spread = returns.groupby(regime).std().mean(axis=1)
    assert spread["turbulent"] / spread["calm"] == pytest.approx(2, rel=0.25)
    assert spread["crisis"] / spread["calm"] == pytest.approx(4, rel=0.3)
    market = returns.mean(axis=1).groupby(regime).mean()
    assert market["crisis"] < 0 < market["calm"]


def test_a_quarter_of_the_variance_falls_into_the_night(plain, closes):
    """The share is the policy's, measured from opens and closes alone."""
    opens = plain.bars.pivot(index="session", columns="symbol", values="open")
    night = np.log(opens / closes.shift()).dropna().var()
    day = np.log(closes / opens).dropna().var()
    # Jumps and heavy tails divide in proportion to the square, so the night's part is below 0.25.
    assert 0.15 < (night / (night + day)).median() < 0.3


def test_the_range_measures_the_volatility_of_the_day(plain):
    """Parkinson's estimator from the high and the low agrees with the open-to-close variance.

    High and low are each exact given the day's path; the drift-free estimator is unbiased then.
    """
    bars = plain.bars
    parkinson = (np.log(bars["high"] / bars["low"]) ** 2).mean() / (4 * np.log(2))
    close_to_open = (np.log(bars["close"] / bars["open"]) ** 2).mean()
    assert parkinson / close_to_open == pytest.approx(1, rel=0.1)


def test_volume_rises_on_days_that_move(plain, returns):
    volume = plain.bars.pivot(index="session", columns="symbol", values="volume").loc[returns.index]
    links = [np.log(volume[name]).corr(returns[name].abs()) for name in returns]
    assert np.mean(links) > 0.2


def test_actions_explain_every_break_in_raw_prices():
    """Undoing splits and adding dividends back leaves no return that the model could not make."""
    policy = SyntheticPolicy(split_rate_annual=0.8, dividend_payer_share=1, jump_rate_annual=0)
    market = generate(seed=11, symbols=15, years=6, policy=policy)
    assert (market.actions["kind"] == "split").sum() > 20
    splits = market.actions[market.actions["kind"] == "split"].set_index(["symbol", "ex_session"])
    cash = market.actions[market.actions["kind"] == "cash_dividend"]
    cash = cash.set_index(["symbol", "ex_session"])["value"]
    bars = market.bars.set_index(["symbol", "session"])
    factor = splits["value"].reindex(bars.index).fillna(1.0)
    paid = cash.reindex(bars.index).fillna(0.0)
    before = bars.groupby("symbol")["close"].shift()
    total = np.log((bars["close"] / factor + paid) / before).dropna()
    volatility = market.regimes.set_index("session")["volatility_daily"]
    scaled = total / volatility.reindex(total.index.get_level_values("session")).to_numpy()
    assert scaled.abs().max() < 15
    # And without the actions the breaks are there: halves, quarters and doubles.
    raw = np.log(bars["close"] / before).dropna()
    assert raw[splits.index.intersection(raw.index)].abs().median() > 0.5


def test_listings_begin_late_and_end_early():
    policy = SyntheticPolicy(late_listing_share=0.5, delisting_rate_annual=0.2)
    bars = generate(seed=2, symbols=60, years=5, policy=policy).bars
    life = bars.groupby("symbol")["session"].agg(["min", "max", "size"])
    assert 10 < (life["min"] > life["min"].min()).sum() < 50
    assert 10 < (life["max"] < life["max"].max()).sum() < 60
    days = synthetic_sessions(5)
    for row in life.itertuples():
        expected = ((days >= np.datetime64(row.min)) & (days <= np.datetime64(row.max))).sum()
        assert row.size == expected, "a life has no holes"


def test_every_kind_of_defect_is_planted_and_nothing_else_changes():
    """The list of defects is complete: elsewhere the spoilt market equals the sound one."""
    sound = generate(seed=9, symbols=30, years=4)
    spoilt = generate(seed=9, symbols=30, years=4, defects=True)
    assert {defect.kind for defect in spoilt.defects} == set(DEFECT_KINDS)
    assert len(spoilt.defects) == 90
    fields = ["open", "high", "low", "close", "volume"]
    keys = ["symbol", "session"]
    both = sound.bars.set_index(keys)[fields].join(
        spoilt.bars.set_index(keys)[fields].add_suffix("_spoilt")
    )
    halved = {d.symbol: d.session for d in spoilt.defects if d.kind == "unadjusted_split"}
    for symbol in both.index.unique("symbol"):
        rows = both.loc[symbol]
        factor = np.ones(len(rows))
        if symbol in halved:
            factor[rows.index >= halved[symbol]] = 0.5
        expected = rows["close"] * factor
        differs = rows.index[~np.isclose(rows["close_spoilt"], expected, rtol=1e-3)]
        own = [d for d in spoilt.defects if d.symbol == symbol]
        allowed = set()
        for defect in own:
            at = rows.index.get_loc(defect.session)
            allowed |= set(rows.index[at : at + defect.sessions])
        assert set(differs) <= allowed, symbol
        assert all(_shows(defect, rows) for defect in own), own


def _shows(defect, rows):
    row = rows.loc[defect.session]
    match defect.kind:
        case "missing_bar":
            return np.isnan(row["close_spoilt"])
        case "zero_volume":
            return row["volume_spoilt"] == 0
        case "spike":
            return row["close_spoilt"] > 4 * row["close"]
        case "close_above_high":
            return row["close_spoilt"] > row["high_spoilt"]
        case "unadjusted_split":
            return row["close_spoilt"] == pytest.approx(row["close"] / 2, rel=1e-3)
        case "stale":
            at = rows.index.get_loc(defect.session)
            span = rows.iloc[at - 1 : at + STALE_SESSIONS]
            return span["close_spoilt"].nunique() == 1 and span["volume_spoilt"].nunique() == 1
    raise AssertionError(defect.kind)


def test_five_times_the_symbols_cost_about_five_times_as_much():
    """Linear with room for noise: a quadratic generator would need twenty-five times."""

    def seconds(count):
        began = time.perf_counter()
        generate(seed=1, symbols=count, years=4)
        return time.perf_counter() - began

    generate(seed=1, symbols=2, years=4)
    assert min(seconds(100) for _ in range(2)) < 15 * max(min(seconds(20) for _ in range(3)), 0.005)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: generate(seed=1, symbols=0),
        lambda: generate(seed=1, symbols=("A", "A")),
        lambda: generate(seed=1, symbols=("../A",)),
        lambda: generate(seed=1, symbols=1, years=0),
        lambda: generate(seed=1, symbols=1, days=synthetic_sessions(1)[:1]),
    ],
)
def test_an_impossible_market_is_refused_with_a_remedy(ask):
    with pytest.raises(UsageError) as caught:
        ask()
    assert caught.value.remedy


def test_names_are_made_up_and_in_order():
    assert synthetic_symbols(3) == ("SYN0001", "SYN0002", "SYN0003")
