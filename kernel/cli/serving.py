"""Finds the kernel of a home by connecting to its socket (acts), which needs no time-out if none is running."""

import os
import socket
import struct
from typing import Final

from kernel.cli import homes
from kernel.cli.exits import Ended, NoKernel

_UCRED: Final = struct.Struct("3i")


def open_run_folder(home: str) -> int:
    """Open a home's run folder. Raises NoKernel if it does not exist, Ended if this is not a home."""
    try:
        return os.open(os.path.join(home, "run"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise homes.unusable(home, error) from None
    homes.require_home(home)
    raise NoKernel(f"no kernel runs on {home}: start it with `maniple up`")


def find_kernel(run_folder: int, home: str) -> int:
    """The id of the kernel's process; 0 if one listens but its id is unknown, -1 if no kernel runs.

    run_folder: a descriptor of the home's run folder. SO_PEERCRED of a connection names the process that called listen
    (unix(7)); a socket that a dead kernel left refuses connections.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(f"/proc/self/fd/{run_folder}/bus")
        except BlockingIOError:
            return 0  # its queue is full, so a kernel listens
        except (FileNotFoundError, ConnectionRefusedError):
            return -1
        except OSError as error:
            hint = homes.access_hint(f"{home}/run")
            raise Ended(f"the kernel's socket {home}/run/bus cannot be used: {error.strerror}; {hint}") from None
        pid: int = _UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        return pid


def open_pidfd(pid: int) -> int:
    """A pidfd of the kernel's process; -1 if none can be had: then only deadlines end a wait."""
    try:
        return os.pidfd_open(pid)
    except (OSError, OverflowError):
        return -1
