"""The policy decides who is asked; keys come from the environment when a source is built."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from quant.core.clock import SteppedClock
from quant.core.errors import PolicyError
from resources.market_data.policy import SourcesPolicy, VendorPolicy, build_failover, build_sources
from resources.market_data.skips import SkipReason
from resources.policy import load_policy
from tests.fake_sources import FakeSource
from tests.loopback import serving
from tests.vendor_answers import KEY, NOW, RAW, SECRET, VENDORS

ALL_VENDORS = ("yfinance", "alpha_vantage", "finnhub", "alpaca", "ccxt")
ENVIRONMENT = {
    "PMX_ALPHA_VANTAGE_KEY": KEY.get_secret_value(),
    "PMX_FINNHUB_KEY": KEY.get_secret_value(),
    "PMX_ALPACA_KEY_ID": KEY.get_secret_value(),
    "PMX_ALPACA_SECRET_KEY": SECRET.get_secret_value(),
}


def test_the_default_asks_the_sample_alone(tmp_path: Path) -> None:
    """A first start needs no key and no network."""
    built = build_sources(
        SourcesPolicy(), environment={}, cache_dir=tmp_path, local={"sample": FakeSource("sample")}
    )
    assert [source.name for source in built.sources] == ["sample"]


def test_a_vendor_without_its_key_is_left_out_with_the_variable_named(tmp_path: Path) -> None:
    policy = SourcesPolicy(priority=ALL_VENDORS)
    built = build_sources(policy, environment={"PMX_FINNHUB_KEY": "  "}, cache_dir=tmp_path)
    assert [source.name for source in built.sources] == ["yfinance", "ccxt_binance"]
    told = {skip.source: skip.message for skip in built.absent}
    assert set(told) == {"alpha_vantage", "finnhub", "alpaca"}
    assert "PMX_FINNHUB_KEY" in told["finnhub"]
    assert "PMX_ALPACA_KEY_ID" in told["alpaca"]


def test_with_all_keys_all_vendors_stand_in_the_order_of_the_policy(tmp_path: Path) -> None:
    policy = SourcesPolicy(priority=tuple(reversed(ALL_VENDORS)))
    built = build_sources(policy, environment=ENVIRONMENT, cache_dir=tmp_path)
    assert [source.name for source in built.sources] == ["ccxt_binance", *reversed(ALL_VENDORS[:4])]
    assert set(built.limits) == {source.name for source in built.sources}
    assert KEY.get_secret_value() not in repr(built)


def test_a_missing_key_stands_in_the_record_of_every_request(tmp_path: Path) -> None:
    """From the policy to bars: the vendor without a key is skipped, the next one serves."""
    yahoo = VENDORS["yfinance"]
    with serving(yahoo.respond(RAW)) as vendor:
        policy = SourcesPolicy(
            priority=("finnhub", "yfinance"), yfinance=VendorPolicy(base_url=vendor.url)
        )
        failover = build_failover(
            policy, environment={}, cache_dir=tmp_path, clock=SteppedClock(NOW)
        )
        result = failover.fetch(yahoo.request())
        failover.fetch(yahoo.request())
        assert len(vendor.asks) == 1
    assert set(result.bars["source"]) == {"yfinance"}
    assert [(skip.source, skip.reason) for skip in result.skips] == [("finnhub", SkipReason.NO_KEY)]


def test_an_unknown_source_in_the_list_is_a_policy_error(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text("priority: [sample, yahooo]\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"sources\.yaml.*'yahooo'.*yfinance") as caught:
        load_policy(path, SourcesPolicy)
    assert caught.value.remedy


def test_another_feed_does_not_read_the_first_ones_cache(tmp_path: Path) -> None:
    """A tenth of a market's volume must not pass for the whole after a change of plan."""
    alpaca = VENDORS["alpaca"]
    with serving(alpaca.respond(RAW)) as vendor:
        for feed in ("iex", "sip", "iex"):
            policy = SourcesPolicy.model_validate(
                {"priority": ["alpaca"], "alpaca": {"base_url": vendor.url, "feed": feed}}
            )
            failover = build_failover(
                policy, environment=ENVIRONMENT, cache_dir=tmp_path, clock=SteppedClock(NOW)
            )
            failover.bars(alpaca.request())
        # Two pages each for two feeds; the third question is answered from disk.
        assert [ask.query["feed"] for ask in vendor.asks] == ["iex", "iex", "sip", "sip"]


@pytest.mark.parametrize(
    "values",
    [
        {"priority": ("sample", "sample")},
        {"deadline_s": 0},
        {"yfinance": {"requests_per_minute": 0}},
        {"alpaca": {"feed": "everything"}},
        {"finnhub": {"key": "a key in a file"}},
    ],
)
def test_a_policy_that_cannot_work_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SourcesPolicy.model_validate(values)


def test_importing_the_sources_imports_no_sdk() -> None:
    """ccxt, alpaca and yfinance cost seconds; a run that does not use them must not pay."""
    code = (
        "import sys; import resources.market_data.policy, resources.market_data.alpaca, "
        "resources.market_data.ccxt_exchange, resources.market_data.yfinance; "
        "print([n for n in ('ccxt', 'alpaca', 'yfinance', 'requests') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
