"""The short form of goal 12: an hour of three bots behind one address, thirty steps of clocks."""

from tests.reliability import limits_and_time
from tests.reliability.goal import Form


def test_limits_are_kept_and_no_order_leaves_while_a_drift_is_known() -> None:
    """Also: without the shared count the same hour earns bans, so the venue would have told."""
    found = limits_and_time.run(Form.SHORT)
    assert found.holds, found
    assert found.figures["calls"] > 10_000
    assert found.figures["of them cancels"] >= 50
    assert found.figures["Retry-After told"] >= 6
    assert found.figures["bans in one hour without the shared count"] > 0
    assert found.figures["orders sent"] >= 40
