"""Pages, feeds and searches over the bus: each hop is a call in the caller's name, and the log has it."""

import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.cli.shell import Shell
from tests.hands.pages.test_pages import ARTICLE, RSS
from tests.living import ROOT, Source, write_hand
from tests.spread import spread


class Site(BaseHTTPRequestHandler):
    """A site on loopback. asked: each path that came."""

    asked: ClassVar[list[str]] = []
    pages: ClassVar[dict[str, tuple[int, str, bytes]]] = {
        "/robots.txt": (200, "text/plain", b"User-agent: *\nDisallow: /secret\n"),
        "/a": (200, "text/html; charset=utf-8", ARTICLE),
        "/secret": (200, "text/html", ARTICLE),
        "/moved": (302, "/a", b""),
        "/away": (302, "http://169.254.169.254/latest/meta-data/", b""),
        "/round": (302, "/round", b""),
        "/far": (302, "/" + "x" * 2_000, b""),
        "/feed": (200, "application/rss+xml", RSS),
        "/long": (200, "text/html", b"<p " + b"".join(b"a%d=1 " % at for at in range(200_000)) + b">"),
        "/image": (200, "image/png", b"\x89PNG"),
        "/moved-rules": (307, "/robots.txt", b""),
        "/large": (200, "text/plain", b"User-agent: *\nDisallow: /secret\n" + b"#" * 600_000),
        "/marked": (200, "text/plain", b"\xef\xbb\xbfUser-agent: *\nDisallow: /secret\n"),
        "/torn": (200, "text/plain", b"User-agent: *\n"),
        "/broken": (500, "text/plain", b"no"),
    }

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        path, _, query = self.path.partition("?")
        status, kind, body = self.pages.get(path, (404, "text/plain", b""))
        if path == "/search":
            status, kind = 200, "application/json"
            body = b'{"results": [{"title": "%s", "url": "https://x.example/"}]}' % query.encode()
        self.send_response(status)
        self.send_header("Location" if 300 <= status < 400 else "Content-Type", kind)
        self.send_header("Content-Length", str(len(body) + (path == "/torn")))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name there)
        """Nothing is printed."""


class Elsewhere(Site):
    """A site on another host, whose rules are said to be on the first. Its pages are made for each test."""

    number = 10
    pages: ClassVar[dict[str, tuple[int, str, bytes]]] = {}


READER = Source(
    """
[hand]
name = "surfer"
version = "1.0.0"
description = "Reads a page."
entry = "main:Surfer"
kind = "task"
autonomy = "full"

[capabilities]
"pages.read" = ["*"]
"web.fetch" = ["http://127.0.0.1:*/moved"]
""",
    """
from runtime import CallFailed, Hand


class Surfer(Hand):
    async def run(self, url: str) -> object:
        try:
            reply = await self.kernel.call("pages.read", url)
        except CallFailed as failed:
            return [failed.code, failed.text]
        return [reply.value["title"], list(reply.labels)]
""",
)


@pytest.fixture(scope="module")
def base(shell: Shell) -> Iterator[str]:
    """The address of the site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,))
    serving.start()
    port = server.server_address[1]
    shell.good("settings", "web", 'private=["127.0.0.0/8"]')
    shell.good("settings", "pages", f'engines={{"home": "searxng http://127.0.0.1:{port}/search"}}')
    yield f"http://127.0.0.1:{port}"
    shell.good("settings", "web", "private=[]")
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_page_is_read_where_its_redirect_leads(shell: Shell, base: str) -> None:
    told = shell.result("call", "pages.read", f"{base}/moved")
    shown = str(told)
    assert "The river" in shown
    assert f"{base}/a" in shown
    calls = shell.good("audit", "search", "--method", "web.fetch")
    assert calls.count("/moved") >= 1
    assert f"{base}/a" in calls


@pytest.mark.parametrize(
    ("path", "words"),
    spread(
        [
            ("/secret", "not want programs"),
            ("/away", "which is link-local"),
            ("/round", "leads on"),
            ("/far", "longer than an address may be"),
            ("/image", "not a page"),
            ("/broken", "status 500"),
            ("/none", "status 404"),
        ],
        4,
    ),
)
def test_what_is_not_to_be_had_is_told(shell: Shell, base: str, path: str, words: str) -> None:
    ran = shell.run("call", "pages.read", base + path)
    assert (ran.code, words in ran.err) == (1, True), ran


def elsewhere(number: int, leads: str) -> tuple[str, ThreadingHTTPServer]:
    """(the address of a site on a loopback host of its own, whose robots.txt leads there; the server)."""
    pages = {"/robots.txt": (301, leads, b""), "/a": Site.pages["/a"], "/secret": Site.pages["/secret"]}
    server = ThreadingHTTPServer((f"127.0.0.{number}", 0), type("Other", (Elsewhere,), {"pages": pages}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return f"http://127.0.0.{number}:{server.server_address[1]}", server


@pytest.mark.wide
@pytest.mark.parametrize(
    ("leads", "path", "end"),
    spread(
        [
            ("/robots.txt", "/a", "The river"),
            ("/robots.txt", "/secret", "not want programs"),
            ("/none", "/secret", "The river"),
            ("/broken", "/a", "answered with status 500"),
            ("/moved-rules", "/secret", "not want programs"),
            ("/large", "/secret", "not want programs"),
            ("/round", "/secret", "The river"),  # RFC 9309: more than five redirects count as no rules
            ("/marked", "/secret", "not want programs"),
            ("/torn", "/a", "before its reply was whole"),
        ],
        4,
    ),
)
def test_rules_that_have_moved_are_read_where_they_are(
    shell: Shell, base: str, leads: str, path: str, end: str
) -> None:
    Elsewhere.number += 1
    there, server = elsewhere(Elsewhere.number, base + leads)
    ran = shell.run("call", "pages.read", there + path)
    server.shutdown()
    server.server_close()
    assert end in " ".join(f"{ran.out} {ran.err}".split()), ran
    calls = shell.good("audit", "search", "--method", "web.fetch")
    assert base + leads in calls


def test_rules_that_have_moved_need_the_callers_grant(shell: Shell, base: str, tmp_path: Path) -> None:
    there, server = elsewhere(99, f"{base}/rules")
    port = there.rpartition(":")[2]
    toml = READER.toml.replace("http://127.0.0.1:*/moved", f"http://127.0.0.99:{port}/a").replace("surfer", "guest")
    shell.good("install", write_hand(tmp_path / "guest", Source(toml, READER.main)), "--yes")
    ran = shell.run("start", "guest", f"url={there}/a", "--wait")
    server.shutdown()
    server.server_close()
    assert "refused" in ran.out
    assert f"{base}/rules" in ran.out
    assert "/rules" not in Site.asked


def test_a_feed_and_a_search(shell: Shell, base: str) -> None:
    assert "One & only" in str(shell.result("call", "pages.feed", f"{base}/feed"))
    assert "q=two+words" in str(shell.result("call", "pages.search", "home", "query=two words"))
    assert shell.run("call", "pages.search", "other", "query=x").code == 1
    assert "longer than an address may be" in shell.run("call", "pages.search", "home", f"query={'ж' * 200}").err


def test_each_hop_needs_the_callers_grant(shell: Shell, base: str, tmp_path: Path) -> None:
    port = base.rpartition(":")[2]
    source = Source(READER.toml.replace(":*/", f":{port}/"), READER.main)
    shell.good("install", write_hand(tmp_path / "surfer", source), "--yes")
    before = Site.asked.count("/a")
    ran = shell.run("start", "surfer", f"url={base}/moved", "--wait")
    assert "refused" in ran.out
    assert "The river" not in ran.out
    assert Site.asked.count("/a") == before


@pytest.mark.wide
def test_a_page_that_one_call_of_a_library_takes_too_long_for_is_told(shell: Shell, base: str, tmp_path: Path) -> None:
    """With a limit that a test has the time for; the next attribute is compared with all before it, within one call."""
    folder = tmp_path / "pages"
    shutil.copytree(ROOT / "hands" / "pages", folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "HAND.toml").read_text().replace('version = "1.0.0"', 'version = "1.0.1"')
    (folder / "HAND.toml").write_text(re.sub(r'(?m)^cpu = "[^"]*"', 'cpu = "2s"', text))
    shell.good("install", folder, "--yes")
    ran = shell.run("call", "pages.read", f"{base}/long")
    assert (ran.code, "(too long)" in ran.err) == (1, True), ran
