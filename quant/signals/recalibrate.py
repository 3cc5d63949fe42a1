"""Costs as own fills teach them: a prior, moved by evidence as far as there is evidence.

Belongs here: fills and bar estimates in, posterior out, with the counts behind it. Does not belong
here: reading fills, or storing what comes out.

On paper the fills are made from the priors, so there the posterior stays where it was (apart from
impact that grows with the order); it moves once a venue answers.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quant.signals.costs import BPS, IMPACT_BPS_MIN, CalibrationPolicy, CostPrior

_BPS_MAX = 1_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFill:
    """What one own fill cost, in basis points of its notional."""

    symbol: str
    # The price paid against the reference; positive hurts, negative is an improvement.
    adverse_bps: float
    fee_bps: float

    @classmethod
    def of(
        cls, symbol: str, *, sign: int, price: float, reference: float, fee: float, notional: float
    ) -> "OwnFill":
        """From what a venue reports; `sign` is +1 for a purchase and -1 for a sale."""
        moved = sign * (price / reference - 1.0)
        return cls(symbol=symbol, adverse_bps=moved / BPS, fee_bps=fee / notional / BPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSpread:
    """What the bars of one symbol say of its spread; NaN where they say nothing."""

    corwin_schultz_bps: float = math.nan
    abdi_ranaldo_bps: float = math.nan
    bars: int = 0

    @property
    def spread_bps(self) -> float:
        """The mean of the estimates that exist."""
        known = [x for x in (self.corwin_schultz_bps, self.abdi_ranaldo_bps) if math.isfinite(x)]
        return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class FillStatistics:
    """All that the posterior needs to know of some fills; the means are NaN without any."""

    count: int = 0
    adverse_bps: float = math.nan
    fee_bps: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEvidence:
    """What is known of one symbol's costs besides its prior."""

    own: FillStatistics = FillStatistics()
    of_class: FillStatistics = FillStatistics()
    bars: BarSpread = BarSpread()


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What a symbol's trades are expected to cost now, and what says so."""

    costs: CostPrior
    evidence: CostEvidence
    bars_counted: int

    @property
    def source(self) -> str:
        """Where the numbers come from: `prior`, and what was added to it."""
        bars = "+bars" if self.bars_counted else ""
        return f"prior{bars}{'+fills' if self.evidence.of_class.count else ''}"


def statistics_of(fills: Iterable[OwnFill], policy: CalibrationPolicy) -> FillStatistics:
    """Count and means; a fill that is not finite says nothing and is left out."""
    known = [f for f in fills if math.isfinite(f.adverse_bps) and math.isfinite(f.fee_bps)]
    if not known:
        return FillStatistics()
    limit = policy.adverse_bps_max
    adverse = math.fsum(min(max(fill.adverse_bps, -limit), limit) for fill in known)
    return FillStatistics(
        count=len(known),
        adverse_bps=adverse / len(known),
        fee_bps=math.fsum(fill.fee_bps for fill in known) / len(known),
    )


def posterior_of_fills(
    prior: CostPrior, fills: FillStatistics, policy: CalibrationPolicy
) -> CostPrior:
    """The prior, shrunk towards the mean of `fills`: (n0 prior + n mean) / (n0 + n).

    Fills tell the whole adverse move, not its parts, so the parts keep their proportions; impact
    keeps its floor.
    """
    if not fills.count:
        return prior
    count, weight = fills.count, policy.prior_weight_fills
    wanted = (weight * prior.adverse_bps + count * fills.adverse_bps) / (weight + count)
    fee = (weight * prior.fee_bps + count * fills.fee_bps) / (weight + count)
    scale = max(0.0, wanted) / prior.adverse_bps
    return CostPrior(
        spread_bps=min(prior.spread_bps * scale, _BPS_MAX),
        slippage_bps=min(prior.slippage_bps * scale, _BPS_MAX),
        fee_bps=min(max(0.0, fee), _BPS_MAX),
        impact_bps=min(max(prior.impact_bps * scale, IMPACT_BPS_MIN), _BPS_MAX),
    )


def posterior_of_bars(prior: CostPrior, bars: BarSpread, policy: CalibrationPolicy) -> CostPrior:
    """The prior with its spread shrunk towards what the bars say."""
    if not math.isfinite(bars.spread_bps) or bars.bars <= 0:
        return prior
    weight = policy.prior_weight_bars
    spread = (weight * prior.spread_bps + bars.bars * bars.spread_bps) / (weight + bars.bars)
    return prior.model_copy(update={"spread_bps": min(spread, _BPS_MAX)})


def posterior_of(
    prior: CostPrior,
    evidence: CostEvidence,
    policy: CalibrationPolicy,
    *,
    listens_to_bars: bool = False,
) -> Posterior:
    """The costs of one symbol now.

    Two steps of the same shrinkage: what all fills of the class say moves every symbol, and what a
    symbol's own fills say moves it further.
    """
    start = posterior_of_bars(prior, evidence.bars, policy) if listens_to_bars else prior
    of_class = posterior_of_fills(start, evidence.of_class, policy)
    return Posterior(
        costs=posterior_of_fills(of_class, evidence.own, policy),
        evidence=evidence,
        bars_counted=evidence.bars.bars if start is not prior else 0,
    )


def recalibrate(
    priors: Mapping[str, CostPrior],
    fills: Iterable[OwnFill],
    policy: CalibrationPolicy,
    *,
    bars: Mapping[str, BarSpread] | None = None,
    listens_to_bars: bool = False,
) -> dict[str, Posterior]:
    """The costs of each symbol of one asset class: fills and bars in, posteriors out."""
    given, spreads = list(fills), bars or {}
    of_class = statistics_of(given, policy)
    return {
        symbol: posterior_of(
            prior,
            CostEvidence(
                own=statistics_of((f for f in given if f.symbol == symbol), policy),
                of_class=of_class,
                bars=spreads.get(symbol, BarSpread()),
            ),
            policy,
            listens_to_bars=listens_to_bars,
        )
        for symbol, prior in priors.items()
    }
