"""The process that imports modules once and forks processes for tests (acts). Started by forks.py, which says why.

    python -c STARTER SEARCH-PATH tests.forking LINK MODULE…

LINK is the descriptor of a socket that brings one message per process, with its descriptors. A child runs the main() of
its module, as if it had just been started.
"""

import atexit
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

FIRST_FREE: Final = 512
"""Descriptors from this number on are unused."""


def main(arguments: list[str]) -> None:
    """Serve until the socket closes. Forks first, so as not to be a child of the starter, which may wait for all its own."""
    if os.fork():
        os._exit(0)
    sigint_action = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in arguments[1:]:
        import_module(name)
    gc.collect()
    gc.freeze()
    request = _serve_until_child(int(arguments[0]))
    signal.signal(signal.SIGINT, sigint_action)
    with exiting_at_once():
        import_module(request["module"]).main(request["arguments"])


@contextmanager
def exiting_at_once() -> Iterator[None]:
    """End the process after the block, with its exit code, and leave its memory to the system.

    Python would free each object, and so copy all memory that a forked process shares with its parent: that takes longer
    than most commands. An error ends the process in Python's way.
    """
    code = 0
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def _serve_until_child(link: int) -> Any:
    """Serve requests; returns only in a forked child, with its request. A parent of each child reports its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the parents are not waited for
    with socket.socket(fileno=link) as link_socket:
        while True:
            message, found, _, _ = socket.recv_fds(link_socket, 65536, 16)
            if not message:
                os._exit(0)
            if not os.fork():
                break
            for descriptor in found:
                os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, reporter = json.loads(message), found.pop()
    if pid := os.fork():
        for descriptor in found:
            os.close(descriptor)
        with suppress(BrokenPipeError):  # the test has closed the report
            os.write(reporter, b"%d\n" % pid)
            os.write(reporter, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    if request["own_session"]:
        os.setsid()
    for index, descriptor in enumerate(found):
        os.dup2(descriptor, FIRST_FREE + index)
    os.closerange(0, FIRST_FREE)
    for index, number in enumerate(request["numbers"]):
        os.dup2(FIRST_FREE + index, number)
    os.closerange(FIRST_FREE, FIRST_FREE + len(found))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    return request
