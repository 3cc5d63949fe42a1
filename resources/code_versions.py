"""The version of the code behind a stage: a hash of its source, not a number somebody must bump."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from quant.core.identity import HASH_LENGTH
from resources.settings import project_root

# What a stage's numbers depend on, besides quant/core. Assets are wiring; the domain decides.
_SOURCES: dict[str, tuple[str, ...]] = {
    "raw": ("quant/market",),
    "clean": ("quant/market", "great_expectations/suites"),
    "feature": ("quant/features", "quant/market/panel.py"),
    "model": ("quant/forecasting", "quant/governance"),
    "forecast": ("quant/forecasting",),
    "signal": ("quant/signals", "quant/portfolio"),
    "target": ("quant/portfolio",),
    "order": ("quant/execution", "quant/portfolio/sizing.py"),
    "audit": (
        "quant/forecasting",
        "quant/governance",
        "quant/signals",
        "quant/execution/attribution.py",
    ),
}

STAGES = tuple(_SOURCES)


@cache
def code_version(stage: str) -> str:
    """Sixteen hex digits over the sources of a stage; line ends are normalised."""
    digest = hashlib.sha256()
    for path in _files(stage):
        digest.update(str(path.relative_to(project_root())).encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[: HASH_LENGTH // 2]


def _files(stage: str) -> Iterator[Path]:
    for source in ("quant/core", *_SOURCES[stage]):
        path = project_root() / source
        if path.is_file():
            yield path
        else:
            yield from sorted(p for p in path.rglob("*") if p.suffix in {".py", ".json"})
