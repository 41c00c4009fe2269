"""A door's loopback port (acts): each connection that presents the token is relayed, unparsed, as a call to the door.

As this process has the operator's key, it parses only where the first HTTP head ends and its Authorization; the door, which
is confined, reads all else. A connection without the token costs the kernel nothing.
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

HEAD_S: Final = 5.0
"""Seconds within which a connection must present the token."""

LINGER_S: Final = 1.0
"""Seconds for which a client's data is still read after its answer was sent."""

STUCK_S: Final = 60.0
"""Seconds for which a client may leave what it is sent unread."""

WAITING_MAX: Final = 32
"""Most connections that have not presented the token; above it, the oldest of them is closed."""

_PEEK_S: Final = 0.005
_PEEK_MAX_S: Final = 0.2  # seconds between peeks at a head that does not grow
_NO_TOKEN: Final = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 19\r\nConnection: close\r\n\r\nA token is needed.\n"
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n"
    b"Connection: close\r\n\r\nToo many connections.\n"
)


def load_token(home: str, hand: str, *, renew: bool) -> tuple[str, str]:
    """The path of a door's token and the token itself; made if there is none, or if `renew`. hand: the Hand's id.

    Raises Ended if the file holds no token, or others may read it.
    """
    path = os.path.join(home, "keys", f"{hand}.token")
    if os.path.isdir(path):
        raise Ended(f"{path} is a folder: move it away, then `maniple mcp serve NAME --port PORT` again")
    if renew:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    if not os.path.lexists(path):
        _make_token(path)
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise Ended(f"others may read {path}: `maniple mcp serve NAME --port PORT --new-token` makes another")
        token = file.read(256).strip().decode("ascii", "replace")
    if len(token) < 32 or not bearer.head_has_token(
        b"\r\nAuthorization: Bearer " + token.encode(), bearer.digest_of(token)
    ):
        raise Ended(f"{path} holds no token: `maniple mcp serve NAME --port PORT --new-token` makes another")
    return path, token


def _make_token(path: str) -> None:
    """Write a new token to a file, in full or not at all. If several processes do so at once, the first one's stays."""
    new = f"{path}{package.DRAFT_SUFFIX}"
    package.write(new, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    with contextlib.suppress(FileExistsError, FileNotFoundError):  # another process was first
        os.link(new, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    sync_folder(os.path.dirname(path))


def bind(port: int) -> socket.socket:
    """Listen on a loopback port. Raises Ended if the port cannot be used."""
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


class DoorPort:
    """Serves one door on one port."""

    def __init__(self, session: Session, hand: str, listener: socket.socket, token: str) -> None:
        self._home = session.home
        self._hand = hand
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._digest = bearer.digest_of(token)
        self._lobby = Lobby(WAITING_MAX, self._answer)
        self._places = threading.BoundedSemaphore(door.CLIENTS_MOST)

    def serve(self, kernel: Client) -> None:
        """Accept connections until Ctrl-C, or until the kernel ends, which raises NoKernel."""
        self._listener.settimeout(1.0)
        while True:
            if kernel.wait_for_exit(0):
                raise NoKernel(f"the kernel of {self._home} has ended: `maniple up` starts it again")
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # out of descriptors, for now
                say(f"maniple: a connection could not be taken: {error.strerror}")
                time.sleep(1.0)
                continue
            self._lobby.admit(connection)

    def _answer(self, connection: socket.socket) -> None:
        """Relay a connection with the token if a place is free; else answer 401 or 503, and stay in the lobby meanwhile."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not bearer.head_has_token(self._peek_head(connection), self._digest):
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

    def _peek_head(self, connection: socket.socket) -> bytes:
        """Peek at a connection's first head, leaving it to be read again; b"" if it does not arrive in time."""
        until, head, pause = time.monotonic() + HEAD_S, b"", _PEEK_S
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            before, head = head, connection.recv(bearer.HEAD_MOST, socket.MSG_PEEK)
            if bearer.END in head:
                return head
            if not head or len(head) >= bearer.HEAD_MOST:
                break
            pause = min(_PEEK_MAX_S, 2 * pause) if head == before else _PEEK_S
            if not self._lobby.wait(connection, pause):
                break
        return b""

    def _carry(self, connection: socket.socket) -> None:
        """Relay both directions until one side closes."""
        connection.settimeout(STUCK_S)
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
    """Read what the client still sends, for a moment: closing before that sends a reset, which can destroy the answer."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(LINGER_S)
    until = time.monotonic() + LINGER_S
    while time.monotonic() < until and connection.recv(limits.CHUNK_SIZE):
        pass
