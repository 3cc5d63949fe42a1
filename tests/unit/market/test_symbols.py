import pytest

from quant.core.errors import UsageError
from quant.market.symbols import check_symbol, shown, symbol_fault


@pytest.mark.parametrize(
    "symbol", ["AAPL", "BRK-B", "BRK.B", "BTC/USDT", "^GSPC", "ES=F", "BINANCE:BTCUSDT", "7203.T"]
)
def test_the_spellings_of_real_vendors_are_symbols(symbol):
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    ("symbol", "fault"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("A" * 300, "300 characters"),
        ("../../etc/passwd", "path"),
        ("A/../B", "path"),
        ("/etc", "path"),
        ("AA\0PL", "control character U\\+0000"),
        ("AAPL\n", "control character U\\+000A"),
        ("ААPL", "CYRILLIC CAPITAL LETTER A"),
        ("AAPL\u200b", "ZERO WIDTH SPACE"),
        ("ＡＡＰＬ", "FULLWIDTH LATIN CAPITAL LETTER A"),
        ("AAPL;DROP TABLE", "';'"),
        ("A B", "' '"),
        ("$AAPL", r"'\$'"),
        ("-AAPL", "starts with '-'"),
        ("'A'", '"\'"'),
        ("=AA", "starts with '='"),
    ],
)
def test_what_is_no_symbol_is_refused_in_plain_words(symbol, fault):
    """Cyrillic letters look like Latin ones, so the message names the character."""
    with pytest.raises(UsageError, match=fault) as caught:
        check_symbol(symbol)
    assert "ASCII" in caught.value.remedy
    assert len(str(caught.value)) < 200
    assert str(caught.value).isascii()


def test_a_good_symbol_has_no_fault():
    assert symbol_fault("AAPL") is None


def test_a_value_in_a_message_is_short_and_escaped():
    assert shown("a\x1b[31m") == r"'a\x1b[31m'"
    assert len(shown("x" * 10_000)) == 40
