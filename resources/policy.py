"""Policy files: `config/*.yaml` in, checked and frozen policy values out.

Belongs here: which file holds which policy, and errors that name file, line, key and remedy.
Does not belong here: what a policy means (its class stands beside the component that obeys it).
"""

import difflib
import importlib
import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from quant.core.errors import PolicyError
from quant.core.identity import content_hash
from quant.core.policy import Policy
from resources.policy_yaml import Document, KeyPath, YamlRefusedError, parse, path_text

P = TypeVar("P", bound=Policy)

# File name without .yaml -> where its class is. Resolved when loaded, so that naming a policy here
# costs no import. A component that gains a policy adds its line and its file.
POLICY_FILES: Final[dict[str, str]] = {
    "barbell": "quant.portfolio.barbell:BarbellPolicy",
    "book": "quant.execution.book:BookPolicy",
    "brokers": "quant.execution.venues:BrokersPolicy",
    "capital": "quant.portfolio.capital:CapitalPolicy",
    "costs": "quant.signals.costs:CostPolicy",
    "exits": "quant.execution.exits:ExitPolicy",
    "flags": "quant.signals.flags:FlagsPolicy",
    "forecasts": "quant.forecasting.policy:ForecastPolicy",
    "frontier": "quant.market.frontier:FrontierPolicy",
    "gates": "quant.governance.audits:GatesPolicy",
    "limits": "quant.portfolio.limits:LimitsPolicy",
    "llm": "resources.language.policy:LlmPolicy",
    "mssa_rl": "quant.forecasting.ssa_policy:MssaRlPolicy",
    "order_limits": "quant.execution.limits:TradeLimitsPolicy",
    "quality": "quant.market.quality_rules:QualityPolicy",
    "samossa": "quant.forecasting.ssa_policy:SsaPolicy",
    "signals": "quant.signals.edge:EdgePolicy",
    "sizing": "quant.portfolio.sizing:SizingPolicy",
    "sources": "resources.market_data.policy:SourcesPolicy",
    "strategies": "quant.signals.strategies:StrategiesPolicy",
    "universe": "quant.market.universe:UniversePolicy",
    "validation": "quant.signals.validator:ValidationPolicy",
}

# pydantic's names for what was expected, in words. Unlisted ones keep pydantic's own sentence.
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text (in quotes if it looks like a number, a date, yes or no)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "decimal_type": "a number",
    "bool_type": "true or false",
    "date_type": "a date (YYYY-MM-DD)",
    "date_from_datetime_parsing": "a date (YYYY-MM-DD)",
    "date_parsing": "a date (YYYY-MM-DD)",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one policy file."""

    file: Path
    line: int | None
    key: str
    found: str
    remedy: str

    @property
    def message(self) -> str:
        """File, line, key and what was found, in one sentence."""
        place = f"{self.file}, line {self.line}" if self.line else f"{self.file}"
        return f"{place}: {self.key}: {self.found}" if self.key else f"{place}: {self.found}"


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of one installation, and one hash for the lot."""

    policies: Mapping[str, Policy]

    @property
    def content_hash(self) -> str:
        """Changes when a value changes, not when a comment or the order of keys does."""
        dumped = {name: policy.model_dump(mode="json") for name, policy in self.policies.items()}
        return content_hash(dumped)

    def get(self, name: str, model: type[P]) -> P:
        """The policy of that name, with its type."""
        policy = self.policies.get(name)
        if not isinstance(policy, model):
            raise PolicyError(
                f"there is no policy {name!r} of kind {model.__name__}",
                remedy=f"known policies: {', '.join(sorted(self.policies))}",
            )
        return policy


def load_policy(path: Path, model: type[P]) -> P:
    """Read and check one file; `PolicyError` names file, line, key, what was found and a remedy."""
    policy, problems = read_policy(path, model)
    if policy is None:
        first, more = problems[0], len(problems) - 1
        rest = f" (and {more} more; `pmx config check` lists them all)" if more else ""
        raise PolicyError(first.message + rest, remedy=first.remedy)
    return policy


def read_policy(path: Path, model: type[P]) -> tuple[P | None, list[Problem]]:
    """The policy, or everything that is wrong with the file."""
    try:
        document = parse(_read(path))
    except YamlRefusedError as error:
        return None, [
            Problem(
                file=path,
                line=error.line,
                key=error.key,
                found=f"found {error.found}",
                remedy=error.remedy,
            )
        ]
    try:
        # Strict, so that `yes` never becomes 1.0; through JSON, so that lists and dates still fit.
        return model.model_validate_json(json.dumps(document.values), strict=True), []
    except ValidationError as error:
        return None, _problems(error, path=path, document=document, model=model)


def model_of(name: str) -> type[Policy]:
    """The policy class that a name in `POLICY_FILES` stands for."""
    module, _, attribute = POLICY_FILES[name].partition(":")
    model: type[Policy] = getattr(importlib.import_module(module), attribute)
    return model


def load_all(config_dir: Path) -> PolicySet:
    """Read every policy; a YAML file that nothing reads is an error, since its author expects it to
    have an effect.
    """
    stray = stray_files(config_dir)
    if stray:
        raise PolicyError(stray[0].message, remedy=stray[0].remedy)
    return PolicySet(
        {name: load_policy(config_dir / f"{name}.yaml", model_of(name)) for name in POLICY_FILES}
    )


def check_all(config_dir: Path) -> list[Problem]:
    """Everything that is wrong in all policy files together."""
    problems = stray_files(config_dir)
    for name in POLICY_FILES:
        problems += read_policy(config_dir / f"{name}.yaml", model_of(name))[1]
    return problems


def stray_files(config_dir: Path) -> list[Problem]:
    """YAML files whose name is not that of any policy."""
    files = sorted(p for p in config_dir.glob("*.y*ml") if p.suffix in {".yaml", ".yml"})
    return [
        Problem(
            file=path,
            line=None,
            key="",
            found="found a file that no part of the product reads",
            remedy=_did_you_mean(path.stem, POLICY_FILES, what=path.name, suffix=".yaml"),
        )
        for path in files
        if path.suffix != ".yaml" or path.stem not in POLICY_FILES
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise YamlRefusedError(
            "no such file",
            line=None,
            remedy="restore it (git checkout -- config), or point PMX_CONFIG_DIR at its folder",
        ) from None
    except IsADirectoryError:
        raise YamlRefusedError(
            "a folder", line=None, remedy="put a YAML file in its place"
        ) from None
    except OSError as error:
        raise YamlRefusedError(
            f"a file that cannot be read ({error.strerror})",
            line=None,
            remedy="give this user permission to read the file",
        ) from None


def _problems(
    error: ValidationError, *, path: Path, document: Document, model: type[BaseModel]
) -> list[Problem]:
    problems = []
    for detail in error.errors(include_url=False):
        # A union adds the names of its branches to the place; the file only knows keys and indexes.
        where = tuple(part for part in detail["loc"] if not str(part).startswith("function-"))
        found, remedy = _explain(dict(detail), where, model)
        problems.append(
            Problem(
                file=path,
                line=document.line(where),
                key=path_text(where),
                found=found,
                remedy=remedy,
            )
        )
    return problems


def _explain(detail: dict[str, Any], where: KeyPath, model: type[BaseModel]) -> tuple[str, str]:
    kind = str(detail["type"])
    if kind == "extra_forbidden":
        fields = _fields_at(model, where[:-1])
        return "unknown key", _did_you_mean(str(where[-1]), fields, what=f"the key {where[-1]}")
    if kind == "missing":
        return "missing key", f"add `{where[-1]}: ...`"
    expected = _EXPECTED.get(kind) or _lower(str(detail["msg"]).removeprefix("Value error, "))
    if kind in _EXPECTED:
        return f"found {_kind(detail['input'])}, needs {expected}", f"write {expected}"
    return (
        f"found {_kind(detail['input'])}: {expected}",
        f"change {path_text(where) or 'the file'} accordingly",
    )


def _fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that the model at `path` knows; none when the path leads through something else."""
    found: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or found is None:
            continue
        field = found.model_fields.get(part)
        found = next(_models_in(field.annotation), None) if field else found
    return list(found.model_fields) if found else []


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def _did_you_mean(name: str, known: typing.Iterable[str], *, what: str, suffix: str = "") -> str:
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}{suffix}?"
    return f"remove {what}; known: {', '.join(choice + suffix for choice in choices)}"


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a decimal number"
        case str():
            return "text" if value else "empty text"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return "a mapping of keys to values"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
