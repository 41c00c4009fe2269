"""Packets with descriptors over a SOCK_SEQPACKET pair (acts): what kernel, template and run talk before the bus is there."""

import array
import os
import socket
from collections.abc import Sequence

from wire.launch import PACKET_MAX

DESCRIPTORS_MAX = 200
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)  # a number: each run reads packets, and would write to all of `enum`


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a new talk, neither inherited by anything that is executed."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, packet: bytes, descriptors: Sequence[int] = (), *, wait: bool = True) -> None:
    """Send one packet whole, with copies of the descriptors. Raises OSError when the other end is gone.

    wait: until there is room; otherwise BlockingIOError tells that there is none.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    end.sendmsg([packet], rights, 0 if wait else socket.MSG_DONTWAIT)


def receive(end: socket.socket) -> tuple[bytes, list[int]]:
    """The next packet and its descriptors; empty bytes when the other end is gone. Raises BlockingIOError if none waits."""
    room = socket.CMSG_SPACE(DESCRIPTORS_MAX * array.array("i").itemsize)
    try:
        packet, ancillary, flags, _ = end.recvmsg(PACKET_MAX, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it is gone, and has left something unread
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
    """Close each of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def are_short(share: int) -> bool:
    """Whether less than one in `share` of the descriptors that this process may have is left. Some must be: libzmq ends a
    process that has none for who connects, and each run that is on its way will.
    """
    return len(os.listdir("/proc/self/fd")) * share > os.sysconf("SC_OPEN_MAX") * (share - 1)


def pid_of(pidfd: int) -> int:
    """The process of a pidfd, as /proc counts, which may be from outside of this process's PID namespace; 0 when gone."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        return max(0, next((int(line.split()[1]) for line in file if line.startswith("Pid:")), 0))
