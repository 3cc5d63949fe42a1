"""Wrong files of faults for the simulated venue."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from apps.simulator.faults import read_faults
from tests.reliability.bad.case import Case, Refused, Workshop, attempt

KIND: Final = "faults"
GOOD: Final[dict[str, Any]] = {"fault": "page"}
NUMBER: Final[Mapping[str, Any]] = {
    "text": "ten",
    "nothing": None,
    "a list": [1],
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
}
RULE: Final[Mapping[str, Mapping[str, Any]]] = {
    "fault": {"another word": "gremlin", "a number": 1, "nothing": None, "a list": ["page"]},
    "on": {"a word": "submit", "nothing": None, "a number": 1, "an unknown word": ["sbumit"]},
    "venue": {"a number": 1, "nothing": None, "another venue": "nasdaq"},
    "share": {**NUMBER, "more than all": 1.5, "a negative number": -0.5},
    "calls": {"a number": 1, "text": "1", "a fraction": [1.5], "nothing": None, "zero": [0]},
    **dict.fromkeys(
        ("from_s", "delay_ms_min", "delay_ms_max", "retry_after_s", "skew_ms", "lag_ms"), NUMBER
    ),
    **{name: {**NUMBER, "a fraction": 1.5} for name in ("status", "code")},
}
FILES: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "half": b'{"rules": [',
    "YAML": b"rules:\n  - fault: page\n",
    "a list": b"[]",
    "Latin-1": b'{"rules": "\xfc"}',
    "UTF-16": '{"rules": []}'.encode("utf-16"),
    "deep nesting": b"[" * 100_000,
    "a key twice": b'{"rules": [], "rules": []}',
    "an unknown key": b'{"rulez": []}',
    "a number of 5,000 digits": b'{"alpaca_requests_per_minute": ' + b"9" * 5_000 + b"}",
}


def cases(shop: Workshop) -> Iterator[Case]:
    """Each field of a rule, then the file as a whole."""
    for field, values in RULE.items():
        for what, value in values.items():
            content = json.dumps({"rules": [GOOD | {field: value}]}).encode()
            yield _case(shop, f"{field}: {what}", content, names=("faults.json", field))
    for what, content in FILES.items():
        yield _case(shop, f"a file: {what}", content, names=("faults.json",))


def _case(shop: Workshop, what: str, content: bytes, *, names: tuple[str, ...]) -> Case:
    return Case(
        kind=KIND,
        sample=what,
        name=f"faults.json: {what}",
        ask=partial(_ask, shop, content),
        names=names,
        words=("input", "not JSON", "not permitted", "is no", "should"),
    )


def _ask(shop: Workshop, content: bytes) -> Refused | None:
    path = shop.new_folder() / "faults.json"
    path.write_bytes(content)
    return attempt(lambda: read_faults(path))
