"""What a module would do that had taken over its compiler (acts): everything at once, and the answers as JSON.

A program for kernel/process/compiler.py to confine, in the place of runtime/wasm/compiling.py; it is told the path of a
key. Whatever came of a try is its word: "got", or the error's.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final


def prepare(arguments: Sequence[str]) -> Callable[[], None]:
    """What tries everything, when it is confined."""
    (key,) = arguments
    return partial(_try, key)


def _try(key: str) -> None:
    sys.stdin.read()
    tries: Mapping[str, Callable[[], object]] = {
        "read a key": lambda: os.open(key, os.O_RDONLY),
        "read a library": lambda: os.open(json.__file__, os.O_RDONLY),
        "read /etc/passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "list the root": lambda: os.listdir("/"),
        "write to /tmp": lambda: os.open("/tmp/hostile", os.O_WRONLY | os.O_CREAT),
        "write to /dev/shm": lambda: os.open("/dev/shm/hostile", os.O_WRONLY | os.O_CREAT),
        "make a socket of the network": lambda: socket.socket(socket.AF_INET),
        "make a socket": lambda: socket.socket(socket.AF_UNIX),
        "fork": os.fork,
        "execute": lambda: os.execv("/bin/true", ["true"]),
        "trace": lambda: _called(_libc.ptrace(16, 1, 0, 0)),
        "signal its parent": lambda: os.kill(os.getppid() or 2, signal.SIGKILL),
        "become root": lambda: os.setuid(0) if os.getuid() else os.setgroups([0]),
        "mount": lambda: _called(_libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    }
    found = {name: _what_came(attempt) for name, attempt in tries.items()}
    sys.stdout.write(json.dumps({**found, "uid": os.getuid(), "pid": os.getpid(), "environment": dict(os.environ)}))
    sys.stdout.flush()
    os._exit(0)


_libc: Final = ctypes.CDLL(None, use_errno=True)


def _called(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), "")


def _what_came(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "got"
