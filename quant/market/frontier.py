"""Frontier markets: which exchanges and tickers there are, what trading there costs, and the caps.

Belongs here: the atlas as a policy, the names that vendors give its symbols, the flag that admits
them to the universe, and the caps on their weights. Does not belong here: prices, or which weights.

A frontier symbol carries its exchange: MTNN.XNSA is MTN Nigeria on the NGX in Lagos (tickers repeat
between exchanges; market identifiers do not). Costs are priors: what a careful broker's tariff and
a usual spread add up to, each with its reasoning, to be replaced by measured ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from quant.core.errors import PolicyError, UsageError
from quant.core.policy import Policy
from quant.market.calendars import calendar_names, is_approximate
from quant.market.symbols import shown, symbol_fault

NGX: Final = "XNSA"
# The cap on NGX is a rule of the house; a policy may be stricter, never looser.
NGX_WEIGHT_MAX: Final = 0.05
_TOLERANCE: Final = 1e-9


class VenueCosts(Policy):
    """What trading is believed to cost before any fill has been measured."""

    # The whole quoted spread of a liquid name, and one side's fees with taxes, averaged over sides.
    spread_bps: float = Field(gt=0, le=2000)
    fee_bps: float = Field(gt=0, le=1000)
    reason: str = Field(min_length=20)

    @property
    def round_trip_bps(self) -> float:
        """Buying and selling at the touch: the spread once and the fees twice."""
        return self.spread_bps + 2 * self.fee_bps


class FrontierExchange(Policy):
    """One exchange of the atlas; its key in the policy is its ISO 10383 identifier."""

    name: str = Field(min_length=1)
    country: str = Field(pattern=r"^[A-Z]{2,3}$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    calendar: str
    # Johannesburg quotes in cents: 100 of its units make one rand.
    quote_units_per_currency: int = Field(default=1, ge=1)
    # What each vendor puts behind a ticker; a vendor that is not named does not carry the exchange.
    vendor_suffix: Mapping[str, str] = Field(default_factory=lambda: MappingProxyType({}))
    cost: VenueCosts
    weight_max: float = Field(gt=0, le=1)
    tickers: Mapping[str, str] = Field(min_length=1)

    @field_validator("calendar")
    @classmethod
    def _calendar_exists(cls, name: str) -> str:
        if name not in calendar_names():
            raise ValueError(f"no calendar is called {name}")
        return name

    @field_validator("tickers")
    @classmethod
    def _tickers_are_symbols(cls, tickers: Mapping[str, str]) -> Mapping[str, str]:
        for ticker in tickers:
            if fault := symbol_fault(ticker):
                raise ValueError(f"{shown(ticker)} is not a ticker: {fault}")
        return tickers

    @property
    def has_holiday_list(self) -> bool:
        """Whether a missing bar can be told from a holiday."""
        return not is_approximate(self.calendar)


class FrontierPolicy(Policy):
    """The atlas and its limits. Off by default: these markets are dear and thin.

    The flag admits symbols that universe.yaml names; it adds none by itself, since a universe has
    one calendar and one currency and the atlas has many.
    """

    include_frontier: bool = False
    # All frontier positions together, as a fraction of net asset value.
    frontier_weight_max: float = Field(default=0.15, gt=0, le=1)
    exchanges: Mapping[str, FrontierExchange] = Field(default_factory=lambda: MappingProxyType({}))

    @model_validator(mode="after")
    def _ngx_cap_holds(self) -> Self:
        ngx = self.exchanges.get(NGX)
        if ngx is not None and ngx.weight_max > NGX_WEIGHT_MAX:
            raise ValueError(f"exchanges.{NGX}.weight_max may be at most {NGX_WEIGHT_MAX}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierBreach:
    """A cap that a set of weights exceeds; `scope` is an exchange or `frontier` for all."""

    scope: str
    weight: float
    weight_max: float


def require_admitted(symbols: Iterable[str], policy: FrontierPolicy) -> None:
    """Frontier symbols are thin and dear, so they are asked for, never slipped in."""
    strangers = [symbol for symbol in symbols if exchange_of(symbol, policy) is not None]
    if strangers and not policy.include_frontier:
        raise PolicyError(
            f"{', '.join(strangers[:5])} belong to frontier markets, which are switched off",
            remedy="set include_frontier: true in config/frontier.yaml, or take the symbols out of "
            "config/universe.yaml",
        )


def frontier_symbols(
    policy: FrontierPolicy, *, exchanges: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Every symbol of the atlas, whatever the flag says."""
    wanted = list(policy.exchanges) if exchanges is None else list(exchanges)
    if unknown := [mic for mic in wanted if mic not in policy.exchanges]:
        raise UsageError(
            f"the atlas has no exchange {shown(unknown[0])}",
            remedy=f"use one of {', '.join(policy.exchanges)}",
        )
    return tuple(f"{ticker}.{mic}" for mic in wanted for ticker in policy.exchanges[mic].tickers)


def exchange_of(symbol: str, policy: FrontierPolicy) -> FrontierExchange | None:
    """The frontier exchange that a symbol names, or None."""
    _, dot, mic = symbol.rpartition(".")
    return policy.exchanges.get(mic) if dot else None


def vendor_symbol(symbol: str, vendor: str, policy: FrontierPolicy) -> str | None:
    """How a vendor writes a frontier symbol; None where it does not carry the exchange."""
    exchange = _require_exchange(symbol, policy)
    suffix = exchange.vendor_suffix.get(vendor)
    return None if suffix is None else symbol.rpartition(".")[0] + suffix


def from_vendor_symbol(written: str, vendor: str, policy: FrontierPolicy) -> str | None:
    """The frontier symbol that a vendor's spelling means, or None when it means none."""
    for mic, exchange in policy.exchanges.items():
        suffix = exchange.vendor_suffix.get(vendor)
        if suffix and written.endswith(suffix):
            ticker = written.removesuffix(suffix)
            return f"{ticker}.{mic}" if ticker in exchange.tickers else None
    return None


def venue_costs(symbol: str, policy: FrontierPolicy) -> VenueCosts:
    """What trading a frontier symbol is believed to cost."""
    return _require_exchange(symbol, policy).cost


def frontier_breaches(
    weights: Mapping[str, float], policy: FrontierPolicy
) -> tuple[FrontierBreach, ...]:
    """Every cap that is exceeded, counting long and short alike."""
    held = _gross_by_exchange(weights, policy)
    found = [
        FrontierBreach(scope=mic, weight=gross, weight_max=policy.exchanges[mic].weight_max)
        for mic, gross in held.items()
    ]
    found.append(
        FrontierBreach(
            scope="frontier", weight=sum(held.values()), weight_max=policy.frontier_weight_max
        )
    )
    return tuple(breach for breach in found if breach.weight > breach.weight_max + _TOLERANCE)


def cap_frontier_weights(weights: Mapping[str, float], policy: FrontierPolicy) -> dict[str, float]:
    """The weights with each exchange, then all of them together, scaled down to their caps.

    Proportions inside an exchange stay, nothing is scaled up, and other symbols are left alone.
    What is cut becomes cash.
    """
    by_exchange = _gross_by_exchange(weights, policy)
    scale = {
        mic: min(1.0, policy.exchanges[mic].weight_max / gross) if gross else 1.0
        for mic, gross in by_exchange.items()
    }
    total = sum(by_exchange[mic] * scale[mic] for mic in scale)
    overall = min(1.0, policy.frontier_weight_max / total) if total else 1.0
    capped = {}
    for symbol, weight in weights.items():
        mic = symbol.rpartition(".")[2] if exchange_of(symbol, policy) else None
        capped[symbol] = weight if mic is None else weight * scale[mic] * overall
    return capped


def _gross_by_exchange(weights: Mapping[str, float], policy: FrontierPolicy) -> dict[str, float]:
    gross: dict[str, float] = {}
    for symbol, weight in weights.items():
        if exchange_of(symbol, policy) is not None:
            mic = symbol.rpartition(".")[2]
            gross[mic] = gross.get(mic, 0.0) + abs(weight)
    return gross


def _require_exchange(symbol: str, policy: FrontierPolicy) -> FrontierExchange:
    exchange = exchange_of(symbol, policy)
    if exchange is None:
        raise UsageError(
            f"{shown(symbol)} names no exchange of the atlas",
            remedy="write TICKER.MIC, for example MTNN.XNSA",
        )
    return exchange
