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
SPLITS = Source(
    """
[hand]
name = "splitting"
version = "1.0.0"
description = "Shares memory in very many pieces among its processes."
entry = "main:Splitting"
kind = "service"
autonomy = "full"

[provides."splitting.stir"]
summary = "Compute a little, so that the run is checked"
resource = "none"
effect = "read"

[limits]
memory = "512MiB"
processes = 16
""",
    """
import ctypes, mmap, os, signal
from runtime import Call, Hand

PAGE, PIECES, CHILDREN = 4096, 30_000, 11


class Splitting(Hand):
    async def start(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int
        size, flags = 2 * PIECES * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.kept = mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.kept))
        for at in range(0, size, PAGE):
            self.kept[at] = 1
        for at in range(0, size, 2 * PAGE):
            assert libc.mprotect(start + at, PAGE, mmap.PROT_READ) == 0
        for _ in range(CHILDREN):
            if os.fork() == 0:
                signal.pause()

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


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may not see what such a run's processes share")
def test_what_processes_share_in_very_many_pieces_is_counted_while_the_kernel_goes_on(tmp_path: Path) -> None:
    """Without a control group. To go through so many pieces takes the system a second at each check."""
    home = make_home(tmp_path / "home")
    (home / "weakened").write_text("cgroup")
    with Kernel(home, "tests.attacks.weakened", by_exec=True) as kernel, kernel.client() as client:
        install(kernel, SPLITS)
        fates.call(kernel, "splitting.stir", seconds=60)
        waited, begun = 0.0, time.monotonic()
        while time.monotonic() - begun < CHECKS:
            before = time.monotonic()
            client.call("splitting.stir", seconds=60)
            waited += time.monotonic() - before
            time.sleep(0.02)
        assert waited < (time.monotonic() - begun) / 3
        assert fates.runs(kernel, "splitting"), "all its processes together have less than they may"
