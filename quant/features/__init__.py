"""Features of a panel of bars, and the proof that none of them looks ahead."""

from quant.features.catalogue import (
    CATALOGUE,
    Catalogue,
    feature_code_hash,
    feature_set_version,
)
from quant.features.closures import EVERY_DAY, US_EQUITIES, ScheduledCalendar, us_equity_closures
from quant.features.compute import FeaturePanel, compute_features
from quant.features.feature import Family, Feature, Unit
from quant.features.join import as_of_join
from quant.features.proof import Leak, ProofResult, prove
from quant.features.skew import SkewDifference, skew

__all__ = [
    "CATALOGUE",
    "EVERY_DAY",
    "US_EQUITIES",
    "Catalogue",
    "Family",
    "Feature",
    "FeaturePanel",
    "Leak",
    "ProofResult",
    "ScheduledCalendar",
    "SkewDifference",
    "Unit",
    "as_of_join",
    "compute_features",
    "feature_code_hash",
    "feature_set_version",
    "prove",
    "skew",
    "us_equity_closures",
]
