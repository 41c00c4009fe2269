"""Groups of runs that end while they are being moved into theirs."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.process import cgroup

ROUNDS, MEMORY = 500, 64 * 1024 * 1024


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder for groups, below this process's own."""
    if not (made := cgroup.prepare(f"maniple-test-{os.getpid()}")):
        pytest.skip("no control groups of version 1 can be made here")
    yield made
    os.rmdir(made)


def test_a_run_that_has_ended_is_told_as_such_whoever_removes_its_group_first(folder: str) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    is_over = threading.Event()

    def hear_of_its_end() -> None:
        while not is_over.is_set():
            cgroup.leave(folder, "1")

    hearing = threading.Thread(target=hear_of_its_end)
    hearing.start()
    try:
        for _ in range(ROUNDS):
            with pytest.raises(OSError, match="No such") as told:
                cgroup.move(folder, "1", gone.pid, MEMORY)
            assert told.value.errno in (errno.ESRCH, errno.ENOENT, errno.ENODEV)
    finally:
        is_over.set()
        hearing.join()
    assert not [one for one in os.scandir(folder) if one.is_dir()]


def test_a_group_that_cannot_be_bounded_is_removed(folder: str) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        cgroup.move(folder, "2", os.getpid(), -MEMORY * 2**40)
    assert not [one for one in os.scandir(folder) if one.is_dir()]


@pytest.mark.parametrize(
    ("files", "swap"),
    [
        (("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "as much in all"),
        (("cgroup.controllers", "memory.max", "memory.swap.max"), "none"),
        (("memory.limit_in_bytes",), ""),  # Linux counts no swap here
    ],
)
def test_a_group_bounds_swap_too_where_linux_counts_it(files: tuple[str, ...], swap: str, tmp_path: Path) -> None:
    """Plain files stand in for a group's: this machine may have one version of groups, and count no swap."""
    group = tmp_path / "1"
    group.mkdir()
    for name in files:
        (group / name).touch()
    cgroup.bound(str(tmp_path), "1", MEMORY)
    memory, *more = ((group / name).read_text() for name in files if name != "cgroup.controllers")
    assert MEMORY <= int(memory) <= MEMORY + (16 << 20)
    assert more == {"as much in all": [memory], "none": ["0"], "": []}[swap]


def test_a_process_of_a_killed_template_that_takes_long_to_end_costs_the_next_one_no_group(folder: str) -> None:
    name = os.path.basename(folder).partition(".")[0]
    with subprocess.Popen(["sleep", "60"]) as left, subprocess.Popen(["sleep", "60"]) as other:
        cgroup.move(folder, "1", left.pid, MEMORY)
        next_one = cgroup.prepare(name)
        assert next_one
        cgroup.move(next_one, "1", other.pid, MEMORY)  # numbers begin again with another kernel
        left.kill()
        other.kill()
    assert cgroup.leave(next_one, "1") is False
    os.rmdir(cgroup.prepare(name))
    assert not os.path.exists(next_one), "what is empty by then is removed"
    os.mkdir(folder)  # which the fixture removes
