"""The baselines: the fastest programs we can write for the same work, with nothing checked and nothing logged (acts).

Sockets are used frame by frame with plain integers for flags: several times as fast as pyzmq's multipart calls.
"""

import ctypes
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import zmq

MORE: Final = int(zmq.SNDMORE)
WORKER: Final = b"worker"
_NEWPID: Final = 0x20000000
_NEWUSER: Final = 0x10000000
_DIE_WITH_PARENT: Final = 1  # prctl(2)


def started(act: Callable[[], None]) -> int:
    """Fork a process that does `act`; its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            act()
        finally:
            os._exit(0)
    return pid


def dealer(path: Path, server: bytes, name: bytes = b"") -> "zmq.Socket[bytes]":
    """A DEALER with a key of its own, connected to a bare ROUTER."""
    peer = zmq.Context().socket(zmq.DEALER)
    public, secret = zmq.curve_keypair()
    peer.setsockopt(zmq.CURVE_PUBLICKEY, public)
    peer.setsockopt(zmq.CURVE_SECRETKEY, secret)
    peer.setsockopt(zmq.CURVE_SERVERKEY, server)
    if name:
        peer.setsockopt(zmq.ROUTING_ID, name)
    peer.connect(f"ipc://{path}")
    return peer


def router(path: Path, public: bytes, secret: bytes) -> "zmq.Socket[bytes]":
    """A ROUTER that admits every key."""
    server = zmq.Context().socket(zmq.ROUTER)
    server.setsockopt(zmq.CURVE_SERVER, 1)
    server.setsockopt(zmq.CURVE_PUBLICKEY, public)
    server.setsockopt(zmq.CURVE_SECRETKEY, secret)
    server.bind(f"ipc://{path}")
    return server


def broker(path: Path, public: bytes, secret: bytes) -> None:
    """Carries [to, body] from one peer to another as [from, body], for ever."""
    server = router(path, public, secret)
    receive, send = server.recv, server.send
    while True:
        sender, to, body = receive(), receive(), receive()
        send(to, MORE)
        send(sender, MORE)
        send(body)


def worker(path: Path, server: bytes) -> None:
    """Sends everything back to where it came from, for ever."""
    peer = dealer(path, server, WORKER)
    receive, send = peer.recv, peer.send
    while True:
        sender, body = receive(), receive()
        send(sender, MORE)
        send(body)


def plain_broker(path: Path, public: bytes, secret: bytes) -> None:
    """The same as most would write it, with pyzmq's multipart calls."""
    server = router(path, public, secret)
    while True:
        sender, to, body = server.recv_multipart()
        server.send_multipart((to, sender, body))


def plain_worker(path: Path, server: bytes) -> None:
    """Its worker."""
    peer = dealer(path, server, WORKER)
    while True:
        peer.send_multipart(peer.recv_multipart())


Part = Callable[[Path, bytes, bytes], None]
Answer = Callable[[Path, bytes], None]


class Broker:
    """A broker and a worker behind it, each a process of its own."""

    def __init__(self, path: Path, carry: Part = broker, answer: Answer = worker) -> None:
        self.path = path
        self.public, secret = zmq.curve_keypair()
        self._pids = [
            started(lambda: carry(path, self.public, secret)),
            started(lambda: answer(path, self.public)),
        ]

    def client(self) -> "zmq.Socket[bytes]":
        """A client that has had its first answer."""
        while True:
            peer = dealer(self.path, self.public)
            peer.send(WORKER, MORE)
            peer.send(b"are you there?")
            if peer.poll(200):
                peer.recv_multipart()
                return peer
            peer.close(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Forker:
    """A warm process that forks, for each byte, a child in a new PID namespace that says hello to a bare ROUTER."""

    def __init__(self, path: Path) -> None:
        public, secret = zmq.curve_keypair()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = started(lambda: self._serve(theirs, path, public))
        theirs.close()
        self._router = router(path, public, secret)

    def ready(self) -> None:
        """Fork one child; returns when its hello has come."""
        self._ours.send(b"f")
        child, _ = self._router.recv(), self._router.recv()
        self._router.send(child, MORE)
        self._router.send(b"welcome")
        self._ours.recv(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        os.waitpid(self._pid, 0)
        self._router.close(0)

    def _serve(self, end: socket.socket, path: Path, server: bytes) -> None:
        self._ours.close()
        libc = ctypes.CDLL(None, use_errno=True)
        flags = _NEWPID if os.geteuid() == 0 else _NEWPID | _NEWUSER
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        while end.recv(1):
            if libc.unshare(flags) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            pid = started(lambda: _greet(path, server))
            libc.setns(own, _NEWPID)
            flags = _NEWPID
            os.waitpid(pid, 0)
            end.send(b"d")


def _greet(path: Path, server: bytes) -> None:
    peer = dealer(path, server)
    peer.send(b"hello")
    peer.recv()
