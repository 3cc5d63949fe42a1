import datetime as dt
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quant.core.errors import PolicyError, UsageError
from quant.market.calendars import sessions
from quant.market.frontier import (
    FrontierPolicy,
    cap_frontier_weights,
    exchange_of,
    from_vendor_symbol,
    frontier_breaches,
    frontier_symbols,
    require_admitted,
    vendor_symbol,
    venue_costs,
)
from quant.market.symbols import check_symbol

FILE = Path(__file__).parents[3] / "config" / "frontier.yaml"
RAW = yaml.safe_load(FILE.read_text(encoding="utf-8"))
OFF = FrontierPolicy.model_validate(RAW)
ON = OFF.model_copy(update={"include_frontier": True})
ATLAS = frontier_symbols(OFF)


def test_the_atlas_reaches_from_nigeria_to_bulgaria():
    assert {"XNSA", "XNAI", "XJSE", "XBUL", "XBRV", "XGHA", "XCAI", "XCAS"} <= set(OFF.exchanges)
    assert {"XBSE", "XZAG", "XLJU", "XKAR", "XCOL", "XDHA", "XSTC", "XDAR"} <= set(OFF.exchanges)
    assert {"MTNN.XNSA", "DANGCEM.XNSA", "SCOM.XNAI", "NPN.XJSE", "SYN.XBUL"} <= set(ATLAS)
    assert len(ATLAS) > 100


def test_every_symbol_of_the_atlas_is_a_symbol_and_stands_once():
    assert len(set(ATLAS)) == len(ATLAS)
    assert [check_symbol(symbol) for symbol in ATLAS] == list(ATLAS)


def test_a_frontier_symbol_cannot_slip_in_while_the_flag_is_off():
    require_admitted(["AAPL", "BRK.B"], OFF)
    with pytest.raises(PolicyError, match=r"MTNN\.XNSA") as caught:
        require_admitted(["AAPL", "MTNN.XNSA"], OFF)
    assert "include_frontier" in caught.value.remedy
    require_admitted(["AAPL", "MTNN.XNSA"], ON)


def test_an_unknown_exchange_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="XXXX") as caught:
        frontier_symbols(ON, exchanges=["XXXX"])
    assert "XNSA" in caught.value.remedy


def test_suffixes_agree_with_yfinance_s_own_table():
    """The vendor's package is the reference; what it lacks is marked in the file's header."""
    from yfinance import const

    theirs = const._MIC_TO_YAHOO_SUFFIX
    ours = {mic: e.vendor_suffix.get("yfinance") for mic, e in OFF.exchanges.items()}
    for mic, suffix in ours.items():
        if mic in theirs:
            assert suffix == f".{theirs[mic]}", mic
        else:
            assert suffix in (None, ".KA", ".CM"), mic
    assert sum(mic in theirs for mic in ours) == 4


def test_a_vendor_s_spelling_leads_there_and_back():
    assert vendor_symbol("NPN.XJSE", "yfinance", OFF) == "NPN.JO"
    assert vendor_symbol("COMB-N0000.XCOL", "yfinance", OFF) == "COMB-N0000.CM"
    assert vendor_symbol("MTNN.XNSA", "yfinance", OFF) is None
    for symbol in ATLAS:
        for vendor in ("yfinance", "bloomberg"):
            written = vendor_symbol(symbol, vendor, OFF)
            if written is not None:
                assert from_vendor_symbol(written, vendor, OFF) == symbol
    assert from_vendor_symbol("AAPL", "yfinance", OFF) is None
    assert from_vendor_symbol("NOPE.JO", "yfinance", OFF) is None


def test_every_exchange_has_sessions_costs_and_a_reason():
    for mic, exchange in OFF.exchanges.items():
        assert len(sessions(exchange.calendar, dt.date(2024, 6, 3), dt.date(2024, 6, 9))) >= 4
        # The cheapest of them is several times dearer than a large American share.
        assert exchange.cost.round_trip_bps > 30, mic
        assert exchange.weight_max <= OFF.frontier_weight_max


def test_a_round_trip_in_lagos_costs_the_spread_once_and_the_fees_twice():
    assert venue_costs("MTNN.XNSA", OFF).round_trip_bps == 120 + 2 * 175
    assert (
        venue_costs("MTNN.XNSA", OFF).round_trip_bps > venue_costs("NPN.XJSE", OFF).round_trip_bps
    )


def test_johannesburg_quotes_in_cents():
    exchange = exchange_of("NPN.XJSE", OFF)
    assert exchange is not None
    assert (exchange.quote_units_per_currency, exchange.currency) == (100, "ZAR")
    assert exchange.has_holiday_list
    assert exchange_of("BRK.B", OFF) is None


def test_ngx_is_capped_at_five_percent():
    """Eight percent in Lagos becomes five; proportions inside stay, America is untouched."""
    weights = {"MTNN.XNSA": 0.06, "DANGCEM.XNSA": 0.02, "AAPL": 0.5}
    [breach] = frontier_breaches(weights, ON)
    assert (breach.scope, breach.weight_max) == ("XNSA", 0.05)
    capped = cap_frontier_weights(weights, ON)
    assert capped["MTNN.XNSA"] == pytest.approx(0.0375)
    assert capped["DANGCEM.XNSA"] == pytest.approx(0.0125)
    assert capped["AAPL"] == 0.5
    assert frontier_breaches(capped, ON) == ()


def test_a_file_cannot_loosen_the_cap_on_ngx():
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    raw["exchanges"]["XNSA"]["weight_max"] = 0.06
    with pytest.raises(ValidationError, match=r"at most 0\.05"):
        FrontierPolicy.model_validate(raw)


@given(
    weights=st.dictionaries(
        st.sampled_from([*ATLAS[::7], "AAPL", "BTC/USD"]), st.floats(-0.5, 0.5), max_size=12
    )
)
def test_capped_weights_break_no_cap_and_grow_nowhere(weights):
    capped = cap_frontier_weights(weights, ON)
    assert frontier_breaches(capped, ON) == ()
    assert set(capped) == set(weights)
    for symbol, weight in weights.items():
        assert abs(capped[symbol]) <= abs(weight)
        assert capped[symbol] * weight >= 0
    if not frontier_breaches(weights, ON):
        assert capped == pytest.approx(weights)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("calendar",), "XXXX"),
        (("currency",), "naira"),
        (("weight_max",), 0),
        (("tickers",), {"../x": "no"}),
        (("tickers",), {}),
        (("cost", "fee_bps"), -1),
        (("cost", "reason"), "because"),
        (("typo",), 1),
    ],
)
def test_a_wrong_entry_is_refused(path, value):
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    entry = raw["exchanges"]["XBUL"]
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    with pytest.raises(ValidationError):
        FrontierPolicy.model_validate(raw)
