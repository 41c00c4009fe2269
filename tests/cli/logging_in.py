"""Logging in to an MCP server elsewhere, as people do it: what tests of that share."""

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
from tests.cli.shell import Ran, Shell
from tests.living import Kernel, seal_key
from tests.system.authority import Shop

DO: Final = Tool(name="do", description="Do it.", input_schema={"type": "object", "properties": {}})


def add(shell: Shell, shop: Shop, name: str, *more: str) -> Ran:
    """Add a server, which may connect to where its logins are."""
    host = shop.bank.removeprefix("http://")
    ran = shell.run("mcp", "add", name, shop.url, "--connect", host, *more, "--yes", CLIENT_SECRET="look-for-this-key")
    assert ran.code == 0, ran.err
    return ran


def install(kernel: Kernel, shop: Shop, name: str) -> None:
    """Have the server installed as it is when it was added by somebody who had logged in; nobody looks at it for that."""
    hosts = tuple(urlsplit(one).netloc for one in (shop.url, shop.bank))
    hand = mcp_servers.make_folder(Wanted(name=name, url=shop.url, hosts=hosts, login=Login()), Offer(tools=(DO,)), {})
    with kernel.client() as client:
        sealed = package.make_seal(hand, seal_key(kernel.home))
        installing.install(client, hand, sealed, requested(hand.manifest), as_declared=True)


class Page:
    """A `maniple mcp login` that has shown its page, or has ended before."""

    def __init__(self, shell: Shell, name: str, *words: str) -> None:
        self._command = shell.begin("mcp", "login", name, *words, stdin=subprocess.PIPE)
        assert self._command.stderr is not None
        self.url, self._said = "", b""
        for line in self._command.stderr:
            self._said += line
            if line.startswith(b"  http"):
                self.url = line.decode().strip()
                break

    def sends_to(self) -> str:
        """Where the page sends the person, who then does not go there."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            _OPENER.open(self.url, timeout=10)
        with caught.value as answer:
            return str(answer.headers["Location"])

    def open(self) -> int:
        """Open it in a browser, which goes where it is sent."""
        with urllib.request.urlopen(self.url, timeout=10) as page:
            return int(page.status)

    def end(self, typed: str = "") -> Ran:
        """How the command ends."""
        out, err = self._command.communicate(typed.encode(), timeout=60)
        return Ran(self._command.returncode, out.decode(), (self._said + err).decode())


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Go nowhere."""


_OPENER = urllib.request.build_opener(_Staying)


def log_in(shell: Shell, shop: Shop, name: str) -> None:
    """Log in, and look at the tools."""
    page = Page(shell, name)
    page.open()
    assert page.end().code == 0
    add(shell, shop, name)


def do(shell: Shell, name: str) -> Ran:
    """Call its tool."""
    return shell.run("call", f"mcp-{name}.do")
