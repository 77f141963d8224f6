"""A clock that does not jump when the machine's does."""

from datetime import UTC, datetime

import pytest

from shared.clock import NOTICEABLE, SLEW, Reading, SteadyClock

START = 1_800_000_000.0
HOUR = 3600.0


class Machine:
    """The two clocks of a machine, of which one can be set."""

    def __init__(self) -> None:
        self.monotonic, self.offset = 1000.0, START - 1000.0

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds

    def clock(self) -> SteadyClock:
        return SteadyClock(system=lambda: self.monotonic + self.offset, monotonic=lambda: self.monotonic)


def test_it_tells_the_systems_time():
    machine = Machine()
    clock = machine.clock()
    machine.passes(60)
    assert clock() == datetime.fromtimestamp(START + 60, UTC)
    assert clock.skew == 0


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_does_not_move_it(step: float):
    machine = Machine()
    clock = machine.clock()
    machine.offset += step
    machine.passes(1)
    assert clock.timestamp() == pytest.approx(START + 1, abs=SLEW)
    assert clock.skew == pytest.approx(step, abs=SLEW)


def test_a_step_that_is_put_right_leaves_it_seconds_off():
    machine = Machine()
    clock = machine.clock()
    machine.offset += HOUR
    for _ in range(120):
        machine.passes(1)
        clock()
    machine.offset -= HOUR
    machine.passes(1)
    assert clock.timestamp() == pytest.approx(START + 121, abs=120 * SLEW + 1)


def test_it_never_goes_back():
    machine = Machine()
    clock = machine.clock()
    times = []
    for step in (0.0, HOUR, -HOUR, -1.0, 1.0, -2 * HOUR):
        machine.offset += step
        for _ in range(5):
            machine.passes(0.1)
            times.append(clock.timestamp())
    assert times == sorted(times)


def test_it_comes_to_the_systems_time_in_the_end():
    """A machine that was started with a wrong clock is right some day."""
    machine = Machine()
    clock = machine.clock()
    machine.offset += 60
    for _ in range(int(60 / SLEW) + 10):
        machine.passes(1)
        clock()
    assert abs(clock.skew) <= NOTICEABLE


def test_small_corrections_are_followed_at_once():
    machine = Machine()
    clock = machine.clock()
    machine.offset += 0.5
    machine.passes(1)
    assert clock.timestamp() == pytest.approx(START + 1.5)


@pytest.mark.parametrize(("skew", "round_trip"), [(2.5, 0.1), (-2.5, 0.1), (1.9, 0.0), (2.5, 1.0)])
def test_skew_within_the_round_trip_is_not_noticeable(skew: float, round_trip: float):
    """The other clock is read somewhere between question and answer."""
    reading = Reading(remote_time=START + round_trip / 2 - skew, sent_at=START, round_trip=round_trip)
    assert reading.skew == pytest.approx(skew)
    assert reading.is_noticeable == (round_trip == 0.1)
