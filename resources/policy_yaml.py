"""YAML for policy files: a strict subset that cannot say two things at once.

Belongs here: text to plain values, with the line of every key, and the refusal of YAML's traps:
duplicate keys, aliases, tabs, octal and sexagesimal numbers, NaN, several documents.
Does not belong here: what a policy may contain (the policy classes) or how it is reported.
"""

import contextlib
import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

KeyPath = tuple[str | int, ...]

# A policy is a page of numbers; a larger file is a mistake or an attack on the parser.
BYTES_MAX: Final = 1_000_000
# In C, twenty times as fast, wherever PyYAML was built with it.
_FAST_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEPTH_MAX: Final = 40
# No amount, count or rate of a policy comes near; arithmetic on more loses cents, then overflows.
NUMBER_MAX: Final = 10**12

# YAML 1.1, which PyYAML speaks, reads 010 as 8 and 16:00 as 960.
_AMBIGUOUS_NUMBER = re.compile(r"[-+]?0[0-7_]+|[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?")
# YAML 1.2 and people read 1e-3 as a number; PyYAML takes it for text.
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class YamlRefusedError(ValueError):
    """The text is not acceptable: where, what was found, what to do."""

    def __init__(self, found: str, *, line: int | None, key: str = "", remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.line = line
        self.key = key
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values, all of them expressible in JSON, and the line of each key path."""

    values: dict[str, Any]
    lines: dict[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of its nearest ancestor that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def path_text(path: KeyPath) -> str:
    """`("limits", 0, "gross_max")` as `limits[0].gross_max`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def parse(data: bytes) -> Document:
    """Read one document whose top is a mapping; raise `YamlRefusedError` otherwise."""
    root = _compose(_decode(data))
    if root is None:
        raise YamlRefusedError(
            "nothing: the file is empty", line=1, remedy="write the policy's keys into it"
        )
    if not isinstance(root, yaml.MappingNode):
        found = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise YamlRefusedError(
            f"{found} at the top", line=_line(root), remedy="write `key: value` pairs at the top"
        )
    lines: dict[KeyPath, int] = {(): _line(root)}
    return Document(values=_mapping(root, (), lines), lines=lines)


def _decode(data: bytes) -> str:
    if len(data) > BYTES_MAX:
        raise YamlRefusedError(
            f"{len(data)} bytes", line=None, remedy=f"keep a policy file under {BYTES_MAX} bytes"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlRefusedError(
            f"a byte that is not UTF-8 at position {error.start}",
            line=data[: error.start].count(b"\n") + 1,
            remedy="save the file as UTF-8",
        ) from None


def _compose(text: str) -> yaml.Node | None:
    with contextlib.suppress(yaml.YAMLError):
        # What it refuses is read again below, for the better message.
        _refuse_bombs(text, _FAST_LOADER)
        quick: yaml.Node | None = yaml.compose(text, Loader=_FAST_LOADER)
        return quick
    try:
        _refuse_bombs(text, yaml.SafeLoader)
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _syntax(error, text, line=mark.line + 1 if mark else 1) from None
    except yaml.YAMLError:  # a character YAML does not allow, such as a null
        raise YamlRefusedError(
            "a control character", line=_control_line(text), remedy="remove the invisible character"
        ) from None
    return node


def _refuse_bombs(text: str, loader: Any) -> None:
    """Look at the events before anything is built from them.

    An alias can make a small file unfold into gigabytes, and hides what a key's value is; deep
    nesting takes the parser quadratic time.
    """
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise _too_deep(event.start_mark.line + 1 if event.start_mark else 1)
        if isinstance(event, yaml.AliasEvent):
            raise YamlRefusedError(
                f"the alias *{event.anchor}",
                line=event.start_mark.line + 1 if event.start_mark else 1,
                remedy="write the values out; aliases are not supported in policy files",
            )


def _syntax(error: yaml.MarkedYAMLError, text: str, *, line: int) -> YamlRefusedError:
    # A mark may stand behind the last line, and does when a bracket was never closed.
    source = text.split("\n")[min(line - 1, text.count("\n"))]
    if "\t" in source[: len(source) - len(source.lstrip())] or "'\\t'" in str(error.problem):
        return YamlRefusedError(
            "a tab used as indentation", line=line, remedy="indent with spaces instead of the tab"
        )
    if "expected a single document" in str(error.context):
        return YamlRefusedError(
            "a second document after ---", line=line, remedy="keep one document in each file"
        )
    return YamlRefusedError(
        f"text that is not YAML ({error.problem})",
        line=line,
        remedy="mend this line or the one above it; check quotes, colons and indentation",
    )


def _control_line(text: str) -> int:
    bad = next((i for i, c in enumerate(text) if not c.isprintable() and c not in "\n\r\t"), 0)
    return text[:bad].count("\n") + 1


def _too_deep(line: int) -> YamlRefusedError:
    return YamlRefusedError(
        f"more than {DEPTH_MAX} levels of nesting", line=line, remedy="flatten the structure"
    )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _value(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, step, lines) for item, step in _numbered(node, path, lines)]
    return _scalar(node, path)


def _numbered(
    node: yaml.SequenceNode, path: KeyPath, lines: dict[KeyPath, int]
) -> Iterator[tuple[yaml.Node, KeyPath]]:
    for index, item in enumerate(node.value):
        step = (*path, index)
        lines[step] = _line(item)
        yield item, step


def _mapping(node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node, path)
        step = (*path, key)
        if key in values:
            raise YamlRefusedError(
                f"this key a second time (first in line {lines[step]})",
                line=_line(key_node),
                key=path_text(step),
                remedy="keep one of the two lines",
            )
        lines[step] = _line(key_node)
        values[key] = _value(value_node, step, lines)
    return values


def _key(node: yaml.Node, path: KeyPath) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:merge":
        raise YamlRefusedError(
            "a key that is not a name",
            line=_line(node),
            key=path_text(path),
            remedy="write `name: value`; merges and compound keys are not supported",
        )
    if not str(node.value).isprintable():
        raise YamlRefusedError(
            "a key with an invisible character",
            line=_line(node),
            key=path_text(path),
            remedy="type the key again without it",
        )
    # The text as written: a ticker such as ON or NO stays a name and does not become true or false.
    return str(node.value)


def _scalar(node: yaml.Node, path: KeyPath) -> Any:
    text, plain = str(node.value), not getattr(node, "style", None)
    if plain and _EXPONENT.fullmatch(text):
        value: Any = float(text)
    elif plain and _AMBIGUOUS_NUMBER.fullmatch(text):
        raise YamlRefusedError(
            "a number that YAML reads in base 8 or 60",
            line=_line(node),
            key=path_text(path),
            remedy="write it without leading zeros, or in quotes if it is text",
        )
    else:
        value = _construct(node, path)
    if fault := _fault(value):
        found, remedy = fault
        raise YamlRefusedError(found, line=_line(node), key=path_text(path), remedy=remedy)
    return value.isoformat() if isinstance(value, dt.date) else value


def _fault(value: Any) -> tuple[str, str] | None:
    """What no value of any policy may be, and what to write instead."""
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite", "write a finite number"
    if isinstance(value, int | float) and abs(value) > NUMBER_MAX:
        return f"a number beyond {NUMBER_MAX:.0e}", "write a smaller number"
    if isinstance(value, str) and not value.replace("\n", " ").replace("\t", " ").isprintable():
        return "text with an invisible character", "type the text again without it"
    return None


def _construct(node: yaml.Node, path: KeyPath) -> Any:
    kind = str(node.tag).rsplit(":", 1)[-1]
    try:
        value = yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):  # 2012-13-03 looks like a date and is none
        value, kind = node, "impossible date" if kind == "timestamp" else kind
    if isinstance(value, str | int | float | bool | dt.date | None):
        return value
    raise YamlRefusedError(
        f"a value of kind {kind!r}",
        line=_line(node),
        key=path_text(path),
        remedy="use text, a number, true, false, a date (YYYY-MM-DD), a list or a mapping",
    )
