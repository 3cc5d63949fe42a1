"""What a trade is expected to cost before it is made: priors per asset class.

Belongs here: the priors and the round trip made of them. Does not belong here: what trades did cost
(fills in the ledger); recalibration from own fills replaces these priors when it lands.
"""

from typing import Annotated

from pydantic import Field

from quant.core.errors import PolicyError
from quant.core.policy import Policy
from quant.market.bars import AssetClass
from quant.market.frontier import FrontierPolicy, exchange_of, venue_costs

Bps = Annotated[float, Field(ge=0, le=1_000)]
BPS = 1e-4


class CostPrior(Policy):
    """One side of one trade, in basis points of its notional; spread is the full quoted spread."""

    spread_bps: Bps
    slippage_bps: Bps
    fee_bps: Bps
    # Impact is never believed to be below half a basis point, however small the order (SPEC E2).
    impact_bps: Annotated[float, Field(ge=0.5, le=1_000)] = 0.5

    @property
    def round_trip(self) -> float:
        """Cost of in and out as a fraction: spread once, everything else on both sides."""
        one_way_bps = self.slippage_bps + self.fee_bps + self.impact_bps
        return (self.spread_bps + 2 * one_way_bps) * BPS


class CostPolicy(Policy):
    """Priors by asset class; a class without one cannot be traded."""

    priors: dict[AssetClass, CostPrior]

    def prior_of(self, asset_class: AssetClass) -> CostPrior:
        """The prior of a class; `PolicyError` where nobody has decided one."""
        if asset_class not in self.priors:
            raise PolicyError(
                f"costs.yaml has no prior for {asset_class}",
                remedy=f"add priors.{asset_class} with spread, slippage and fee in basis points",
            )
        return self.priors[asset_class]

    def prior_of_symbol(
        self, symbol: str, asset_class: AssetClass, frontier: FrontierPolicy
    ) -> CostPrior:
        """As `prior_of`; a frontier symbol has the spread and the fees of its own exchange."""
        if exchange_of(symbol, frontier) is None:
            return self.prior_of(asset_class)
        venue = venue_costs(symbol, frontier)
        return self.prior_of(AssetClass.FRONTIER).model_copy(
            update={"spread_bps": venue.spread_bps, "fee_bps": venue.fee_bps}
        )
