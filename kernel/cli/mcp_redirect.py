"""Where a page sends a person back to after a login (acts): one loopback address, of which one request is taken.

Only its first line and its Host are looked at: the address that it asked for goes on to the Hand that waits for it, which
checks what stands in it. Whatever else comes, such as a browser's wish for an icon, is answered with 404.
"""

import contextlib
import os
import socket
import threading
import time
from typing import Final

from kernel.cli.mcp_listening import HOST

HEAD_WITHIN: Final = 5.0
"""Seconds in which a connection must say what it wants."""

PATH: Final = "/callback"
_HEAD_MOST: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_DONE: Final = (200, "OK", "Maniple has what it waited for: you can close this page.\n")
_OTHER: Final = (404, "Not Found", "There is nothing here.\n")


def address(port: int, target: str = PATH) -> str:
    """Where the page sends the person; with a target, what was asked for there."""
    return f"http://{HOST}:{port}{target}"


class Redirected:
    """Takes connections until one is sent back with an answer; to be read by its descriptor, as a line."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._read, self._written = os.pipe()
        threading.Thread(target=self._serve, daemon=True).start()

    def fileno(self) -> int:
        """What is read from."""
        return self._read

    def _serve(self) -> None:
        with contextlib.suppress(OSError), open(self._written, "wb") as told:  # the command has ended before
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    target = self._target(_head(connection))
                    connection.settimeout(HEAD_WITHIN)
                    connection.sendall(_page(*(_DONE if target else _OTHER)))
                    if target:
                        told.write(f"{address(self._port, target)}\n".encode())
                        return

    def _target(self, head: bytes) -> str:
        """What a request asks for, "" when it is not sent back with an answer."""
        first, *lines = head.decode("ascii", "replace").split("\r\n")
        method, _, rest = first.partition(" ")
        target = rest.partition(" ")[0]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        is_ours = hosts in ([f"{HOST}:{self._port}"], [f"localhost:{self._port}"])
        return target if is_ours and method == "GET" and target.startswith(f"{PATH}?") and target.isprintable() else ""


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
