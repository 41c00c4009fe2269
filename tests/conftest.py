"""What holds for every test: property tests make the same cases each time, and new ones only in `./just soak`.

And as root each process of pytest's mounts for itself: what a test mounts is seen by what it starts, and changes nothing
for tests that run beside it and count mounts. Nothing runs beside a test that is marked `alone`.
"""

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from kernel.process import cgroup, confine, mounts
from tests import living
from tests.cli import forked
from tests.forks import Forks
from tests.turns import Turns

HERE = Path(__file__)
TURNS = Turns(HERE, HERE.parent)

_OF_HANDS = frozenset(
    HERE.parent / name
    for name in ("attacks", "cli", "conformance", "system", "kernel/test_compiler.py", "runtime/wasm/test_modules.py")
)
_OF_MACHINES = frozenset({"test_doctor.py"})
"""Folders and files whose tests start Hands, or what is confined as they are; files in them that say what a machine lacks."""

settings.register_profile("test", derandomize=True, database=None, deadline=None, max_examples=40)
settings.register_profile("soak", deadline=None, max_examples=5000)
settings.load_profile("test")


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> None:
    """A mount namespace of this process's own, where root can make one; where not, no test can mount either."""
    if os.geteuid() == 0:
        try:
            confine.unshare(confine.NEWNS)
            mounts.keep_private()
        except OSError:
            pass


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """What tests start hears SIGINT, also when a shell began them in the background, which has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_caches() -> None:
    """What tests import of a Hand when they run leaves no __pycache__ in its folder; those of tests are written before."""
    sys.dont_write_bytecode = True


@pytest.fixture(scope="session", autouse=True)
def own_group() -> Iterator[None]:
    """A control group of this process's own, where root can make one: what killed kernels leave in it goes with it."""
    above = cgroup.own() if os.geteuid() == 0 else ""
    group = Path(above) / f"tests-{os.getpid()}"
    try:
        if above:
            cgroup.enter(above, group.name)
    except OSError:  # as in a container that may only read them
        above = ""
    yield
    if not above:
        return
    (Path(above) / "cgroup.procs").write_text("0")
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):  # somebody lives in it
            os.rmdir(folder)


@pytest.fixture(scope="session", autouse=True)
def kernels(own_mounts: None, own_group: None) -> Iterator[None]:
    """What kernels are forked from lives in these, and ends before them."""
    living.kernels = Forks("kernel.main", living.WARM, "manifests.check", "tomllib")
    yield
    living.kernels.end()
    living.kernels = None


@pytest.fixture(scope="session", autouse=True)
def commands(own_mounts: None, own_group: None) -> Iterator[None]:
    """What runs commands lives in these, and ends before them."""
    yield
    forked.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This folder's own files come first: one takes half a minute, and as one of the last it would keep others waiting.

    Where no Hand can run, those of whole folders are skipped.
    """
    items.sort(key=lambda item: item.path.parent != HERE.parent)
    if why := living.no_hand_runs():
        skip = pytest.mark.skip(reason=why)
        for item in items:
            if {item.path, item.path.parent} & _OF_HANDS and item.path.name not in _OF_MACHINES:
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Ten thousand tests and what they import stay until the end: no search for garbage goes through them again."""
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Under xdist each test has its turn, with its fixtures; the time that it waits for it is not its own."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with TURNS.next(alone=_wants_to_be_alone(item), then_alone=_wants_to_be_alone(nextitem)):
        return (yield)


def _wants_to_be_alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None
