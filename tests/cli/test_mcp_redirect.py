"""The port that a login waits at is held by nobody who says little, and takes nothing from a page of another name."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from kernel.cli import mcp_listening, mcp_redirect
from kernel.cli.mcp_redirect import Redirected


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with mcp_listening.bound(0) as listener:
        yield listener


def asked(port: int, target: str, *hosts: str) -> bytes:
    """The first line of what is answered."""
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
        return link.recv(4096).partition(b"\r\n")[0]


def test_who_sends_byte_by_byte_holds_nobody_longer_than_who_sends_nothing(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_redirect, "HEAD_WITHIN", 0.5)  # the real one is longer than a test should last
    port, waiting = listener.getsockname()[1], Redirected(listener)
    done = threading.Event()

    def trickle(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not done.wait(0.1):
                link.sendall(b"x")

    with socket.create_connection(("127.0.0.1", port)) as link:
        threading.Thread(target=trickle, args=(link,), daemon=True).start()
        assert asked(port, "/callback?code=a", f"127.0.0.1:{port}") == b"HTTP/1.1 200 OK"
        done.set()
    assert os.read(waiting.fileno(), 4096) == f"http://127.0.0.1:{port}/callback?code=a\n".encode()


def test_it_takes_nothing_under_another_name_or_two(listener: socket.socket) -> None:
    port, _ = listener.getsockname()[1], Redirected(listener)
    own = f"127.0.0.1:{port}"
    for hosts in ((), ("evil.example",), (f"evil.example:{port}",), ("127.0.0.1",), (own, "evil.example"), (own, own)):
        assert asked(port, "/callback?code=a", *hosts) == b"HTTP/1.1 404 Not Found"
    for target in ("/callback", "/callback/?code=a", f"http://{own}/callback?code=a", "/callback?code=\x7f"):
        assert asked(port, target, own) == b"HTTP/1.1 404 Not Found"
    assert asked(port, "/callback?code=a", f"localhost:{port}") == b"HTTP/1.1 200 OK"
