"""What the sensors of governance do when a session was audited: look, and act only where they must.

Belongs here: when a certificate is renewed, who is promoted, why a champion goes. Does not belong
here: the acts themselves (`assets/governing.py`), any rule (`quant.governance.selection`).
"""

import datetime as dt
from typing import TYPE_CHECKING

from assets.candidate import BASELINE, Evidence, evidence_of
from assets.governing import (
    Acted,
    certificates,
    certify_model,
    demote,
    gates_of,
    journal_of,
    newest_session,
    objections,
    promote,
    standing_gates,
)
from resources.desk import Desk

if TYPE_CHECKING:
    from quant.governance.gate_policy import SelectionPolicy

# The sensor judges a model again after a month; a person may at any time.
_RENEWAL = dt.timedelta(days=30)


def look_for_promotion(desk: Desk) -> Acted:
    """What the promotion sensor does: certify what lacks a certificate, promote the best."""
    from quant.governance.certification import CertificateOutcome
    from quant.governance.selection import champion, figures_of, select

    evidence, journal = evidence_of(desk), journal_of(desk)
    models = [name for name in evidence.records if name != BASELINE]
    gates = gates_of(desk)
    # Short histories are not put through the slow gates: their certificate is not in doubt.
    needed = gates.certificate.history_sessions_min
    ripe = [name for name in models if len(evidence.records[name].returns) >= needed]
    if not ripe:
        longest = max((len(one.returns) for one in evidence.records.values()), default=0)
        words = f"the longest record has {longest} sessions, {needed} are needed for a certificate"
        return Acted(model="", role="", reason=words, is_change=False)
    for name in ripe:
        issued = certificates(journal.records()).get(name)
        is_old = issued is None or issued.session + _RENEWAL <= evidence.session
        if is_old or (issued and issued.outcome == CertificateOutcome.INCONCLUSIVE.value):
            certify_model(desk, name, evidence=evidence, actor="sensor")
    records = journal.records()
    figures = [figures_of(name, evidence.records[name].returns) for name in ripe]
    why = objections(desk, ripe, on=evidence.session, records=records)
    found = select(
        figures,
        # Who would be demoted at the next look is not promoted at this one.
        objections={name: why[name] or _failing(evidence, name, gates.selection) for name in ripe},
        standing=champion(records),
        policy=gates.selection,
    )
    if not found.model:
        return Acted(model="", role="", reason=found.reason, is_change=False)
    return promote(desk, found.model, actor="promotion sensor", reason=found.reason)


def look_for_demotion(desk: Desk) -> Acted:
    """What the demotion sensor does: watch the champion's coverage and error."""
    from quant.governance.selection import champion, demotion_reason, watch

    records = journal_of(desk).records()
    model = champion(records)
    if not model:
        return Acted(model="", role="", reason="there is no champion to watch", is_change=False)
    policy = standing_gates(desk, records).policy.selection
    expired = objections(desk, [model], on=newest_session(desk), records=records)[model]
    if expired:
        return demote(desk, model, actor="demotion sensor", reason=expired)
    scores = evidence_of(desk).scores
    watched = watch(scores, model=model, baseline=BASELINE, sessions=policy.watch_sessions)
    if watched is None:
        words = f"fewer than {policy.watch_sessions} scored sessions of {model}"
        return Acted(model=model, role="champion", reason=words, is_change=False)
    why = demotion_reason(watched, policy)
    if why:
        return demote(desk, model, actor="demotion sensor", reason=why)
    words = (
        f"{model} holds: its 90 % band held {watched.coverage_90:.1%}, its error is "
        f"{watched.rmse_excess_fraction:+.1%} of drift's over {watched.sessions} sessions"
    )
    return Acted(model=model, role="champion", reason=words, is_change=False)


def _failing(evidence: Evidence, model: str, policy: "SelectionPolicy") -> str:
    from quant.governance.selection import demotion_reason, watch

    watched = watch(evidence.scores, model=model, baseline=BASELINE, sessions=policy.watch_sessions)
    said = demotion_reason(watched, policy) if watched else ""
    return f"{model}: {said}" if said else ""
