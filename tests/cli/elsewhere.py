"""The command line as on a Mac, as far as that can be had on Linux: by its name, and without what Linux's Python has alone.

python -m tests.cli.elsewhere WORDS. What is taken away is what Python's own documentation says is there on Linux only, or not
on macOS. What a Mac's own system answers is not shown by it.
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

LINUXS: Final[dict[ModuleType, tuple[str, ...]]] = {
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
"""How the names begin that there are not. O_DIRECTORY, which a Mac has, begins as O_DIRECT does."""


def pretend() -> None:
    """Be a Mac from now on."""
    for module, beginnings in LINUXS.items():
        for name in [name for name in vars(module) if name.startswith(beginnings) and name != "O_DIRECTORY"]:
            delattr(module, name)
    mac = os.uname_result(("Darwin", "mac", "24.5.0", "Darwin Kernel Version 24.5.0", "arm64"))
    os.uname = lambda: mac
    sys.platform = "darwin"


if __name__ == "__main__":
    pretend()
    from kernel.cli.main import main

    main()
