"""A door's port under a flood of connections without the token: few threads, and whoever has it comes in."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kernel.cli import mcp_listening
from kernel.cli.exits import NoKernel
from kernel.cli.mcp_listening import DoorPort

TOKEN = "t" * 43
WITHIN = 10.0


class Port(DoorPort):
    """A port whose connections with the token are answered at once, by nobody's door."""

    def _carry(self, connection: socket.socket) -> None:
        connection.sendall(b"come in")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, int]]:
    is_over = threading.Event()
    kernel: Any = SimpleNamespace(wait_for_exit=lambda _: is_over.is_set())
    session: Any = SimpleNamespace(home=str(tmp_path))
    with mcp_listening.bind(0) as listener:
        port = Port(session, "door-x", listener, TOKEN)

        def serve() -> None:
            with contextlib.suppress(NoKernel):
                port.serve(kernel)

        serving = threading.Thread(target=serve)
        serving.start()
        yield "127.0.0.1", listener.getsockname()[1]
        is_over.set()
        serving.join()


def answered(place: tuple[str, int], head: bytes) -> bytes:
    with socket.create_connection(place, timeout=WITHIN) as link:
        link.sendall(head)
        return link.recv(100)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000])
def test_hundreds_of_connections_take_few_threads_and_keep_nobody_out(place: tuple[str, int], said: bytes) -> None:
    before = threading.active_count()
    most = 0
    with contextlib.ExitStack() as held:
        for _ in range(400):
            link = held.enter_context(socket.create_connection(place, timeout=WITHIN))
            with contextlib.suppress(OSError):  # it has made room already
                link.sendall(said)
            most = max(most, threading.active_count() - before)
        began = time.monotonic()
        for _ in range(20):
            assert answered(place, b"GET / HTTP/1.1\r\nAuthorization: Bearer %b\r\n\r\n" % TOKEN.encode()) == b"come in"
        took = time.monotonic() - began
        assert answered(place, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 401 ")
    assert most <= mcp_listening.WAITING_MAX + 20, most
    assert took < 2.0, took
