"""Runs the command line as on a Mac, as far as Linux allows: with its name, and without the Linux parts of Python.

python -m tests.cli.elsewhere WORDS. Removed is what Python's documentation says exists on Linux only, or not on macOS. This
does not show what macOS itself would answer.
"""

import fcntl
import os
import resource
import select
import signal
import socket
import sys
import time
from types import ModuleType
from typing import Final

LINUX_ONLY: Final[dict[ModuleType, tuple[str, ...]]] = {
    fcntl: ("F_ADD_SEALS", "F_GETPIPE_SZ", "F_GET_SEALS", "F_OFD_", "F_SEAL_", "F_SETPIPE_SZ"),
    os: (
        "EFD_", "GRND_", "MFD_", "O_DIRECT", "O_LARGEFILE", "O_NOATIME", "O_PATH", "O_RSYNC", "O_TMPFILE", "P_PIDFD",
        "SCHED_", "XATTR_", "copy_file_range", "eventfd", "fdatasync", "getrandom", "getresgid", "getresuid", "getxattr",
        "listxattr", "memfd_create", "pidfd_open", "posix_fadvise", "posix_fallocate", "removexattr", "sched_get",
        "sched_set", "setns", "setresgid", "setresuid", "setxattr", "splice", "unshare",
    ),
    resource: ("RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RT", "RLIMIT_SIGPENDING", "prlimit"),
    select: ("EPOLL", "epoll"),
    signal: ("SIGCLD", "SIGPOLL", "SIGPWR", "SIGRT", "SIGSTKFLT", "pidfd_send_signal", "sigtimedwait", "sigwaitinfo"),
    socket: (
        "AF_ALG", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "MSG_CMSG_CLOEXEC", "MSG_NOSIGNAL", "SOCK_CLOEXEC", "SOCK_NONBLOCK",
        "SO_DOMAIN", "SO_PASSCRED", "SO_PEERCRED", "SO_PROTOCOL", "TCP_USER_TIMEOUT",
    ),
    time: ("CLOCK_BOOTTIME", "CLOCK_TAI"),
}  # fmt: skip
"""Prefixes of the names to remove. O_DIRECTORY, which macOS has, shares the prefix O_DIRECT and stays."""


def pretend() -> None:
    """Make this process look like one on a Mac."""
    for module, prefixes in LINUX_ONLY.items():
        for name in [name for name in vars(module) if name.startswith(prefixes) and name != "O_DIRECTORY"]:
            delattr(module, name)
    mac = os.uname_result(("Darwin", "mac", "24.5.0", "Darwin Kernel Version 24.5.0", "arm64"))
    os.uname = lambda: mac
    sys.platform = "darwin"


if __name__ == "__main__":
    pretend()
    from kernel.cli.main import main

    main()
