"""The proofs, by goal of the scorecard: which module finds it out, and of which sources it speaks.

Belongs here: the table. A goal that is not in it is named on the page as not covered.
"""

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.reliability.goal import Form, Found

ROOT: Final = Path(__file__).parents[2]
# Whatever a proof runs is made of these.
_FRAME: Final = ("tests/reliability/goal.py", "tests/reliability/progress.py")
_CORE: Final = ("quant/core", "quant/execution")
_VENUES: Final = ("resources/brokers", "apps/simulator", "quant/market")
_LEDGER: Final = ("resources/ledger",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One goal's proof; `sources` are the files and folders that decide what it finds.

    `shows` names the figures that the table of all goals repeats; those of several venues are
    summed up.
    """

    goal: int
    module: str
    sources: tuple[str, ...]
    shows: tuple[str, ...] = ()

    def run(self, form: Form) -> Found:
        """Find it out."""
        found: Found = importlib.import_module(f"tests.reliability.{self.module}").run(form)
        return found

    def sources_hash(self) -> str:
        """Another text of the sources is another proof."""
        own = f"tests/reliability/{self.module}.py"
        return hash_of((own, *_FRAME, *self.sources))


PROOFS: Final = (
    Proof(
        goal=1,
        module="simulation",
        shows=(
            "simulated trading days",
            "events",
            "violations",
        ),
        sources=(*_CORE, *_LEDGER, "apps/simulation"),
    ),
    Proof(
        goal=2,
        module="replays",
        shows=(
            "identical",
            "different",
        ),
        sources=(*_CORE, *_LEDGER, "apps/simulation"),
    ),
    Proof(
        goal=3,
        module="planted_defects",
        shows=(
            "planted",
            "caught",
        ),
        sources=(*_CORE, *_LEDGER, "apps/simulation", "tests/planted", "tests/unit/execution"),
    ),
    Proof(
        goal=4,
        module="real_sdks",
        shows=(
            "orders",
            "intents that became two orders",
            "connections beyond loopback",
        ),
        sources=(*_CORE, *_VENUES, "benchmarks/venue_soak.py", "tests/reliability/fault_matrix.py"),
    ),
    Proof(
        goal=5,
        module="ambiguity",
        shows=(
            "ambiguous outcomes injected",
            "intents that are not exactly one order",
            "second POSTs before a look-up",
        ),
        sources=(
            *_CORE,
            *_LEDGER,
            *_VENUES,
            "apps/trader/order_desk.py",
            "tests/support/manager_bench.py",
            "tests/support/venue_rig.py",
            "tests/execution_values.py",
        ),
    ),
    Proof(
        goal=6,
        module="crashes",
        shows=(
            "kills (signal 9)",
            "acknowledged records that were lost",
            "intents that became two orders",
        ),
        sources=(
            *_CORE,
            *_LEDGER,
            "resources/brokers",
            "apps/trader",
            "apps/simulator",
            "tests/reliability/crash_points.py",
            "tests/reliability/lost_writes.py",
            "tests/integration/ledger/crash_world.py",
            "tests/support/manager_bench.py",
            "tests/execution_values.py",
        ),
    ),
    Proof(
        goal=7,
        module="tampering",
        shows=(
            "changes tried",
            "changes that were not found",
            "false alarms",
        ),
        sources=(*_CORE, *_LEDGER, "docs/verify_ledger.py", "tests/execution_values.py"),
    ),
    Proof(
        goal=8,
        module="divergences",
        shows=(
            "divergences",
            "held in one cycle",
            "explained in one cycle",
        ),
        sources=(*_CORE, "tests/support/manager_bench.py", "tests/execution_values.py"),
    ),
    Proof(
        goal=11,
        module="bad_input",
        sources=(
            "quant",
            "resources",
            "apps",
            "tests/reliability/bad",
            "tests/reliability/golden_messages.txt",
        ),
        shows=("wrong inputs", "unclear or taken", "tracebacks"),
    ),
    Proof(
        goal=12,
        module="limits_and_time",
        shows=("bans", "calls over budget", "sent while a drift was known"),
        sources=(
            *_CORE,
            *_LEDGER,
            *_VENUES,
            "apps/simulation",
            "apps/trader/order_desk.py",
            "tests/reliability/one_address.py",
            "tests/reliability/clock_steps.py",
        ),
    ),
)

# What the scorecard asks beyond this page, and where that stands instead.
ELSEWHERE: Final = {
    9: "kill switch under a thousand races: not covered",
    10: "control modes as an exhaustive proof: not covered",
    13: "calendars, corporate actions and look-ahead: not covered here; tests of `quant.market`, "
    "`quant.features` and the nightly speak of them",
    14: "security gates: not covered here",
    15: "restore drills, coverage and a day's soak: not covered here",
}


def hash_of(sources: Sequence[str]) -> str:
    """One hash of the texts of files and, below folders, of Python and tables."""
    digest = hashlib.sha256()
    for path in sorted({path for name in sources for path in _files(ROOT / name)}):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for suffix in ("*.py", "*.toml"):
        yield from path.rglob(suffix)
