"""The kernel's process (acts): opens the home, serves until told to stop, and closes.

    python -c STARTER SEARCH-PATH kernel.main HOME READY

READY is a descriptor. The kernel writes `ready` to it once the bus is bound, or one line that says what is wrong. Exit
code: 0 after `down`, 1 for a home that cannot be used.
"""

import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from kernel import descriptors
from kernel.core import Kernel
from kernel.errors import HomeError
from kernel.home import Home
from kernel.launcher import start_template
from kernel.loop import Loop
from kernel.record.log import Log
from kernel.record.recovery import read_start, recover
from manifests.state import State, fold, from_bytes
from wire.errors import ManipleError
from wire.snapshot import Snapshot


def main(arguments: list[str]) -> None:
    """Run the kernel of a home until it is told to stop."""
    path, ready = arguments[0], int(arguments[1])
    os.umask(0o077)
    # each run costs the kernel two or three descriptors; when none are left, it can neither start a run nor see one end
    descriptors.allow_all()
    try:
        kernel = open_kernel(path, Loop())
    except (ManipleError, OSError) as error:
        os.write(ready, f"{error}\n".encode())
        sys.exit(1)
    os.write(ready, b"ready\n")
    os.close(ready)
    serve(kernel)


def open_kernel(path: str, loop: Loop) -> Kernel:
    """Open a home and return its kernel: log recovered, state restored. Raises HomeError, and OSError if the disk fails."""
    home = Home(path)
    home.lock()
    keys, folder, origin = home.keys(), Path(home.at("log")), home.identity.origin
    template = start_template(home)  # first, so that it warms up while the log is read
    start = read_start(folder, keys.log.verify_key, origin)
    try:
        state = from_bytes(start.state) if start.state is not None else State()
    except msgspec.MsgspecError:  # a snapshot of another version: rebuild the state from the whole log
        start, state = Snapshot(origin=origin, size=0), State()
    found = recover(folder, start, lambda entry: fold(state, entry, home.load), key=keys.log.verify_key)
    if found.chain.seq == 0 and os.listdir(home.at("hands")):
        raise HomeError(f"the log of this home is gone from {folder}: restore that folder from a backup")
    wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    log = Log(folder, key=keys.log, origin=origin, chain=found.chain, wake=wake, clock=lambda: time.time_ns() // 1000)
    loop.watch(wake, log.run_due_acts)
    if found.cut:
        log.append("kernel.recovered", principal="kernel", detail={"cut": found.cut})
    kernel = Kernel(home, keys, log, state, loop, template, start.size)
    kernel.boot()
    return kernel


def serve(kernel: Kernel) -> None:
    """Serve until `down`, SIGTERM, SIGINT, or SIGHUP unless that is ignored as by nohup(1); then close."""
    stop_signal = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # a signal alone does not wake the loop

    def go_down() -> None:
        os.eventfd_read(stop_signal)
        kernel.supervisor.stop_all(kernel.loop.stop)

    kernel.loop.watch(stop_signal, go_down)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os.eventfd_write(stop_signal, 1))
    kernel.loop.watch(int(kernel.bus.zap.FD), kernel.bus.answer_zap)
    kernel.loop.watch(int(kernel.bus.monitor_socket.FD), kernel.links.read_connection_events)
    kernel.loop.run(kernel.bus.router, kernel.router.read_message, kernel.do_deferred)
    kernel.close()
