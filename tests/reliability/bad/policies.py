"""Wrong policy files: every field of every file of `config/`, replaced by what it may not be."""

import copy
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from resources.policy import POLICY_FILES, load_all, load_policy, model_of
from resources.policy_yaml import path_text
from resources.settings import project_root
from tests.reliability.bad.case import Case, Refused, Workshop, attempt

KIND: Final = "policy"
KeyPath = tuple[str | int, ...]

# What is written, and the words by which a refusal may call it.
NOT_FINITE = ("not finite",)
ANYWHERE: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "a mapping": ("{a: 1}", ("a mapping",)),
    "a list": ("[[1]]", ("a list",)),
    "a tag": ("!!python/object/apply:os.system [id]", ("kind 'os.system'", "a list", "python")),
    "an alias": ("*other", ("alias",)),
    "an anchor of itself": ("&me [*me]", ("alias",)),
    "a compound key": ("{[1, 2]: 3}", ("a key that is not a name",)),
    "an open bracket": ("[1, 2", ("not YAML",)),
    "an open quotation mark": ("'text", ("not YAML",)),
    "an impossible date": ("2024-02-30", ("impossible date",)),
    "an invisible character": ('"a\\u200bb"', ("invisible",)),
    "a null character": ('"\\0"', ("invisible",)),
    "bytes": ("!!binary aGVsbG8=", ("'binary'",)),
    "a set": ("!!set {a, b}", ("a mapping", "'set'")),
    "NaN": (".nan", NOT_FINITE),
    "infinity": (".inf", NOT_FINITE),
    "minus infinity": ("-.inf", NOT_FINITE),
    "1e400": ("1e400", NOT_FINITE),
    "1e308": ("1e308", ("beyond",)),
    "a number of 400 digits": ("9" * 400, ("beyond",)),
    "octal": ("0755", ("base 8",)),
    "base 60": ("16:30:00", ("base 8 or 60",)),
}
NULL = ("nothing",)
NUMBER: Final = {
    "nothing": ("null", NULL),
    "text": ("ten", ("text",)),
    "a number in quotes": ("'17'", ("text",)),
    "a claim": ("yes", ("true or false",)),
    "a percentage": ("5%", ("text",)),
    "a thousands separator": ("1,000", ("text",)),
}
WHOLE: Final = NUMBER | {"a fraction": ("1.5", ("decimal number",))}
CLAIM: Final = {
    "nothing": ("null", NULL),
    "text": ("maybe", ("text",)),
    "a number": ("1", ("whole number",)),
    "a claim in quotes": ("'true'", ("text",)),
}
TEXT: Final = {
    "nothing": ("null", NULL),
    "a number": ("17.5", ("decimal number",)),
    "a claim": ("true", ("true or false",)),
}
# Codes, symbols and names of things: what they may be made of is written down.
CODE: Final = TEXT | {
    "empty text": ("''", ("empty text", "it is empty", "''")),
    "a path": ("'../../etc/passwd'", ("text",)),
    "look-alikes": ("'\u0410\u0410P'", ("text",)),
    "300 characters": ("'" + "A" * 300 + "'", ("text",)),
}
# Text that a person reads and no machine does: any will do.
FREE_TEXT: Final = ("name", "reason", "vendor_suffix", "tickers")
# May be below zero; everything else with a number may not.
SIGNED: Final = ("trend_deviations_min", "trend_deviations_warn", "stressed_sharpe_min")


@dataclass(frozen=True, slots=True)
class _Edit:
    """A file that is written wrong when it is asked for."""

    file: str
    path: KeyPath
    text: Callable[[], str]

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.file}.yaml"
        path.write_text(self.text(), encoding="utf-8")
        return path


def cases(shop: Workshop) -> Iterator[Case]:
    """Every leaf with every wrong value; keys twice, unknown or gone; every file broken."""
    folder = shop.new_folder()
    for file in POLICY_FILES:
        values = yaml.safe_load(_shipped(file))
        for path, value in _leaves(values):
            for what, (raw, words) in _wrong(path, value).items():
                if _is_allowed(what, _type_at(model_of(file), path)):
                    continue
                edit = _Edit(file, path, partial(_with, values, path, raw))
                yield _case(folder, edit, what, words)
        yield from _keys(folder, file, values)
        yield from _files(folder, file)
    yield from _folders(shop)


def _shipped(file: str) -> str:
    return (project_root() / "config" / f"{file}.yaml").read_text(encoding="utf-8")


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Each value; of long lists and of maps keyed by symbols the first two."""
    if isinstance(value, Mapping):
        is_long = (bool(path) and len(value) > 9) or path[-1:] == ("tickers",)
        for key in list(value)[: 2 if is_long else None]:
            yield from _leaves(value[key], (*path, key))
    elif isinstance(value, list):
        if value:
            yield from _leaves(value[0], (*path, 0))
    else:
        yield path, value


def _wrong(path: KeyPath, value: Any) -> dict[str, tuple[str, tuple[str, ...]]]:
    if isinstance(value, bool):
        return {**ANYWHERE, **CLAIM}
    if isinstance(value, int | float):
        kind = WHOLE if isinstance(value, int) and _is_whole(path) else NUMBER
        negative = {} if path[-1] in SIGNED else {"a negative number": ("-7", ("whole number",))}
        return {**ANYWHERE, **kind, **negative}
    if isinstance(value, str) and not any(part in FREE_TEXT for part in path):
        return {**ANYWHERE, **CODE}
    if isinstance(value, str):
        return {**ANYWHERE, **TEXT}
    # A date: YAML has its own kind for it.
    return {**ANYWHERE, "nothing": ("null", NULL), "text": ("soon", ("text",))}


def _type_at(kind: Any, path: KeyPath) -> Any:
    """What the policy's class says of the value at `path`."""
    for part in path:
        kind = _plain(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:  # a mapping's value, or an item of a list
            inner = [one for one in typing.get_args(kind) if one is not Ellipsis]
            kind = inner[-1 if isinstance(part, str) else 0]
    return kind


def _plain(kind: Any) -> Any:
    """Without what `Annotated` adds and without None."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if type(None) in (inner := typing.get_args(kind)):
        return _plain(next(one for one in inner if one is not type(None)))
    return kind


def _is_allowed(what: str, kind: Any) -> bool:
    """What a class may leave open; and an exact amount may stand in quotes."""
    if what == "nothing":
        return type(None) in typing.get_args(kind)
    return what == "a number in quotes" and _plain(kind) is Decimal


def _is_whole(path: KeyPath) -> bool:
    """Whether a fraction is wrong too; a file may write a plain 30 where 30.5 would do."""
    return str(path[-1]).endswith(("_sessions", "_days", "_size_max", "positions_max"))


def _with(values: Any, path: KeyPath, raw: str) -> str:
    marker = "REPLACED"
    text = _yaml(_put(values, path, marker))
    return text.replace(marker, raw, 1)


def _joined(parts: tuple[Any, ...], end: str) -> str:
    return "".join(map(_yaml, parts)) + end


def _yaml(values: Any) -> str:
    """As a person writes it: a value that stands twice is written twice."""
    dumper = type("Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    return yaml.dump(values, Dumper=dumper, sort_keys=False, width=10_000)


def _put(values: Any, path: KeyPath, new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(values)
    changed[path[0]] = _put(changed[path[0]], path[1:], new)
    return changed


def _case(folder: Path, edit: _Edit, what: str, words: tuple[str, ...]) -> Case:
    # A syntax error stops the reader before it knows keys; then the line is the place.
    is_syntax = what in {
        *("an alias", "an anchor of itself", "an open bracket", "an open quotation mark"),
    }
    field = "line " if is_syntax else path_text(edit.path)
    return Case(
        kind=KIND,
        sample=f"a value: {what}",
        name=f"{edit.file}.yaml: {path_text(edit.path)} is {what}",
        ask=partial(_read, folder, edit),
        names=(f"{edit.file}.yaml", field),
        words=words,
    )


def _read(folder: Path, edit: _Edit) -> Refused | None:
    path = edit.write(folder)
    return attempt(lambda: load_policy(path, model_of(edit.file)))


def _keys(folder: Path, file: str, values: dict[str, Any]) -> Iterator[Case]:
    for key, value in values.items():
        for what, (parts, end), field, words in (
            ("a key twice", ((values, {key: value}), ""), key, ("a second time",)),
            ("an unknown key", (({**values, f"{key}z": value},), ""), f"{key}z", ("unknown key",)),
            ("a merge", ((values,), "<<: {}\n"), "line", ("merges",)),
        ):
            yield Case(
                kind=KIND,
                sample=what,
                name=f"{file}.yaml: {key}: {what}",
                ask=partial(_read, folder, _Edit(file, (key,), partial(_joined, parts, end))),
                names=(f"{file}.yaml", field),
                words=words,
            )
    for key, info in model_of(file).model_fields.items():
        if info.is_required():
            rest = {k: v for k, v in values.items() if k != key} or {"x": 1}
            yield Case(
                kind=KIND,
                sample="a missing key",
                name=f"{file}.yaml: no {key}",
                ask=partial(_read, folder, _Edit(file, (key,), partial(_joined, (rest,), ""))),
                names=(f"{file}.yaml", key),
                words=("missing key",),
            )


BROKEN: Final[Mapping[str, tuple[bytes, tuple[str, ...]]]] = {
    "nothing": (b"", ("empty",)),
    "only a comment": (b"# soon\n", ("empty",)),
    "a list": (b"- 1\n", ("a list",)),
    "one word": (b"off\n", ("a single value",)),
    "a tab": (b"a:\n\tb: 1\n", ("a tab",)),
    "two documents": (b"a: 1\n---\nb: 2\n", ("a second document",)),
    "Latin-1": ("# Z\u00fcrich\na: 1\n".encode("latin-1"), ("not UTF-8",)),
    "UTF-16": ("a: 1\n".encode("utf-16"), ("not UTF-8",)),
    "random bytes": (bytes(range(128, 256)), ("not UTF-8",)),
    "a null byte": (b"a: 1\0\n", ("control character",)),
    "deep nesting": (b"a: " + b"[" * 500 + b"]" * 500, ("levels of nesting",)),
    "a laugh": (b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n", ("alias",)),
    "two megabytes": (b"# " + b"x" * 2_000_000, ("bytes",)),
    "JSON cut off": (b'{"a": [1, 2', ("not YAML",)),
}


def _files(folder: Path, file: str) -> Iterator[Case]:
    for what, (content, words) in BROKEN.items():
        yield Case(
            kind=KIND,
            sample=f"a file: {what}",
            name=f"{file}.yaml: {what}",
            ask=partial(_read_bytes, folder / f"{file}.yaml", content, file),
            names=(f"{file}.yaml",),
            words=words,
        )


def _read_bytes(path: Path, content: bytes, file: str) -> Refused | None:
    path.write_bytes(content)
    return attempt(lambda: load_policy(path, model_of(file)))


def _folders(shop: Workshop) -> Iterator[Case]:
    """The folder of policies as a whole."""
    for what, change, names, words in (
        ("a file is gone", _remove, ("limits.yaml",), ("no such file",)),
        ("a folder in its place", _folder, ("limits.yaml",), ("a folder",)),
        ("a file nothing reads", _stray, ("limitz.yaml",), ("no part of the product",)),
        ("another ending", _ending, ("limits.yml",), ("no part of the product",)),
    ):
        yield Case(
            kind=KIND,
            sample=f"the folder: {what}",
            name=f"config: {what}",
            ask=partial(_load_all, shop, change),
            names=names,
            words=words,
        )


def _load_all(shop: Workshop, change: Any) -> Refused | None:
    folder = shop.new_folder()
    for file in POLICY_FILES:
        (folder / f"{file}.yaml").write_text(_shipped(file), encoding="utf-8")
    change(folder)
    return attempt(lambda: load_all(folder))


def _remove(folder: Path) -> None:
    (folder / "limits.yaml").unlink()


def _folder(folder: Path) -> None:
    _remove(folder)
    (folder / "limits.yaml").mkdir()


def _stray(folder: Path) -> None:
    (folder / "limitz.yaml").write_text("a: 1\n", encoding="utf-8")


def _ending(folder: Path) -> None:
    (folder / "limits.yml").write_text("a: 1\n", encoding="utf-8")
