"""Packets with descriptors over a SOCK_SEQPACKET pair (acts), for kernel, template and run before a run joins the bus."""

import array
import fcntl
import os
import resource
import socket
from collections.abc import Sequence

from wire.launch import PACKET_MAX

DESCRIPTORS_MAX = 200
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)  # a plain int: `enum` would write to pages that each run shares


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new pair of sockets, both close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, packet: bytes, descriptors: Sequence[int] = (), *, wait: bool = True) -> None:
    """Send one packet, with copies of the descriptors. Raises OSError if the other end is gone.

    wait: block until the socket has room; otherwise raise BlockingIOError if it has none.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    end.sendmsg([packet], rights, 0 if wait else socket.MSG_DONTWAIT)


def receive(end: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next packet and its descriptors, empty bytes if the other end is gone. Raises BlockingIOError if none
    waits, OSError for a truncated one.
    """
    room = socket.CMSG_SPACE(DESCRIPTORS_MAX * array.array("i").itemsize)
    try:
        packet, ancillary, flags, _ = end.recvmsg(PACKET_MAX, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # the other end is gone, and left packets of ours unread
        return b"", []
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    if flags & _CUT:
        close_all(descriptors)
        raise OSError("a packet was cut")
    return packet, list(descriptors)


def close_all(descriptors: Sequence[int]) -> None:
    """Close these descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def reopened(descriptor: int, access: int, mode: int = 0o600) -> int:
    """Return a descriptor of a file for this access (open(2)): the same one, unless it was only found (O_PATH) because a run
    may have changed its mode. Then it has this mode again. Waits while a process changes the file. Raises OSError.
    """
    if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH:
        return descriptor
    os.chmod(path := f"/proc/self/fd/{descriptor}", mode)
    opened = os.open(path, access)
    os.close(descriptor)
    return opened


def allow_all() -> None:
    """Raise this process's limit of open files to the highest allowed."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def are_short(share: int) -> bool:
    """Whether less than one in `share` of the descriptors that this process may have is left. Some must be: libzmq aborts a
    process that has none for a new connection, and each run that is starting will make one.
    """
    return len(os.listdir("/proc/self/fd")) * share > os.sysconf("SC_OPEN_MAX") * (share - 1)


def pid_of(pidfd: int) -> int:
    """Return a pidfd's process id as /proc numbers it, which may be of an outer PID namespace; 0 if the process is gone."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        return max(0, next((int(line.split()[1]) for line in file if line.startswith("Pid:")), 0))
