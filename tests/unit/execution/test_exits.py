"""A position is left for the right reason, at a price that somebody would have paid."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.core.errors import DataError
from quant.execution.exits import (
    BarBatch,
    ExitBatch,
    ExitPolicy,
    ExitReason,
    HeldBatch,
    JudgedAt,
    exit_quantity,
    judge_exits,
)

NAN = math.nan
POLICY = ExitPolicy()
Bar = tuple[float, float, float, float]


def held(
    side: int = 1,
    *,
    stop: float = 90.0,
    target: float = 120.0,
    trailing: float = NAN,
    sessions: int = 1,
    days: int = 1,
) -> dict[str, Any]:
    """One position as a mapping of fields."""
    return {
        "side": side,
        "stop_price": stop,
        "target_price": target,
        "trailing_price": trailing,
        "sessions_held": sessions,
        "calendar_days_held": days,
    }


def judge(
    positions: Sequence[dict[str, Any]], bars: Sequence[Bar], policy: ExitPolicy = POLICY
) -> ExitBatch:
    """The module's own judgement of positions and their bars."""
    fields = {
        name: np.array(
            [one[name] for one in positions],
            dtype=float if name.endswith("price") else np.int64,
        )
        for name in held()
    }
    columns = np.array(bars, dtype=float).reshape(-1, 4).T
    batch = BarBatch(open=columns[0], high=columns[1], low=columns[2], close=columns[3])
    return judge_exits(HeldBatch(**fields), batch, policy)


def one(position: dict[str, Any], bar: Bar, policy: ExitPolicy = POLICY) -> tuple[Any, Any, float]:
    """Reason, place and price of one judgement."""
    found = judge([position], [bar], policy)
    return found.reason(0), found.judged_at(0), float(found.price[0])


def test_a_stop_inside_the_bar_is_filled_at_the_stop() -> None:
    """Open 95, low 89, stop 90: somebody traded at 90 on the way down."""
    found = one(held(), (95, 96, 89, 94))
    assert found == (ExitReason.STOP_LOSS, JudgedAt.TOUCH, 90.0)


def test_a_gap_below_the_stop_is_filled_at_the_open() -> None:
    """Nobody paid 90 on a day that began at 85."""
    found = one(held(), (85, 91, 84, 90))
    assert found == (ExitReason.STOP_LOSS, JudgedAt.OPEN, 85.0)


def test_a_gap_above_the_target_earns_the_open() -> None:
    """A resting sale at 120 meets the first price of 125."""
    found = one(held(), (125, 126, 80, 100))
    assert found == (ExitReason.TAKE_PROFIT, JudgedAt.OPEN, 125.0)


def test_a_bar_that_touches_both_is_a_loss() -> None:
    """High 121 and low 89 on one day: the order is not known, so the worse one is taken."""
    found = one(held(), (100, 121, 89, 119))
    assert found == (ExitReason.STOP_LOSS, JudgedAt.TOUCH, 90.0)


def test_of_two_stops_the_nearer_one_is_met_first() -> None:
    """The trailing stop has risen to 97, above the stop of 90; both lie inside the bar."""
    found = one(held(trailing=97.0), (100, 101, 89, 92))
    assert found == (ExitReason.TRAILING_STOP, JudgedAt.TOUCH, 97.0)
    found = one(held(trailing=80.0), (100, 101, 70, 92))
    assert found == (ExitReason.STOP_LOSS, JudgedAt.TOUCH, 90.0)


def test_a_short_position_is_the_mirror_image() -> None:
    """Stop above, target below, a gap up is filled at the open."""
    short = held(-1, stop=110.0, target=80.0)
    assert one(short, (100, 111, 99, 105)) == (ExitReason.STOP_LOSS, JudgedAt.TOUCH, 110.0)
    assert one(short, (115, 116, 101, 105)) == (ExitReason.STOP_LOSS, JudgedAt.OPEN, 115.0)
    assert one(short, (100, 101, 79, 99)) == (ExitReason.TAKE_PROFIT, JudgedAt.TOUCH, 80.0)
    assert one(short, (100, 109, 81, 99))[0] is None


def test_a_close_only_bar_is_judged_at_its_close_and_filled_there() -> None:
    """No range, no touch: a close of 88 is below the stop of 90, and 88 is what there was."""
    found = judge([held(), held()], [(NAN, NAN, NAN, 88.0), (NAN, NAN, NAN, 91.0)])
    assert (found.reason(0), found.judged_at(0)) == (ExitReason.STOP_LOSS, JudgedAt.CLOSE)
    assert found.price[0] == 88.0
    assert found.reason(1) is None
    assert found.is_close_only.all()
    assert "only a close" in " ".join(found.doubts(1))


def test_a_range_without_an_open_does_not_invent_a_fill_at_the_level() -> None:
    """The whole range lies below the stop, so it was jumped; only the close is known."""
    found = one(held(), (NAN, 89.0, 80.0, 84.0))
    assert found == (ExitReason.STOP_LOSS, JudgedAt.TOUCH, 84.0)
    assert one(held(), (NAN, 95.0, 80.0, 84.0))[2] == 90.0


def test_no_bar_judges_no_level_and_says_so() -> None:
    """Unknown is not safe: the position stays, with its doubt."""
    found = judge([held()], [(NAN, NAN, NAN, NAN)])
    assert found.reason(0) is None
    assert found.is_bar_unknown[0]
    assert "no bar" in found.doubts(0)[0]


def test_time_runs_out_in_trading_days_and_after_everything_else() -> None:
    """30 sessions at the close; a stop on the same bar comes first; no price is no stay."""
    calm = (100.0, 101.0, 99.0, 100.5)
    assert one(held(sessions=29, days=43), calm)[0] is None
    found = one(held(sessions=30, days=44), calm)
    assert found == (ExitReason.TIME_EXIT, JudgedAt.CLOSE, 100.5)
    assert one(held(sessions=30, days=44), (95, 96, 89, 94))[0] is ExitReason.STOP_LOSS
    reason, _, price = one(held(sessions=31, days=45), (NAN, NAN, NAN, NAN))
    assert reason is ExitReason.TIME_EXIT
    assert math.isnan(price)


def test_proof_mode_leaves_sooner_but_never_before_three_calendar_days() -> None:
    """With a limit of one session, Tuesday to Wednesday is too soon, Friday to Monday is not."""
    proof = ExitPolicy(is_proof_mode=True, proof_holding_sessions_max=1)
    calm = (100.0, 101.0, 99.0, 100.5)
    assert one(held(sessions=1, days=1), calm, proof)[0] is None
    assert one(held(sessions=2, days=2), calm, proof)[0] is None
    assert one(held(sessions=1, days=3), calm, proof)[0] is ExitReason.TIME_EXIT
    assert one(held(sessions=1, days=3), calm)[0] is None
    # The days are for time alone: a stop does not wait.
    assert one(held(sessions=1, days=1), (95, 96, 89, 94), proof)[0] is ExitReason.STOP_LOSS


def test_levels_that_are_not_known_never_fire() -> None:
    """A position without stop, target and trailing level stays, and says what it lacks."""
    found = judge([held(stop=NAN, target=NAN)], [(1.0, 1_000.0, 0.1, 1.0)])
    assert found.reason(0) is None
    assert len(found.doubts(0)) == 2


@pytest.mark.parametrize("field", ["stop_price", "target_price", "trailing_price"])
def test_a_level_of_zero_is_refused(field: str) -> None:
    """It would fire never, or at once, and nobody would know why."""
    with pytest.raises(DataError, match="positive"):
        judge([held() | {field: 0.0}], [(1, 1, 1, 1)])


prices = st.one_of(st.just(NAN), st.integers(1, 40).map(lambda n: n / 2))
positions = st.fixed_dictionaries(
    {
        "side": st.sampled_from([1, -1]),
        "stop_price": prices,
        "target_price": prices,
        "trailing_price": prices,
        "sessions_held": st.integers(0, 8),
        "calendar_days_held": st.integers(0, 8),
    }
)


@st.composite
def bar_values(draw: st.DrawFn) -> Bar:
    """A bar whose range holds its open and close, with any part of it missing."""
    low, *inside, high = sorted(draw(st.lists(st.integers(1, 40), min_size=4, max_size=4)))
    first, last = draw(st.permutations(inside))
    values = [number / 2 for number in (first, high, low, last)]
    gone = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    o, h, lo, c = (NAN if lost else value for value, lost in zip(values, gone, strict=True))
    return o, h, lo, c


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(positions, bar_values()), min_size=1, max_size=12), st.booleans())
def test_the_arrays_say_what_a_plain_loop_says(
    cases: list[tuple[dict[str, Any], Bar]], is_proof: bool
) -> None:
    """One position, one bar, one `if` after the other: the slow twin, written from the rules."""
    policy = ExitPolicy(
        is_proof_mode=is_proof, holding_sessions_max=6, proof_holding_sessions_max=2
    )
    found = judge([case[0] for case in cases], [case[1] for case in cases], policy)
    for row, (position, bar) in enumerate(cases):
        reason, place, price = plainly(position, bar, policy)
        assert (found.reason(row), found.judged_at(row)) == (reason, place)
        assert found.price[row] == pytest.approx(price, nan_ok=True, abs=0)


def plainly(position: dict[str, Any], bar: Bar, policy: ExitPolicy) -> tuple[Any, Any, float]:
    """The rules once more, for one position, in words of long and short."""
    o, h, lo, c = bar
    is_long = position["side"] > 0
    stop, trailing = position["stop_price"], position["trailing_price"]
    target, reason, level = position["target_price"], ExitReason.STOP_LOSS, stop
    is_nearer = trailing > stop if is_long else trailing < stop
    if math.isnan(stop) or is_nearer:
        reason, level = ExitReason.TRAILING_STOP, trailing
    lost = (lambda price: price <= level) if is_long else (lambda price: price >= level)
    won = (lambda price: price >= target) if is_long else (lambda price: price <= target)
    worst, best = (lo, h) if is_long else (h, lo)
    has_range = not (math.isnan(h) or math.isnan(lo))
    if lost(o):
        return reason, JudgedAt.OPEN, o
    if won(o):
        return ExitReason.TAKE_PROFIT, JudgedAt.OPEN, o
    if has_range:
        if lost(worst):
            inside = best >= level if is_long else best <= level
            return reason, JudgedAt.TOUCH, level if inside else c
        if won(best):
            inside = worst <= target if is_long else worst >= target
            return ExitReason.TAKE_PROFIT, JudgedAt.TOUCH, target if inside else c
    elif lost(c):
        return reason, JudgedAt.CLOSE, c
    elif won(c):
        return ExitReason.TAKE_PROFIT, JudgedAt.CLOSE, c
    is_over = position["sessions_held"] >= policy.sessions_max
    if is_over and position["calendar_days_held"] >= policy.calendar_days_min:
        return ExitReason.TIME_EXIT, JudgedAt.CLOSE, c
    return None, None, NAN


@settings(max_examples=200, deadline=None)
@given(positions, bar_values())
def test_no_exit_is_filled_at_a_price_outside_its_bar(position: dict[str, Any], bar: Bar) -> None:
    """Whatever happened, the price was one that the session knew."""
    found = judge([position], [bar])
    price = float(found.price[0])
    if found.is_exit[0] and not math.isnan(price):
        known = [value for value in bar if not math.isnan(value)]
        assert min(known) <= price <= max(known)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4).filter(lambda q: q != 0))
def test_an_exit_never_enlarges_or_flips_a_position(quantity: Decimal) -> None:
    """What is left after it is nothing, from either side."""
    traded = exit_quantity(quantity)
    assert quantity + traded == 0
    assert quantity * traded < 0


@pytest.mark.parametrize("nothing", ["0", "NaN", "Infinity"])
def test_nothing_held_cannot_be_left(nothing: str) -> None:
    """An exit of an unknown quantity would be a guess."""
    with pytest.raises(DataError, match="nothing to leave"):
        exit_quantity(Decimal(nothing))
