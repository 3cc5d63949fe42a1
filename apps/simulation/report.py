"""The long form of the simulation as a page: seeds, figures, faults, and the code they speak of.

Belongs here: the page's words. Does not belong here: living through worlds (`run`).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from apps.simulation.run import HASH_SEEDS, Tally

ROOT = Path(__file__).parents[2]
# Whatever decides a world's history: another text of these is other code.
SOURCES = ("quant/core", "quant/execution", "apps/simulation", "resources/ledger")


def code_hash() -> str:
    """One hash of the sources that a report speaks of."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def page(
    tally: Tally, *, seeds: str, days: int, replays: int, differing: Sequence[int], command: str
) -> str:
    """Markdown; the command that makes it again stands on top."""
    lines = [
        "# Reliability report",
        "",
        f"Made by `{command}`; sources {code_hash()}.",
        "What is checked, and what each fault means, is in [Execution](execution.md). Made by the",
        "same sources again, every number but the speed is the same.",
        "",
        "| figure | value |",
        "|---|---|",
        f"| seeds | {seeds} |",
        f"| simulated sessions | {tally.days:,} ({days} in each world) |",
        f"| events (messages, calls, answers, wishes, records) | {tally.events:,} |",
        f"| ledger records | {tally.records:,} |",
        f"| orders | {tally.orders:,} |",
        f"| trades | {tally.trades:,} |",
        f"| checks of records and calls | {tally.checks:,} |",
        f"| violations | {len(tally.violations)} |",
        f"| seeds lived again in {len(HASH_SEEDS)} processes | {replays}, "
        f"{len(differing)} of them differently |",
        f"| events a second of one core | {tally.events_per_s:,.0f} |",
        "",
        "## Faults that struck",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in sorted(tally.faults.items())),
    ]
    if tally.violations:
        lines += ["", "## Violations", "", "| seed | second | invariant | what |"]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| {one.seed} | {one.at_s:.3f} | {one.invariant} | {one.what} |"
            for one in tally.violations
        ]
    return "\n".join(lines) + "\n"
