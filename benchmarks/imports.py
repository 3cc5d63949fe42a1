"""What loading the code location costs, against `import dagster` alone.

Belongs here: the ratio, each the best of several fresh processes, taken in turn so that a busy
machine slows both. Does not belong here: which module costs what (`python -X importtime` says).
"""

import json
import subprocess
import sys
import time
from typing import Any

from resources.settings import project_root

# The budget of a command that loads the code location, as a multiple of what Dagster costs anyway.
LIMIT = 1.3
REPEATS = 5


def run() -> list[dict[str, Any]]:
    """One row: the code location against its framework."""
    product, rival = best_seconds("dagster_project.definitions", "dagster")
    ratio = product / rival
    return [
        {
            "name": "code location against import dagster",
            "ratio": round(ratio, 3),
            "limit": LIMIT,
            "holds": round(ratio, 3) <= LIMIT,
            "product_s": round(product, 3),
            "dagster_s": round(rival, 3),
        }
    ]


def best_seconds(*modules: str) -> list[float]:
    """The quickest import of each module, in processes of their own."""
    for module in modules:
        _import_seconds(module)  # the first one also writes byte code
    rounds = [[_import_seconds(module) for module in modules] for _ in range(REPEATS)]
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


def _import_seconds(module: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=project_root(), check=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps({"bench": "imports", "rows": run()}))
