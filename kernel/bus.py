"""The kernel's end of the bus (acts): one ROUTER with CURVE, and the ZAP answers that admit its peers (RFC 27/ZAP).

It returns each message with the principal whose key the connection proved; it knows nothing of runs, calls or grants.
Sends never block: a peer that cannot take a message is reported to the caller.
"""

import os
import select
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import SOL_SOCKET, socket
from typing import Final

import zmq
from zmq.backend import Socket

from wire import limits

Admit = Callable[[bytes], str | None]
"""A public key, 32 raw bytes → its principal; None turns the connection away."""

SOCKET = "bus"
_NOBLOCK: Final = int(zmq.NOBLOCK)
_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)  # a plain int: to combine zmq's flags takes as long as to send a frame
_CUT: Final = int(zmq.EVENT_DISCONNECTED)
_WATCHED_EVENTS: Final = (
    _CUT | zmq.EVENT_LISTENING | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_PASS_RIGHTS: Final = 83  # SO_PASSRIGHTS, since Linux 6.16
_EVENT: Final = struct.Struct("=HI")
_RECEIVE_AHEAD, _SEND_AHEAD = 16, 64
"""Messages that libzmq keeps from one peer, and for one: they bound the memory for a peer that floods, or does not read.
With fewer than 64 to send, honest peers, which are sent many at once, would be held up.
"""


class Bus:
    """The bound sockets. folder: a descriptor of the home's 0700 run folder, so that its path may be of any length.

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
        # zmq's own send(), without the layer above it for other kinds of sockets
        self._receive, self._send = self.router.recv, partial(Socket.send, self.router)
        self.router.monitor("inproc://monitor", _WATCHED_EVENTS)
        self.monitor_socket = self._context.socket(zmq.PAIR)
        self.monitor_socket.setsockopt(zmq.LINGER, 0)
        self.monitor_socket.connect("inproc://monitor")
        self.router.bind(f"ipc:///proc/self/fd/{folder}/{SOCKET}")
        _, listening = _EVENT.unpack(self.monitor_socket.recv_multipart()[0])
        self.connection_events()  # its descriptor becomes readable only after a receive found nothing
        # No peer may send descriptors: whoever is last to close a file in many pieces waits for the disk.
        with suppress(OSError), socket(fileno=os.dup(listening)) as same:
            same.setsockopt(SOL_SOCKET, _PASS_RIGHTS, 0)
        # runs connect by a descriptor of the socket; its folder stays 0700
        os.chmod(SOCKET, stat.S_IRWXU | stat.S_IWOTH, dir_fd=folder)  # noqa: S103

    def receive(self) -> tuple[bytes, str, list[bytes]]:
        """Return the next message, which must be waiting: route of its connection, principal, frames."""
        receive = self._receive
        self.taken += 1
        route, last = receive(), receive(0, copy=False)
        frames, self._last = [last.bytes], last
        while last.more:
            last = receive(0, copy=False)
            if len(frames) < 3:  # one more than a valid message has; any further frames are dropped
                frames.append(last.bytes)
        return route, str(last.get("User-Id")), frames

    def send(self, route: bytes, header: bytes, body: bytes) -> bool | None:
        """Send a message. Returns True if it was sent, None if the peer's queue is full, False if the peer is gone."""
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
        """Admit or turn away every connection that waits for an answer."""
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
        """Return the connection of the last message: its descriptor, and its socket's inode (0 if it is cut)."""
        descriptor = int(self._last.get(zmq.SRCFD))
        return descriptor, _inode(descriptor)

    def is_cut(self, link: tuple[int, int]) -> bool:
        """Whether a connection has ended. Its descriptor may be another connection's by now, so the inode is compared."""
        return _inode(link[0]) != link[1]

    def is_coming(self, link: tuple[int, int]) -> bool:
        """Whether bytes wait to be read from a connection."""
        look = select.poll()  # unlike epoll, it raises nothing for a descriptor that was just closed
        look.register(link[0], select.POLLIN)
        return not self.is_cut(link) and look.poll(0) == [(link[0], select.POLLIN)]

    def connection_events(self) -> list[int]:
        """Return what happened since the last call: the descriptor of each connection that was cut, and -1 for each that was
        turned away: no CURVE, a replay, or an unknown key.
        """
        found = []
        while self.monitor_socket.poll(0):
            event, descriptor = _EVENT.unpack(self.monitor_socket.recv_multipart()[0])
            found.append(descriptor if event == _CUT else -1)
        return found

    def close(self) -> None:
        """Close the sockets, after at most LINGER (2 s) to send what is queued."""
        self.router.disable_monitor()
        self.monitor_socket.close()
        self.router.close()
        self.zap.close()
        self._context.term()


def _inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return 0
