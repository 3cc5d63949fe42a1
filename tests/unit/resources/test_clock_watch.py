"""A clock that was set is noticed; one that only runs is left alone until the comparison is old."""

from resources.brokers.clock_watch import AGE_S_MAX, STEP_S_MAX, ClockWatch


class Clocks:
    """A wall clock that can be set, and one that cannot."""

    wall = 1_700_000_000.0
    monotonic = 50.0

    def watch(self) -> ClockWatch:
        return ClockWatch(wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_time_that_passes_is_no_step() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    assert not watch.has_stepped()
    watch.compared()
    clocks.run(AGE_S_MAX)
    assert not watch.has_stepped()
    assert not watch.is_old()
    clocks.run(1.0)
    assert watch.is_old()
    watch.compared()
    assert not watch.is_old()


def test_a_step_either_way_is_noticed_until_it_is_compared_for() -> None:
    for step in (-10.0, -STEP_S_MAX - 0.01, STEP_S_MAX + 0.01, 10.0):
        clocks = Clocks()
        watch = clocks.watch()
        watch.compared()
        clocks.wall += step
        clocks.run(3.0)
        assert watch.has_stepped()
        watch.compared()
        assert not watch.has_stepped()


def test_slewing_below_the_limit_is_not_a_step() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    watch.compared()
    clocks.wall += STEP_S_MAX - 0.01
    assert not watch.has_stepped()
