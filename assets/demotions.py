"""What a demotion does to orders: the ledger is told no, for the model and for all who use it.

Belongs here: demotions as the journal has them, and as verdicts for the ledger. Does not belong
here: demoting (`assets/governing.py`), reading verdicts (the trader).
"""

from typing import TYPE_CHECKING

from resources.code_versions import code_version
from resources.desk import Desk
from resources.governance_journal import GovernanceJournal

if TYPE_CHECKING:
    from quant.execution import VerdictRecorded
    from quant.governance.records import RoleChanged
    from resources.warehouse import Provenance


def demotions_of(desk: Desk) -> "dict[str, RoleChanged]":
    """Models that lost their role and have got none since; no strategy that needs one trades."""
    from quant.governance.selection import demoted_models

    return demoted_models(GovernanceJournal(desk.settings.paths.ledger).records())


def refuse_orders(desk: Desk, change: "RoleChanged") -> None:
    """The trader reads the ledger's newest verdicts before it sends; these say no at once."""
    from dataclasses import replace

    from quant.execution import SubjectKind
    from quant.signals.strategies import StrategiesPolicy
    from resources.warehouse import Provenance

    if not (desk.settings.paths.ledger / "journal.jsonl").exists():
        return
    origin = Provenance(
        run_id="", snapshot_id=desk.warehouse.snapshot_id(), code_version=code_version("audit")
    )
    verdict = demoted_verdict(change, None, origin)
    strategies = [
        replace(verdict, subject_kind=SubjectKind.STRATEGY, subject=strategy.name)
        for strategy in desk.policy("strategies", StrategiesPolicy).strategies
        if change.model in (strategy.forecast, *strategy.models)
    ]
    with desk.ledger(write=True) as ledger:
        ledger.append_all([verdict, *strategies])


def demoted_verdict(
    change: "RoleChanged", judged: "VerdictRecorded | None", provenance: "Provenance"
) -> "VerdictRecorded":
    """What the ledger is told of a demoted model, also after a hold-out that it passed since."""
    from quant.execution import Outcome, SubjectKind, VerdictRecorded

    return VerdictRecorded(
        subject_kind=SubjectKind.MODEL,
        subject=change.model,
        outcome=Outcome.FAIL,
        reason=f"{change.model} was demoted on {change.session}: {change.reason}",
        session=max(change.session, judged.session) if judged else change.session,
        run_id=provenance.run_id,
        snapshot_id=str(provenance.snapshot_id),
        code_version=provenance.code_version,
        evidence={"journal": "governance", "role_changed": str(change.number)},
    )
