"""Where a page sends a person back to after a login (acts): one loopback address, of which one request is taken.

Only its first line and its Host are looked at: the address that it asked for goes on to the Hand that waits for it, which
checks what stands in it. Whatever else comes, such as a browser's wish for an icon, is answered with 404, or 400.
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

HEAD_WITHIN: Final = 5.0
"""Seconds in which a connection must say what it wants."""

WAITING_MOST: Final = 32
"""Connections that are looked at at once; beyond that the oldest of them is closed."""

PATH: Final = "/callback"
_HEAD_MOST: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_DONE: Final = (200, "OK", "Maniple has what it waited for: you can close this page.\n")
_WRONG: Final = (400, "Bad Request", "This answers another page than the one that Maniple shows: it waits on.\n")
_OTHER: Final = (404, "Not Found", "There is nothing here.\n")


def address(port: int, target: str = PATH) -> str:
    """Where the page sends the person; with a target, what was asked for there."""
    return f"http://{HOST}:{port}{target}"


class Redirected:
    """Takes connections until one brings the answer to the page that was shown; to be read by its descriptor, as a line.

    Used as a context manager, whose end ends the listener too.

    Whatever is no answer to that page ends nothing: any page that a browser shows can have it ask for something here. So
    its `state` is looked at, which nobody knows but who was sent by the page. The Hand compares it once more.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._state = ""
        self._read, written = os.pipe()
        self._told: BinaryIO | None = open(written, "wb")  # noqa: SIM115  (closed when the line is written, or at the end)
        self._turn = threading.Lock()
        self._lobby = Lobby(WAITING_MOST, self._deal_with)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who accepts; to close it does not
        with self._turn:
            told, self._told = self._told, None
        if told is not None:
            told.close()
        os.close(self._read)

    def fileno(self) -> int:
        """What is read from."""
        return self._read

    def expect(self, page: str) -> None:
        """This is the page that is shown: whose `state` an answer must have."""
        self._state = state_of(page)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the command has ended before
            while True:
                self._lobby.admit(self._listener.accept()[0])

    def _deal_with(self, connection: socket.socket) -> None:
        target = self._target(_head(connection))
        is_ours = has_state(target, self._state)
        connection.settimeout(HEAD_WITHIN)
        connection.sendall(_page(*(_OTHER if not target else _DONE if is_ours else _WRONG)))
        if is_ours:
            self._tell(target)

    def _tell(self, target: str) -> None:
        """Hand on the first answer; a browser may ask twice."""
        with self._turn:
            told, self._told = self._told, None
        if told is not None:
            with told:
                told.write(f"{address(self._port, target)}\n".encode())

    def _target(self, head: bytes) -> str:
        """What a request asks for, "" when it is not sent back from a page."""
        first, *lines = head.decode("ascii", "replace").split("\r\n")
        method, _, rest = first.partition(" ")
        target = rest.partition(" ")[0]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        is_here = hosts in ([f"{HOST}:{self._port}"], [f"localhost:{self._port}"])
        return target if is_here and method == "GET" and target.startswith(f"{PATH}?") and target.isprintable() else ""


def _head(connection: socket.socket) -> bytes:
    """What comes before the first empty line, b"" when that does not come. Raises TimeoutError when it comes too late."""
    until, head = time.monotonic() + HEAD_WITHIN, b""
    while _END not in head and len(head) < _HEAD_MOST:
        connection.settimeout(max(0.001, until - time.monotonic()))
        if not (piece := connection.recv(_HEAD_MOST)):
            break
        head += piece
    return head.partition(_END)[0] if _END in head else b""


def _page(status: int, reason: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body
