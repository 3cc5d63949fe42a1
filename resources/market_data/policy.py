"""Which sources are asked, in which order and how hard, and how they are built from that.

Belongs here: `SourcesPolicy` and `build_sources`. Does not belong here: keys. The policy states the
names of environment variables; their values are read when a source is built, and nowhere else.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, model_validator

from quant.core.clock import Clock, SystemClock
from quant.core.errors import PolicyError
from quant.core.policy import Policy
from quant.market.sources import BarSource
from quant.market.symbols import shown
from resources.market_data.cache import CachedSource
from resources.market_data.failover import FailoverSource
from resources.market_data.http import SourceRules
from resources.market_data.skips import SkipReason, SourceLimit, SourceSkip

# A file on this machine is slow only once, when its reader is imported; it may take its time.
LOCAL_LIMIT: Final = SourceLimit(symbols_per_call=500, weight=3.0)


class VendorPolicy(SourceRules):
    """How one vendor is asked."""

    # None is the vendor's own address.
    base_url: str | None = None
    # Small where one request is one symbol, so that a failure costs little.
    symbols_per_call: int = Field(default=1, ge=1)

    @property
    def rules(self) -> SourceRules:
        """The part that the wire needs."""
        return SourceRules(**{name: getattr(self, name) for name in SourceRules.model_fields})

    @property
    def limit(self) -> SourceLimit:
        """The part that the failover needs."""
        return SourceLimit(timeout_s=self.timeout_s, symbols_per_call=self.symbols_per_call)

    @property
    def variant(self) -> str:
        """What besides the vendor's name decides its answers; caches are kept apart by it."""
        return self.base_url or ""


class KeyedVendorPolicy(VendorPolicy):
    """A vendor that needs one key."""

    key_env: str


class AlpacaPolicy(VendorPolicy):
    """Alpaca: a key pair, and the feed that the plan includes."""

    requests_per_minute: int = Field(default=200, ge=1)
    symbols_per_call: int = Field(default=50, ge=1)
    key_id_env: str = "PMX_ALPACA_KEY_ID"
    secret_key_env: str = "PMX_ALPACA_SECRET_KEY"
    feed: str = Field(default="iex", pattern="^(iex|sip|delayed_sip|otc|boats|overnight)$")

    @property
    def variant(self) -> str:
        """The address and the feed: each feed sees another part of the market's volume."""
        return f"{self.base_url or ''} {self.feed}"


class CcxtPolicy(VendorPolicy):
    """One crypto exchange by its name in ccxt."""

    requests_per_minute: int = Field(default=300, ge=1)
    exchange_id: str = "binance"


# The first two need no network.
KNOWN_SOURCES: Final = (
    *("sample", "folder"),
    *("yfinance", "alpha_vantage", "finnhub", "alpaca", "ccxt"),
)


def _known(name: str) -> str:
    if name not in KNOWN_SOURCES:
        raise ValueError(f"{shown(name)} is no source; known: {', '.join(KNOWN_SOURCES)}")
    return name


class SourcesPolicy(Policy):
    """All sources; the default asks the bundled sample alone and needs no network."""

    priority: tuple[Annotated[str, AfterValidator(_known)], ...] = ("sample",)
    # What failing sources may cost in one request, all together.
    deadline_s: float = Field(default=5.0, gt=0)
    # 0 switches the cache off.
    cache_days: int = Field(default=30, ge=0)
    yfinance: VendorPolicy = VendorPolicy()
    alpha_vantage: KeyedVendorPolicy = KeyedVendorPolicy(
        key_env="PMX_ALPHA_VANTAGE_KEY", requests_per_minute=5
    )
    finnhub: KeyedVendorPolicy = KeyedVendorPolicy(key_env="PMX_FINNHUB_KEY")
    alpaca: AlpacaPolicy = AlpacaPolicy()
    ccxt: CcxtPolicy = CcxtPolicy()

    @model_validator(mode="after")
    def _each_source_once(self) -> "SourcesPolicy":
        if len(set(self.priority)) != len(self.priority):
            raise ValueError("a source stands twice in the priority list")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltSources:
    """The sources that can be asked, and why the others cannot."""

    sources: tuple[BarSource, ...]
    limits: Mapping[str, SourceLimit]
    absent: tuple[SourceSkip, ...]


class _KeyMissingError(Exception):
    """Carries the name of the variable that is not set."""


def build_sources(
    policy: SourcesPolicy,
    *,
    environment: Mapping[str, str],
    cache_dir: Path,
    local: Mapping[str, BarSource] | None = None,
    clock: Clock | None = None,
) -> BuiltSources:
    """The sources of the priority list; `local` holds those that need no network (sample, folder).

    A vendor whose key is not set is left out with a recorded reason: it is no error to own no key.
    """
    given = dict(local or {})
    moment = clock or SystemClock()
    sources: list[BarSource] = []
    limits: dict[str, SourceLimit] = {}
    absent: list[SourceSkip] = []
    for name in policy.priority:
        if name in given:
            sources.append(given[name])
            limits[given[name].name] = LOCAL_LIMIT
            continue
        try:
            source = _build(name, policy, environment, moment)
        except _KeyMissingError as missing:
            absent.append(_no_key(name, str(missing)))
            continue
        vendor: VendorPolicy = getattr(policy, name)
        limits[source.name] = vendor.limit
        if policy.cache_days:
            source = CachedSource(
                source,
                directory=cache_dir,
                clock=moment,
                keep=dt.timedelta(days=policy.cache_days),
                variant=vendor.variant,
            )
        sources.append(source)
    return BuiltSources(sources=tuple(sources), limits=limits, absent=tuple(absent))


def build_failover(
    policy: SourcesPolicy,
    *,
    environment: Mapping[str, str],
    cache_dir: Path,
    local: Mapping[str, BarSource] | None = None,
    clock: Clock | None = None,
) -> FailoverSource:
    """All sources of the policy behind the one port."""
    built = build_sources(
        policy, environment=environment, cache_dir=cache_dir, local=local, clock=clock
    )
    return FailoverSource(
        built.sources, limits=built.limits, deadline_s=policy.deadline_s, absent=built.absent
    )


def _build(
    name: str, policy: SourcesPolicy, environment: Mapping[str, str], clock: Clock
) -> BarSource:
    match name:
        case "yfinance":
            from resources.market_data import yfinance

            vendor = policy.yfinance
            url = vendor.base_url or yfinance.BASE_URL
            return yfinance.YahooSource(rules=vendor.rules, base_url=url, clock=clock)
        case "alpha_vantage":
            from resources.market_data import alpha_vantage

            keyed = policy.alpha_vantage
            return alpha_vantage.AlphaVantageSource(
                key=_key(environment, keyed.key_env),
                rules=keyed.rules,
                base_url=keyed.base_url or alpha_vantage.BASE_URL,
                clock=clock,
            )
        case "finnhub":
            from resources.market_data import finnhub

            keyed = policy.finnhub
            return finnhub.FinnhubSource(
                key=_key(environment, keyed.key_env),
                rules=keyed.rules,
                base_url=keyed.base_url or finnhub.BASE_URL,
                clock=clock,
            )
        case "alpaca":
            from resources.market_data.alpaca import AlpacaSource

            return AlpacaSource(
                key_id=_key(environment, policy.alpaca.key_id_env),
                secret_key=_key(environment, policy.alpaca.secret_key_env),
                rules=policy.alpaca.rules,
                base_url=policy.alpaca.base_url,
                feed=policy.alpaca.feed,
                clock=clock,
            )
        case "ccxt":
            from resources.market_data.ccxt_exchange import CcxtSource

            return CcxtSource(
                exchange_id=policy.ccxt.exchange_id,
                rules=policy.ccxt.rules,
                base_url=policy.ccxt.base_url,
                clock=clock,
            )
    raise PolicyError(
        f"the priority list names {name!r}, which is no source here",
        remedy=f"use one of {', '.join(KNOWN_SOURCES)}",
    )


def _key(environment: Mapping[str, str], variable: str) -> SecretStr:
    value = environment.get(variable, "").strip()
    if not value:
        raise _KeyMissingError(variable)
    return SecretStr(value)


def _no_key(name: str, variable: str) -> SourceSkip:
    return SourceSkip(
        source=name,
        symbols=(),
        reason=SkipReason.NO_KEY,
        message=f"{variable} is not set (set it to use {name})",
        seconds=0.0,
    )
