"""The loopback redirect URI of a login (acts): takes the one request by which the login page sends the person back.

Only a request's first line and Host are parsed: its URL goes to the Hand that waits for it, which checks the parameters.
Other requests, such as a browser's for an icon, are answered with 404 or 400.
"""

import contextlib
import os
import socket
import threading
import time
from typing import BinaryIO, Final, Self

from kernel.cli.mcp_listening import HOST
from kernel.cli.mcp_lobby import Lobby
from manifests.mcp.sent_back import has_state, state_of

HEAD_S: Final = 5.0
"""Seconds within which a connection must send its request."""

WAITING_MAX: Final = 32
"""Most connections handled at once; above it, the oldest is closed."""

PATH: Final = "/callback"
_HEAD_MAX: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_DONE: Final = (200, "OK", "Maniple has what it waited for: you can close this page.\n")
_WRONG: Final = (400, "Bad Request", "This answers another page than the one that Maniple shows: it waits on.\n")
_OTHER: Final = (404, "Not Found", "There is nothing here.\n")


def redirect_url(port: int, target: str = PATH) -> str:
    """The redirect URI on a port; with a target, the URL of a request for it."""
    return f"http://{HOST}:{port}{target}"


class RedirectPort:
    """Accepts connections until one brings the answer to the page shown; its URL can be read as a line from fileno().

    A context manager, whose end also ends the listener.

    Any page in the browser can send requests here, so one counts only with the `state` of the page shown, which
    other pages do not know. Others change nothing. The Hand compares `state` again.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._state = ""
        self._read, written = os.pipe()
        self._pipe: BinaryIO | None = open(written, "wb")  # noqa: SIM115  (closed when the line is written, or at the end)
        self._lock = threading.Lock()
        self._lobby = Lobby(WAITING_MAX, self._answer)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept(), which close() does not
        with self._lock:
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        os.close(self._read)

    def fileno(self) -> int:
        """The descriptor to read the line from."""
        return self._read

    def expect(self, page: str) -> None:
        """Set the page that is shown, whose `state` an answer must have."""
        self._state = state_of(page)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                self._lobby.admit(self._listener.accept()[0])

    def _answer(self, connection: socket.socket) -> None:
        target = self._parse_target(_head(connection))
        is_ours = has_state(target, self._state)
        connection.settimeout(HEAD_S)
        connection.sendall(_page(*(_OTHER if not target else _DONE if is_ours else _WRONG)))
        if is_ours:
            self._write_line(target)

    def _write_line(self, target: str) -> None:
        """Write the URL of the first answer; a browser may send it twice."""
        with self._lock:
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with pipe:
                pipe.write(f"{redirect_url(self._port, target)}\n".encode())

    def _parse_target(self, head: bytes) -> str:
        """The target of a request to the redirect URI; "" for any other request."""
        first, *lines = head.decode("ascii", "replace").split("\r\n")
        method, _, rest = first.partition(" ")
        target = rest.partition(" ")[0]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        is_here = hosts in ([f"{HOST}:{self._port}"], [f"localhost:{self._port}"])
        return target if is_here and method == "GET" and target.startswith(f"{PATH}?") and target.isprintable() else ""


def _head(connection: socket.socket) -> bytes:
    """Read a request's head, up to the first empty line; b"" if it has none. Raises TimeoutError after HEAD_S."""
    until, head = time.monotonic() + HEAD_S, b""
    while _END not in head and len(head) < _HEAD_MAX:
        connection.settimeout(max(0.001, until - time.monotonic()))
        if not (piece := connection.recv(_HEAD_MAX)):
            break
        head += piece
    return head.partition(_END)[0] if _END in head else b""


def _page(status: int, reason: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body
