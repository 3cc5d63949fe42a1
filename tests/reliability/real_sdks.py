"""Goal 4: thousands of orders through each real SDK, faults on, and the venue's books as judge."""

from importlib.metadata import version

from benchmarks.venue_soak import SHORT_ORDERS, soak
from tests.reliability.goal import Form, Found

ORDERS = {Form.SHORT: SHORT_ORDERS // 2, Form.LONG: 10_000}
SEED = 11
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
    return Found(
        goal=4,
        title="Real SDKs end to end",
        claim="Every intent sent through the vendors' own SDKs becomes exactly one order whose "
        "end we know as the venue knows it, whatever fails, and nothing leaves the machine.",
        form=form,
        holds=holds,
        figures=figures,
        notes=(
            "Market orders, and resting orders that are cancelled, through "
            "`resources.brokers` against `apps.simulator` on loopback. Each fault at each kind "
            "of call alone, replacements and streams are the business of "
            "`tests/contract/test_brokers.py`, `tests/integration/test_venue_*.py`. The port knows "
            "no replacement: the order manager cancels, and sends another when that has ended.",
            "Connections are counted by Python's own audit events in this process, which no "
            "library can pass by.",
        ),
    )
