"""Acts of governance on one installation: certify, promote, demote, roll back.

Belongs here: reading the journal, asking `quant.governance`, writing what follows. Does not belong
here: rules (quant), when to act (sensors), how it is printed (commands). The journal has the
authority; the ledger's verdict stops a demoted model's orders; MLflow only shows.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.candidate import Evidence, candidate_of, evidence_of
from assets.demotions import refuse_orders
from quant.core.errors import LimitBreachError, PmxError, StateError, UsageError
from resources.desk import Desk
from resources.governance_journal import GovernanceJournal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quant.governance.audits import GatesPolicy
    from quant.governance.certification import Certificate
    from quant.governance.gate_changes import GatesInForce
    from quant.governance.records import CertificateIssued, GovernanceRecord, RoleChanged

# A certificate's sessions in calendar days: a year has 252 of one and 365 of the other.
_DAYS_PER_SESSION = 365 / 252


class NotCertifiedError(LimitBreachError):
    """A promotion without a certificate that counts."""

    def __init__(self, message: str, *, remedy: str) -> None:
        PmxError.__init__(self, message, remedy=remedy)
        self.limit, self.value, self.maximum = "certificate", 0.0, 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What was done, or why nothing was."""

    model: str
    role: str
    reason: str
    is_change: bool
    aliases: Mapping[str, str] = field(default_factory=dict)
    # Why MLflow does not show it yet; the roles hold regardless.
    registry_problem: str = ""


def journal_of(desk: Desk) -> GovernanceJournal:
    """This installation's governance journal."""
    return GovernanceJournal(desk.settings.paths.ledger)


def gates_of(desk: Desk) -> "GatesPolicy":
    """The gates in force: the policy file, but for what it may not loosen by itself."""
    return standing_gates(desk, journal_of(desk).records()).policy


def standing_gates(desk: Desk, records: "Sequence[GovernanceRecord]") -> "GatesInForce":
    """The gates in force, and what is held back."""
    from quant.governance.audits import GatesPolicy
    from quant.governance.gate_changes import gates_in_force

    return gates_in_force(desk.policy("gates", GatesPolicy), records)


def accept_gates(desk: Desk, *, actor: str) -> None:
    """Remember the gates that are being judged by, so that none can be loosened unseen."""
    from quant.governance.audits import GatesPolicy
    from quant.governance.gate_changes import accept_tightening

    journal = journal_of(desk)
    found = accept_tightening(
        desk.policy("gates", GatesPolicy),
        journal.records(),
        now=desk.clock.now(),
        actor=actor,
    )
    if found is not None:
        journal.append([found])


def certify_model(
    desk: Desk, model: str, *, evidence: Evidence | None = None, actor: str = "person"
) -> "Certificate":
    """Judge a model's record and write the certificate down, whatever it says."""
    from quant.governance.certification import certify
    from resources.signatures import signer_of

    accept_gates(desk, actor=actor)
    journal = journal_of(desk)
    policy = gates_of(desk).certificate
    seen = evidence or evidence_of(desk)
    candidate = candidate_of(desk, model, seen, journal, shuffled_max=policy.shuffled_sharpe_max)
    lasts = dt.timedelta(days=round(policy.valid_sessions * _DAYS_PER_SESSION))
    certificate = certify(
        candidate,
        policy,
        session=seen.session,
        valid_until=seen.session + lasts,
        signer=signer_of(desk.settings),
    )
    journal.append([certificate.record()])
    return certificate


def certificates(records: "Sequence[GovernanceRecord]") -> "dict[str, CertificateIssued]":
    """The newest certificate of each subject."""
    from quant.governance.records import CertificateIssued

    return {one.subject: one for one in records if isinstance(one, CertificateIssued)}


def objections(
    desk: Desk, models: Sequence[str], *, on: dt.date, records: "Sequence[GovernanceRecord]"
) -> dict[str, str]:
    """Why each model may not lead on a day; empty where it may."""
    from quant.governance.certification import objection
    from quant.governance.selection import demoted_models
    from resources.signatures import verifier_of

    policy = standing_gates(desk, records).policy.certificate
    verifier, newest, gone = (
        verifier_of(desk.settings),
        certificates(records),
        demoted_models(records),
    )
    found = {}
    for model in models:
        issued = newest.get(model)
        said = objection(issued, subject=model, on=on, policy=policy, verifier=verifier)
        change = gone.get(model)
        if not said and change and issued and issued.session <= change.session:
            said = f"{model} was demoted on {change.session}, after its certificate was issued"
        found[model] = said
    return found


def promote(
    desk: Desk, model: str, *, actor: str, reason: str = "", role: str = "champion"
) -> Acted:
    """Give a model its role; a champion, or one that was demoted, needs a certificate today."""
    from quant.governance.selection import Role, champion, demoted_models

    journal = journal_of(desk)
    records = journal.records()
    session = newest_session(desk)
    wanted = _role(role)
    _require_known(desk, model)
    # Any role ends a demotion, and with it the refusal of orders: none is free for a demoted model.
    if wanted is Role.CHAMPION or model in demoted_models(records):
        why = objections(desk, [model], on=session, records=records)[model]
        if why:
            raise NotCertifiedError(
                f"{model} was not promoted: {why}",
                remedy=f"pmx models certify {model} shows every gate and issues a new certificate",
            )
        if wanted is Role.CHAMPION and champion(records) == model:
            return Acted(model=model, role=role, reason="it leads already", is_change=False)
    _record_role(journal, records, model, wanted.value, session, actor, reason)
    return _shown(desk, model, role, reason or f"promoted by {actor}")


def demote(desk: Desk, model: str, *, actor: str, reason: str) -> Acted:
    """Take a model's role, tell the ledger that it may not trade, and revert to who led before."""
    from quant.governance.selection import previous_champions, revert

    journal = journal_of(desk)
    records = journal.records()
    session = newest_session(desk)
    refuse_orders(desk, _record_role(journal, records, model, "", session, actor, reason))
    records = journal.records()
    before = previous_champions(records)
    back = revert(records, objections=objections(desk, before, on=session, records=records))
    if not back:
        return _shown(desk, model, "", f"{model} was demoted: {reason}; nobody leads now")
    words = f"{model} was demoted: {reason}"
    _record_role(journal, records, back, "champion", session, actor, words)
    return _shown(desk, back, "champion", f"{words}; {back} leads again")


def roll_back(desk: Desk, *, actor: str, reason: str) -> Acted:
    """Back to the champion before this one, if its certificate still counts."""
    from quant.governance.selection import champion, previous_champions, revert

    journal = journal_of(desk)
    records = journal.records()
    session, now = newest_session(desk), champion(records)
    before = previous_champions(records)
    back = revert(records, objections=objections(desk, before, on=session, records=records))
    if not back:
        raise NotCertifiedError(
            f"there is no earlier champion with a certificate that counts; {now or 'nobody'} stays",
            remedy="pmx models certify NAME, then pmx models promote NAME",
        )
    words = f"rolled back from {now or 'nobody'}: {reason}"
    _record_role(journal, records, back, "champion", session, actor, words)
    return _shown(desk, back, "champion", words)


def newest_session(desk: Desk) -> dt.date:
    """The last session that was scored."""
    rows = desk.warehouse.rows("SELECT max(session) FROM audit.forecast_scores")
    if not rows or rows[0][0] is None:
        raise StateError("no forecast was scored yet", remedy="run pmx nightly or pmx backfill")
    found: dt.date = rows[0][0]
    return found


def show_roles(desk: Desk) -> Acted:
    """Make MLflow's aliases say what the journal says."""
    return _shown(desk, "", "", "MLflow was told the roles of the journal")


def _shown(desk: Desk, model: str, role: str, reason: str) -> Acted:
    """The act, once MLflow was told; its silence changes nothing but what it shows."""
    from quant.governance.selection import held_since, roles
    from resources.model_aliases import open_registry, sync_aliases

    records = journal_of(desk).records()
    held = roles(records)
    why = objections(desk, list(held), on=newest_session(desk), records=records)
    aliases: dict[str, str] = {}
    problem = ""
    try:
        with _quiet():
            report = sync_aliases(
                open_registry(desk.settings.mlflow_url),
                held,
                objections=why,
                since=held_since(records),
            )
        aliases = {
            **report.set,
            **{name: f"no alias: {said}" for name, said in report.left.items()},
        }
    except Exception as error:
        # The client raises its own, SQLAlchemy's, requests' and the system's errors alike.
        leads = next((name for name, one in held.items() if one.value == "champion"), "nobody")
        problem = (
            f"MLFLOW WAS NOT REACHED ({type(error).__name__}): its aliases are old; by the journal "
            f"{leads} leads"
        )
    return Acted(
        model=model,
        role=role,
        reason=reason,
        is_change=True,
        aliases=aliases,
        registry_problem=problem,
    )


@contextmanager
def _quiet() -> "Iterator[None]":
    """MLflow 3.17 declares its mappers in a way that SQLAlchemy 2.1 warns about; it works."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _record_role(
    journal: GovernanceJournal,
    records: "Sequence[GovernanceRecord]",
    model: str,
    role: str,
    session: dt.date,
    actor: str,
    reason: str,
) -> "RoleChanged":
    from quant.governance.records import RoleChanged
    from quant.governance.selection import changes

    issued = certificates(records).get(model)
    change = RoleChanged(
        model=model,
        role=role,
        session=session,
        actor=actor,
        reason=reason,
        certificate_hash=issued.certificate_hash if issued else "",
        number=len(changes(records)),
    )
    journal.append([change])
    return change


def _require_known(desk: Desk, model: str) -> None:
    rows = desk.warehouse.rows("SELECT DISTINCT model FROM audit.forecast_scores ORDER BY model")
    known = [name for (name,) in rows]
    if model not in known:
        raise UsageError(
            f"{model[:40]!r} has no scored forecasts", remedy=f"choose one of: {', '.join(known)}"
        )


def _role(text: str) -> Any:
    from quant.governance.selection import Role

    known = [role.value for role in Role if role.value]
    if text not in known:
        raise UsageError(f"there is no role {text!r}", remedy=f"choose {', '.join(known)}")
    return Role(text)
