"""The defects of the bundled data, found by rule. Nothing in the rules knows a symbol or a date."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from quality_samples import DATA, nyse_sessions, sample_actions, sample_bars

from quant.market.quality import measure
from quant.market.quality_gate import judge, quarantine

NYSE_HOLIDAYS_OF_DELL = 20


@pytest.fixture(scope="module")
def nyse() -> NDArray[np.datetime64]:
    return nyse_sessions()


def findings_in(
    name: str, sessions: NDArray[np.datetime64], actions: pd.DataFrame | None = None
) -> pd.DataFrame:
    return judge(measure(sample_bars(name), sessions=sessions, actions=actions))


def at(findings: pd.DataFrame, rule: str) -> list[tuple[str, str]]:
    chosen = findings[findings["rule"] == rule]
    days = chosen["session"].dt.strftime("%Y-%m-%d")
    return list(zip(chosen["symbol"], days, strict=True))


def test_the_raw_prices_hold_twenty_phantom_bars_and_nothing_else_is_critical(
    nyse: NDArray[np.datetime64],
) -> None:
    """The vendor invented a bar for DELL on 20 holidays (two of them hurricane Sandy), each with no
    volume. The file marks them itself (`on_nyse_session`), which serves as the reference here.
    """
    findings = findings_in("us_equity_raw_2004_2014_daily", nyse, sample_actions())
    phantoms = at(findings, "phantom_bar")
    assert len(phantoms) == NYSE_HOLIDAYS_OF_DELL
    assert ("DELL", "2012-10-29") in phantoms
    assert phantoms == at(findings, "zero_volume")
    assert set(findings.loc[findings["severity"] == "critical", "rule"]) == {"phantom_bar"}
    bars = pd.read_parquet(DATA / "us_equity_raw_2004_2014_daily.parquet")
    marked = bars[~bars["on_nyse_session"]]
    assert phantoms == list(zip(marked["symbol"], marked["date"].astype(str), strict=True))


def test_five_real_splits_are_explained_by_the_actions_and_suspect_without_them(
    nyse: NDArray[np.datetime64],
) -> None:
    """AAPL 2005 and 2014 (seven for one), CERN 2006, 2011 and 2013: all known, so no finding;
    take the actions away and exactly these five sessions are unadjusted splits.
    """
    name = "us_equity_raw_2004_2014_daily"
    assert at(findings_in(name, nyse, sample_actions()), "unadjusted_split") == []
    splits = sample_actions().query("kind == 'split'").sort_values(["ex_session", "symbol"])
    on_file = list(zip(splits["symbol"], splits["ex_session"].astype(str), strict=True))
    assert len(on_file) == 5
    assert at(findings_in(name, nyse), "unadjusted_split") == on_file


def test_actions_on_file_that_prices_already_contain_are_found_as_well(
    nyse: NDArray[np.datetime64],
) -> None:
    """Adjusted prices delivered under the name of raw ones would be adjusted twice."""
    bars = sample_bars("us_equity_ohlcv_daily").assign(basis="raw")
    actions = sample_actions()
    found = at(judge(measure(bars, sessions=nyse, actions=actions)), "unadjusted_split")
    splits = actions.query("kind == 'split'")
    assert set(found) == set(zip(splits["symbol"], splits["ex_session"].astype(str), strict=True))


def test_the_index_has_two_sessions_without_volume(nyse: NDArray[np.datetime64]) -> None:
    """The Nasdaq surely traded on these days."""
    findings = findings_in("index_daily", nyse)
    assert at(findings, "zero_volume") == [
        ("NASDAQCOMP", "2015-05-12"),
        ("NASDAQCOMP", "2018-01-09"),
    ]
    assert set(findings["severity"]) == {"warning"}


def test_bitcoin_lacks_four_days(nyse: NDArray[np.datetime64]) -> None:
    """On a calendar of all days three gaps appear, 1 + 1 + 2 days."""
    days = np.arange("2020-01-01", "2021-10-28", dtype="datetime64[D]")
    findings = findings_in("crypto_btcusd_daily", days)
    gaps = findings[findings["rule"] == "gap"]
    assert at(findings, "gap") == [
        ("BTC-USD", "2020-04-18"),
        ("BTC-USD", "2020-10-10"),
        ("BTC-USD", "2020-10-14"),
    ]
    assert gaps["value"].tolist() == [1, 1, 2]


def test_stale_closes_are_found_in_a_thin_fund_and_a_penny_stock(
    nyse: NDArray[np.datetime64],
) -> None:
    """The fund SIZE did not trade for days in its first year. RRC stood still for 68 sessions in
    1990 and then fell to exactly a third. DELL's close repeated for five sessions too in 2013, but
    it traded every day in a range around the price of its buy-out: no finding.
    """
    funds = findings_in("etf_daily", nyse)
    assert at(funds, "stale_close") == [("SIZE", "2014-06-17")]
    stocks = findings_in("us_equity_adjclose_daily", nyse)
    stale = stocks[stocks["rule"] == "stale_close"]
    assert set(stale["symbol"]) == {"RRC", "JPM"}
    assert stale["value"].max() == 68
    assert at(stocks, "unadjusted_split") == [("RRC", "1990-04-10")]
    dell = findings_in("us_equity_raw_2004_2014_daily", nyse, sample_actions())
    assert at(dell, "stale_close") == []


@pytest.mark.parametrize(
    "name", ["us_equity_adjclose_daily", "us_equity_ohlcv_daily", "index_daily", "etf_daily"]
)
def test_crashes_are_not_mistaken_for_bad_data(name: str, nyse: NDArray[np.datetime64]) -> None:
    """Autumn 2008 and spring 2020 are news: not one outlier finding in either."""
    findings = findings_in(name, nyse)
    doubts = findings[findings["rule"].isin(["outlier_return", "uncorroborated_outlier"])]
    for first, last in (("2008-09-01", "2009-04-30"), ("2020-02-15", "2020-05-31")):
        assert doubts[doubts["session"].between(first, last)].empty


def test_few_true_moves_are_doubted(nyse: NDArray[np.datetime64]) -> None:
    """In 150 series-years with volume no earnings jump is critical; without volume, where turnover
    cannot back a move, one is: MRK lost 27 % on 2004-09-30. RRC's ticks of 8 % are the rest.
    """
    prices = findings_in("us_equity_ohlcv_daily", nyse)
    assert set(prices["severity"]) == {"warning"}
    assert len(prices) < 20
    closes = findings_in("us_equity_adjclose_daily", nyse)
    doubted = closes[closes["rule"] == "uncorroborated_outlier"]
    assert at(doubted[doubted["symbol"] != "RRC"], "uncorroborated_outlier") == [
        ("MRK", "2004-09-30")
    ]


def test_on_the_last_nights_of_the_data_nobody_is_quarantined(
    nyse: NDArray[np.datetime64],
) -> None:
    """The 60 sessions that the demo trades are clean, so the gate does not stand in its way."""
    findings = findings_in("us_equity_adjclose_daily", nyse)
    nights = nyse[nyse <= np.datetime64("2022-12-28")][-60:]
    assert all(quarantine(findings, session=night, sessions=nyse) == {} for night in nights)


@pytest.mark.parametrize("factor", [10.0, 0.1, 100.0])
def test_misplaced_commas_in_real_prices_are_found_and_nobody_else_is_blamed(
    factor: float, nyse: NDArray[np.datetime64]
) -> None:
    """200 bars of the real prices are multiplied; a wrong price inflates its own turnover, so that
    must not excuse it. Nine in ten are critical in the same night and 98 % by the next; no bar
    besides these and the one after each is blamed.
    """
    bars = sample_bars("us_equity_ohlcv_daily").sort_values(
        ["symbol", "session"], ignore_index=True
    )
    age, rest = (bars.groupby("symbol").cumcount(ascending=up).to_numpy() for up in (True, False))
    eligible = np.flatnonzero((age > 40) & (rest > 2))
    # Ten bars apart, so that no error is the next session of another one.
    wrong = np.random.default_rng(1).choice(eligible[eligible % 10 == 0], 200, replace=False)
    bars.loc[wrong, ["open", "high", "low", "close"]] *= factor
    findings = judge(measure(bars, sessions=nyse))
    critical = findings[findings["severity"] == "critical"]
    blamed = set(zip(critical["symbol"], critical["session"], strict=True))
    key = list(zip(bars["symbol"], bars["session"], strict=True))
    same_night = [key[row] in blamed for row in wrong]
    next_night = [key[row] in blamed or key[row + 1] in blamed for row in wrong]
    assert np.mean(same_night) >= 0.9
    assert np.mean(next_night) >= 0.98
    assert blamed <= {key[row + after] for row in wrong for after in (0, 1)}
