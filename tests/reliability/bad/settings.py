"""Wrong settings: every PMX_ variable of the environment with what it may not hold."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from resources.settings import VARIABLES, Settings
from tests.reliability.bad.case import Case, Workshop, attempt

KIND: Final = "environment"
WORDS: Final = ("but must be",)
PATHS: Final = ("PMX_HOME", "PMX_CONFIG_DIR", "PMX_CHECKPOINTS", "PMX_DAGSTER_HOME")
ADDRESSES: Final = ("PMX_CATALOG_URL", "PMX_LEDGER_URL", "PMX_MLFLOW_URL")
CLAIMS: Final = ("PMX_LONG_ONLY", "PMX_NO_COLOR")
INVISIBLE: Final = {"an escape sequence": "a\x1b[2Jb", "a right-to-left mark": "a\u202eb"}
PATH: Final = {"a null character": "a\0b", **INVISIBLE, "5,000 characters": "a" * 5_000}
ADDRESS: Final = {
    "a word": "somewhere",
    "another protocol": "gopher://x",
    "a path": "../../etc",
    **INVISIBLE,
}
CLAIM: Final = {"a word": "maybe", "a number": "2", "NaN": "nan", **INVISIBLE}
WRONG: Final[Mapping[str, Mapping[str, str]]] = {
    **dict.fromkeys(PATHS, PATH),
    **dict.fromkeys(ADDRESSES, ADDRESS),
    "PMX_LAKE_URL": {"another protocol": "gopher://x", "a null character": "a\0b", **INVISIBLE},
    "PMX_BOOK": {
        "a path": "../paper",
        "a capital letter": "Paper",
        "a look-alike": "p\u0430per",
        "300 characters": "a" * 300,
        "SQL": "a'; DROP TABLE x",
        **INVISIBLE,
    },
    **dict.fromkeys(CLAIMS, CLAIM),
    "PMX_WORKERS": {
        "a word": "many",
        "zero": "0",
        "a negative number": "-1",
        "a fraction": "1.5",
        "NaN": "nan",
        "infinity": "inf",
        "full-width digits": "\uff14",
        "5,000 digits": "9" * 5_000,
    },
    "PMX_FIT_BACKEND": {"a word": "abacus", **INVISIBLE},
    "PMX_LOG_LEVEL": {"a word": "loud", "a number": "10", **INVISIBLE},
}


def cases(_shop: Workshop) -> Iterator[Case]:
    """Every variable that is documented; a new one without a row here is a KeyError."""
    for name in VARIABLES:
        for what, value in WRONG[name].items():
            yield Case(
                kind=KIND,
                sample=f"{name}: {what}",
                name=f"{name} is {what}",
                ask=partial(attempt, partial(Settings.from_env, {name: value})),
                names=(name,),
                words=WORDS,
            )
