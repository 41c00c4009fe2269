"""Has what Hands under test import, and forks each of them (acts). Started by starting.py, which says what for.

It is asked on a socket, whose number it is given: a message for each Hand, with its descriptors. A child goes on as
child.py does from its first line.
"""

import gc
import json
import os
import signal
import socket
import sys
from typing import Final

import msgspec

from runtime.main import join
from wire.launch import Start

ABOVE: Final = 512
"""Descriptors from here on are nobody's."""


def main() -> None:
    """Serve until the socket ends. This is no child of whoever started it, which may wait for all of those."""
    if os.fork():
        os._exit(0)
    gc.collect()
    gc.freeze()
    _becomes_hand(int(sys.argv[1]))
    os._exit(join(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Start))())


def _becomes_hand(link: int) -> None:
    """Returns in a child, whose descriptors are in place. Each has a parent of its own, which tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those parents
    with socket.socket(fileno=link) as asking:
        while True:
            message, found, _, _ = socket.recv_fds(asking, 65536, 4)
            if not message:
                os._exit(0)
            if not os.fork():
                break
            for descriptor in found:
                os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked = json.loads(message)
    stdin, log, bus, tells = found
    if pid := os.fork():
        for descriptor in (stdin, log, bus):
            os.close(descriptor)
        os.write(tells, b"%d\n" % pid)
        os.write(tells, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.dup2(bus, ABOVE)
    for number, descriptor in enumerate((stdin, log, log)):
        os.dup2(descriptor, number)
    os.closerange(3, ABOVE)
    os.dup2(ABOVE, asked["bus"])
    os.close(ABOVE)
    os.chdir(asked["folder"])


if __name__ == "__main__":
    main()
