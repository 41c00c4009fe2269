"""No test stands still for ever (acts): what takes too long fails under its own name, and pytest goes on to the next.

Setting up, the test itself and clearing up have `seconds_per_phase` each, 300 unless pytest.ini_options or the command
line (`-o seconds_per_phase=60`) says otherwise; tests marked `soak` or `bench` have twelve times as much. Then
pytest.fail is raised wherever the main thread stands, so that fixtures still end the processes they began. Where even
that is swallowed it is raised twice more, GRACE seconds apart; after that every thread's stack is written, and pytest
ends with GAVE_UP.

An alarm and no watching thread: Python warns of every fork beside a thread, and tests fork. Code that never comes back
to Python is not reached; nothing here is such code.
"""

import faulthandler
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

SETTING = "seconds_per_phase"
LONG = 12
"""How many times as long a test may take that is marked as long."""

GRACE = 10.0
"""Seconds in which a test that was failed has to end."""

RAISED = 3
"""How often it is raised before pytest itself is ended."""

GAVE_UP = 70
"""How pytest ends when a test would not."""

STDERR = pytest.StashKey[int]()
"""pytest's own stderr, while a test's is captured."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting."""
    parser.addini(SETTING, "seconds that a test, its setting up or its clearing up may take", default="300")


def pytest_configure(config: pytest.Config) -> None:
    """Keep what a last word is written to: nothing is captured yet."""
    config.stash[STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give it back."""
    os.close(config.stash[STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Its fixtures."""
    with _limited(item, "setting up"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """The test itself."""
    with _limited(item, "the test"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """What its fixtures do at the end."""
    with _limited(item, "clearing up"):
        yield


@contextmanager
def _limited(item: pytest.Item, phase: str) -> Iterator[None]:
    seconds = float(item.config.getini(SETTING))
    if item.get_closest_marker("soak") or item.get_closest_marker("bench"):
        seconds *= LONG
    words = f"{item.nodeid}: {phase} took longer than {seconds:g} s ({SETTING})"
    raised = 0

    def overdue(_: int, __: FrameType | None) -> None:
        nonlocal raised
        raised += 1
        if raised <= RAISED:
            pytest.fail(words)
        stderr = item.config.stash[STDERR]
        os.write(stderr, f"\n{words}, and does not end\n".encode())
        faulthandler.dump_traceback(stderr)
        os._exit(GAVE_UP)

    before = signal.signal(signal.SIGALRM, overdue)
    signal.setitimer(signal.ITIMER_REAL, seconds, GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
