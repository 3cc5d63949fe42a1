"""The luckiest of five hundred coin-flip rules goes through every gate, counted and not counted.

`docs/governance.md` prints the figures of this case; they are held against it here.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quant.governance.certification import CertificateOutcome, certify
from quant.governance.gate_policy import CertificatePolicy
from quant.governance.overfitting import moments, probabilistic_sharpe
from quant.governance.trials import deflate, family_overfitting, standing_of
from tests.unit.governance.test_certification import LIMITS, candidate
from tests.unit.governance.test_trials import DAYS, journal

POLICY = CertificatePolicy()


@pytest.fixture(scope="module")
def rules() -> dict[str, pd.Series]:
    """Long or short by the flip of a coin, on four years of one calm stock with fat tails."""
    rng = np.random.default_rng(500)
    market = rng.standard_t(4, 1_000) * 0.005
    return {
        f"rule{number}": pd.Series(rng.choice([-1.0, 1.0], 1_000) * market, index=DAYS)
        for number in range(500)
    }


def certificate_of(best: str, declared: dict[str, pd.Series]):
    """The best rule's certificate, given the trials that its family has told of."""
    returns = declared[best]
    standing = standing_of("coins", journal(declared, family="coins"), declared)
    found = family_overfitting(declared)
    judged = candidate(
        returns=returns,
        costs=returns * 0.0,
        standing=standing,
        deflated=deflate(returns, standing),
        overfitting=found.probability if found else None,
    )
    return certify(judged, POLICY, **LIMITS)


def test_the_luckiest_rule_is_refused_and_would_have_passed_as_a_single_trial(rules):
    """All 500 declared: refused by its deflated ratio and by the probability of overfitting.

    Only itself declared: the same returns look 99.8 % certain, and every gate passes.
    """
    best = max(rules, key=lambda name: moments(rules[name]).sharpe)
    honest, naive = certificate_of(best, rules), certificate_of(best, {best: rules[best]})
    assert honest.outcome is CertificateOutcome.FAIL
    assert [gate.gate for gate in honest.failed] == ["deflated_sharpe", "overfitting"]
    assert naive.outcome is CertificateOutcome.PASS, naive.reason
    assert "overfitting" not in [gate.gate for gate in naive.gates]


def test_the_page_prints_what_comes_out(rules):
    best = max(rules, key=lambda name: moments(rules[name]).sharpe)
    standing = standing_of("coins", journal(rules, family="coins"), rules)
    deflated, found = deflate(rules[best], standing), family_overfitting(rules)
    assert found is not None
    year = 252**0.5
    page = Path("docs/governance.md").read_text(encoding="utf-8")
    for figure in (
        f"| annual Sharpe ratio of the best rule | {deflated.sharpe * year:.2f} |",
        f"| by luck alone, the best of 500 | {deflated.benchmark * year:.2f} |",
        f"| probability of skill, one trial declared | "
        f"{probabilistic_sharpe(moments(rules[best])):.1%} |",
        f"| probability of skill, 500 trials declared | {deflated.probability:.1%} |",
        f"| probability of overfitting | {found.probability:.1%} |",
    ):
        assert figure in page, figure
