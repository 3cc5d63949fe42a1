"""Which assets a person means: `forecast/naive`, `forecast.naive`, or a whole stage.

Belongs here: names to asset keys. Does not belong here: running anything.
"""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quant.core.errors import UsageError

if TYPE_CHECKING:
    import dagster as dg

_NEAR_MAX = 5


def selected_keys(definitions: "dg.Definitions", names: Sequence[str]) -> "list[dg.AssetKey]":
    """The keys of these names; tables that only one step can make come together."""
    graph = definitions.resolve_asset_graph()
    known = {key.to_user_string(): key for key in graph.get_all_asset_keys()}
    chosen = {known[path] for name in names for path in _paths(name, list(known))}
    together = {one for key in chosen for one in graph.get(key).execution_set_asset_keys}
    return sorted(together, key=lambda key: key.path)


def _paths(name: str, known: list[str]) -> list[str]:
    path = name.strip().replace(".", "/")
    found = [each for each in known if each == path or each.split("/")[0] == path]
    if not found:
        raise UsageError(f"there is no asset {name[:60]!r}", remedy=_remedy(path, known))
    return found


def _remedy(path: str, known: list[str]) -> str:
    by_table = [each for each in known if each.split("/")[1] == path.rsplit("/", maxsplit=1)[-1]]
    near = difflib.get_close_matches(path, known, n=_NEAR_MAX, cutoff=0.5)
    close = list(dict.fromkeys([*by_table, *near]))[:_NEAR_MAX]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose one of: {', '.join(sorted(known))}; or a whole stage, such as forecast"
