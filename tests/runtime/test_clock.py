"""A told clock moves with what a run is told and with nothing else; an alarm is asked for, and taken back, once."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import RecordedClock
from tests.living import ROOT
from wire import limits
from wire.headers import Done, Event, Hello, Stop

START = 1_700_000_000_000_000


class Asked:
    """What a clock has asked of the kernel: alarms, in milliseconds, and those it took back."""

    def __init__(self, clock: RecordedClock) -> None:
        self.alarms: list[int] = []
        self.rings: list[Callable[[bool], None]] = []
        self.taken_back: list[int] = []
        clock.attend(self._ask)

    def _ask(self, milliseconds: int, ring: Callable[[bool], None]) -> Callable[[], None]:
        self.alarms.append(milliseconds)
        self.rings.append(ring)
        return partial(self.taken_back.append, len(self.rings) - 1)


@given(times=st.lists(st.integers(0, 2 * START), max_size=30))
def test_the_clock_shows_the_latest_time_it_was_told_and_never_goes_back(times: list[int]) -> None:
    clock, latest = RecordedClock(START), START
    for time in times:
        clock.take(Event(event="a.b", time=time))
        latest = max(latest, time)
        assert clock.micros() == latest
        assert clock.seconds() == latest / 1_000_000


def test_what_one_process_is_told_of_itself_does_not_move_it() -> None:
    clock = RecordedClock(START)
    clock.take(Hello(version=limits.PROTOCOL, time=2 * START))
    clock.take(Stop(why="", grace=1, time=2 * START))
    assert clock.micros() == START


def test_an_earlier_alarm_takes_the_place_of_a_later_one_and_a_later_one_waits() -> None:
    clock = RecordedClock(START)
    asked = Asked(clock)
    for seconds in (5.0, 7.0, 2.0, 2.0, 3.0):
        clock.wake_after(seconds)
    assert asked.alarms == [5000, 2000]
    assert asked.taken_back == [0]
    asked.rings[0](False)  # the one that was taken back says so, and it changes nothing
    clock.wake_after(2.0)
    assert asked.alarms == [5000, 2000]
    asked.rings[1](True)
    assert clock.micros() == START + 2_000_000
    clock.wake_after(1.0)
    assert asked.alarms == [5000, 2000, 1000]


def test_an_alarm_that_rings_shows_its_moment_though_the_kernels_clock_was_set_back() -> None:
    clock = RecordedClock(START)
    asked = Asked(clock)
    clock.wake_after(3.0)
    clock.take(Done(number=1, time=START - 60_000_000))
    asked.rings[0](True)
    assert clock.micros() == START + 3_000_000


def test_a_fraction_of_a_millisecond_is_waited_for_and_a_very_long_wait_is_several() -> None:
    clock = RecordedClock(START)
    asked = Asked(clock)
    clock.wake_after(10.0**9)
    clock.wake_after(0.0001)
    assert asked.alarms == [limits.DEADLINE_MAX // 2, 1]
    asked.rings[1](True)
    clock.wake_after(-1.0)
    assert asked.alarms[-1] == 0


def test_a_clock_that_nobody_attends_to_asks_for_nothing() -> None:
    RecordedClock(START).wake_after(1.0)


def test_pythons_own_clocks_follow_when_they_are_bound() -> None:
    code = f"""
import time, uuid
from runtime.clock import RecordedClock
from tests.living import ROOT
from wire.headers import Event
clock = RecordedClock({START})
clock.bind()
clock.take(Event(event="a.b", time={START} + 90_000_000))
print(time.time(), time.time_ns(), time.monotonic(), time.gmtime()[:6] == time.gmtime({START} / 1e6 + 90)[:6])
print(time.localtime()[:6] == time.localtime(time.time())[:6], time.ctime() == time.ctime(time.time()))
print(time.strftime("%s") == time.strftime("%s", time.localtime(time.time())), time.asctime() == time.ctime())
print(time.gmtime(0)[0], time.strftime("%Y", time.gmtime(0)), time.ctime(0)[-4:])
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    seconds = START // 1_000_000 + 90
    assert said.splitlines() == [
        f"{seconds}.0 {seconds}000000000 {seconds}.0 True", "True True", "True True", "1970 1970 1970"
    ]  # fmt: skip
