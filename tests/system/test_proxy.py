"""A program reaches a host through its run's proxy only, and only where its Hand and the caller are both granted it."""

import http.server
import os
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
import trustme

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.system.actors import actor, ask, cast, done, rows

CURL: Final = shutil.which("curl", path="/usr/local/bin:/usr/bin:/bin")
PYTHON: Final = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(CURL is None, reason="there is no curl of the system's here")

FETCHER: Final = Source(
    """
[hand]
name = "fetcher"
version = "1.0.0"
description = "Fetches with curl, several at once."
command = ["./main.py"]
kind = "service"
autonomy = "full"

[capabilities]
"web.connect" = ["*"]

[provides."fetcher.get"]
summary = "Get it"
resource = "none"
effect = "external"
params = { url = "string", named = "bool?" }

[limits]
processes = 64
""",
    f"""
#!{PYTHON}
import json, os, socket, subprocess, threading, time
link = socket.socket(fileno=3)
talk = link.makefile("rw")
def tell(**message):
    talk.write(json.dumps(message) + "\\n")
    talk.flush()
def answer(call):
    url, named = call["arguments"]["url"], call["arguments"].get("named")
    if not url:
        time.sleep(30)
    proxy = os.environ["http_proxy"].replace("//", f"//{{call['id']}}@") if named else os.environ["http_proxy"]
    done = subprocess.run(["curl", "-sS", "-x", proxy, url], capture_output=True, text=True)
    tell(type="done", id=call["id"], value=done.stdout + done.stderr)
for line in talk:
    message = json.loads(line)
    if message["type"] == "hello":
        tell(type="ready")
    if message["type"] == "call":
        threading.Thread(target=answer, args=(message,), daemon=True).start()
    if message["type"] == "stop":
        os._exit(0)
""",
)


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"page {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _serving(tls: ssl.SSLContext | None = None) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ports(authority: trustme.CA) -> Iterator[tuple[int, int]]:
    """Of a plain server, and of one with TLS."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    plain, secret = _serving(), _serving(tls)
    yield plain.server_address[1], secret.server_address[1]
    for server in (plain, secret):
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int]) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("proxy")
    with Kernel(make_home(work / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "web")
        install(kernel, ROOT / "hands" / "shell")
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8"]}})
        granted = f'"web.connect" = ["127.0.0.1:{ports[0]}"]\n'
        cast(kernel, [
            actor("entitled", rows("shell.run", "fetcher.get") + granted), actor("nosy", rows("shell.run", "fetcher.get")),
        ])  # fmt: skip
        yield kernel


def _run(client: Client, command: str) -> dict[str, Any]:
    told: Any = client.call("shell.run", "", {"command": command}, seconds=60).value
    return dict(told)


def _as(client: Client, who: str, command: str) -> dict[str, Any]:
    (told,) = ask(client, f"{who}.do", [{"call": "shell.run", "with": {"command": command}}])
    return dict(done(told)["value"])


def test_a_page_is_fetched_plainly_and_through_a_tunnel(client: Client, ports: tuple[int, int]) -> None:
    assert _run(client, f"curl -sS http://127.0.0.1:{ports[0]}/a?b")["stdout"] == "page /a?b"
    assert _run(client, f"curl -sSp http://127.0.0.1:{ports[0]}/c")["stdout"] == "page /c"


def test_tls_goes_through_unbroken_to_the_server_that_was_named(
    client: Client, ports: tuple[int, int], authority: trustme.CA
) -> None:
    pem = authority.cert_pem.bytes().decode()
    url = f"https://localhost:{ports[1]}/secret"
    told = _run(client, f"cat > ca.pem <<END\n{pem}END\ncurl -sS --cacert ca.pem {url}")
    assert told["stdout"] == "page /secret", told
    assert _run(client, f"curl -sS {url}")["exit_status"] == 60  # nobody vouches for it


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_other_clients_find_it_by_the_environment(client: Client, ports: tuple[int, int]) -> None:
    read = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{ports[0]}/x').read())"
    assert _run(client, f'{PYTHON} -c "{read}"')["stdout"] == "b'page /x'\n"


def test_a_caller_reaches_only_what_it_is_granted_and_is_told_why(client: Client, ports: tuple[int, int]) -> None:
    plain, secret = (f"http://127.0.0.1:{port}/" for port in ports)
    assert _as(client, "entitled", f"curl -sS {plain}")["stdout"] == "page /"
    for who, url in (("nosy", plain), ("entitled", secret)):
        for how in ("", "-p"):
            told = _as(client, who, f"curl -sS {how} {url} || curl -s {how} -o /dev/null -w '%{{http_connect}}' {url}")
            assert "page" not in told["stdout"]
            assert "403" in told["stdout"] + told["stderr"] or "capability" in told["stdout"], told
    told = _as(client, "nosy", f"curl -sS {plain}")
    assert (
        f"nosy (in whose name shell calls) holds no grant for web.connect on '127.0.0.1:{ports[0]}'" in told["stdout"]
    )


def test_the_kernel_logged_each_connection(kernel: Kernel, client: Client, ports: tuple[int, int]) -> None:
    _run(client, f"curl -sS http://127.0.0.1:{ports[0]}/logged")
    lines = "".join(file.read_text() for file in sorted((kernel.home / "log" / "entries").iterdir()))
    assert '"method":"web.connect"' in lines
    assert f'"resource":"127.0.0.1:{ports[0]}"' in lines


def test_private_addresses_stay_closed(client: Client, ports: tuple[int, int]) -> None:
    client.call("kernel.set", "web", {"values": {"private": []}})
    try:
        told = _run(client, f"curl -sS http://127.0.0.1:{ports[0]}/; curl -sSp http://127.0.0.1:{ports[0]}/")
    finally:
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8"]}})
    assert "page" not in told["stdout"]
    assert "private" in told["stdout"]
    assert "response 502" in told["stderr"]


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
@pytest.mark.parametrize(
    ("tries", "error"),
    [
        ("s.connect(('127.0.0.1', PORT))", "PermissionError: [Errno 13]"),
        ("s.connect(('192.0.2.1', 3128))", "OSError: [Errno 101]"),
        ("s.bind(('127.0.0.1', 5000))", "PermissionError: [Errno 1]"),
        ("s.listen()", "PermissionError: [Errno 1]"),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "PermissionError: [Errno 1]"),
    ],
)
def test_past_the_proxy_there_is_nothing(client: Client, ports: tuple[int, int], tries: str, error: str) -> None:
    tries = tries.replace("PORT", str(ports[0]))
    told = _run(client, f'{PYTHON} -c "import socket; s = socket.socket(); {tries}"')
    assert error in told["stderr"], told


@pytest.mark.parametrize("said", ["garbage", "GET / HTTP/1.1", "CONNECT nowhere HTTP/1.1", "GET ftp://a/ HTTP/1.1"])
def test_what_is_no_request_is_answered_and_harms_nobody(client: Client, ports: tuple[int, int], said: str) -> None:
    if not shutil.which("bash", path="/usr/bin:/bin"):
        pytest.skip("there is no bash, whose /dev/tcp says it")
    ask_it = f"exec 9<>/dev/tcp/127.0.0.1/3128; printf '{said}\\r\\n\\r\\n' >&9; head -1 <&9"
    told = _run(client, f'bash -c "{ask_it}"; curl -sS http://127.0.0.1:{ports[0]}/after')
    assert told["stdout"] == "HTTP/1.1 400 Bad Request\r\npage /after", told


def test_many_connections_at_once_go_through(client: Client, ports: tuple[int, int]) -> None:
    told = _run(
        client, f"for i in $(seq 20); do curl -sS http://127.0.0.1:{ports[0]}/$i -o $i & done; wait; cat $(seq 20)"
    )
    assert told["stdout"] == "".join(f"page /{number}" for number in range(1, 21)), told


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_a_service_connects_for_the_call_that_it_answers(
    kernel: Kernel, client: Client, ports: tuple[int, int]
) -> None:
    install(kernel, FETCHER)
    url = f"http://127.0.0.1:{ports[0]}/s"

    def told(who: str, **more: object) -> str:
        (one,) = ask(client, f"{who}.do", [{"call": "fetcher.get", "with": {"url": url, **more}}])
        return str(done(one)["value"])

    assert told("entitled") == "page /s"
    assert "nosy (in whose name fetcher calls) holds no grant" in told("nosy")
    waiting = threading.Thread(target=_hold, args=(kernel,))
    waiting.start()
    _wait_until_open(client, 1)
    assert "several calls are open: name one" in told("entitled")
    assert told("entitled", named=True) == "page /s"
    assert "nosy (in whose name fetcher calls) holds no grant" in told("nosy", named=True)
    waiting.join()


def _hold(kernel: Kernel) -> None:
    with kernel.client() as link, pytest.raises(NotDone, match="deadline"):
        link.call("fetcher.get", "", {"url": ""}, seconds=4)


def _wait_until_open(client: Client, calls: int) -> None:
    end = time.monotonic() + 10
    while True:
        runs: Any = client.call("kernel.ps").value
        if [one for one in runs["runs"] if one["hand"] == "fetcher" and one["open"] == calls]:
            return
        assert time.monotonic() < end
        time.sleep(0.02)
