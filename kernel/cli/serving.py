"""Which process serves a home (acts): its socket is asked, which costs no time-out when nobody listens."""

import os
import socket
import struct
from typing import Final

from kernel.cli import homes
from kernel.cli.exits import Ended, NoKernel

_UCRED: Final = struct.Struct("3i")


def open_run_folder(home: str) -> int:
    """A descriptor of a home's run folder. Raises NoKernel where there is none, Ended for what is no home."""
    try:
        return os.open(os.path.join(home, "run"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise homes.unusable(home, error) from None
    homes.need(home)
    raise NoKernel(f"no kernel runs on {home}: start it with `maniple up`")


def listening(run_folder: int, home: str) -> int:
    """The process that serves a home, of whose run folder this is a descriptor; 0 when it cannot be told, -1 for none.

    SO_PEERCRED of a connection names the process that called listen (unix(7)); a socket left behind refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(f"/proc/self/fd/{run_folder}/bus")
        except BlockingIOError:
            return 0  # its queue is full: somebody listens
        except (FileNotFoundError, ConnectionRefusedError):
            return -1
        except OSError as error:
            look = homes.look(f"{home}/run")
            raise Ended(f"the kernel's socket {home}/run/bus cannot be used: {error.strerror}; {look}") from None
        pid: int = _UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        return pid


def pidfd_of(pid: int) -> int:
    """A descriptor of the kernel's process; -1 where it cannot be had: then only deadlines end a wait."""
    try:
        return os.pidfd_open(pid)
    except (OSError, OverflowError):
        return -1
