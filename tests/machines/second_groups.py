"""Control groups of version 2 hold each run, wherever the kernel itself lies. test_groups.py runs it in a guest."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kernel.cli import live_runs, machine
from kernel.process import cgroup
from tests.living import ECHO, Kernel, install, make_home
from tests.system.fates import call, until

ROOT: Final = Path("/sys/fs/cgroup")


@pytest.fixture
def inside() -> Iterator[Path]:
    """Groups as a system lays them out: this process lies in one that shares nothing out, of a parent that does."""
    above, below = ROOT / "slice", ROOT / "slice" / "scope"
    (ROOT / "cgroup.subtree_control").write_text("+memory")
    below.mkdir(parents=True)
    (above / "cgroup.subtree_control").write_text("+memory")
    (below / "cgroup.procs").write_text("0")
    yield below
    for process in (below / "cgroup.procs").read_text().split():  # what kernels are forked from is here, too
        (ROOT / "cgroup.procs").write_text(process)
    for folder, _, _ in os.walk(above, topdown=False):
        os.rmdir(folder)


def test_the_doctor_says_where_they_are() -> None:
    found = {one.what: one for one in machine.inspect("/")}["cgroups"]
    assert (found.state, found.found.split(" at ")[0]) == ("ok", "version 2")


def test_groups_lie_below_the_nearest_that_shares_out_memory(inside: Path) -> None:
    made = cgroup.prepare("groups")
    assert made.startswith(f"{inside.parent}/groups.")
    cgroup.move(made, "one", os.getpid(), 64 << 20)
    assert (Path(made) / "one" / "memory.max").read_text() == f"{(64 << 20) + (16 << 20)}\n"
    assert cgroup.own() == f"{made}/one"
    (inside / "cgroup.procs").write_text("0")
    assert cgroup.leave(made, "one") is False
    os.rmdir(made)


def test_a_run_has_its_own_and_it_is_gone_with_the_run(inside: Path, tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        call(kernel, "echo.say", "", {"text": "here"})
        with kernel.client() as client:
            (run,) = live_runs.fetch_all(client)
        (line,) = Path(f"/proc/{run.pid}/cgroup").read_text().splitlines()
        group = Path(f"{ROOT}{line.removeprefix('0::')}")
        assert group.parent.parent == inside.parent
        assert int((group / "memory.max").read_text()) > 1 << 20
        assert (group / "memory.swap.max").read_text() == "0\n"
        assert "cgroup" not in run.lacking
        call(kernel, "kernel.stop", "echo")
        until(lambda: not group.exists(), "its group is gone")
