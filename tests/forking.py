"""Has what processes of tests import, and forks each of them (acts). Started by forks.py, which says what for.

    python -c STARTER SEARCH-PATH tests.forking LINK MODULE…

It is asked on a socket, whose number is LINK: a message for each process, with its descriptors. A child goes on with the
main() of its module, as if it had just been started.
"""

import gc
import json
import os
import signal
import socket
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

ABOVE: Final = 512
"""Descriptors from here on are nobody's."""


def main(arguments: list[str]) -> None:
    """Serve until the socket ends. This is no child of whoever started it, which may wait for all of those."""
    if os.fork():
        os._exit(0)
    at_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in arguments[1:]:
        import_module(name)
    gc.collect()
    gc.freeze()
    asked = _becomes_child(int(arguments[0]))
    signal.signal(signal.SIGINT, at_interrupt)
    import_module(asked["module"]).main(asked["arguments"])


def _becomes_child(link: int) -> Any:
    """Returns in a child, whose descriptors are in place; what it was asked. Each has a parent, which tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those parents
    with socket.socket(fileno=link) as asking:
        while True:
            message, found, _, _ = socket.recv_fds(asking, 65536, 16)
            if not message:
                os._exit(0)
            if not os.fork():
                break
            for descriptor in found:
                os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked, tells = json.loads(message), found.pop()
    if pid := os.fork():
        for descriptor in found:
            os.close(descriptor)
        with suppress(BrokenPipeError):  # nobody listens any more
            os.write(tells, b"%d\n" % pid)
            os.write(tells, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    if asked["own_session"]:
        os.setsid()
    for place, descriptor in enumerate(found):
        os.dup2(descriptor, ABOVE + place)
    os.closerange(0, ABOVE)
    for place, number in enumerate(asked["numbers"]):
        os.dup2(ABOVE + place, number)
    os.closerange(ABOVE, ABOVE + len(found))
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    return asked
