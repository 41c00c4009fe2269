"""What a program that knows HTTP better than its run's proxy tries with it: nothing but its own run notices."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, install, make_home
from tests.spread import spread
from tests.system.actors import actor, ask, cast, done, rows
from tests.system.programs import a_hand

PYTHON: Final = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")

TOOLS: Final = """
import os, socket, sys, time
PORT = {port}
def opened():
    link = socket.create_connection(("127.0.0.1", 3128), 10)
    link.settimeout(10)
    return link
def said(link, text, end=True):
    told = b""
    try:
        link.sendall(text.encode("latin-1"))
        while piece := link.recv(65536):
            told += piece
            if not end and b"\\r\\n\\r\\n" in told:
                break
    except OSError as error:
        told += b"<" + type(error).__name__.encode() + b">"
    return told.decode("latin-1")
"""


class _Server:
    """Counts who connects, answers with what it was sent first, and closes only when the other side does."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self.listener.getsockname()[1])
        self.links: list[socket.socket] = []
        self.heard: list[bytes] = []
        self.open = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                self.links.append(link)
                threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        self.open += 1
        with suppress(OSError):
            while piece := link.recv(65536):
                self.heard.append(piece)
                if b"silent" not in piece:
                    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
        self.open -= 1
        link.close()


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    server = _Server()
    yield server
    server.listener.close()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, server: _Server) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("hostile-proxy")
    with Kernel(make_home(work / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "web")
        install(kernel, ROOT / "hands" / "shell")
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8", "::1/128"]}})
        granted = f'"web.connect" = ["allowed.test:{server.port}", "127.0.0.1:{server.port}"]\n'
        cast(kernel, [actor("entitled", rows("shell.run") + granted)])
        yield kernel


def _as_entitled(client: Client, server: _Server, code: str, **more: object) -> str:
    """What a program prints that its caller, who may connect to the server alone, has a shell run."""
    script = TOOLS.format(port=server.port) + code
    command = f"cat > try.py <<'END'\n{script}\nEND\n{PYTHON} try.py"
    (told,) = ask(client, "entitled.do", [{"call": "shell.run", "with": {"command": command, **more}}])
    value: dict[str, Any] = done(told)["value"]
    assert value["stderr"] == "", value
    return str(value["stdout"])


@pytest.mark.parametrize(
    "spelling",
    spread([
        "localhost:{port}", "127.0.0.2:{port}", "[::1]:{port}", "[::ffff:127.0.0.2]:{port}", "0.0.0.0:{port}", "0:{port}",
        "allowed.test.:80", "allowed.test@127.0.0.2:{port}", "127.0.0.1:{port}@127.0.0.2:{port}", "127.0.0.1%00.x:{port}",
        "127.0.0.2:{port}/../127.0.0.1:{port}", "127.0.0.1#:{port}", "[fe80::1%25eth0]:{port}", "127.0.0.1:0",
        "127.0.0.1:{port}0", "127.0.0.1:-1", "127.0.0.1:+{port}", "127.0.0.1:99999", "127.0.0.1:", ":{port}", "*:443",
        "x\\x00:{port}", "\u0661\u0662\u0667.0.0.1:{port}", "host.example:{port}" + "x" * 2000, "a" * 2000 + ":{port}",
    ], 9),
)  # fmt: skip
def test_no_spelling_reaches_what_was_not_granted(client: Client, server: _Server, spelling: str) -> None:
    before = len(server.heard)
    wanted = spelling.format(port=server.port).encode("utf-8").decode("latin-1")
    lines = (f"CONNECT {wanted} HTTP/1.1", f"GET http://{wanted}/ HTTP/1.1")
    code = f"for line in {lines!r}:\n    print(repr(said(opened(), line + '\\r\\nHost: x\\r\\n\\r\\n')))"
    told = _as_entitled(client, server, code).splitlines()
    assert len(told) == len(lines)
    for one in told:
        assert one.split(" ")[1:2] in (["400"], ["403"], ["502"], ["503"]), one
    assert len(server.heard) == before


@pytest.mark.parametrize("spelling", ["127.1:{port}", "0x7f.0.0.1:{port}", "127.0.0.1:0{port}", "me@127.0.0.1:{port}"])
def test_another_spelling_of_what_was_granted_is_the_same_or_nothing(
    client: Client, server: _Server, spelling: str
) -> None:
    line = f"CONNECT {spelling.format(port=server.port)} HTTP/1.1\\r\\n\\r\\n"
    told = _as_entitled(client, server, f"print(said(opened(), '{line}', end=False))")
    assert told.split(" ")[1] in ("200", "400", "403"), told


@pytest.mark.parametrize(
    "head",
    [
        "'GET http://127.0.0.1:{port}/ HTTP/1.1\\r\\nX: a\\r\\n\\tb\\r\\n\\r\\n'",
        "'GET http://127.0.0.1:{port}/ HTTP/1.1\\nHost: x\\n\\n' + '\\r\\n\\r\\n'",
        "'GET http://127.0.0.1:{port}/ HTTP/1.1\\r\\nX\\x00: a\\r\\n\\r\\n'",
        "'GET http://127.0.0.1:{port}/a\\x0d\\x0aX HTTP/1.1\\r\\n\\r\\n'",
        "'GET  http://127.0.0.1:{port}/ HTTP/1.1\\r\\n\\r\\n'",
        "'GET http://127.0.0.1:{port}/ HTTP/1.1\\r\\nContent-Length : 3\\r\\n\\r\\n'",
        "'CONNECT 127.0.0.1:{port}\\r\\n\\r\\n'",
        "'\\x16\\x03\\x01' + '\\x00' * 50 + '\\r\\n\\r\\n'",
    ],
)
def test_a_head_in_which_something_could_hide_is_refused(client: Client, server: _Server, head: str) -> None:
    before = len(server.heard)
    told = _as_entitled(client, server, f"print(said(opened(), {head.format(port=server.port)}))")
    assert told.startswith("HTTP/1.1 400 "), told
    assert len(server.heard) == before


def test_a_head_without_an_end_is_cut_off(client: Client, server: _Server) -> None:
    code = "link = opened()\nprint(said(link, 'GET http://a/ HTTP/1.1\\r\\nX: ' + 'x' * 200000))"
    assert _as_entitled(client, server, code).strip("\n") in ("", "<ConnectionResetError>", "<BrokenPipeError>")


def test_a_second_request_goes_to_the_server_of_the_first_and_nowhere_else(client: Client, server: _Server) -> None:
    first = f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\\r\\n\\r\\n"
    second = f"GET http://127.0.0.2:{server.port}/smuggled HTTP/1.1\\r\\n\\r\\n"
    code = f"link = opened()\nlink.settimeout(1)\nprint(said(link, '{first}{second}'))"
    assert "200 OK" in _as_entitled(client, server, code)
    assert any(b"/smuggled" in one for one in server.heard)
    assert all(link.fileno() < 0 or link.getsockname()[0] == "127.0.0.1" for link in server.links)


def test_more_connections_than_it_takes_wait_and_slow_ones_hold_nobody_else(
    kernel: Kernel, client: Client, server: _Server
) -> None:
    code = """
links = [opened() for _ in range(90)]
for link in links:
    link.sendall(b"GET ")
time.sleep(1)
for link in links:
    link.close()
print(said(opened(), f"GET http://127.0.0.1:{PORT}/ HTTP/1.1\\r\\n\\r\\n", end=False).splitlines()[0])
"""
    with kernel.client() as other:
        slow: list[str] = []
        thread = threading.Thread(target=lambda: slow.append(_as_entitled(client, server, code)))
        thread.start()
        begun = time.monotonic()
        told: Any = other.call("shell.run", "", {"command": "echo on"}, seconds=10).value
        assert told["stdout"] == "on\n"
        assert time.monotonic() - begun < 5
        thread.join()
    assert slow == ["HTTP/1.1 200 OK\n"]


def test_little_waits_in_a_connection_that_is_not_read(client: Client, server: _Server) -> None:
    code = """
waiting = [opened() for _ in range(70)][-1]
waiting.setblocking(False)
sent = 0
try:
    while True:
        sent += waiting.send(bytes(65536))
except BlockingIOError:
    print(sent)
"""
    assert 0 < int(_as_entitled(client, server, code)) <= 1 << 20


FEW: Final = f"""#!{PYTHON}
import json, os, socket, time
link = socket.socket(fileno=3)
talk = link.makefile("rw", encoding="utf-8")
def tell(**message):
    talk.write(json.dumps(message) + "\\n")
    talk.flush()
for line in talk:
    message = json.loads(line)
    if message["type"] == "hello":
        tell(type="ready")
    if message["type"] == "stop":
        break
    if message["type"] == "call":
        children = []
        for _ in range(4):
            if (child := os.fork()) == 0:
                kept = [socket.create_connection(("127.0.0.1", 3128), 10) for _ in range(20)]
                time.sleep(1)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        tell(type="done", id=message["id"], value=os.getpid())
"""


def test_a_bridge_without_a_descriptor_for_one_more_connection_goes_on(kernel: Kernel, client: Client) -> None:
    few = a_hand("few", FEW, more='[capabilities]\n"web.connect" = ["*"]\n')
    install(kernel, few._replace(toml=few.toml.replace("processes = 32", "processes = 32\nopen_files = 32")))
    first = client.call("few.do", seconds=20).value
    assert client.call("few.do", seconds=20).value == first


@pytest.mark.parametrize("leave", ["link.shutdown(1)", "link.close()", "os._exit(0)", "time.sleep(60)"])
def test_no_connection_outlives_its_call(client: Client, server: _Server, leave: str) -> None:
    code = f"""
link = opened()
said(link, f"CONNECT 127.0.0.1:{{PORT}} HTTP/1.1\\r\\n\\r\\n", end=False)
link.sendall(b"silent")
print("there", flush=True)
{leave}
"""
    before = server.open
    assert _as_entitled(client, server, code, timeout=1.0) == "there\n"
    end = time.monotonic() + 5
    while server.open > before:
        assert time.monotonic() < end, "it is open still"
        time.sleep(0.02)


def test_two_shells_of_one_caller_have_a_proxy_each(kernel: Kernel, client: Client, server: _Server) -> None:
    full = "links = [opened() for _ in range(64)]\nprint('full', flush=True)\ntime.sleep(4)"
    ask_it = 'print(said(opened(), f"GET http://127.0.0.1:{PORT}/ HTTP/1.1\\r\\n\\r\\n", end=False)[:15])'
    told: list[str] = []
    with kernel.client() as link:
        thread = threading.Thread(target=lambda: told.append(_as_entitled(link, server, full)))
        thread.start()
        time.sleep(1)
        assert _as_entitled(client, server, ask_it) == "HTTP/1.1 200 OK\n"
        assert not told
        thread.join()
    assert told == ["full\n"]


@pytest.mark.skipif(not shutil.which("curl", path="/usr/bin:/bin"), reason="there is no curl of the system's here")
def test_a_name_that_leads_to_this_machine_is_refused_like_its_address(client: Client, server: _Server) -> None:
    client.call("kernel.set", "web", {"values": {"private": []}})
    try:
        for host in ("localhost", "127.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "ip6-localhost"):
            told: Any = client.call(
                "shell.run", "", {"command": f"curl -sS -m 5 http://{host}:{server.port}/"}, seconds=20
            ).value
            assert "page" not in told["stdout"], (host, told)
    finally:
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8", "::1/128"]}})
