"""Roles shown in MLflow: the aliases champion, challenger and shadow on registered models.

Belongs here: making MLflow's aliases say what the governance journal says. Does not belong here:
who has which role (`quant.governance.selection`). Nothing reads these aliases back to decide: an
alias that somebody set by hand changes nothing, and the next synchronisation takes it away.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from quant.governance.selection import Role
from resources.registered_models import registered_name

ALIASES: Final = (Role.CHAMPION.value, Role.CHALLENGER.value, Role.SHADOW.value)
_PREFIX: Final = registered_name("")


@dataclass(slots=True, kw_only=True)
class AliasReport:
    """What was changed, and what was not and why."""

    set: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def sync_aliases(
    client: Any,
    roles: Mapping[str, Role],
    *,
    objections: Mapping[str, str],
    since: Mapping[str, dt.date] | None = None,
) -> AliasReport:
    """Give each role's alias to the newest version of its model, and take every other one away.

    A champion whose certificate does not count gets no alias, whatever the roles say. The tags
    `role` and `role_since` of a model say the same, since they can be searched for.
    """
    report = AliasReport()
    models = {one.name.removeprefix(_PREFIX): one for one in client.search_registered_models()}
    for model, role in roles.items():
        objection = objections.get(model, f"{model} has no certificate")
        if role is Role.CHAMPION and objection:
            report.left[model] = objection
        elif model not in models:
            report.left[model] = "has no registered version: it has nothing to fit"
    for model, registered in models.items():
        wanted = roles.get(model, Role.NONE)
        allowed = wanted.value if model not in report.left else ""
        _move(client, model, registered, allowed, report)
        day = (since or {}).get(model)
        _tag(
            client, registered, {"role": allowed, "role_since": str(day) if allowed and day else ""}
        )
    return report


def open_registry(url: str) -> Any:
    """A client of the registry at `url`, quiet and quick to give up."""
    from resources.tracking import Tracking

    return Tracking(url)._client


def _tag(client: Any, registered: Any, wanted: Mapping[str, str]) -> None:
    for key, value in wanted.items():
        held = dict(registered.tags).get(key, "")
        if value and held != value:
            client.set_registered_model_tag(registered.name, key, value)
        elif held and not value:
            client.delete_registered_model_tag(registered.name, key)


def _move(client: Any, model: str, registered: Any, wanted: str, report: AliasReport) -> None:
    name = registered_name(model)
    versions = client.search_model_versions(f"name = '{name}'")
    newest = str(max((int(one.version) for one in versions), default=0))
    held = {str(alias): str(version) for alias, version in dict(registered.aliases).items()}
    for alias in set(held) & set(ALIASES):
        if alias != wanted:
            client.delete_registered_model_alias(name, alias)
            report.removed.append(f"{model}: {alias}")
    if wanted and newest != "0":
        if held.get(wanted) != newest:
            client.set_registered_model_alias(name, wanted, newest)
        report.set[model] = f"{wanted} on version {newest}"
