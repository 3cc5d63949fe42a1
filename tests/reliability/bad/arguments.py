"""Wrong command lines: every option of every command, by its type, then what only one command has.

The commands are asked for their own options, so a new command is covered when it is added.
"""

import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

import typer

from apps.cli.commands import COMMANDS, Entry
from tests.reliability.bad.case import Case, Refused, Workshop, told

KIND: Final = "argument"
Words = tuple[str, ...]
Wrong = Mapping[str, tuple[str, Words]]

INVISIBLE: Final[Wrong] = {
    "a null character": ("A\0B", ("invisible", "invalid", "is no")),
    "an escape sequence": ("A\x1b[2J", ("invisible", "invalid", "is no")),
    "a right-to-left mark": ("A\u202eB", ("invisible", "invalid", "is no")),
    "a line break": ("A\nB", ("invisible", "invalid", "is no")),
    "5,000 characters": ("A" * 5_000, ("5000 characters", "is no")),
}
NUMBER: Final[Wrong] = {
    "prose": ("ten", ("valid integer",)),
    "a fraction": ("1.5", ("valid integer",)),
    "NaN": ("nan", ("valid integer",)),
    "empty text": ("", ("valid integer",)),
    "an exponent": ("1e3", ("valid integer",)),
    "a path": ("../../etc/passwd", ("valid integer",)),
    "5,000 digits": ("9" * 5_000, ("as an integer",)),
}
BELOW: Final[Wrong] = {"a negative number": ("-7", ("greater than",))}
REAL: Final[Wrong] = {
    "prose": ("ten", ("valid number",)),
    "NaN": ("nan", ("not finite", "greater than")),
    "infinity": ("inf", ("not finite",)),
    "1e400": ("1e400", ("not finite",)),
    "a negative number": ("-7", ("greater than",)),
    "empty text": ("", ("valid number",)),
}
CHOICE: Final[Wrong] = {
    "another word": ("cooked", ("is not one of",)),
    "a look-alike": ("\u0440ause", ("is not one of",)),
    "empty text": ("", ("is not one of",)),
    "a path": ("../../etc/passwd", ("is not one of",)),
}
DAY: Final[Wrong] = {
    "prose": ("yesterday", ("is no day",)),
    "no such day": ("2024-02-30", ("is no day",)),
    "no such month": ("2024-13-01", ("is no day",)),
    "a day of 5 digits": ("12024-01-01", ("is no day",)),
    "another order": ("28.12.2022", ("is no day",)),
    "full-width digits": ("\uff12\uff10\uff12\uff12-12-28", ("is no day",)),
    "a time": ("2022-12-28T00:00", ("is no day",)),
    "a path": ("../../etc/passwd", ("is no day",)),
    "NaN": ("nan", ("is no day",)),
}
SYMBOL: Final[Wrong] = {
    "a path": ("../../etc/passwd", ("reads as a path",)),
    "an absolute path": ("/etc/passwd", ("reads as a path",)),
    "a percent-encoded path": ("%2e%2e%2fpasswd", ("it contains",)),
    "300 characters": ("A" * 300, ("300 characters",)),
    "a look-alike": ("\u0410APL", ("CYRILLIC",)),
    "SQL": ("A'; DROP TABLE x;--", ("it contains",)),
    "empty text": ("", ("it is empty",)),
}
# What a command needs besides the argument that is wrong.
GOOD: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("synthetic",),
    "table": ("clean.daily_bars",),
    "key": ("AAPL", "2022-11-15"),
    "identity": ("f-2a4cc710",),
    "model": ("garch",),
    "state": ("on",),
    "flag": ("regime",),
    "assets": ("forecast/naive",),
    "first": ("2022-01-03",),
    "last": ("2022-12-28",),
    "by": ("ada",),
    "reason": ("odd fills",),
    "name": ("lake",),
    "symbol": ("AAPL",),
    "venue": ("alpaca",),
}
# One is asked for with the other.
RANGE: Final = frozenset({"first", "last"})
DAYS: Final = frozenset({"session", "until", "since", "compute", "first", "last"})


@dataclass(frozen=True, slots=True)
class _Line:
    """A command line of one command."""

    entry: Entry
    words: tuple[str, ...]

    @property
    def shown(self) -> str:
        text = " ".join(("pmx", *self.entry.name.split(), *self.words))
        return ascii(text[:80]).strip("'")


@dataclass(frozen=True, slots=True)
class _Parameter:
    """An argument of a command, as its function declares it."""

    name: str
    # Empty for one without a word before it.
    flag: str
    kind: Any
    least: float | None
    is_required: bool


def cases(shop: Workshop) -> Iterator[Case]:
    """By type for every option; then commands and options that are not there; then by hand."""
    for entry in COMMANDS:
        parameters = _parameters(entry)
        for parameter in parameters:
            for what, (value, words) in _wrong(parameter).items():
                line = _Line(entry, _with(parameters, parameter, value))
                names = (parameter.flag,) if parameter.flag else ()
                yield _case(shop, line, what, words, names=names)
        nope = _Line(entry, ("--nope",))
        yield _case(shop, nope, "an unknown option", ("no such option",), names=("--nope",))
    yield from _by_hand(shop)


def _parameters(entry: Entry) -> list[_Parameter]:
    module, _, name = entry.target.partition(":")
    function = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(function, include_extras=True)
    return [
        _parameter(one, hints[one.name])
        for one in list(inspect.signature(function).parameters.values())[1:]
    ]


def _parameter(one: inspect.Parameter, hint: Any) -> _Parameter:
    told = next((x for x in getattr(hint, "__metadata__", ()) if hasattr(x, "param_decls")), None)
    is_option = isinstance(told, typer.models.OptionInfo)
    declared = (getattr(told, "default", None), *(getattr(told, "param_decls", None) or ()))
    flags = [x for x in declared if isinstance(x, str) and x.startswith("--")]
    kind = typing.get_args(hint)[0] if told is not None else hint
    inner = [x for x in typing.get_args(kind) if x is not type(None)]
    return _Parameter(
        name=one.name,
        flag=next(iter(flags), f"--{one.name.replace('_', '-')}") if is_option else "",
        kind=inner[0] if inner else kind,
        least=getattr(told, "min", None),
        is_required=one.default is inspect.Parameter.empty,
    )


def _wrong(parameter: _Parameter) -> Wrong:
    kind = parameter.kind
    if kind is bool:
        return {}
    if kind is int:
        return {**NUMBER, **(BELOW if parameter.least is not None else {})}
    if kind is float:
        return REAL
    if isinstance(kind, type) and issubclass(kind, Enum):
        return CHOICE
    if parameter.name in DAYS:
        return {**DAY, **INVISIBLE}
    if parameter.name == "symbol":
        return {**SYMBOL, **INVISIBLE}
    return INVISIBLE


def _with(parameters: list[_Parameter], wrong: _Parameter, value: str) -> tuple[str, ...]:
    """The command with everything it needs, and `value` in one place."""
    options: list[str] = []
    places: list[str] = []
    for parameter in parameters:
        if (
            parameter is not wrong
            and not parameter.is_required
            and not (parameter.name in RANGE and wrong.name in RANGE)
        ):
            continue
        values = (value,) if parameter is wrong else GOOD[parameter.name]
        if parameter.flag:
            options += [f"{parameter.flag}={one}" for one in values]
        else:
            places += values
    return (*options, "--", *places) if places else tuple(options)


def _case(
    shop: Workshop, line: _Line, what: str, words: Words, *, names: tuple[str, ...] = ()
) -> Case:
    return Case(
        kind=KIND,
        sample=what,
        name=line.shown,
        ask=partial(_ask, shop, line),
        names=names,
        words=words,
    )


def _ask(shop: Workshop, line: _Line) -> Refused | None:
    return told(shop.call(*line.entry.name.split(), *line.words))


def _by_hand(shop: Workshop) -> Iterator[Case]:
    """What only one command can be told."""
    entries = {entry.name: entry for entry in COMMANDS}
    folder = shop.new_folder()
    (folder / "notes.txt").write_text("not a folder", encoding="utf-8")
    (folder / "empty").mkdir()
    (folder / "good.csv").write_text("symbol,date,close\nAAA,2024-01-02,10\n", encoding="utf-8")
    (folder / "faults.json").write_text('{"rules": [{"fault": "gremlin"}]}', encoding="utf-8")
    for text, (names, words) in LINES.items():
        first, *rest = text.format(folder=folder, long="A" * 300).split(" ")
        name = first if first in entries else f"{first} {rest.pop(0)}"
        yield Case(
            kind=KIND,
            sample=f"pmx {text}".format(folder="FOLDER", long="A..."),
            name=f"pmx {text}".format(folder="FOLDER", long="A..."),
            ask=partial(_ask, shop, _Line(entries[name], tuple(rest))),
            names=names,
            words=words,
        )
    for line, words in (
        (("nihgtly",), ("no command", "nightly")),
        (("config", "shwo"), ("no command",)),
        (("../../bin/sh",), ("no command",)),
        (("a\0b",), ("no command",)),
        (("\u0440mx",), ("no command",)),
    ):
        yield Case(
            kind=KIND,
            sample="an unknown command",
            name=ascii(" ".join(("pmx", *line))),
            ask=partial(_ask_any, shop, line),
            names=(),
            words=words[:1],
        )


def _ask_any(shop: Workshop, line: tuple[str, ...]) -> Refused | None:
    return told(shop.call(*line))


LINES: Final[Mapping[str, tuple[tuple[str, ...], Words]]] = {
    "nightly --session 1822-12-28": (("--session", "1822-12-28"), ("before every session",)),
    "nightly --session 9999-12-31": (("--session", "9999-12-31"), ("after every session",)),
    "nightly --session 2022-12-25": (("2022-12-25",), ("is not a session",)),
    "demo --until 1822-12-28": (("--until", "1822-12-28"), ("before every session",)),
    "demo --until 9999-12-31": (("--until", "9999-12-31"), ("after every session",)),
    "backfill --from 2022-12-28 --to 2022-12-01": (("2022-12-01",), ("before", "after")),
    "backfill --from 2022-12-24 --to 2022-12-25": (("2022-12-24",), ("no session", "no trading")),
    "backfill --from 2022-12-01": (("--to",), ("missing",)),
    "materialize": ((), ("missing",)),
    "materialize nosuch/table": (("nosuch/table",), ("no asset",)),
    "materialize ../../etc": (("../../etc",), ("no asset",)),
    "materialize forecast/naive --session 2022-12-28 --from 2022-12-01": (
        ("--session",),
        ("--from",),
    ),
    "why ../../etc/passwd": (("../../etc/passwd",), ("no ",)),
    "why f-{long}": (("f-AAA",), ("no ",)),
    "why f-\u0430\u0430\u0430\u0430\u0430\u0430\u0430\u0430": (("f-",), ("no ",)),
    "replay": ((), ("ID", "--all")),
    "replay f-2a4cc710 --all": (("--all",), ("ID", "both", "one")),
    "replay ../../etc/passwd --verify": (("../../etc/passwd",), ("no ",)),
    "impact nosuch.table AAPL 2022-11-15": (("nosuch.table",), ("table",)),
    "impact clean.daily_bars AAPL": ((), ("symbol and a session",)),
    "impact clean.daily_bars AAPL yesterday": (("yesterday",), ("no day",)),
    "impact clean.daily_bars ../x 2022-11-15": (("../x",), ("path",)),
    "flags set nosuch on": (("nosuch",), ("no strategy knows",)),
    "flags set sarimax maybe": (("maybe",), ("neither on nor off",)),
    "audit sprint --arm regime": (("regime",), ("no arm",)),
    "audit sprint --model ../x": (("../x",), ("not audited",)),
    "audit sprint --symbols ../x": (("../x",), ("path",)),
    "audit compare ../x": (("../x",), ("no arm",)),
    "gates loosen": (("--by",), ("missing",)),
    "ready --stage maybe": (("maybe",), ("no stage",)),
    "ready --record barbell=maybe --reason x": (("barbell=maybe",), ("no decision",)),
    "ready --record nosuch=on --reason x": (("nosuch=on",), ("no decision",)),
    "bench nosuch": (("nosuch",), ("benchmark",)),
    "ingest {folder}/nowhere": (("nowhere",), ("no file or folder",)),
    "ingest {folder}/empty": (("empty",), ("holds no table",)),
    "ingest {folder}/faults.json": (("faults.json",), ("no kind of file",)),
    "ingest sample --map close": (("--map",), ("bundled data",)),
    "ingest {folder}/good.csv --map close": (("close",), ("FIELD=COLUMN", "=")),
    "ingest {folder}/good.csv --map colse=Last": (("colse",), ("field",)),
    "ingest {folder}/good.csv --timezone Mars/Base": (("Mars/Base",), ("time zone",)),
    "ingest {folder}/good.csv --timezone ../../etc/passwd": (("passwd",), ("time zone",)),
    "ingest {folder}/good.csv --currency dollars": (("currency",), ("dollars",)),
    "ingest {folder}/good.csv --calendar XXXX": (("XXXX",), ("calendar",)),
    "ingest {folder}/good.csv --interval-minutes 0": (("interval",), ("0",)),
    "news ingest {folder}/nowhere": (("nowhere",), ("not there",)),
    "news ingest {folder}/faults.json": (("faults.json",), ("no file of news",)),
    "news ingest synthetic --until 0001-01-01": (("--until",), ("before every session",)),
    "synth --symbols 20000 --years 30": (("20000",), ("bars",)),
    "synth --symbols 1 --years 1 --out {folder}": (("case",), ("empty",)),
    "synth --symbols 1 --years 1 --out {folder}/notes.txt": (("notes.txt",), ("folder",)),
    "features show NOSUCH": (("NOSUCH",), ("no features",)),
    "venue --faults {folder}/nowhere.json --seconds 0": (("nowhere.json",), ("read",)),
    "venue --faults {folder}/faults.json --seconds 0": (("faults.json", "fault"), ("input",)),
    "venue --faults {folder} --seconds 0": (("case",), ("read", "folder")),
    "venue --events {folder} --seconds 0": (("case",), ("written", "folder")),
    "simulate --seeds ten": (("--seeds", "ten"), ("no seeds",)),
    "simulate --seeds 9:3": (("--seeds", "9:3"), ("no seeds",)),
    "simulate --seeds -3": (("--seeds",), ("no seeds",)),
    "simulate --seeds 0:{long}": (("--seeds",), ("no seeds",)),
    "decisions report --write {folder}/no/where.md": (("--write",), ("not there",)),
    "broker check nosuch": (("nosuch",), ("broker", "one of")),
    "broker check ../x": (("../x",), ("broker", "one of")),
    "broker check alpaca --url ftp://127.0.0.1": (("ftp://",), ("no address",)),
    "broker check alpaca --url http://example.com:80": (("example.com",), ("loopback",)),
    "broker check alpaca --url http://127.0.0.1:99999": (("99999",), ("no address",)),
    "broker check alpaca --url soon": (("soon",), ("no address",)),
    "broker check alpaca --trial": ((), ("simulator",)),
    "broker check binance": (("PMX_",), ("not set", "key")),
    "trade": (("paper",), ("trades at no venue",)),
    "trade --session soon": (("--session",), ("is no day",)),
    "ledger verify --checkpoints {folder}/nowhere": (("nowhere",), ("is no file",)),
    "ledger verify --checkpoints {folder}": (("case",), ("is no file",)),
    "ledger verify --public-key zz": (("--public-key",), ("hexadecimal",)),
    "up --module no.such.module --check": (("no.such.module",), ("module",)),
    "up --module ../../x --check": (("../../x",), ("module",)),
    "mode pause --book ../x --by ada --reason y": (("../x",), ("no book",)),
    "mode pause": ((), ("by somebody",)),
    "decisions report --from 1822-01-01": (("--from", "1822-01-01"), ("before every session",)),
    "decisions report --from 2999-01-01": (("--from", "2999-01-01"), ("after every session",)),
    "decisions report --from 2030-01-02": (("--from", "2030-01-02"), ("bundled prices",)),
    "decisions report --write {folder}": (("--write",), ("is a folder",)),
    "llm show --since 2999-13-01": (("--since",), ("is no day",)),
}
