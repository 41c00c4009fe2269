"""The kernel's end of the bus (acts): one ROUTER with CURVE, and the ZAP answers that admit its peers (RFC 27/ZAP).

It gives each message with the principal whose key the connection proved; it knows nothing of runs, calls or grants.
Every send is non-blocking: a peer that cannot take what it was promised is reported, never waited for.
"""

import os
import select
import stat
import struct
from collections.abc import Callable
from typing import Final

import zmq

from wire import limits

Admit = Callable[[bytes], str | None]
"""Raw 32 bytes of a public key → the principal it belongs to, or None."""

SOCKET = "bus"
_NOBLOCK: Final = int(zmq.NOBLOCK)
_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)  # plain numbers: to join zmq's own takes as long as to send a frame
_CUT: Final = int(zmq.EVENT_DISCONNECTED)
_AT_THE_DOOR: Final = _CUT | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_EVENT: Final = struct.Struct("=HI")
_RECEIVE_AHEAD, _SEND_AHEAD = 16, 64
"""Messages that libzmq keeps of one peer, and for it: so many bodies of memory for whoever floods, or does not read. Fewer
for it would hold up honest peers, to whom many are sent at once.
"""


class Bus:
    """The bound sockets. Descriptor `folder` is the home's 0700 run folder, so a long path to it does not matter.

    taken: messages received so far.
    """

    def __init__(self, folder: int, *, public: bytes, secret: bytes, admit: Admit) -> None:
        self.admit, self.taken = admit, 0
        self._context = zmq.Context()
        self.zap = self._context.socket(zmq.REP)
        self.zap.setsockopt(zmq.LINGER, 0)
        self.zap.bind("inproc://zeromq.zap.01")
        self.router = self._context.socket(zmq.ROUTER)
        for option, setting in (
            (zmq.LINGER, 2_000), (zmq.ROUTER_MANDATORY, 1), (zmq.CURVE_SERVER, 1), (zmq.MAXMSGSIZE, limits.BODY_MAX + 64),
            (zmq.RCVHWM, _RECEIVE_AHEAD), (zmq.SNDHWM, _SEND_AHEAD), (zmq.BACKLOG, 1024), (zmq.HANDSHAKE_IVL, 10_000),
            (zmq.HEARTBEAT_IVL, 0),
        ):  # fmt: skip
            self.router.setsockopt(option, setting)
        self.router.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self.router.setsockopt(zmq.CURVE_PUBLICKEY, public)
        self._receive, self._send = self.router.recv, self.router.send
        self.router.monitor("inproc://door", _AT_THE_DOOR)
        self.door = self._context.socket(zmq.PAIR)
        self.door.setsockopt(zmq.LINGER, 0)
        self.door.connect("inproc://door")
        self.at_the_door()  # only a socket that found nothing is woken by its descriptor
        self.router.bind(f"ipc:///proc/self/fd/{folder}/{SOCKET}")
        # runs reach it by descriptor; the folder it lies in stays shut
        os.chmod(SOCKET, stat.S_IRWXU | stat.S_IWOTH, dir_fd=folder)  # noqa: S103

    def receive(self) -> tuple[bytes, str, list[bytes]]:
        """The next message, which is there: route of its connection, principal, frames."""
        receive = self._receive
        self.taken += 1
        route, last = receive(), receive(0, copy=False)
        frames, self._last = [last.bytes], last
        while last.more:
            last = receive(0, copy=False)
            if len(frames) < 3:  # one more than a message has; of a million, a million are not kept
                frames.append(last.bytes)
        return route, str(last.get("User-Id")), frames

    def send(self, route: bytes, header: bytes, body: bytes) -> bool | None:
        """Whether it was sent: None when this peer has not taken what it was sent before, False when it is gone."""
        try:
            self._send(route, _MORE)
            self._send(header, _MORE)
            self._send(body, _NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return False
            if error.errno != zmq.EAGAIN:
                raise
            return None
        return True

    def answer_zap(self) -> None:
        """Admit or turn away every connection that asks now."""
        while True:
            try:
                frames = self.zap.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            version, request = frames[0], frames[1]
            principal = self.admit(frames[6]) if len(frames) == 7 and frames[5] == b"CURVE" else None
            if principal is None:
                self.zap.send_multipart((version, request, b"400", b"unknown key", b"", b""))
            else:
                self.zap.send_multipart((version, request, b"200", b"OK", principal.encode(), b""))

    def link(self) -> tuple[int, int]:
        """The connection by which the last message came: its descriptor, and the inode of its socket (0: it is cut)."""
        descriptor = int(self._last.get(zmq.SRCFD))
        return descriptor, _inode(descriptor)

    def is_cut(self, link: tuple[int, int]) -> bool:
        """Whether a connection has ended; its descriptor may be another's by now."""
        return _inode(link[0]) != link[1]

    def is_coming(self, link: tuple[int, int]) -> bool:
        """Whether bytes are on their way by a connection."""
        look = select.poll()  # it raises nothing for one that is cut just now
        look.register(link[0], select.POLLIN)
        return not self.is_cut(link) and look.poll(0) == [(link[0], select.POLLIN)]

    def at_the_door(self) -> list[int]:
        """What happened since the last look: the descriptor of each connection that was cut, and -1 for each that could
        not prove a key: without CURVE, a replay, a key that is nobody's.
        """
        found = []
        while self.door.poll(0):
            event, descriptor = _EVENT.unpack(self.door.recv_multipart()[0])
            found.append(descriptor if event == _CUT else -1)
        return found

    def close(self) -> None:
        """Flush what is on its way for a moment, and close."""
        self.router.disable_monitor()
        self.door.close()
        self.router.close()
        self.zap.close()
        self._context.term()


def _inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return 0
