"""Goal 2: a seed is its whole history, whatever the process."""

from apps.simulation.run import HASH_SEEDS, differing_replays
from tests.reliability.goal import Form, Found

SEEDS = {Form.SHORT: range(3), Form.LONG: range(100)}
DAYS = {Form.SHORT: 1, Form.LONG: 10}


def run(form: Form) -> Found:
    """Each seed lived again in processes that order sets and dictionaries differently."""
    seeds = SEEDS[form]
    differing = differing_replays(seeds, DAYS[form])
    return Found(
        goal=2,
        title="Replay is exact",
        claim="A seed gives the same history, event for event and byte for byte of its journal, "
        "in every process.",
        form=form,
        holds=not differing,
        figures={
            "seeds": f"{seeds.start} to {seeds.stop - 1}",
            "days of each": DAYS[form],
            "processes": len(HASH_SEEDS),
            "values of PYTHONHASHSEED": ", ".join(HASH_SEEDS),
            "identical": len(seeds) - len(differing),
            "different": len(differing),
        },
        notes=tuple(f"Seed {seed} has another history in another process." for seed in differing),
    )
