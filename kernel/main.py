"""The kernel's process (acts): from a home to a loop that serves, and back.

    python -c STARTER SEARCH-PATH kernel.main HOME READY

READY is a descriptor on which it says `ready` when the bus is bound, or one line of what is wrong. It ends with exit code
0 after `down`, 1 for a home that cannot be used.
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import msgspec

from kernel.core import Kernel
from kernel.errors import HomeError
from kernel.home import Home
from kernel.launcher import start_template
from kernel.loop import Loop
from kernel.record.log import Log
from kernel.record.recovery import recover, start_of
from manifests.state import State, fold, from_bytes
from wire.errors import ManipleError
from wire.snapshot import Snapshot


def main(arguments: list[str]) -> None:
    """Be the kernel of a home; returns when it has been told to end."""
    path, ready = arguments[0], int(arguments[1])
    os.umask(0o077)
    # a run takes two descriptors or three of the kernel's; where there are none left, no run is born or dies any more
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        kernel = opened(path, Loop())
    except (ManipleError, OSError) as error:
        os.write(ready, f"{error}\n".encode())
        sys.exit(1)
    os.write(ready, b"ready\n")
    os.close(ready)
    serve(kernel)


def opened(path: str, loop: Loop) -> Kernel:
    """A kernel on this home, its log recovered, its state restored. Raises HomeError, or OSError of its disk."""
    home = Home(path)
    home.lock()
    keys, folder, origin = home.keys(), Path(home.at("log")), home.identity.origin
    template = start_template(home)  # before the log is read: both take their time
    start = start_of(folder, keys.log.verify_key, origin)
    try:
        state = from_bytes(start.state) if start.state is not None else State()
    except msgspec.MsgspecError:  # written by another version: everything is in the log
        start, state = Snapshot(origin=origin, size=0), State()
    found = recover(folder, start, lambda entry: fold(state, entry, home.load), key=keys.log.verify_key)
    if found.chain.seq == 0 and os.listdir(home.at("hands")):
        raise HomeError(f"the log of this home is gone from {folder}: restore that folder from a backup")
    wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    log = Log(folder, key=keys.log, origin=origin, chain=found.chain, wake=wake, clock=lambda: time.time_ns() // 1000)
    loop.watch(wake, log.settle)
    if found.cut:
        log.append("kernel.recovered", principal="kernel", detail={"cut": found.cut})
    kernel = Kernel(home, keys, log, state, loop, template, start.size)
    kernel.boot()
    return kernel


def serve(kernel: Kernel) -> None:
    """Serve until told to end, and close."""
    asked = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # a signal alone does not wake the loop

    def go_down() -> None:
        os.eventfd_read(asked)
        kernel.supervisor.stop_all(kernel.loop.stop)

    kernel.loop.watch(asked, go_down)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.eventfd_write(asked, 1))
    kernel.loop.watch(int(kernel.bus.zap.FD), kernel.bus.answer_zap)
    kernel.loop.watch(int(kernel.bus.door.FD), kernel.links.look_at_the_door)
    kernel.loop.run(kernel.bus.router, kernel.router.turn, kernel.rest)
    kernel.close()
