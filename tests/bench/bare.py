"""The baselines: the fastest programs we can write for the same work, with nothing checked and nothing logged (acts).

They send and receive single frames and pass flags as plain integers, which is several times as fast as pyzmq's multipart
calls.
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


def fork_process(act: Callable[[], None]) -> int:
    """Fork a process that runs `act` and dies with this one; returns its pid."""
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
    """A DEALER with a new key pair, connected to a bare ROUTER. server: the ROUTER's public key."""
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
    """A ROUTER with CURVE that accepts every client's key."""
    server = zmq.Context().socket(zmq.ROUTER)
    server.setsockopt(zmq.CURVE_SERVER, 1)
    server.setsockopt(zmq.CURVE_PUBLICKEY, public)
    server.setsockopt(zmq.CURVE_SECRETKEY, secret)
    server.bind(f"ipc://{path}")
    return server


def broker(path: Path, public: bytes, secret: bytes) -> None:
    """Forwards each [to, body] from a peer as [from, body] to the peer `to`, until it is killed."""
    server = router(path, public, secret)
    receive, send = server.recv, server.send
    while True:
        sender, to, body = receive(), receive(), receive()
        send(to, MORE)
        send(sender, MORE)
        send(body)


def worker(path: Path, server: bytes) -> None:
    """Sends each body back to its sender, until it is killed."""
    peer = dealer(path, server, WORKER)
    receive, send = peer.recv, peer.send
    while True:
        sender, body = receive(), receive()
        send(sender, MORE)
        send(body)


def plain_broker(path: Path, public: bytes, secret: bytes) -> None:
    """Does what `broker` does with pyzmq's multipart calls, as most would write it."""
    server = router(path, public, secret)
    while True:
        sender, to, body = server.recv_multipart()
        server.send_multipart((to, sender, body))


def plain_worker(path: Path, server: bytes) -> None:
    """Does what `worker` does with pyzmq's multipart calls."""
    peer = dealer(path, server, WORKER)
    while True:
        peer.send_multipart(peer.recv_multipart())


RunBroker = Callable[[Path, bytes, bytes], None]
RunWorker = Callable[[Path, bytes], None]


class Broker:
    """Runs a broker and its worker, each as a process; kills both at the end of the `with` block."""

    def __init__(self, path: Path, run_broker: RunBroker = broker, run_worker: RunWorker = worker) -> None:
        self.path = path
        self.public, secret = zmq.curve_keypair()
        self._pids = [
            fork_process(lambda: run_broker(path, self.public, secret)),
            fork_process(lambda: run_worker(path, self.public)),
        ]

    def client(self) -> "zmq.Socket[bytes]":
        """A connected client to which the worker has already answered once."""
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
    """A warm process that forks a child for each byte it gets; the child, in a new PID namespace, greets a bare ROUTER."""

    def __init__(self, path: Path) -> None:
        public, secret = zmq.curve_keypair()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = fork_process(lambda: self._serve(theirs, path, public))
        theirs.close()
        self._router = router(path, public, secret)

    def fork_and_wait(self) -> None:
        """Fork one child and return when its hello has arrived and it has ended."""
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
            pid = fork_process(lambda: _greet(path, server))
            libc.setns(own, _NEWPID)
            flags = _NEWPID
            os.waitpid(pid, 0)
            end.send(b"d")


def _greet(path: Path, server: bytes) -> None:
    """Say hello to the ROUTER and wait for its answer."""
    peer = dealer(path, server)
    peer.send(b"hello")
    peer.recv()
