"""A door's port: who is let in, over what, and what those that are not can do."""

import asyncio
import http.client
import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from kernel.cli.exits import Ended
from kernel.cli.mcp_listening import load_token
from tests.cli import json_page
from tests.cli.clients import TALK_S, ToolChanges, text, until
from tests.cli.shell import Shell
from tests.spread import spread


class Port(NamedTuple):
    """A door that listens."""

    shell: Shell
    url: str
    file: Path
    serving: "subprocess.Popen[bytes]"

    @property
    def token(self) -> str:
        return self.file.read_text().strip()

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", urlsplit(self.url).port or 0


@contextmanager
def listening(shell: Shell, *words: str) -> Iterator[Port]:
    serving = shell.begin("mcp", "serve", "post", "--port", "0", "--json", *words)
    assert serving.stdout is not None
    try:
        out = b"".join(iter(serving.stdout.readline, b"}\n")).decode() + "}"
        assert json_page.differences(["mcp", "serve", "--port", "0", "--json"], out) == []
        told = json.loads(out)
        yield Port(shell, told["url"], Path(told["token_file"]), serving)
    finally:
        serving.terminate()
        serving.communicate()


@pytest.fixture(scope="module")
def post(shell: Shell) -> Iterator[Port]:
    """A home with a door `post` that listens."""
    shell.good("mcp", "offer", "post", "echo.say", "--yes")
    with listening(shell) as port:
        yield port
        shell.good("remove", "door-post", "--purge", "--yes")
        assert not port.file.exists()


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_a_client_with_the_token_is_served_in_either_era_of_the_protocol(post: Port, mode: str, version: str) -> None:
    async def talk() -> None:
        async with (
            asyncio.timeout(TALK_S),
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {post.token}"}, timeout=TALK_S) as http,
            Client(streamable_http_client(post.url, http_client=http), mode=mode) as client,
        ):
            assert client.protocol_version == version
            assert [tool.name for tool in (await client.list_tools()).tools] == ["echo_say"]
            said = await client.call_tool("echo_say", {"text": "over HTTP"})
            assert text(said) == '{"text":"over HTTP"}'

    asyncio.run(talk())


@pytest.mark.parametrize("mode", spread(["auto", "legacy"], 1))
def test_a_client_over_http_hears_when_its_tools_change(post: Port, mode: Literal["auto", "legacy"]) -> None:
    changes = ToolChanges(mode)

    async def talk() -> None:
        async with (
            asyncio.timeout(TALK_S),
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {post.token}"}, timeout=TALK_S) as http,
            Client(
                streamable_http_client(post.url, http_client=http), mode=mode, message_handler=changes.on_message
            ) as client,
            changes.listening(client),
        ):
            assert len((await client.list_tools()).tools) == 1
            for times, words in enumerate(
                (("revoke", "door-post", "echo.say"), ("grant", "door-post", "echo.say", "*"))
            ):
                await asyncio.to_thread(post.shell.good, *words)
                await asyncio.to_thread(until, lambda: len(changes.received) > times)
                assert len((await client.list_tools()).tools) == times

    asyncio.run(talk())


def asked(port: Port, head: str, body: bytes = b"{}") -> bytes:
    """What is answered to a request with these lines, to the end of the connection."""
    with socket.create_connection(port.place, timeout=TALK_S) as connection:
        lines = head.format(token=port.token, port=port.place[1]).replace("\n", "\r\n")
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{lines}\r\nConnection: close\r\n".encode())
        connection.sendall(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


HOST = "Host: 127.0.0.1:{port}\n"
GOOD = HOST + "Authorization: Bearer {token}"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Host: 127.0.0.1:{port}", 401),
        (HOST + "Authorization: Bearer {token}x", 401),
        (HOST + "Authorization: Basic {token}", 401),
        (HOST + "Authorization: Bearer", 401),
        (GOOD + "\nAuthorization: Bearer {token}", 401),
        ("Host: evil.example\nAuthorization: Bearer {token}", 403),
        ("Host: evil.example:{port}\nAuthorization: Bearer {token}", 403),
        ("Host: 127.0.0.1:{port}\nHost: evil.example\nAuthorization: Bearer {token}", 400),
        (GOOD + "\nOrigin: http://evil.example", 403),
        (GOOD + "\nOrigin: http://evil.example:{port}", 403),
        (GOOD + "\nOrigin: https://127.0.0.1:{port}", 403),
        (GOOD + "\nOrigin: null", 403),
        (GOOD + "\nContent-Length: 2\nContent-Length: 3", 400),
        (GOOD + "\nTransfer-Encoding: chunked, identity", 400),
        (GOOD + "\nOrigin: http://localhost:{port}\nAccept: text/html", 406),
    ],
)
def test_whoever_is_not_let_in_is_told_so_and_no_more(post: Port, head: str, status: int) -> None:
    assert asked(post, head).split(b"\r\n", 1)[0].startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("token", "host", "status"),
    [("", "127.0.0.1", 401), ("x", "127.0.0.1", 401), (None, "evil", 403), (None, "127.0.0.1", 406)],
)
def test_each_request_of_a_connection_must_show_the_token(
    post: Port, token: str | None, host: str, status: int
) -> None:
    connection = http.client.HTTPConnection(*post.place, timeout=TALK_S)
    for shown, named, expected in ((None, "127.0.0.1", 406), (token, host, status)):
        connection.putrequest("POST", "/mcp", skip_host=True)
        connection.putheader("Host", f"{named}:{post.place[1]}")
        connection.putheader("Authorization", f"Bearer {post.token if shown is None else shown}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Accept", "text/html")
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"{}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == expected
    connection.close()


def test_a_request_that_is_too_large_is_refused(post: Port) -> None:
    assert asked(post, GOOD, b" " * (3 << 20)).startswith(b"HTTP/1.1 413 ")
    assert asked(post, GOOD + "\nX-Long: " + "x" * 20_000).startswith(b"HTTP/1.1 401 ")


def test_connections_without_the_token_reach_nobody_and_keep_nobody_out(post: Port) -> None:
    def connections() -> int:
        return post.shell.good("audit", "search", "--method", "door-post.connect", "--kind", "call").count("\n")

    time.sleep(0.3)  # what was asked before is on disk by then
    before = connections()
    silent = [socket.create_connection(post.place) for _ in range(80)]
    try:
        for one in silent[::2]:
            one.sendall(b"POST /mcp HTTP/1.1\r\nAuthorization: Bea")
        assert asked(post, GOOD).startswith(b"HTTP/1.1 406 ")
        assert asked(post, "Host: x").startswith(b"HTTP/1.1 401 ")
    finally:
        for one in silent:
            one.close()
    until(lambda: connections() > before)  # what nobody waits for is on disk a moment later
    assert connections() == before + 1


GREETING = b"""{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
"capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}}"""
SESSION = GOOD + "\nAccept: application/json, text/event-stream\nMCP-Protocol-Version: 2025-11-25"


@pytest.mark.wide
def test_a_session_that_nobody_speaks_in_makes_room_and_one_in_use_does_not(post: Port) -> None:
    def begun() -> str:
        answer = asked(post, SESSION, GREETING)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return answer.lower().partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0].decode()

    def spoken(session: str) -> int:
        ping = b'{"jsonrpc": "2.0", "id": 2, "method": "ping"}'
        return int(asked(post, f"{SESSION}\nMcp-Session-Id: {session}", ping).split()[1])

    used, idle = begun(), begun()
    with socket.create_connection(post.place, timeout=TALK_S) as stream:
        lines = f"{SESSION}\nMcp-Session-Id: {used}".format(token=post.token, port=post.place[1]).replace("\n", "\r\n")
        stream.sendall(f"GET /mcp HTTP/1.1\r\n{lines}\r\n\r\n".encode())
        assert stream.recv(1024).startswith(b"HTTP/1.1 200 ")
        later = [begun() for _ in range(80)]
        assert [spoken(one) for one in (used, idle, later[0], later[-1])] == [200, 404, 404, 200]


def test_the_token_is_the_operators_alone_and_can_be_made_anew(post: Port) -> None:
    assert stat.S_IMODE(post.file.stat().st_mode) == 0o600
    assert post.token not in post.shell.good("audit", "search", "--json")
    old = post.token
    post.file.chmod(0o640)
    ran = post.shell.run("mcp", "serve", "post", "--port", "0")
    assert (ran.code, "others may read" in ran.err) == (1, True)
    with listening(post.shell, "--new-token") as other:
        assert other.token != old
        assert asked(other, HOST + f"Authorization: Bearer {old}").startswith(b"HTTP/1.1 401 ")
        assert asked(other, GOOD).startswith(b"HTTP/1.1 406 ")
    assert os.listdir(post.file.parent).count(post.file.name) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 43, b"x\n" * 40, None])
def test_a_file_that_holds_no_token_is_named_with_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keys" / "h-1.token"
    path.parent.mkdir()
    if content is None:
        path.mkdir()
    else:
        path.touch(mode=0o600)
        path.write_bytes(content)
    with pytest.raises(Ended, match=f"{path} (holds no token|is a folder).*`maniple mcp serve NAME"):
        load_token(str(tmp_path), "h-1", renew=False)
