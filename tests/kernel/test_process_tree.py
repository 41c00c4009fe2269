"""What /proc tells of a process and its descendants: who they are, and how long they have computed."""

import os
import signal

from kernel.process_tree import cpu_of_descendants, tree_of

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
        for pid in tree_of(first):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(first, 0)
    assert cpu_of_descendants([first, first]) == 0.0, "of those that are gone nothing is known"
