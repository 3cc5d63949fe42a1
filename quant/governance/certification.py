"""A certificate: every gate's value, limit and evidence for one candidate, hashed and signed.

Belongs here: the gates of a candidate's record and the certificate they make. Does not belong here:
how the figures came about (`validation`, `trials`, `hypothesis_tests`), keys
(`resources.signatures`), what a certificate allows (`selection`).

What is not known never passes: a gate without a value fails and says what is missing.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from quant.core.identity import canonical_json, content_hash
from quant.governance.gate_policy import CertificatePolicy
from quant.governance.hypothesis_tests import Inference
from quant.governance.overfitting import Deflated
from quant.governance.records import CertificateIssued
from quant.governance.trials import FamilyStanding
from quant.governance.validation import SentinelReport, ValidationReport
from quant.portfolio.measures import expected_shortfall, max_drawdown, sharpe, value_at_risk


class CertificateOutcome(StrEnum):
    """Only PASS may be promoted."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class Signer(Protocol):
    """Signs the text of a certificate with a key that only its owner has."""

    @property
    def key_id(self) -> str:
        """Names the key without giving it away."""
        ...

    def sign(self, text: str) -> str:
        """The signature as text."""
        ...


class Verifier(Protocol):
    """Knows the public half of a key."""

    def holds(self, text: str, signature: str) -> bool:
        """Whether the key's owner signed exactly this text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """The record of one model or strategy, out of sample.

    `returns` are net, one a session; `costs` is what trading took from each, a fraction above or at
    zero. `forecast_test` compares its losses with the baseline's, positive when it is worse.
    `overfitting` is None while its family has one trial. `evidence` names where each figure can be
    looked up.
    """

    subject: str
    returns: pd.Series
    costs: pd.Series
    standing: FamilyStanding
    deflated: Deflated | None
    overfitting: float | None
    validation: ValidationReport | None
    sentinel: SentinelReport | None
    forecast_test: Inference | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate: what was found, what was asked, whether it passed, where to look."""

    gate: str
    value: float | None
    limit: float
    bound: Literal["at most", "at least", "above", "below"]
    passed: bool
    evidence: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The verdict on a candidate. `text` is its canonical form, which is hashed and signed."""

    subject: str
    session: dt.date
    valid_until: dt.date
    outcome: CertificateOutcome
    gates: tuple[GateResult, ...]
    policy_hash: str
    returns_hash: str
    trials: float
    signature: str = ""
    key_id: str = ""

    @property
    def text(self) -> str:
        """Everything but the signature, in one canonical text."""
        return canonical_json({name: getattr(self, name) for name in _SIGNED})

    @property
    def content_hash(self) -> str:
        """The certificate's identity."""
        return content_hash(self.text)

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """Gates that said no."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def reason(self) -> str:
        """In plain words."""
        if not self.failed:
            return f"{self.subject} passed all {len(self.gates)} gates"
        return f"{self.subject}: " + "; ".join(gate.words for gate in self.failed)

    def record(self) -> CertificateIssued:
        """What the journal keeps."""
        return CertificateIssued(
            subject=self.subject,
            session=self.session,
            outcome=self.outcome.value,
            certificate_hash=self.content_hash,
            text=self.text,
            signature=self.signature,
            key_id=self.key_id,
        )


# What each gate's value is, for whoever reads the certificate without this file.
GATE_WORDS: Mapping[str, str] = {
    "history": "sessions of history",
    "drawdown": "largest drawdown",
    "value_at_risk_95": "value at risk (95 %, a session)",
    "expected_shortfall_95": "expected shortfall (95 %, a session)",
    "deflated_sharpe": "probability of skill after all trials (deflated Sharpe ratio)",
    "losing_paths": "share of losing stretches",
    "leakage": "Sharpe ratio on shuffled returns (a leak earns there)",
    "cost_stress": "Sharpe ratio at multiplied costs",
    "overfitting": "probability of overfitting (PBO)",
    "worse_forecast": "p-value against a forecast worse than drift's",
}

_SIGNED = (
    "subject",
    "session",
    "valid_until",
    "outcome",
    "gates",
    "policy_hash",
    "returns_hash",
    "trials",
)


def certify(
    candidate: Candidate,
    policy: CertificatePolicy,
    *,
    session: dt.date,
    valid_until: dt.date,
    signer: Signer | None = None,
) -> Certificate:
    """Judge a candidate by every gate; a short history makes the answer INCONCLUSIVE."""
    gates = _gates(candidate, policy)
    failed = [gate.gate for gate in gates if not gate.passed]
    outcome = CertificateOutcome.FAIL if failed else CertificateOutcome.PASS
    if "history" in failed:
        outcome = CertificateOutcome.INCONCLUSIVE
    bare = Certificate(
        subject=candidate.subject,
        session=session,
        valid_until=valid_until,
        outcome=outcome,
        gates=gates,
        policy_hash=content_hash(policy.model_dump(mode="json")),
        returns_hash=content_hash(candidate.returns.to_numpy(dtype=float).tolist()),
        trials=candidate.standing.effective,
    )
    if signer is None:
        return bare
    return _with_signature(bare, signature=signer.sign(bare.text), key_id=signer.key_id)


def objection(
    issued: CertificateIssued | None,
    *,
    subject: str,
    on: dt.date,
    policy: CertificatePolicy,
    verifier: Verifier | None = None,
) -> str:
    """Why a recorded certificate does not count for `subject` on a day; empty when it does.

    With a key configured, one without that key's signature does not count. One that was issued
    under other limits does not either.
    """
    if issued is None:
        return f"{subject} has no certificate"
    said = json.loads(issued.text)
    if content_hash(issued.text) != issued.certificate_hash:
        return f"the certificate of {subject} is not what was issued: its hash differs"
    if verifier is not None and not verifier.holds(issued.text, issued.signature):
        return f"the certificate of {subject} does not carry the configured key's signature"
    if said["subject"] != subject or issued.subject != subject:
        return f"the certificate is about {said['subject']}, not {subject}"
    if said["outcome"] != CertificateOutcome.PASS.value:
        return f"the certificate of {subject} says {said['outcome']}"
    if (
        not dt.date.fromisoformat(said["session"])
        <= on
        <= dt.date.fromisoformat(said["valid_until"])
    ):
        return f"the certificate of {subject} is valid {said['session']} to {said['valid_until']}"
    if said["policy_hash"] != content_hash(policy.model_dump(mode="json")):
        return f"the certificate of {subject} was issued under other limits: certify again"
    return ""


def stressed_sharpe(returns: pd.Series, costs: pd.Series, *, multiple: float) -> float | None:
    """The Sharpe ratio had every trade cost `multiple` times what it did."""
    return sharpe(returns - (multiple - 1.0) * costs)


def _gates(candidate: Candidate, policy: CertificatePolicy) -> tuple[GateResult, ...]:
    returns, seen = candidate.returns, candidate.evidence
    equity = pd.Series(np.concatenate([[1.0], np.cumprod(1.0 + returns.to_numpy(dtype=float))]))
    deflated, validation, sentinel = candidate.deflated, candidate.validation, candidate.sentinel
    stressed = stressed_sharpe(returns, candidate.costs, multiple=policy.cost_stress_multiple)
    found = [
        _gate("history", len(returns), policy.history_sessions_min, "at least", seen),
        _gate("drawdown", max_drawdown(equity), policy.drawdown_max_fraction, "at most", seen),
        _gate(
            "value_at_risk_95",
            value_at_risk(returns),
            policy.value_at_risk_95_max_fraction,
            "at most",
            seen,
        ),
        _gate(
            "expected_shortfall_95",
            expected_shortfall(returns),
            policy.expected_shortfall_95_max_fraction,
            "at most",
            seen,
        ),
        _gate(
            "deflated_sharpe",
            deflated.probability if deflated else None,
            policy.deflated_sharpe_probability_min,
            "at least",
            seen,
        ),
        _gate(
            "losing_paths",
            validation.loss_fraction if validation else None,
            policy.losing_paths_max_fraction,
            "at most",
            seen,
        ),
        _sentinel_gate(sentinel, policy, seen),
        _gate("cost_stress", stressed, policy.stressed_sharpe_min, "above", seen),
    ]
    # One trial has nothing to choose from, so nothing can have been chosen too well.
    if candidate.standing.opened > 1:
        limit = policy.overfitting_probability_max
        found.append(_gate("overfitting", candidate.overfitting, limit, "at most", seen))
    if candidate.forecast_test is not None:
        found.append(_forecast_gate(candidate.forecast_test, policy, seen))
    return tuple(found)


def _gate(
    name: str,
    value: float | None,
    limit: float,
    bound: Literal["at most", "at least", "above", "below"],
    evidence: Mapping[str, str],
) -> GateResult:
    passed = value is not None and _holds(value, limit, bound)
    said = f"is {plain_value(value)}"
    words = f"{GATE_WORDS[name]} {said}; {bound} {limit:g} is asked"
    return GateResult(
        gate=name,
        value=None if value is None else float(value),
        limit=float(limit),
        bound=bound,
        passed=passed,
        evidence=evidence.get(name, evidence.get("*", "")),
        words=words,
    )


def plain_value(value: float | None) -> str:
    """Four digits, and no exponent for what is as good as zero."""
    if value is None:
        return "not known"
    return "0.0000" if 0 < abs(value) < 5e-5 else f"{value:.4g}"


def _sentinel_gate(
    sentinel: SentinelReport | None, policy: CertificatePolicy, seen: Mapping[str, str]
) -> GateResult:
    value = None if sentinel is None else sentinel.sharpe
    gate = _gate("leakage", value, policy.shuffled_sharpe_max, "below", seen)
    if sentinel is None or sentinel.passed:
        return gate
    return GateResult(
        gate="leakage",
        value=value,
        limit=gate.limit,
        bound="below",
        passed=False,
        evidence=gate.evidence,
        words=sentinel.reason,
    )


def _forecast_gate(
    tested: Inference, policy: CertificatePolicy, seen: Mapping[str, str]
) -> GateResult:
    """One-sided: being better is no offence, however significant."""
    worse = tested.p_value / 2 if tested.statistic > 0 else 1.0 - tested.p_value / 2
    return _gate("worse_forecast", worse, policy.worse_forecast_p_value_min, "at least", seen)


def _holds(value: float, limit: float, bound: str) -> bool:
    match bound:
        case "at most":
            return value <= limit
        case "at least":
            return value >= limit
        case "above":
            return value > limit
    return value < limit


def _with_signature(bare: Certificate, *, signature: str, key_id: str) -> Certificate:
    fields = {name: getattr(bare, name) for name in _SIGNED}
    return Certificate(**fields, signature=signature, key_id=key_id)
