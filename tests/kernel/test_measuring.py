"""Many runs' folders are measured in one process, and nobody waits for one that takes long."""

import fcntl
import mmap
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kernel import folders
from kernel.errors import TooSlow
from kernel.process import measuring
from kernel.process.unlinked import measure_unlinked
from manifests.values import LOCKS_MOST
from tests.rights import IS_WHOLE_ROOT
from wire.launch import Bound, Measured

MANY = 20_000
"""Files that take several times as long as measuring.MOMENT to be looked at."""

MEBIBYTE = 1 << 20
ALL = MANY * 4096 + 2 * MEBIBYTE
"""Bytes that a folder of so many files and two large ones goes over, by itself, when all of it is looked at."""

Open = Callable[[Path], int]


@pytest.fixture
def opened() -> Iterator[Open]:
    found: list[int] = []

    def one(path: Path) -> int:
        found.append(os.open(path, os.O_PATH | os.O_DIRECTORY))
        return found[-1]

    yield one
    for descriptor in found:
        os.close(descriptor)


@pytest.fixture
def told() -> Iterator[tuple[Callable[[Measured], None], Callable[[], list[int]]]]:
    """Tells from any process, and the numbers that were told, in order."""
    out, into = os.pipe()

    def tell(measured: Measured) -> None:
        os.write(into, bytes([measured.number]))

    def heard() -> list[int]:
        os.set_blocking(out, False)
        try:
            return list(os.read(out, 100))
        except BlockingIOError:
            return []

    yield tell, heard
    os.close(out)
    os.close(into)


@pytest.fixture
def marks() -> Iterator[int]:
    descriptor = os.memfd_create("marks")
    yield descriptor
    os.close(descriptor)


def _many(path: Path) -> Path:
    """A folder that takes long, and has one large file."""
    path.mkdir()
    (path / "large").write_bytes(b"x" * MEBIBYTE)
    for number in range(MANY):
        os.close(os.open(path / str(number), os.O_CREAT))
    return path


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a folder, and a second large file in it, whose name is found late."""
    path = _many(tmp_path_factory.mktemp("slow") / "many")
    (path / "larger").write_bytes(b"x" * MEBIBYTE)
    return path


def _large(path: Path) -> Path:
    path.mkdir()
    (path / "large").write_bytes(b"x" * MEBIBYTE)
    return path


def _measured(*given: Any) -> None:
    """As a child of the template's, since it waits for all its children: this process may have others."""
    if (child := os.fork()) == 0:
        try:
            measuring.measure(*given)
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_only_those_that_take_more_than_they_may_are_told(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    tell, heard = told
    bounds = (10 * MEBIBYTE, MEBIBYTE // 2, 10 * MEBIBYTE, MEBIBYTE)
    runs = [Bound(number=number, folders=1, most=most) for number, most in enumerate(bounds, 1)]
    _measured(marks, tell, runs, [opened(_large(tmp_path / str(run.number))) for run in runs], {})
    assert heard() == [2, 4]


def test_memory_is_measured_where_it_is_asked_and_told_if_it_is_too_much(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    tell, heard = told
    if (child := os.fork()) == 0:
        signal.pause()
    pidfd = os.pidfd_open(child)
    try:
        bounds = {1: 1, 2: 0, 3: 1 << 40, 4: 1}
        runs = [Bound(number=number, folders=1, most=1 << 40, memory=memory) for number, memory in bounds.items()]
        _measured(marks, tell, runs, [opened(tmp_path) for _ in runs], dict.fromkeys((1, 2, 3), pidfd))
        assert heard() == [1], "the fourth has ended"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(pidfd)


def test_a_run_that_holds_too_many_locks_is_told_and_one_that_holds_many_is_not(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    tell, heard = told
    with _locking(tmp_path, {1: LOCKS_MOST - 100, 2: LOCKS_MOST + 100, 3: 1}) as living:
        runs = [Bound(number=number, folders=1, most=1 << 40) for number in living]
        _measured(marks, tell, runs, [opened(tmp_path) for _ in runs], living)
    assert heard() == [2]


def test_runs_that_hold_as_many_locks_as_they_may_do_not_hide_one_that_holds_too_many(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    """Linux lists the locks of one processor after another's, so who holds more may come last."""
    tell, heard = told
    processors = sorted(os.sched_getaffinity(0))
    first, last = processors[0], processors[-1]
    with _locking(tmp_path, dict.fromkeys((1, 2, 3), LOCKS_MOST), first) as living:
        with _locking(tmp_path, {4: LOCKS_MOST + 100}, last) as more:
            runs = [Bound(number=4, folders=1, most=1 << 40)]
            _measured(marks, tell, runs, [opened(tmp_path)], {**living, **more})
    assert heard() == [4]


@contextmanager
def _locking(folder: Path, locks: dict[int, int], processor: int | None = None) -> Iterator[dict[int, int]]:
    """Processes that hold so many locks each, by number: their pidfds. processor: on which they make them."""
    living = {}
    for number, many in locks.items():
        ready, tell_ready = os.pipe()
        if (child := os.fork()) == 0:
            if processor is not None:
                os.sched_setaffinity(0, {processor})
            _lock(folder / str(number), many)
            os.write(tell_ready, b"!")
            signal.pause()
        os.read(ready, 1)
        living[number] = os.pidfd_open(child)
    try:
        yield living
    finally:
        for pidfd in living.values():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)


def _lock(path: Path, many: int) -> None:
    """Hold so many locks on single bytes of a file."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.lockf(descriptor, fcntl.LOCK_EX, 2 * many - 1)
    for byte in range(2 * many - 3, 0, -2):
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)


def test_all_folders_of_a_run_count_together_and_no_others(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    tell, heard = told
    runs = [Bound(number=number, folders=2, most=most) for number, most in ((1, 4 * MEBIBYTE), (2, MEBIBYTE * 3 // 2))]
    _measured(marks, tell, runs, [opened(_large(tmp_path / str(number))) for number in range(4)], {})
    assert heard() == [2]


@pytest.mark.wide
def test_nobody_waits_for_a_folder_of_very_many_files_and_it_is_measured_all_the_same(
    tmp_path: Path,
    slow: Path,
    opened: Open,
    marks: int,
    told: tuple[Callable[[Measured], None], Callable[[], list[int]]],
) -> None:
    tell, heard = told
    runs = [Bound(number=number, folders=1, most=MEBIBYTE // 2) for number in (1, 2, 3)]
    two = [Bound(number=one.number, folders=1, most=ALL) for one in runs[:2]]
    many = [opened(slow) for _ in two]
    with pytest.raises(TooSlow):  # else what follows shows nothing
        folders.measure(many[0], 1 << 40, time.monotonic() + measuring.MOMENT)
    _measured(marks, tell, [*two, runs[2]], [*many, opened(_large(tmp_path / "3"))], {})
    found = heard()
    assert found[0] == 3
    assert sorted(found) == [1, 2, 3]


def test_nobody_goes_through_a_folder_that_somebody_goes_through_still(
    slow: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    """Else a folder that takes longer than the time between looks would have more processes each second, without end."""
    tell, heard = told
    runs, many = [Bound(number=1, folders=1, most=ALL)], [opened(slow)]
    locked, lock = os.pipe()
    if (other := os.fork()) == 0:
        fcntl.lockf(marks, fcntl.LOCK_EX, 1, 1)
        os.write(lock, b"!")
        signal.pause()
    try:
        os.read(locked, 1)
        _measured(marks, tell, runs, many, {})
        assert heard() == []
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
    _measured(marks, tell, runs, many, {})
    assert heard() == [1]


@pytest.mark.wide
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes a user who may have two processes")
def test_none_is_left_when_no_process_can_be_made_for_another(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    tell, _ = told
    runs = [Bound(number=number, folders=1, most=1 << 40) for number in (1, 2)]
    many = [opened(_many(tmp_path / str(number))) for number in (1, 2)]
    for number in (1, 2):
        (tmp_path / str(number)).chmod(0o755)
    if (child := os.fork()) == 0:
        try:
            os.setresuid(61_234, 61_234, 61_234)
            resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
            with pytest.raises(BlockingIOError):
                measuring.measure(marks, tell, runs, many, {})
            with pytest.raises(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_look_ends_at_its_time_wherever_it_is(tmp_path: Path, opened: Open) -> None:
    place = opened(_large(tmp_path / "one"))
    with pytest.raises(TooSlow):
        folders.measure(place, 1 << 40, time.monotonic() - 1)
    with pytest.raises(TooSlow):
        measure_unlinked([os.getpid()], 0, time.monotonic() - 1)


@pytest.mark.skipif(
    not IS_WHOLE_ROOT, reason="who has not every right of root's may not look at what processes have mapped"
)
def test_what_the_processes_of_a_run_hold_without_a_name_counts(
    tmp_path: Path, opened: Open, marks: int, told: tuple[Callable[[Measured], None], Callable[[], list[int]]]
) -> None:
    tell, heard = told
    place, runs = tmp_path / "one", [Bound(number=number, folders=1, most=MEBIBYTE // 2) for number in (1, 2)]
    place.mkdir()
    with (place / "file").open("wb+") as file:
        file.write(b"x" * MEBIBYTE)
        file.flush()
        held = mmap.mmap(file.fileno(), MEBIBYTE)
    (place / "file").unlink()
    living = {1: os.pidfd_open(os.getpid())}
    try:
        _measured(marks, tell, runs, [opened(place), opened(place)], living)
        assert heard() == [1]
    finally:
        os.close(living[1])
        held.close()
