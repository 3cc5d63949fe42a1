"""One asset that does nothing: proof that Dagster itself works here, and the yardstick of nights.

`benchmarks/nightly.py` says how many times as long a night takes. It is no part of the product's
graph, so that no one materialises it by mistake.
"""

import dagster as dg


@dg.asset(name="heartbeat", description="Nothing, recorded.")
def heartbeat() -> dg.MaterializeResult:
    """One materialisation in the event log."""
    return dg.MaterializeResult(metadata={"beats": 1})


def build_defs() -> dg.Definitions:
    """A code location of its own, with this asset and its job alone."""
    job = dg.define_asset_job(
        "heartbeat", selection=[heartbeat], executor_def=dg.in_process_executor
    )
    return dg.Definitions(assets=[heartbeat], jobs=[job])
