"""Fixtures and hooks for all tests: property tests generate the same cases each time, and new ones only in `./just soak`.

As root, each pytest process has its own mount namespace: what a test mounts is visible to what it starts, and not to tests
beside it that count mounts. Nothing runs beside a test that is marked `alone`.
"""

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

from kernel.process import cgroup, mounts
from tests import living
from tests.cli import forked
from tests.forks import Forks
from tests.turns import Turns

THIS_FILE = Path(__file__)
TURNS = Turns(THIS_FILE, THIS_FILE.parent)

_NEED_HANDS = frozenset(
    THIS_FILE.parent / name
    for name in ("attacks", "cli", "conformance", "system", "kernel/test_compiler.py", "runtime/wasm/test_modules.py")
)
_NEED_NO_HANDS = frozenset({"test_doctor.py"})
"""Folders and files whose tests start Hands, or processes confined like Hands; and files there that need none of this."""

settings.register_profile("test", derandomize=True, database=None, deadline=None, max_examples=40)
settings.register_profile("soak", deadline=None, max_examples=5000)
settings.load_profile("test")


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> None:
    """Give this process its own mount namespace, if it is root and can; if it cannot, no test can mount either."""
    if os.geteuid() == 0:
        try:
            mounts.leave(["mount"])
        except OSError:
            pass


@pytest.fixture(scope="session", autouse=True)
def default_sigint() -> None:
    """Undo an ignored SIGINT, which a shell sets for background jobs: processes that tests start must receive it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_caches() -> None:
    """Write no __pycache__ into Hands' folders; pytest has written those of the tests before this."""
    sys.dont_write_bytecode = True


@pytest.fixture(scope="session", autouse=True)
def own_group() -> Iterator[None]:
    """Give this process its own control group, if it is root and can; groups that killed kernels leave go with it."""
    parent = cgroup.own() if os.geteuid() == 0 else ""
    group = Path(parent) / f"tests-{os.getpid()}"
    try:
        if parent:
            cgroup.enter(parent, group.name)
    except OSError:  # for instance in a container with read-only cgroups
        parent = ""
    yield
    if not parent:
        return
    (Path(parent) / "cgroup.procs").write_text("0")
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):  # a process is still in it
            os.rmdir(folder)


@pytest.fixture(scope="session", autouse=True)
def kernels(own_mounts: None, own_group: None) -> Iterator[None]:
    """Start the process that forks kernels inside this process's namespace and group, and end it before them."""
    later = (
        "encodings.ascii",
        "manifests.check",
        "manifests.mcp.door",
        "manifests.mcp.folder",
        "manifests.skills.folder",
    )
    living.kernel_forks = Forks("kernel.main", living.WARM_MODULE, *later, "tomllib")
    yield
    living.kernel_forks.end()
    living.kernel_forks = None


@pytest.fixture(scope="session", autouse=True)
def commands(own_mounts: None, own_group: None) -> Iterator[None]:
    """End the servers that fork commands before this process's namespace and group."""
    yield
    forked.end()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Collect without searching for garbage, of which there is none; share the work of a first run in a fresh clone.

    There, each module's asserts are rewritten and the result is cached. Each of several workers, which collect the same
    modules in the same order at the same time, first imports some that no other begins with.
    """
    gc.disable()
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    files = sorted(THIS_FILE.parent.rglob("test_*.py"))
    for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        with suppress(Exception, pytest.skip.Exception):  # what it is, the collection says
            import_module(".".join(file.relative_to(THIS_FILE.parent.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's own tests first: one takes half a minute, which would be waited for if it were among the last.

    If no Hand can run here, skip the tests that need one.
    """
    items.sort(key=lambda item: item.path.parent != THIS_FILE.parent)
    if why := living.why_no_hand_runs():
        skip = pytest.mark.skip(reason=why)
        for item in items:
            if {item.path, item.path.parent} & _NEED_HANDS and item.path.name not in _NEED_NO_HANDS:
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Exempt the ten thousand tests and their imports, which stay until the end, from garbage collection."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Under xdist, let each test with its fixtures wait for its turn; its timeout does not count that wait."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with TURNS.next(alone=_wants_to_be_alone(item), then_alone=_wants_to_be_alone(nextitem)):
        return (yield)


def _wants_to_be_alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None
