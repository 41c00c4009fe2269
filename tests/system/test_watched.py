"""What a run does to make a check of it take long costs the kernel nothing that others would notice."""

import os
import time
from pathlib import Path

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.counting import TOLD

MAPS = Source(
    """
[hand]
name = "mapping"
version = "1.0.0"
description = "Maps one file over and over."
entry = "main:Mapping"
kind = "service"
autonomy = "full"

[provides."mapping.stir"]
summary = "Compute a little, so that the run is checked"
resource = "none"
effect = "read"

[limits]
memory = "64MiB"
""",
    """
import ctypes, mmap
from runtime import Call, Hand

SIZE, TIMES = 24 << 20, 10


class Mapping(Hand):
    async def start(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
        )
        with open(self.scratch / "file", "w+b") as file:
            file.write(bytes(SIZE))
            for _ in range(TIMES):
                address = libc.mmap(None, SIZE, mmap.PROT_READ, mmap.MAP_SHARED | mmap.MAP_POPULATE, file.fileno(), 0)
                assert address != ctypes.c_void_p(-1).value

    async def stir(self, call: Call) -> str:
        return "stirred"
""",
)
CHECKS = 2.5
"""Seconds in which a run is checked twice."""


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has no control groups: such a run has ended")
def test_the_pages_of_a_run_whose_control_group_bounds_its_memory_are_not_counted(tmp_path: Path) -> None:
    """The system looks at each page as often as it is mapped: gigabytes took it seconds, and the kernel waited."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.counting", by_exec=True) as kernel:
        install(kernel, MAPS)
        fates.call(kernel, "mapping.stir", seconds=60)
        (run,) = fates.runs(kernel, "mapping")
        if "cgroup" not in str(run["confinement"]):
            pytest.skip("no control group can be made here")
        assert int(str(run["memory"])) > 200 << 20
        end = time.monotonic() + CHECKS
        while time.monotonic() < end:
            fates.call(kernel, "mapping.stir")
            time.sleep(0.2)
        assert fates.runs(kernel, "mapping")
        assert not (kernel.home / TOLD).exists()
