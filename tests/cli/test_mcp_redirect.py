"""The port that a login waits at is held by nobody, and ended by no answer but that to the page that was shown."""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from kernel.cli import mcp_listening, mcp_redirect
from kernel.cli.mcp_redirect import RedirectPort
from tests.system.fates import until

PAGE = "https://auth.example.org/authorize?response_type=code&state=our-state&code_challenge=x"
OURS = "/callback?code=a&state=our-state"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with mcp_listening.bind(0) as listener:
        yield listener


@pytest.fixture
def waiting(listener: socket.socket) -> Iterator[RedirectPort]:
    with RedirectPort(listener) as waiting:
        waiting.expect(PAGE)
        yield waiting


@pytest.fixture
def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def asked(port: int, target: str, *hosts: str) -> bytes:
    """The first line of what is answered; without hosts by the right one."""
    lines = "".join(f"Host: {host}\r\n" for host in hosts or (f"127.0.0.1:{port}",))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
        return link.recv(4096).partition(b"\r\n")[0]


def told(waiting: RedirectPort) -> bytes:
    """All that the Hand is told."""
    said = b""
    while piece := os.read(waiting.fileno(), 4096):
        said += piece
    return said


def test_who_sends_byte_by_byte_holds_nobody(port: int, waiting: RedirectPort) -> None:
    done = threading.Event()

    def trickle(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not done.wait(0.1):
                link.sendall(b"x")

    with socket.create_connection(("127.0.0.1", port)) as link:
        threading.Thread(target=trickle, args=(link,), daemon=True).start()
        began = time.monotonic()
        assert asked(port, OURS) == b"HTTP/1.1 200 OK"
        assert time.monotonic() - began < mcp_redirect.HEAD_S / 2
        done.set()
    assert told(waiting) == f"http://127.0.0.1:{port}{OURS}\n".encode()


def test_hundreds_that_say_nothing_hold_nobody(port: int, waiting: RedirectPort) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(300):
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        began = time.monotonic()
        assert asked(port, OURS) == b"HTTP/1.1 200 OK"
        assert time.monotonic() - began < mcp_redirect.HEAD_S / 2
        assert threading.active_count() < 100
    assert told(waiting) == f"http://127.0.0.1:{port}{OURS}\n".encode()


def test_it_takes_nothing_under_another_name_or_two(port: int, waiting: RedirectPort) -> None:
    own = f"127.0.0.1:{port}"
    for hosts in (
        ("",),
        ("evil.example",),
        (f"evil.example:{port}",),
        ("127.0.0.1",),
        (own, "evil.example"),
        (own, own),
    ):
        assert asked(port, OURS, *hosts) == b"HTTP/1.1 404 Not Found"
    for target in ("/callback", "/callback/?state=our-state", f"http://{own}{OURS}", f"{OURS}\x7f", "/favicon.ico"):
        assert asked(port, target) == b"HTTP/1.1 404 Not Found"
    assert asked(port, OURS, f"localhost:{port}") == b"HTTP/1.1 200 OK"
    assert told(waiting) == f"http://127.0.0.1:{port}{OURS}\n".encode()


@pytest.mark.parametrize(
    "query",
    [
        "code=evil",
        "code=evil&state=",
        "code=evil&state=of-another-page",
        "code=evil&state=our-state2",
        "code=evil&state=our-stat%C3%A9",
        "code=evil&state=x&state=our-state",
        "code=evil&state=our-state&state=x",
        "error=access_denied",
        "&".join(f"x{number}=" for number in range(40)) + "&state=our-state",
    ],
)
def test_what_is_no_answer_to_the_page_is_told_so_and_ends_nothing(
    port: int, waiting: RedirectPort, query: str
) -> None:
    """Any page that a browser shows can make it ask a loopback port for something, by its right name."""
    for _ in range(3):
        assert asked(port, f"/callback?{query}") == b"HTTP/1.1 400 Bad Request"
    assert not select.select([waiting.fileno()], [], [], 0)[0]
    assert asked(port, OURS) == b"HTTP/1.1 200 OK"
    assert told(waiting) == f"http://127.0.0.1:{port}{OURS}\n".encode()


def test_nothing_is_an_answer_before_a_page_is_shown(listener: socket.socket, port: int) -> None:
    with RedirectPort(listener) as waiting:
        for page in ("", "https://auth.example.org/authorize?without=one"):
            if page:
                waiting.expect(page)
            for target in (OURS, "/callback?code=a", "/callback?code=a&state="):
                assert asked(port, target) == b"HTTP/1.1 400 Bad Request"
            assert not select.select([waiting.fileno()], [], [], 0)[0]


@pytest.mark.parametrize("answered", [True, False])
def test_one_that_is_over_leaves_no_descriptor_and_no_thread(answered: bool) -> None:
    """One that nobody had answered kept both for as long as its process lived."""
    before = _held()
    with mcp_listening.bind(0) as listener:
        with RedirectPort(listener) as waiting:
            waiting.expect(PAGE)
            if answered:
                assert asked(listener.getsockname()[1], OURS) == b"HTTP/1.1 200 OK"
                assert told(waiting)
    until(lambda: _held() <= before, "nothing is left", 5.0)


def _held() -> set[object]:
    """The descriptors and threads of this process."""
    return {*os.listdir("/proc/self/fd"), *threading.enumerate()}


def test_a_browser_that_asks_twice_is_answered_twice_and_the_hand_is_told_once(
    port: int, waiting: RedirectPort
) -> None:
    for _ in range(3):
        assert asked(port, OURS) == b"HTTP/1.1 200 OK"
    assert told(waiting) == f"http://127.0.0.1:{port}{OURS}\n".encode()
