"""What a change of execution must pass: some seeds of the simulation, then its unit tests.

It runs in the copy that holds a planted defect, and tells by its exit code who has seen it: 3 for
the simulation, 4 for the unit tests, 0 for nobody.
"""

import sys
from typing import Final

SEEDS: Final = range(10)
DAYS: Final = 2


def main(arguments: list[str]) -> int:
    """The seeds one by one, since the first that breaks is enough."""
    from apps.simulation.run import simulate

    for seed in SEEDS:
        if simulate([seed], DAYS).violations:
            return 3
    if "--unit" not in arguments:
        return 0
    import pytest

    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "tests/unit/execution"])
    return 4 if code else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
