"""What /proc tells of a process and its descendants: who they are, how long they have computed, what they hold."""

import ctypes
import mmap
import os
import signal
import threading
from pathlib import Path
from typing import cast

import pytest

from kernel import process_tree
from kernel.process.unlinked import measure_unlinked
from kernel.process_tree import cpu_of_descendants, tree_of
from manifests.confinement.syscalls import ARCHITECTURES
from tests.system.fates import until

ENOUGH = 0.1


def _spin(seconds: float) -> None:
    while sum(os.times()[:2]) < seconds:
        pass


def test_the_time_of_children_that_live_and_of_those_that_were_waited_for_is_counted_once() -> None:
    told, tell = os.pipe()
    first = os.fork()
    if first == 0:
        if (gone := os.fork()) == 0:
            _spin(ENOUGH)
            os._exit(0)
        os.waitpid(gone, 0)
        if os.fork() == 0:
            _spin(ENOUGH)
            os.write(tell, b".")
            signal.pause()
        _spin(3 * ENOUGH)  # its own is none of it
        os.write(tell, b".")
        signal.pause()
    try:
        assert os.read(told, 1) + os.read(told, 1) == b".."
        processes = list(tree_of(first))
        assert len(processes) == 2
        assert 2 * ENOUGH - 0.03 <= cpu_of_descendants(processes) < 5 * ENOUGH - 0.03
        assert cpu_of_descendants([first]) < 2 * ENOUGH
    finally:
        for pid in list(tree_of(first)):  # before the first is gone, and the others are no longer its children
            os.kill(pid, signal.SIGKILL)
        os.waitpid(first, 0)
    assert cpu_of_descendants([first, first]) == 0.0, "of those that are gone nothing is known"


def test_what_processes_share_counts_for_each_or_once() -> None:
    twice, size = [os.getpid()] * 2, process_tree.resident_of_all([os.getpid()], 0)
    assert process_tree.resident_of_all(twice, 0) == pytest.approx(2 * size, rel=0.05)
    assert process_tree.resident_of_all(twice, size - (1 << 20)) == pytest.approx(2 << 20, rel=0.5)
    before = process_tree.memory_of(os.getpid())
    assert before < size + (1 << 20)
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        assert process_tree.memory_of(os.getpid()) < before - (1 << 20), "half of what a child shares is the child's"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert process_tree.memory_of(child) == 0


def test_page_tables_count_as_memory() -> None:
    """They are all that a large and empty mapping takes."""
    pieces, size, me = 2_000, 2 << 20, os.getpid()
    before = process_tree.resident_of_all([me], 0), process_tree.memory_of(me)
    with mmap.mmap(-1, pieces * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ) as sparse:
        assert not any(sparse[at * size] for at in range(pieces))
        after = process_tree.resident_of_all([me], 0), process_tree.memory_of(me)
    for one, other in zip(after, before, strict=True):
        assert one - other == pytest.approx(pieces * 4096, rel=0.1)


def test_a_process_whose_first_thread_has_ended_holds_what_it_held(tmp_path: Path) -> None:
    told, tell = os.pipe()
    inherited = measure_unlinked([os.getpid()], tmp_path.stat().st_dev)  # where pytest keeps what is printed
    child = os.fork()
    if child == 0:

        def hold() -> None:
            held = bytearray(b"x") * (8 << 20)
            file = open(tmp_path / "held", "wb+", buffering=0)  # noqa: SIM115 - open as long as the process lives
            os.unlink(file.name)
            os.write(tell, file.write(held).to_bytes(8, "little"))
            signal.pause()

        threading.Thread(target=hold).start()
        ctypes.CDLL(None).syscall(ARCHITECTURES[os.uname().machine].numbers["exit"], 0)
    try:
        size = int.from_bytes(os.read(told, 8), "little")
        until(lambda: Path(f"/proc/{child}/stat").read_text().split()[2] == "Z", "its first thread has ended")
        assert measure_unlinked([child], tmp_path.stat().st_dev) == inherited + size
        assert process_tree.memory_of(child) > size
        assert process_tree.resident_of_all([child], 0) > size
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_was_swapped_out_counts(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmRSS:\t100 kB\nVmPTE:\t4 kB\nVmSwap:\t50 kB\n")
    pid = cast(int, f"..{tmp_path}")  # a process of this machine's may have nothing there
    assert process_tree.resident_of_all([pid], 0) == process_tree.memory_of(pid) == 154 * 1024
    (tmp_path / "smaps_rollup").write_text("Pss: 80 kB\nPss_Anon: 70 kB\nSwap: 50 kB\nSwapPss: 40 kB\n")
    assert process_tree.memory_of(pid) == 124 * 1024
