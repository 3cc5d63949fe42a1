"""Goal 1: simulated volume without a violation of any invariant."""

from apps.simulation.faults import Fault
from apps.simulation.run import simulate
from tests.reliability.goal import Form, Found
from tests.reliability.progress import counted

SEEDS = {Form.SHORT: range(6), Form.LONG: range(1_000)}
DAYS = {Form.SHORT: 2, Form.LONG: 10}
# The scorecard's own figures; the short form reaches its share of them.
EVENTS_MIN = {Form.SHORT: 10_000, Form.LONG: 1_000_000}


def run(form: Form) -> Found:
    """Every world, every fault, every invariant at every event."""
    tally = simulate(counted(SEEDS[form], "worlds"), DAYS[form])
    faults = {f"fault: {name}": count for name, count in sorted(tally.faults.items())}
    # Some faults strike once in a hundred days.
    kinds_min = len(Fault) if form is Form.LONG else len(Fault) // 2
    reached = tally.events >= EVENTS_MIN[form] and len(faults) >= kinds_min
    return Found(
        goal=1,
        title="Simulated volume",
        claim="The production order manager, ledger and reconciliation live through seeded worlds "
        "of every fault, and no invariant breaks.",
        form=form,
        holds=not tally.violations and reached,
        figures={
            "seeds": f"{SEEDS[form].start} to {SEEDS[form].stop - 1}",
            "simulated trading days": tally.days,
            "events": tally.events,
            "ledger records": tally.records,
            "orders": tally.orders,
            "trades": tally.trades,
            "checks of records and calls": tally.checks,
            "violations": len(tally.violations),
            "kinds of faults that struck": len(faults),
            **faults,
        },
        notes=(
            "Events are messages, calls, answers, wishes and records. The invariants, and what "
            "each fault means, are in [Execution](execution.md). The journal is in memory here, "
            "with the lines, hashes and keys of the one on disk; goal 6 speaks of the disk.",
            *(
                f"Seed {one.seed} broke invariant {one.invariant} at {one.at_s:.3f} s: {one.what}. "
                f"Again: `pmx simulate --seeds {one.seed} --days {DAYS[form]} --trace`."
                for one in tally.violations
            ),
        ),
    )
