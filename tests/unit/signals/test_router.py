"""Who speaks for a symbol, who is next, and what a switch does."""

import math

from hypothesis import given
from hypothesis import strategies as st

from quant.signals.flags import switched_off
from quant.signals.router import Source, SourceSignal, route, routing_statistics


def said(
    model: str = "combined",
    source: Source = Source.TIME_SERIES,
    priority: float = 0.5,
    unavailable: str = "",
) -> SourceSignal:
    return SourceSignal(
        source=source,
        model=model,
        symbol="AAPL",
        expected_return=0.01,
        volatility=0.05,
        priority=priority,
        unavailable=unavailable,
    )


LLM = said("qwen", Source.LANGUAGE_MODEL, priority=0.99)


def test_the_time_series_speaks_first_however_sure_the_language_model_is():
    routed = route([LLM, said(priority=0.1)])
    assert routed.primary.model == "combined"
    assert routed.fallback is LLM


def test_the_language_model_speaks_when_the_time_series_cannot():
    """And it is kept why."""
    routed = route([said(unavailable="sarimax is switched off"), LLM])
    assert routed.primary is LLM
    assert routed.fallback is None
    assert routed.reason == "combined: sarimax is switched off"


def test_nobody_speaks():
    assert route([]).reason == "no source speaks of it"
    assert route([said(unavailable="no forecast")]).primary is None


@given(
    st.permutations(
        [
            said("a", priority=0.2),
            said("b", priority=0.8),
            said("c", priority=0.8),
            said("d", priority=math.nan),
            LLM,
        ]
    )
)
def test_the_order_of_arrival_decides_nothing(signals):
    """Highest priority, then the name; a priority that is no number comes last of its source."""
    routed = route(signals)
    assert (routed.primary.model, routed.fallback.model) == ("b", "c")


def test_choices_are_counted():
    counts = routing_statistics([route([said(), LLM]), route([said(unavailable="off")]), route([])])
    assert (counts.symbols, counts.unrouted) == (3, 2)
    assert counts.by_primary == {"combined": 1}
    assert counts.by_fallback == {"qwen": 1}
    assert counts.passed_over == {"combined: off": 1}


def test_a_strategy_needs_every_one_of_its_models_switched_on():
    """A model without a switch is off, and a night without flags trades on nothing."""
    assert switched_off(["sarimax", "garch"], {"sarimax": True, "garch": True}) == ""
    assert switched_off(["sarimax", "garch"], {"sarimax": True}) == "garch is switched off"
    assert switched_off(["a", "b"], {}) == "a, b are switched off"
    assert "no flags were recorded" in switched_off(["a"], None)
