"""Logs in to an MCP server at a URL as people do, for tests (acts)."""

import subprocess
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

import pytest

from kernel.cli import installing, mcp_servers, package
from manifests.grants import requested
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Login, Offer, Tool
from tests.cli import json_page
from tests.cli.shell import Ran, Shell
from tests.living import Kernel, seal_key
from tests.system.authority import Shop

DO: Final = Tool(name="do", description="Do it.", input_schema={"type": "object", "properties": {}})


def add(shell: Shell, shop: Shop, name: str, *more: str) -> Ran:
    """Add a server that may connect to its authorization server."""
    host = shop.bank.removeprefix("http://")
    ran = shell.run("mcp", "add", name, shop.url, "--connect", host, *more, "--yes", CLIENT_SECRET="look-for-this-key")
    assert ran.code == 0, ran.err
    return ran


def install(kernel: Kernel, shop: Shop, name: str) -> None:
    """Install the server's Hand as if it had been added after a login, without probing the server."""
    hosts = tuple(urlsplit(one).netloc for one in (shop.url, shop.bank))
    hand = mcp_servers.make_folder(Wanted(name=name, url=shop.url, hosts=hosts, login=Login()), Offer(tools=(DO,)), {})
    with kernel.client() as client:
        sealed = package.make_seal(hand, seal_key(kernel.home))
        installing.install(client, hand, sealed, requested(hand.manifest), as_declared=True)


class Page:
    """A `maniple mcp login` that has printed its page's URL, or has ended before that."""

    def __init__(self, shell: Shell, name: str, *words: str) -> None:
        self._command = shell.begin("mcp", "login", name, *words, stdin=subprocess.PIPE)
        assert self._command.stderr is not None
        self.url, self._stderr = "", b""
        for line in self._command.stderr:
            self._stderr += line
            if line.startswith(b"  http"):
                self.url = line.decode().strip()
                break

    def sends_to(self) -> str:
        """The URL to which the page redirects, without following it."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            _OPENER.open(self.url, timeout=10)
        with caught.value as answer:
            return str(answer.headers["Location"])

    def open(self) -> int:
        """Open the page and follow its redirect; returns the final status."""
        with urllib.request.urlopen(self.url, timeout=10) as page:
            return int(page.status)

    def end(self, typed: str = "") -> Ran:
        """Wait for the command's end, with `typed` on its stdin."""
        out, err = self._command.communicate(typed.encode(), timeout=60)
        return Ran(self._command.returncode, out.decode(), (self._stderr + err).decode())


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""


_OPENER = urllib.request.build_opener(_Staying)


def log_in(shell: Shell, shop: Shop, name: str) -> None:
    """Log in, then add the server again, which shows its tools."""
    page = Page(shell, name, "--json")
    page.open()
    ran = page.end()
    assert (ran.code, json_page.differences(["mcp", "login"], ran.out)) == (0, [])
    add(shell, shop, name)


def do(shell: Shell, name: str) -> Ran:
    """Call the server's tool."""
    return shell.run("call", f"mcp-{name}.do")
