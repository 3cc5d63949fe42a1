"""Tables in `docs/` that are made from the code, so that they cannot drift from it.

Run `python -m tests.support.docs_tables` after a change to a rule, a setting or a policy; a test
compares what lies in the pages with what the code says.
"""

import json
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from apps.cli.exit_codes import MEANINGS
from quant.governance.report_words import GATE_WORDS
from quant.market.quality_rules import BAR_RULES, QualityPolicy
from resources.policy import POLICY_FILES, model_of
from resources.settings import VARIABLES, project_root

DOCS: Final = project_root() / "docs"
CONFIG: Final = project_root() / "config"

_BOUNDS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
# A mapping of dozens of exchanges is no value to print.
_SHOWN_LENGTH_MAX: Final = 60


def quality_rules() -> str:
    """Rule, what follows from a finding, its limit, and what it says."""
    policy = QualityPolicy()
    rows = []
    for rule in BAR_RULES:
        limit = rule.limit(policy)
        said = f"{limit:g} (`{rule.limit_field}`)" if limit is not None else "none"
        rows.append((f"`{rule.name}`", rule.severity.value, said, rule.sentence))
    return _table(("rule", "severity", "limit", "a finding says"), rows)


def settings() -> str:
    """Every environment variable."""
    rows = [(f"`{name}`", sentence) for name, sentence in VARIABLES.items()]
    return _table(("variable", "meaning and default"), rows)


def exit_codes() -> str:
    """Every exit code."""
    return _table(("code", "meaning"), [(str(code), words) for code, words in MEANINGS.items()])


def gates() -> str:
    """Every gate in plain words."""
    return _table(("gate", "in plain words"), [(f"`{k}`", v) for k, v in GATE_WORDS.items()])


def policies() -> str:
    """Every key of every policy file: what it may be, what it is without the file, what ships."""
    parts = []
    for name in sorted(POLICY_FILES):
        shipped = yaml.safe_load((CONFIG / f"{name}.yaml").read_text(encoding="utf-8"))
        rows = [
            (f"`{key}`", allowed, default, _shipped(shipped, key))
            for key, allowed, default in policy_keys(model_of(name))
        ]
        table = _table(("key", "allowed", "default", "shipped"), rows)
        parts.append(f"### {name}.yaml\n\n{table}")
    return "\n\n".join(parts)


def policy_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, allowed values and default, with the keys of nested policies behind a dot."""
    for name, field in model.model_fields.items():
        inner = _inner_model(field.annotation)
        if inner is None:
            yield prefix + name, _allowed(field), _default(field)
            continue
        part = "" if inner is field.annotation else ".*"
        default = field.get_default(call_default_factory=True)
        for key, allowed, said in policy_keys(inner, f"{prefix}{name}{part}."):
            own = getattr(default, key.removeprefix(f"{prefix}{name}."), None)
            yield key, allowed, said if own is None else _said(own)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(argument) for argument in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)


def _allowed(field: FieldInfo) -> str:
    kind = field.annotation
    bounds = [
        f"{sign} {getattr(item, bound):g}"
        for item in _constraints(field)
        for bound, sign in _BOUNDS.items()
        if getattr(item, bound, None) is not None
    ]
    return ", ".join([_kind(kind), *bounds])


def _constraints(field: FieldInfo) -> list[Any]:
    """Bounds of the field, whether they stand on it or inside its annotation."""
    return [item for item in field.metadata if not isinstance(item, str)]


def _kind(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if origin in (tuple, list):
        return "list"
    if type(None) in arguments:
        return f"{_kind(next(a for a in arguments if a is not type(None)))} or null"
    if origin is not None and issubclass(origin, Mapping | dict):
        return "mapping"
    if isinstance(kind, type) and hasattr(kind, "__members__"):
        return " or ".join(str(member) for member in kind)
    words = {"str": "text", "int": "whole number", "float": "number", "Decimal": "number"}
    words |= {"bool": "true or false", "date": "date"}
    return words.get(getattr(kind, "__name__", ""), "text")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "required" if value is PydanticUndefined else _said(value)


def _said(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        text = json.dumps([str(v) if not isinstance(v, int | float) else v for v in value])
        return f"list of {len(value)}" if len(text) > _SHOWN_LENGTH_MAX else text.replace('"', "")
    if isinstance(value, Mapping):
        return f"{len(value)} entries" if value else "empty"
    return str(value)


def _shipped(values: Any, key: str) -> str:
    """The value in the shipped file; a dash where the file leaves the default."""
    for part in key.split("."):
        if part == "*":
            return f"for each of {len(values)}"
        if not isinstance(values, Mapping) or part not in values:
            return "–"
        values = values[part]
    return _said(values)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)


# Page -> the tables in it, by the name in their marker.
TABLES: Final[Mapping[str, Mapping[str, Callable[[], str]]]] = {
    "data.md": {"quality_rules": quality_rules},
    "configuration.md": {
        "settings": settings,
        "policies": policies,
        "exit_codes": exit_codes,
        "gates": gates,
    },
}


def marked(page: str, name: str) -> tuple[int, int]:
    """Where the table `name` begins and ends in the text of a page."""
    begin = f"<!-- made by tests/support/docs_tables.py: {name} -->\n"
    start = page.index(begin) + len(begin)
    return start, page.index("<!-- end -->", start)


def rewrite(path: Path, tables: Mapping[str, Callable[[], str]]) -> None:
    """Put the tables of the code in place of those in the page."""
    page = path.read_text(encoding="utf-8")
    for name, make in tables.items():
        start, end = marked(page, name)
        page = f"{page[:start]}\n{make()}\n\n{page[end:]}"
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    for page_name, tables_of_page in TABLES.items():
        rewrite(DOCS / page_name, tables_of_page)
