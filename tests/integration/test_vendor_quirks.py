"""What only one vendor does: sentences with status 200, pages without end, prices it adjusted."""

import datetime as dt

import pytest

from quant.core.errors import (
    SourceAnswerError,
    SourceRefusedError,
    SourceUnavailableError,
    UsageError,
)
from quant.market.bars import AssetClass, Basis
from resources.market_data.http import SourceRules
from tests.loopback import Ask, serving
from tests.vendor_answers import RAW, SESSIONS, VENDORS

RULES = SourceRules(requests_per_minute=1000, timeout_s=5.0, retries=0)
ALPHA_VANTAGE, YAHOO, FINNHUB, ALPACA, BINANCE = (
    VENDORS[name] for name in ("alpha_vantage", "yfinance", "finnhub", "alpaca", "ccxt_binance")
)


@pytest.mark.parametrize(
    "answer",
    [
        {"Note": "Our standard API call frequency is 5 calls per minute and 500 calls per day."},
        {"Information": "We have detected your API key and our rate limit is 25 requests per day."},
    ],
)
def test_alpha_vantage_used_up_is_unavailable_and_not_refused(answer: dict[str, str]) -> None:
    """The allowance is told in a sentence with status 200; tomorrow it is there again."""
    with serving(lambda _ask: answer) as vendor, pytest.raises(SourceUnavailableError):
        ALPHA_VANTAGE.build(vendor.url, RULES).bars(ALPHA_VANTAGE.request())


def test_alpha_vantage_premium_is_refused() -> None:
    """What the plan does not include does not come tomorrow either."""
    answer = {"Information": "Thank you for using Alpha Vantage! This is a premium endpoint."}
    with serving(lambda _ask: answer) as vendor, pytest.raises(SourceRefusedError, match="premium"):
        ALPHA_VANTAGE.build(vendor.url, RULES).bars(ALPHA_VANTAGE.request())


def test_a_wrong_key_is_found_out_with_one_request_and_not_one_a_symbol() -> None:
    """Three symbols, one 401: it is the key, not the symbols."""
    with serving(lambda _ask: (401, {"error": "Invalid API key"})) as vendor:
        with pytest.raises(SourceRefusedError, match="401"):
            FINNHUB.build(vendor.url, RULES).bars(FINNHUB.request("AAPL", "MSFT", "IBM"))
        assert len(vendor.asks) == 1


def test_alpha_vantage_is_asked_for_the_short_answer_where_that_is_enough() -> None:
    """The full history is megabytes, and not part of the free plan."""
    with serving(ALPHA_VANTAGE.respond(RAW)) as vendor:
        source = ALPHA_VANTAGE.build(vendor.url, RULES)
        source.bars(ALPHA_VANTAGE.request())
        source.bars(ALPHA_VANTAGE.request(start=dt.date(2019, 1, 2)))
        assert [ask.query["outputsize"] for ask in vendor.asks] == ["compact", "full"]


def test_yahoo_serves_all_three_bases_of_one_day() -> None:
    """28 August: 499.23 printed, a quarter after the split, and 1 % less after the dividend."""
    closes = {}
    with serving(YAHOO.respond(RAW)) as vendor:
        for basis in Basis:
            bars = YAHOO.build(vendor.url, RULES).bars(YAHOO.request(basis=basis))
            assert set(bars["basis"]) == {basis.value}
            closes[basis] = bars["close"].iloc[1]
    assert closes[Basis.RAW] == pytest.approx(499.23)
    assert closes[Basis.SPLIT_ADJUSTED] == pytest.approx(499.23 / 4)
    assert closes[Basis.TOTAL_RETURN] == pytest.approx(499.23 / 4 * 0.99)


@pytest.mark.parametrize(("told", "kept"), [("GBp", "GBX"), ("ZAc", "ZAC"), ("NGN", "NGN")])
def test_pence_do_not_become_pounds(told: str, kept: str) -> None:
    """Yahoo writes hundredths in lower case; upper-casing them would be wrong by a hundred."""
    good = YAHOO.respond(RAW)

    def respond(ask: Ask) -> object:
        answer = good(ask)
        answer["chart"]["result"][0]["meta"]["currency"] = told
        return answer

    with serving(respond) as vendor:
        bars = YAHOO.build(vendor.url, RULES).bars(YAHOO.request())
    assert set(bars["currency"]) == {kept}


def test_alpaca_is_asked_for_the_basis_and_the_feed_by_name() -> None:
    with serving(ALPACA.respond(RAW)) as vendor:
        source = ALPACA.build(vendor.url, RULES)
        source.bars(ALPACA.request(basis=Basis.SPLIT_ADJUSTED))
        assert vendor.asks[0].query["adjustment"] == "split"
        assert vendor.asks[0].query["feed"] == "iex"
        assert vendor.asks[0].query["timeframe"] == "1Day"


def test_alpaca_pages_in_a_circle_end_in_an_error() -> None:
    """The SDK follows every page token; a vendor's fault must not become an endless loop."""
    page = {"bars": {"AAPL": []}, "next_page_token": "again"}
    rules = SourceRules(requests_per_minute=100_000, timeout_s=5.0, retries=0)
    with serving(lambda _ask: page) as vendor:
        with pytest.raises(SourceAnswerError, match="next page"):
            ALPACA.build(vendor.url, rules).bars(ALPACA.request())
        assert len(vendor.asks) == 200


def test_intraday_bars_carry_their_session_and_their_end() -> None:
    """Two five-minute candles from 13:30 UTC, the opening bell in New York."""
    opened = [int(dt.datetime(2020, 9, 2, 13, m, tzinfo=dt.UTC).timestamp()) for m in (30, 35)]
    candles = {"s": "ok", "t": opened} | {name: [100.0, 101.0] for name in "ohlcv"}

    def respond(ask: Ask) -> object:
        assert ask.query["resolution"] == "5"
        return candles

    with serving(respond) as vendor:
        bars = FINNHUB.build(vendor.url, RULES).bars(FINNHUB.request(interval_minutes=5))
    assert [str(moment) for moment in bars["event_time"]] == [
        "2020-09-02 13:35:00+00:00",
        "2020-09-02 13:40:00+00:00",
    ]
    assert set(bars["session"]) == {dt.date(2020, 9, 2)}
    assert set(bars["interval_minutes"]) == {5}


def test_candles_of_an_exchange_are_read_page_by_page() -> None:
    """2,500 hours are three requests; none is lost at the seams and none is told twice."""
    hours = 2500
    first = dt.datetime(2020, 5, 1, tzinfo=dt.UTC)
    good = BINANCE.respond(RAW)

    def respond(ask: Ask) -> object:
        if not ask.path.endswith("/klines"):
            return good(ask)
        told = []
        since, limit = int(ask.query["startTime"]), int(ask.query["limit"])
        for hour in range(hours):
            opened = int((first + dt.timedelta(hours=hour)).timestamp()) * 1000
            if opened >= since and len(told) < limit:
                told.append([opened, "1", "2", "0.5", str(1 + hour), "3", 0, "0", 1, "0", "0", "0"])
        return told

    with serving(respond) as vendor:
        bars = BINANCE.build(vendor.url, RULES).bars(
            BINANCE.request(start=first.date(), end=SESSIONS[-1], interval_minutes=60)
        )
        pages = [ask for ask in vendor.asks if ask.path.endswith("/klines")]
    assert bars["close"].to_list() == [1.0 + hour for hour in range(hours)]
    assert set(bars["currency"]) == {"USDT"}
    assert len(pages) == 4  # the last one is empty: nothing more until September


@pytest.mark.parametrize("markets", [{}, {"symbols": []}, [], {"symbols": [1, 2]}])
def test_an_exchange_without_markets_is_not_believed(markets: object) -> None:
    """ccxt takes an empty list of markets for an exchange that trades nothing."""
    with serving(lambda _ask: markets) as vendor, pytest.raises(SourceAnswerError):
        BINANCE.build(vendor.url, RULES).bars(BINANCE.request())


def test_another_exchange_works_by_its_name() -> None:
    """Kraken tells candles in another shape and its errors with status 200."""
    from quant.core.clock import SteppedClock
    from resources.market_data.ccxt_exchange import CcxtSource
    from tests.vendor_answers import NOW

    pair = {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    }

    def respond(ask: Ask) -> object:
        if ask.path.endswith("/AssetPairs"):
            return {"error": [], "result": {"XXBTZUSD": pair}}
        if ask.path.endswith("/OHLC"):
            rows = [
                [int(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp())]
                + [str(value) for value in (*bar[:4], 0, bar[4])]
                + [1]
                for day, bar in zip(SESSIONS, RAW, strict=True)
            ]
            return {"error": [], "result": {"XXBTZUSD": rows, "last": 0}}
        return {"error": ["EGeneral:Unknown method"]}

    with serving(respond) as vendor:
        source = CcxtSource(
            exchange_id="kraken", rules=RULES, base_url=vendor.url, clock=SteppedClock(NOW)
        )
        bars = source.bars(BINANCE.request("BTC/USD"))
        assert bars["close"].to_list() == [bar[3] for bar in RAW]
        vendor.respond = lambda _ask: {"error": ["EService:Unavailable"]}
        with pytest.raises(SourceUnavailableError):
            source.bars(BINANCE.request("BTC/USD"))


def test_an_exchange_that_ccxt_does_not_know_is_the_callers_mistake() -> None:
    from resources.market_data.ccxt_exchange import CcxtSource

    with pytest.raises(UsageError, match="mtgox"):
        CcxtSource(exchange_id="mtgox")


@pytest.mark.parametrize("name", ["alpha_vantage", "finnhub", "alpaca", "ccxt_binance"])
def test_an_asset_class_that_a_vendor_does_not_serve_is_refused_without_asking(name: str) -> None:
    case = VENDORS[name]
    with serving(case.respond(RAW)) as vendor:
        with pytest.raises(SourceRefusedError):
            case.build(vendor.url, RULES).bars(case.request(asset_class=AssetClass.FX))
        assert vendor.asks == []
