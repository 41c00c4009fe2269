"""A kernel that tells what of Python's memory it holds. Started by test_leftovers.py as a process.

    python -c STARTER SEARCH-PATH tests.system.counted HOME READY

What it remembers of what has ended is bounded; here so tightly that it is full soon. Then each run leaves a block or more
behind, or none. It listens on HOME/run/count, and answers each datagram with two numbers: the blocks that Python has
allocated, and the runs among them that are over, such as one whose processes it still means to kill.
"""

import gc
import os
import socket
import sys
from functools import _lru_cache_wrapper
from pathlib import Path

from kernel import loop as kernel_loop
from kernel import main as kernel_main
from kernel.loop import Loop
from kernel.runs import Run
from manifests import capabilities
from wire import results

results.__dict__["KEPT"] = kernel_loop.__dict__["_CANCELLED"] = 8
capabilities.__dict__["MOST_REMEMBERED"] = 8  # the resources of calls, such as the ids of runs that are stopped


def main(arguments: list[str]) -> None:
    """Be the kernel of a home, which counts when it is asked."""
    home, ready = arguments[0], int(arguments[1])
    os.umask(0o077)
    gc.unfreeze()  # where it was forked
    loop = Loop()
    kernel = kernel_main.open_kernel(home, loop)
    place = Path(home, "run", "count")
    place.unlink(missing_ok=True)  # that of a kernel that was killed
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    door.bind(str(place))

    def asked() -> None:
        _, asker = door.recvfrom(100)
        for one in gc.get_objects():
            if isinstance(one, _lru_cache_wrapper):  # bounded, too
                one.cache_clear()
        gc.collect()
        over = sum(isinstance(one, Run) for one in gc.get_objects()) - len(kernel.runs)
        door.sendto(b"%d %d" % (sys.getallocatedblocks(), over), asker)

    loop.watch(door.fileno(), asked)
    os.write(ready, b"ready\n")
    os.close(ready)
    kernel_main.serve(kernel)
