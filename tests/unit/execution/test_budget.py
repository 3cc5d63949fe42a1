"""The count of an address's calls: what each kind may spend, and how long a silence holds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from quant.execution.budget import (
    WINDOW_S,
    CallKind,
    CallLimits,
    Spent,
    counted_by_venue,
    full,
    recent,
    silenced,
    take,
)

LIMITS = CallLimits(per_minute=100)
READ, SEND, CANCEL = CallKind.READ, CallKind.SEND, CallKind.CANCEL


def test_reads_stop_first_then_sends_and_cancels_last() -> None:
    """A hundred a minute: 60 for reads, 10 more that only orders get, 10 more only cancels."""
    spent, now = Spent(), 1000.0
    for kind, calls in ((READ, 60), (SEND, 10), (CANCEL, 10)):
        for _ in range(calls):
            spent, wait = take(spent, LIMITS, kind, 1, now)
            assert wait == 0
        refused, wait = take(spent, LIMITS, kind, 1, now)
        assert wait == WINDOW_S
        assert refused.used() == spent.used()
    assert spent.used() == 80


def test_the_wait_is_until_enough_of_the_oldest_calls_are_a_minute_old() -> None:
    spent, _ = take(Spent(), LIMITS, READ, 50, 100.0)
    spent, _ = take(spent, LIMITS, READ, 10, 130.0)
    _, wait = take(spent, LIMITS, READ, 10, 140.0)
    assert wait == 21.0  # the first fifty leave the window at 161
    again, wait = take(spent, LIMITS, READ, 10, 161.0)
    assert (wait, again.used()) == (0.0, 20)


def test_a_silence_holds_for_every_kind_and_a_shorter_one_does_not_end_it() -> None:
    spent = silenced(Spent(), 30.0, 100.0, is_banned=False)
    spent = silenced(spent, 5.0, 101.0, is_banned=False)
    for kind in CallKind:
        _, wait = take(spent, LIMITS, kind, 1, 110.0)
        assert wait == 20.0
        _, wait = take(spent, LIMITS, kind, 1, 130.0)
        assert wait == 0


def test_what_the_venue_counts_and_we_do_not_is_somebody_elses() -> None:
    spent, _ = take(Spent(), LIMITS, READ, 10, 100.0)
    assert counted_by_venue(spent, 10, 101.0).used() == 10
    assert counted_by_venue(spent, 4, 101.0).used() == 10
    assert counted_by_venue(spent, 55, 101.0).used() == 55


def test_after_a_restart_of_the_host_old_calls_never_were_and_a_silence_is_kept_whole() -> None:
    """The clock begins anew at 5: what is stamped 9000 belongs to another life."""
    spent, _ = take(Spent(), LIMITS, READ, 10, 9000.0)
    spent = silenced(spent, 120.0, 9000.0, is_banned=True)
    now = recent(spent, 5.0)
    assert now.used() == 0
    assert now.silence_left_s(5.0) == 120.0


def test_a_lost_count_is_a_full_one() -> None:
    for kind in CallKind:
        _, wait = take(full(LIMITS, 100.0), LIMITS, kind, 1, 101.0)
        assert wait == 60.0


CALLS = st.lists(
    st.tuples(st.floats(0, 20), st.sampled_from(list(CallKind)), st.integers(1, 25), st.booleans()),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(calls=CALLS)
def test_no_minute_ever_holds_more_than_the_share_of_cancels(
    calls: list[tuple[float, CallKind, int, bool]],
) -> None:
    """Whoever waits as long as told is served, and nobody can spend a cancel's reserve."""
    spent, now, sent = Spent(), 0.0, []
    for pause, kind, weight, waits in calls:
        now += pause
        spent, wait = take(spent, LIMITS, kind, weight, now)
        if wait and waits:
            now += wait + 1e-6
            spent, wait = take(spent, LIMITS, kind, weight, now)
            assert wait == 0
        if not wait:
            sent.append((now, kind, weight))
    for end, _, _ in sent:
        # A microsecond off, since sums of pauses are not exact.
        minute = [(k, w) for at, k, w in sent if end - WINDOW_S + 1e-6 < at <= end]
        assert sum(w for _, w in minute) <= 80
        assert sum(w for k, w in minute if k is READ) <= 60
