"""What a trade is expected to cost before it is made: the parts, and the round trip made of them.

Belongs here: priors per asset class and how firmly they are believed. Does not belong here: what
the bars say of a spread (`spreads`) or what own fills say of the whole (`recalibrate`).
"""

from typing import Annotated

from pydantic import Field

from quant.core.errors import PolicyError
from quant.core.policy import Policy
from quant.market.bars import AssetClass
from quant.market.frontier import FrontierPolicy, exchange_of, venue_costs

Bps = Annotated[float, Field(ge=0, le=1_000)]
BPS = 1e-4
# Impact is never believed to be below half a basis point a side, however small the order (SPEC E2).
IMPACT_BPS_MIN = 0.5


class CostPrior(Policy):
    """One side of one trade, in basis points of its notional; spread is the full quoted spread."""

    spread_bps: Bps
    slippage_bps: Bps
    fee_bps: Bps
    impact_bps: Annotated[float, Field(ge=IMPACT_BPS_MIN, le=1_000)] = IMPACT_BPS_MIN

    @property
    def round_trip(self) -> float:
        """Cost of in and out as a fraction: spread once, everything else on both sides."""
        one_way_bps = self.slippage_bps + self.fee_bps + self.impact_bps
        return (self.spread_bps + 2 * one_way_bps) * BPS

    @property
    def adverse_bps(self) -> float:
        """How far one side's price moves against us: half the spread, slippage and impact."""
        return self.spread_bps / 2 + self.slippage_bps + self.impact_bps


class CalibrationPolicy(Policy):
    """How much evidence it takes to move a prior."""

    # A prior counts as this many fills; with as many own fills the two weigh the same.
    prior_weight_fills: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    # One fill in a panic must not price the next year: what lies further out counts as this much.
    adverse_bps_max: Annotated[float, Field(gt=0, le=10_000)] = 250.0
    # The estimators from bars have a floor of some twenty basis points, which is noise for a large
    # US name and a real spread elsewhere; only these classes listen to them.
    spread_from_bars: tuple[AssetClass, ...] = (AssetClass.CRYPTO, AssetClass.FRONTIER)
    bars_window_sessions: Annotated[int, Field(ge=20, le=504)] = 63
    prior_weight_bars: Annotated[float, Field(gt=0, le=10_000)] = 63.0


class CostPolicy(Policy):
    """Priors by asset class; a class without one cannot be traded."""

    priors: dict[AssetClass, CostPrior]
    calibration: CalibrationPolicy = CalibrationPolicy()

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
