"""Our side of a login to an MCP server, without a Hand around it: what tests of that share."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from manifests.mcp import tools
from runtime.mcp.http import Refused
from runtime.mcp.kept import Kept
from runtime.mcp.login import Login
from runtime.mcp.login_rules import client_of
from tests.system.authority import Shop

PROOF = "look-for-this-proof"
BACK = "http://127.0.0.1:4182/callback"

_T = TypeVar("_T")


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Go nowhere."""


def sent_to(page: str) -> str:
    """Where the page sends a person."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(_Staying).open(page, timeout=10)
    with caught.value as answer:
        return str(answer.headers["Location"])


class _Walled(httpx2.AsyncHTTPTransport):
    """The package's; in place of the kernel, it refuses connections: to a host that is barred, or all."""

    def __init__(self, side: "Side", refused: Refused) -> None:
        super().__init__()
        self._side, self._refused = side, refused

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.netloc.decode()
        if not self._side.granted or host == self._side.barred:
            self._refused(host)
            raise httpx2.ConnectError("it is not granted")
        return await super().handle_async_request(request)


class Side:
    """Our side of a login, as a Hand has it: anew with each, but for what lies in the folder."""

    def __init__(
        self, folder: Path, shop: Shop, wanted: tools.Login | None = None, url: str = "", proof: str = PROOF
    ) -> None:
        wanted, url = wanted or tools.Login(), url or shop.url
        proof = proof if wanted.proof else ""
        client = None if wanted.is_alone else client_of(wanted, proof)
        kept = Kept(folder, (url, wanted.client, wanted.issuer), client)
        self.login = Login("mcp-x", url, wanted, proof, kept, self._outside)
        self._url, self.granted, self.barred = url, True, ""

    def _outside(self, refused: Refused) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(trust_env=False, transport=_Walled(self, refused))

    async def call(self) -> int:
        """Call the server; with what status it answers."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        async with httpx2.AsyncClient(auth=self.login, trust_env=False) as client:
            return (await client.post(self._url, json=asked)).status_code

    async def log_in(self, back: Callable[[str], str] = sent_to) -> str:
        """Log in. back: given the page, says where it sends the person."""
        pages: list[str] = []

        async def show(url: str) -> None:
            pages.append(url)

        async def hear() -> str:
            return await asyncio.to_thread(back, pages[0])

        if self.login.challenge is None:
            await self.call()
        return await self.login.by_person(BACK, show, hear)


def run(awaited: Awaitable[_T]) -> _T:
    async def whole() -> _T:
        async with asyncio.timeout(30):
            return await awaited

    return asyncio.run(whole())


def a_key() -> str:
    """A private key, as a PEM file holds it."""
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*plain).decode()


def give_up(_: str) -> str:
    return ""
