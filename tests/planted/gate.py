"""What a change of execution must pass: some seeds of the simulation, its unit tests, the ledger's.

It runs in the copy that holds a planted defect, and tells by its exit code who has seen it: 3 for
the simulation, 4 for the unit tests, 5 for the tests of the ledger's files, 0 for nobody.
"""

import sys
from typing import Final

SEEDS: Final = range(10)
DAYS: Final = 2
LEDGER: Final = tuple(
    f"tests/integration/ledger/test_{name}.py"
    for name in ("lost_writes", "ledger_journal", "ledger_checkpoints")
)


def main(arguments: list[str]) -> int:
    """The seeds one by one, since the first that breaks is enough."""
    from apps.simulation.run import simulate

    for seed in SEEDS:
        if simulate([seed], DAYS).violations:
            return 3
    if "--unit" not in arguments:
        return 0
    if _fails("tests/unit/execution"):
        return 4
    # Only what touches the ledger's files is worth the time that their tests take.
    return 5 if "--ledger" in arguments and _fails(*LEDGER) else 0


def _fails(*places: str) -> bool:
    import pytest

    return bool(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *places]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
