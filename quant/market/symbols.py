"""What may be the name of an instrument, and what exactly is wrong with one that may not.

Symbols become file names, SQL values, URLs and order fields, so the rule is strict and in one
place: ASCII, short, and nothing that a path could climb with. Does not belong here: which symbols
exist, or how a vendor spells them (`frontier`, the adapters).
"""

import re
import unicodedata
from typing import Final

from quant.core.errors import UsageError

# Long enough for every ticker, pair and option root that the sources use; the character set admits
# BTC/USDT, ^GSPC, ES=F, BRK-B and BINANCE:BTCUSDT, and the lookahead refuses a path such as "..".
SYMBOL_LENGTH_MAX: Final = 40
SYMBOL_PATTERN: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9^][A-Za-z0-9.\-_/=^:]*")

SYMBOL_REMEDY = f"use at most {SYMBOL_LENGTH_MAX} ASCII letters, digits and . - _ / = ^ :"


def check_symbol(symbol: str) -> str:
    """The symbol itself when it may be used; `UsageError` says what is wrong with it."""
    fault = symbol_fault(symbol)
    if fault is not None:
        raise UsageError(f"{shown(symbol)} is not a symbol: {fault}", remedy=SYMBOL_REMEDY)
    return symbol


def symbol_fault(symbol: str) -> str | None:
    """What is wrong with `symbol` in plain words, or None."""
    if not symbol.strip():
        return "it is empty"
    if len(symbol) > SYMBOL_LENGTH_MAX:
        return f"it has {len(symbol)} characters, at most {SYMBOL_LENGTH_MAX} are allowed"
    for character in symbol:
        if fault := _character_fault(character):
            return fault
    if ".." in symbol or "//" in symbol or symbol.startswith("/"):
        return "it reads as a path"
    if not SYMBOL_PATTERN.fullmatch(symbol):
        return f"it starts with {symbol[0]!r}"
    return None


def shown(value: object, *, length_max: int = 40) -> str:
    """A value as it may stand in a message: quoted, escaped and short."""
    text = ascii(str(value))
    return text if len(text) <= length_max else text[: length_max - 4] + "...'"


def _character_fault(character: str) -> str | None:
    if not character.isascii():
        # Look-alikes (a Cyrillic A in AAPL) are invisible in a message, so their name is told.
        name = unicodedata.name(character, "unnamed")
        return f"it contains U+{ord(character):04X} ({name}), which is not ASCII"
    if not character.isprintable():
        return f"it contains the control character U+{ord(character):04X}"
    if not (character.isalnum() or character in "^.-_/=:"):
        return f"it contains {character!r}"
    return None
