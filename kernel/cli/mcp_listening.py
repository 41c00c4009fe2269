"""A door's loopback port (acts): each connection that shows the token becomes a call to the door, and is carried, unread.

Nothing that comes is understood here but where its first head ends and what its Authorization says, because this process has
the operator's key; all else is read by the door, which is confined. A connection without the token costs the kernel nothing.
"""

import contextlib
import os
import secrets
import socket
import stat
import threading
import time
from typing import Final

from kernel.cli import package
from kernel.cli.client import Client
from kernel.cli.exits import Ended, NoKernel
from kernel.cli.frame import Session, say
from kernel.cli.mcp_lobby import Lobby
from kernel.record.growing import sync_folder
from manifests.mcp import bearer, door
from wire import limits
from wire.errors import ManipleError

HOST: Final = "127.0.0.1"

HEAD_WITHIN: Final = 5.0
"""Seconds in which a connection must show the token."""

LINGER: Final = 1.0
"""Seconds for which what a client still sends is taken after its answer."""

STUCK: Final = 60.0
"""Seconds for which a client may read nothing of what it is sent."""

WAITING_MOST: Final = 32
"""Connections that have shown no token; beyond that the oldest of them is closed."""

_PEEK: Final = 0.005
_PEEK_MOST: Final = 0.2  # seconds between looks at a head that does not grow
_NO_TOKEN: Final = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 19\r\nConnection: close\r\n\r\nA token is needed.\n"
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n"
    b"Connection: close\r\n\r\nToo many connections.\n"
)


def token_of(home: str, hand: str, *, anew: bool) -> tuple[str, str]:
    """The file of a door's token, and the token; made when there is none, or it is wanted anew. hand: its Hand's id."""
    path = os.path.join(home, "keys", f"{hand}.token")
    if anew:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    if not os.path.lexists(path):
        _make(path)
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), encoding="ascii") as file:
        about = os.fstat(file.fileno())
        if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
            raise Ended(f"others may read {path}: `maniple mcp serve NAME --port PORT --new-token` makes another")
        token = file.read(256).strip()
    if len(token) < 32 or not bearer.head_has_token(
        b"\r\nAuthorization: Bearer " + token.encode(), bearer.digest_of(token)
    ):
        raise Ended(f"{path} holds no token: `maniple mcp serve NAME --port PORT --new-token` makes another")
    return path, token


def _make(path: str) -> None:
    """Write a new token, whole or not at all; of several who make one at once, the first one's counts."""
    new = f"{path}{package.DRAFT_SUFFIX}"
    package.write(new, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    with contextlib.suppress(FileExistsError, FileNotFoundError):  # another one was first
        os.link(new, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    sync_folder(os.path.dirname(path))


def bound(port: int) -> socket.socket:
    """A loopback socket that listens. Raises Ended when the port cannot be had."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise Ended(
            f"port {port} of {HOST} cannot be used: {error.strerror}; name another, or `--port 0` for a free one"
        ) from None
    return listener


class Listening:
    """One port of one door."""

    def __init__(self, session: Session, hand: str, listener: socket.socket, token: str) -> None:
        self._home = session.home
        self._hand = hand
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._digest = bearer.digest_of(token)
        self._lobby = Lobby(WAITING_MOST, self._deal_with)
        self._places = threading.BoundedSemaphore(door.CLIENTS_MOST)

    def serve(self, kernel: Client) -> None:
        """Take connections until the kernel ends, which raises NoKernel, or the person does."""
        self._listener.settimeout(1.0)
        while True:
            if kernel.wait_for_exit(0):
                raise NoKernel(f"the kernel of {self._home} has ended: `maniple up` starts it again")
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # no descriptor is free: one will be
                say(f"maniple: a connection could not be taken: {error.strerror}")
                time.sleep(1.0)
                continue
            self._lobby.admit(connection)

    def _deal_with(self, connection: socket.socket) -> None:
        """It may stay when it has shown the token, and there is a place; else it makes room also while it is answered."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not bearer.head_has_token(self._head(connection), self._digest):
            connection.sendall(_NO_TOKEN)
        elif not self._places.acquire(blocking=False):
            connection.sendall(_FULL)
        else:
            try:
                if self._lobby.leave(connection):
                    self._carry(connection)
            finally:
                self._places.release()
        _drain(connection)

    def _head(self, connection: socket.socket) -> bytes:
        """A connection's first head, left where it is to be read again; b"" when that does not come in time."""
        until, head, pause = time.monotonic() + HEAD_WITHIN, b"", _PEEK
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            before, head = head, connection.recv(bearer.HEAD_MOST, socket.MSG_PEEK)
            if bearer.END in head:
                return head
            if not head or len(head) >= bearer.HEAD_MOST:
                break
            pause = min(_PEEK_MOST, 2 * pause) if head == before else _PEEK
            if not self._lobby.waits(connection, pause):
                break
        return b""

    def _carry(self, connection: socket.socket) -> None:
        """Both ways, until one side closes."""
        connection.settimeout(STUCK)
        try:
            with Client(self._home) as client:
                client.call(
                    f"{self._hand}.{door.CONNECT}",
                    arguments={"digest": self._digest, "port": self._port},
                    seconds=limits.DEADLINE_MAX / 1000,
                    chunk=connection.sendall,
                    upload=connection,
                    labels=(door.MARK,),
                )
        except ManipleError as error:
            say(f"maniple: a connection ended: {error}")


def _drain(connection: socket.socket) -> None:
    """Take what is still sent, for a moment: closing before that sends a reset, which would overtake the answer."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(LINGER)
    until = time.monotonic() + LINGER
    while time.monotonic() < until and connection.recv(limits.CHUNK_SIZE):
        pass
