"""A server of the Model Context Protocol elsewhere: reached over HTTP by checked connections, and bounded as one here is."""

import http.server
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest
import trustme

from kernel.cli import founding, installing, mcp_servers, package
from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from kernel.cli.frame import Session
from manifests.grants import requested
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import CERTIFICATES, Offer, Tool
from tests.living import Kernel
from tests.system.mcp_servers import reaching_here, serving, starting
from tests.system.programs import output_of, wait_for


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with reaching_here(tmp_path_factory.mktemp("mcp") / "home") as kernel:
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def add(
    kernel: Kernel,
    name: str,
    url: str,
    *,
    tools: tuple[Tool, ...] = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
    environment: tuple[str, ...] = (),
) -> str:
    """Install the Hand of a server elsewhere; its name."""
    host = url.split("/")[2]
    wanted = Wanted(name=name, url=url, hosts=(host,), environment=environment)
    hand = mcp_servers.make_folder(wanted, Offer(server="far", version="1", tools=tools), files)
    with kernel.client() as client:
        seal = package.make_seal(hand, founding.read_sealing_key(str(kernel.home)))
        installing.install(client, hand, seal, requested(hand.manifest), as_declared=True)
    return wanted.hand


class Far(NamedTuple):
    """The Hand of a server of the package's own over TLS, whose certificate it trusts."""

    hand: str
    url: str


@pytest.fixture(scope="module")
def far(kernel: Kernel, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    place = tmp_path_factory.mktemp("far")
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(place / "own.pem")
    own.private_key_pem.write_to_path(place / "own.key")
    with serving("elsewhere.py", place / "own.pem", place / "own.key") as port:
        url = f"https://localhost:{port}/mcp"
        files = {CERTIFICATES: authority.cert_pem.bytes()}
        tools = mcp_tools(client, add(kernel, "look", url, files=files))
        assert {tool.name for tool in tools} == {"add", "authorised", "large"}
        hand = add(kernel, "tls", url, tools=tools, files=files, environment=("Authorization",))
        client.call("kernel.set", hand, {"values": {"env_authorization": "Bearer quite-a-secret"}})
        yield Far(hand, url)


def test_a_server_over_tls_is_called_with_the_header_it_wants(kernel: Kernel, client: Client, far: Far) -> None:
    assert told(client.call(f"{far.hand}.add", "", {"a": 3}).value)["text"] == "5"
    reply = client.call(f"{far.hand}.authorised")
    assert told(reply.value)["text"] == "Bearer quite-a-secret"
    assert set(reply.labels) == {"mcp", "web"}
    assert "quite-a-secret" not in output_of(kernel, far.hand)


def test_a_server_whose_certificate_nobody_trusts_is_not_talked_to(kernel: Kernel, client: Client, far: Far) -> None:
    untrusted = add(kernel, "untrusted", far.url)
    with starting(client, untrusted):
        wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in output_of(kernel, untrusted), 60)


@pytest.mark.wide
def test_who_calls_a_server_whose_certificate_nobody_trusts_is_told_so(
    kernel: Kernel, client: Client, far: Far
) -> None:
    untrusted = add(kernel, "distrusted", far.url)
    with pytest.raises(NotDone, match="CERTIFICATE_VERIFY_FAILED|ended"):
        client.call(f"{untrusted}.tools.list", seconds=120)
    assert "CERTIFICATE_VERIFY_FAILED" in output_of(kernel, untrusted)


def test_many_calls_at_once_and_a_large_answer(kernel: Kernel, client: Client, far: Far) -> None:
    found: list[str] = []

    def call(number: int) -> None:
        with kernel.client() as other:
            found.append(str(told(other.call(f"{far.hand}.add", "", {"a": number}).value)["text"]))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, found)) == list(range(2, 14))
    value = told(client.call(f"{far.hand}.large", "", {"size": 2_000_000}).value)
    assert (len(str(value["text"])), value["cut"]) == (900_000 - 64, True)  # of which a part takes some itself


def told(value: object) -> dict[str, object]:
    """A tool's value."""
    assert isinstance(value, dict)
    return value


def mcp_tools(client: Client, hand: str) -> tuple[Tool, ...]:
    """What a server offers."""
    return mcp_servers.ask_offer(Session(str(client.home), json=False), client, hand).tools


# servers that do what none should -------------------------------------------------------------------------------------


HELD: Final[list[str]] = []
"""What has come of the answers that it holds up."""


PLAIN: Final[Mapping[str, tuple[int, object, dict[str, str]]]] = {
    "packed": (200, b"\x1f\x8b\x08\x00", {"Content_Encoding": "gzip"}),
    "nonsense": (200, b"<html>It works!</html>", {"Content_Type": "text/html"}),
    "not-json": (200, b"{", {}),
    "refused": (401, {"error": "who are you?"}, {}),
    "broken": (500, b"oops", {}),
    "elsewhere": (307, None, {"Location": "http://127.0.0.1:9/mcp"}),
}


class _Wrong(http.server.BaseHTTPRequestHandler):
    """A server of the older protocol; what it does wrong in a call it is told in that. session: the one that it knows."""

    session = "first"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Mcp-Session-Id", self.session) != self.session:
            self.say(404, None)
            return
        about = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "wrong", "version": "1"},
        }
        listed = {"tools": [{"name": "do", "inputSchema": TAKES}]}
        match asked.get("method"):
            case None:
                self.take_answer(asked)
            case "initialize":
                self.say(200, {"jsonrpc": "2.0", "id": asked["id"], "result": about}, Mcp_Session_Id=self.session)
            case "tools/list":
                self.answer(asked, listed)
            case "tools/call" if (way := asked["params"]["arguments"]["way"]) in PLAIN:
                status, body, told = PLAIN[way]
                self.say(status, body, **told)
            case "tools/call":
                getattr(self, asked["params"]["arguments"]["way"].replace("-", "_"))(asked)
            case "notifications/cancelled" if "deaf" in HELD:
                time.sleep(60)
            case _ if "id" in asked:
                self.say(200, {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}})
            case _:
                self.say(202, None)

    def take_answer(self, answer: object) -> None:
        HELD.append("answered")
        if "deaf" in HELD:
            time.sleep(60)
        else:
            self.say(202, None)

    def do_GET(self) -> None:
        if "Last-Event-ID" in self.headers:
            HELD.append("asked for the rest")
            self.rest(None)
        else:
            self.say(405, None)

    def do_DELETE(self) -> None:
        self.say(405, None)

    def answer(self, asked: dict[str, Any], result: object) -> None:
        self.say(200, {"jsonrpc": "2.0", "id": asked["id"], "result": result})

    def say(self, status: int, body: object, **headers: str) -> None:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **told}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def counted(self, asked: dict[str, Any]) -> None:
        HELD.append(str(asked["id"]))
        self.answer(asked, {"content": [{"type": "text", "text": self.session}]})

    def silent(self, _: object) -> None:
        time.sleep(20)

    def begin(self, kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def pour(self, first: bytes, rest: bytes) -> None:
        with suppress(OSError):
            self.wfile.write(first)
            while True:
                self.wfile.write(rest)

    def endless(self, _: object) -> None:
        self.begin("application/json")
        self.pour(b"", b" " * 65536)

    def endless_event(self, _: object) -> None:
        self.begin()
        self.pour(b"data: ", b"x" * 65536)

    def rest(self, _: object) -> None:
        self.say(200, b"id: 1\nretry: 100\ndata:\n\n", Content_Type="text/event-stream")

    def held(self, _: object) -> None:
        self.hold(b"")

    def pinging(self, asked: dict[str, Any]) -> None:
        ping = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "method": "ping"})
        self.hold(f"event: message\ndata: {ping}\n\n".encode())

    def hold(self, first: bytes) -> None:
        self.begin()
        HELD.append("begun")
        self.pour(first, b"id: 1\nretry: 0\ndata:\n\n")
        HELD.append("ended")

    def cut(self, _: object) -> None:
        self.begin()
        self.wfile.write(b'data: {"jsonrpc": "2.0"')

    def half(self, asked: dict[str, Any]) -> None:
        self.answer(asked, {"content": [{"type": "text", "text": "\ud83d"}]})

    def half_event(self, asked: dict[str, Any]) -> None:
        result = {"content": [{"type": "text", "text": "\ud83d"}]}
        raw = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result})
        self.say(200, f"event: message\ndata: {raw}\n\n".encode(), Content_Type="text/event-stream")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class _Listening(http.server.ThreadingHTTPServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def wrong() -> Iterator[str]:
    with _Listening(("127.0.0.1", 0), _Wrong) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def astray(kernel: Kernel, wrong: str) -> str:
    """The Hand of that server."""
    return add(kernel, "astray", f"{wrong}/mcp", tools=(Tool(name="do", input_schema=TAKES),))


TAKES: Final[dict[str, object]] = {"type": "object", "properties": {"way": {"type": "string"}}}


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("silent", "deadline"),
        ("endless", "ended"),
        ("endless-event", "ended"),
        ("cut", "ended"),
        ("half", "malformed"),
        ("half-event", "malformed"),
        pytest.param("packed", "ended", marks=pytest.mark.wide),
        ("nonsense", "server"),
        ("not-json", "malformed"),
        ("refused", "server"),
        ("broken", "server"),
        ("elsewhere", "server"),
    ],
)
def test_each_wrong_answer_ends_its_call_in_time_and_its_hand_goes_on(
    client: Client, astray: str, way: str, reason: str
) -> None:
    def goes_on() -> bool:
        return len(told(client.call(f"{astray}.tools.list", seconds=30, chunk=lambda _: None).value)) == 1

    assert goes_on()  # it is up, however long that takes
    begun = time.monotonic()
    with pytest.raises(NotDone) as caught:
        client.call(f"{astray}.do", "", {"way": way}, seconds=2 if reason == "deadline" else 8)
    assert time.monotonic() - begun < 12
    assert caught.value.reason == reason
    assert goes_on()


@pytest.mark.wide
def test_the_connection_of_a_call_that_is_given_up_is_ended_though_its_server_goes_on(
    client: Client, astray: str
) -> None:
    client.call(f"{astray}.tools.list", seconds=60, chunk=lambda _: None)  # it is up, however long that takes
    HELD.clear()
    with pytest.raises(NotDone, match="deadline"):
        client.call(f"{astray}.do", "", {"way": "held"}, seconds=2)
    wait_for(lambda: HELD == ["begun", "ended"], 10)
    time.sleep(0.5)
    assert HELD == ["begun", "ended"]


def test_the_rest_of_an_answer_is_not_asked_for_when_its_call_is_given_up(client: Client, astray: str) -> None:
    client.call(f"{astray}.tools.list", seconds=60, chunk=lambda _: None)
    HELD.clear()
    with pytest.raises(NotDone, match="deadline"):
        client.call(f"{astray}.do", "", {"way": "rest"}, seconds=2)
    time.sleep(1)
    asked_for = list(HELD)
    time.sleep(1)
    assert asked_for
    assert asked_for == HELD


def test_a_server_that_takes_no_notification_is_called_all_the_same(client: Client, astray: str) -> None:
    client.call(f"{astray}.tools.list", seconds=60, chunk=lambda _: None)
    HELD[:] = ["deaf"]
    try:
        with pytest.raises(NotDone, match="deadline"):
            client.call(f"{astray}.do", "", {"way": "silent"}, seconds=1)
        assert told(client.call(f"{astray}.tools.list", seconds=20, chunk=lambda _: None).value) == {"tools": 1}
    finally:
        HELD.clear()


@pytest.mark.wide
def test_what_a_server_asks_under_the_id_of_an_open_call_keeps_no_connection(client: Client, astray: str) -> None:
    client.call(f"{astray}.tools.list", seconds=60, chunk=lambda _: None)
    HELD.clear()
    with pytest.raises(NotDone, match="deadline"):
        client.call(f"{astray}.do", "", {"way": "pinging"}, seconds=3)
    wait_for(lambda: HELD == ["begun", "answered", "ended"], 10)


@pytest.mark.wide
def test_a_server_that_takes_no_answer_to_what_it_asks_is_called_all_the_same(client: Client, astray: str) -> None:
    client.call(f"{astray}.tools.list", seconds=60, chunk=lambda _: None)
    HELD[:] = ["deaf"]
    try:
        with pytest.raises(NotDone, match="deadline"):
            client.call(f"{astray}.do", "", {"way": "pinging"}, seconds=2)
        assert "answered" in HELD
        assert told(client.call(f"{astray}.tools.list", seconds=20, chunk=lambda _: None).value) == {"tools": 1}
    finally:
        HELD.clear()


def test_a_server_that_forgot_the_session_is_greeted_anew_and_does_what_it_is_asked_once(
    client: Client, astray: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.call(f"{astray}.tools.list", seconds=60, chunk=lambda _: None)
    HELD.clear()
    for session in ("second", "third"):
        monkeypatch.setattr(_Wrong, "session", session)
        assert told(client.call(f"{astray}.do", "", {"way": "counted"}, seconds=20).value) == {"text": session}
    assert len(HELD) == 2


def test_it_is_led_to_no_other_host(client: Client, astray: str) -> None:
    with pytest.raises(NotDone, match="Redirect to http://127.0.0.1:9/mcp not followed"):
        client.call(f"{astray}.do", "", {"way": "elsewhere"}, seconds=8)
