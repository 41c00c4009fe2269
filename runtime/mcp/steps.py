"""One pass through the package's steps to a token (acts): checks each request before it goes, and keeps each answer small.

A call that refreshes and a person who logs in may be on their way at once. A failure concerns only one of them, so it is
stored in the pass and not in the login, which they share. A pass is used once.

Each step's request is checked before it goes: https, or loopback; connections are made by `web.connect`, so it reaches only
granted hosts. Of an authorization server's error only the code is passed on: its text may repeat secrets that it was sent.
"""

import asyncio
import shlex
from collections.abc import Callable
from typing import Final

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthRegistrationError
from mcp.client.auth.utils import is_valid_client_metadata_url, issuers_match
from msgspec import Struct

from manifests.mcp import tools
from manifests.mcp.words import visible
from runtime import records
from runtime.mcp.http import MOST, Refused
from runtime.mcp.kept import Kept
from runtime.mcp.login_rules import check_address, error_code

LARGEST: Final = 256 * 1024
"""Most bytes of an authorization server's answer."""

ANSWER_S: Final = 60.0
"""Seconds in which an authorization server must have answered a step completely: all calls wait for one refresh."""

WRONG: Final = (OAuthFlowError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, OverflowError)
"""The errors that a failed pass raises; `explain` describes them to a person."""

_OVER: Final = (400, 401)  # of a refresh: RFC 6749, section 5.2; others, such as 429, say nothing about the token

Outside = Callable[[Refused], httpx2.AsyncClient]
"""Makes a client whose requests carry only what the package puts into them."""


class Route(Struct, frozen=True, kw_only=True):
    """The Hand and the server that passes are for. url: of the MCP server. wanted: the operator's choice of a login."""

    hand: str
    url: str
    wanted: tools.Login
    outside: Outside

    @property
    def is_known(self) -> bool:
        """Whether the operator named a registered client, so that none must be registered."""
        return bool(self.wanted.client) and not is_valid_client_metadata_url(self.wanted.client)

    def check_authority(self, provider: OAuthClientProvider) -> None:
        """Raises OAuthFlowError if the client's proof would go to another party than the authorization server.

        The package takes the MCP server for the authorization server if the one that is named publishes no metadata.
        """
        metadata, named = provider.context.oauth_metadata, self.wanted.issuer or provider.context.auth_server_url
        if metadata is None and named:
            raise OAuthFlowError(f"{named} publishes no metadata that says where to log in")
        if metadata is not None and self.wanted.issuer and not issuers_match(str(metadata.issuer), self.wanted.issuer):
            raise OAuthFlowError(f"the server names another authorization server than {self.wanted.issuer}")


class _Failed(Struct, frozen=True, kw_only=True):
    """An answer that refused a step. code: of its error, or ""."""

    host: str
    status: int
    code: str = ""


class Pass:
    """One way through the steps, and what went wrong. unreachable: a needed host that is not granted, or ""."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._failed: _Failed | None = None
        self.unreachable = ""

    @property
    def refusal(self) -> str:
        """The status, and the code if there is one, of the last answer that refused a step."""
        last = self._failed or _Failed(host="", status=200)
        return f"{last.status}, {last.code}" if last.code else str(last.status)

    @property
    def is_over(self) -> bool:
        """Whether an authorization server said that the token or code that it was shown is no longer valid."""
        return self._failed is not None and self._failed.status in _OVER

    async def take(
        self, provider: OAuthClientProvider, kept: Kept, request: httpx2.Request, refusal: httpx2.Response | None
    ) -> None:
        """Takes all steps until the request could be sent with a token. Raises the errors in WRONG, and OSError.

        refusal: the answer to the request without a token.
        """
        flow = provider.async_auth_flow(request)
        try:
            async with self._route.outside(self.note_unreachable) as client:
                outgoing = await anext(flow)
                while True:
                    if outgoing is not request:
                        response = await self.send(provider, outgoing, client)
                    elif refusal is None:
                        break
                    else:
                        response, refusal = refusal, None
                    outgoing = await flow.asend(response)
        except StopAsyncIteration:
            pass
        finally:
            await flow.aclose()
            records.hide_also(kept.secrets)
        kept.learn(provider.context)

    def explain(self, error: BaseException) -> str:
        """Why the pass failed, without secrets."""
        if self.unreachable:
            hand = self._route.hand
            again = shlex.join(
                ["maniple", "mcp", "add", hand.removeprefix("mcp-"), self._route.url, "--connect", self.unreachable]
            )  # quoted: the host is the server's text, and a person will type this
            return (
                f"logging in leads to {visible(self.unreachable)}, where {hand} may not connect: if that is "
                f"where you log in to this server, `{visible(again)}`, with its other options"
            )
        if self._failed is None and not isinstance(error, OAuthFlowError | httpx2.TransportError):
            return "what the server says of its login is malformed"
        if type(error) is not OAuthFlowError and not isinstance(error, httpx2.TransportError):
            what = "registered no client" if isinstance(error, OAuthRegistrationError) else "gave no token"
            host = self._failed.host if self._failed else "the authorization server"
            return f"{visible(host)} {what}: it answered {self.refusal}"
        return records.shown(visible(str(error))[:500])

    async def send(
        self, provider: OAuthClientProvider, outgoing: httpx2.Request, client: httpx2.AsyncClient
    ) -> httpx2.Response:
        """Sends one request and returns its answer. Raises the errors in WRONG."""
        if self._route.is_known and provider.context.client_info is None:
            raise OAuthFlowError(f"the server names another authorization server than {self._route.wanted.issuer}")
        check_address(str(outgoing.url))
        if outgoing.method == "POST":
            self._route.check_authority(provider)
        outgoing.extensions = {**outgoing.extensions, MOST: LARGEST}
        try:
            async with asyncio.timeout(ANSWER_S):
                response = await client.send(outgoing, follow_redirects=False)
        except TimeoutError:
            raise OAuthFlowError(f"{outgoing.url.host} has not answered within {ANSWER_S:.0f} seconds") from None
        if response.status_code not in (200, 201):
            self._failed = _Failed(host=outgoing.url.host, status=response.status_code, code=error_code(response))
        return response

    def note_unreachable(self, address: str) -> None:
        """Takes a host, `host:port`, that the Hand may not connect to."""
        self.unreachable = address
