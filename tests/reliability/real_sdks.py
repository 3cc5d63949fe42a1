"""Goal 4: thousands of orders through each real SDK, faults on, and the venue's books as judge."""

from importlib.metadata import version

from benchmarks.venue_soak import SHORT_ORDERS, soak
from tests.reliability import fault_matrix
from tests.reliability.goal import Form, Found

ORDERS = {Form.SHORT: SHORT_ORDERS // 2, Form.LONG: 10_000}
SEED = 11
# Every cell of the matrix, or each Nth.
EVERY = {Form.SHORT: 13, Form.LONG: 1}
SDKS = {"alpaca": "alpaca-py", "binance": "ccxt"}
WRONG = {
    "duplicates": "intents that became two orders",
    "orphans": "orders that nobody meant",
    "lost": "intents without an order",
    "differing": "orders that we and the venue tell differently",
    "egress": "connections beyond loopback",
}


def run(form: Form) -> Found:
    """One soak an SDK."""
    figures: dict[str, str | int | float] = {"seed": SEED}
    holds, faults = True, set()
    for sdk, package in SDKS.items():
        row = soak(sdk, orders=ORDERS[form], seed=SEED)
        name = f"{package} {version(package)}"
        struck, met = row["faults"], row["met"]
        assert isinstance(struck, dict)
        assert isinstance(met, dict)
        figures[f"{name}: orders"] = ORDERS[form]
        figures[f"{name}: faults that struck"] = sum(struck.values())
        figures[f"{name}: outcomes unknown at first"] = met.get("unknown", 0)
        for key, what in WRONG.items():
            count = row[key]
            assert isinstance(count, int)
            figures[f"{name}: {what}"] = count
            holds = holds and count == 0
        faults |= set(struck)
    figures["kinds of faults"] = len(faults)
    done, wrong = fault_matrix.live_through(EVERY[form], SEED)
    figures["cells of one fault at one kind of call"] = done["cells"]
    figures["of these, struck"] = done["struck"]
    figures["cells in which anything was wrong"] = len(wrong)
    holds = holds and not wrong and done["struck"] == done["cells"]
    return Found(
        goal=4,
        title="Real SDKs end to end",
        claim="Every intent sent through the vendors' own SDKs becomes exactly one order whose "
        "end we know as the venue knows it, whatever fails, and nothing leaves the machine.",
        form=form,
        holds=holds,
        figures=figures,
        notes=(
            "Market orders, and resting orders that are cancelled, through `resources.brokers` "
            "against `apps.simulator` on loopback. A cell is one fault at one of "
            f"{', '.join(fault_matrix.CALLS)}, where it strikes two calls of three: orders, open "
            "orders, positions and executions are held against the venue's books. An empty list "
            "in place of a list is left out, since nobody can tell it from an empty account (and "
            "the order manager concludes nothing from an absence). The port knows "
            "no replacement (the order manager cancels, and sends another when that has ended), "
            "and streams are the business of `tests/integration/test_venue_streams.py`.",
            "Connections are counted by Python's own audit events in this process, which no "
            "library can pass by.",
            *(f"Wrong {count} times: {what}." for what, count in sorted(wrong.items())),
        ),
    )
