"""One pass through the package's steps to a token (acts): each request looked at before it goes, each answer kept small.

A call that refreshes and a person who logs in may be on their way at once. What went wrong on one's way is told of that one
alone, so it stands in the pass and not in the login, which is what they share. A pass is taken once.

Each step's request is looked at before it goes: https, or loopback; in front of a connection stands `web.connect`, so it
reaches granted hosts alone. What an authorization server says of an error is not passed on but for its code: it may repeat
what it was told.
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
"""Bytes of an answer of an authorization server's."""

ANSWER_S: Final = 60.0
"""Seconds in which an authorization server must have answered a step whole: calls wait for one refresh together."""

WRONG: Final = (OAuthFlowError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, OverflowError)
"""What a pass that comes to nothing raises; `told` says it to a person."""

_OVER: Final = (400, 401)  # of a refresh: RFC 6749, section 5.2. Another status, such as 429, says nothing of the token

Outside = Callable[[Refused], httpx2.AsyncClient]
"""Makes a client for requests that carry nothing but what the package puts into them."""


class Route(Struct, frozen=True, kw_only=True):
    """Whose passes they are, and where they lead. url: of the MCP server. wanted: as the operator has it."""

    hand: str
    url: str
    wanted: tools.Login
    outside: Outside

    @property
    def is_known(self) -> bool:
        """Whether the operator named a client that is registered, so that none is to be."""
        return bool(self.wanted.client) and not is_valid_client_metadata_url(self.wanted.client)

    def check_authority(self, provider: OAuthClientProvider) -> None:
        """Raises OAuthFlowError where what proves who we are would go to somebody else than the authorization server.

        The package takes the MCP server for it when the one that is named tells nothing of itself.
        """
        told, named = provider.context.oauth_metadata, self.wanted.issuer or provider.context.auth_server_url
        if told is None and named:
            raise OAuthFlowError(f"{named} does not tell where one logs in to it")
        if told is not None and self.wanted.issuer and not issuers_match(str(told.issuer), self.wanted.issuer):
            raise OAuthFlowError(f"the server names another authorization server than {self.wanted.issuer}")


class _Failed(Struct, frozen=True, kw_only=True):
    """An answer to a step that gave nothing. code: what it calls its error, "" when it does not."""

    host: str
    status: int
    code: str = ""


class Pass:
    """One way through the steps, and what went wrong on it. unreachable: a host that was not granted, "" while none was."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._failed: _Failed | None = None
        self.unreachable = ""

    @property
    def answered(self) -> str:
        """With what the last step that gave nothing was answered: a status, and what it calls its error."""
        last = self._failed or _Failed(host="", status=200)
        return f"{last.status}, {last.code}" if last.code else str(last.status)

    @property
    def is_over(self) -> bool:
        """Whether an authorization server said that what it was shown counts no more."""
        return self._failed is not None and self._failed.status in _OVER

    async def take(
        self, provider: OAuthClientProvider, kept: Kept, request: httpx2.Request, refusal: httpx2.Response | None
    ) -> None:
        """All steps up to where the request would be sent with a token. Raises what is in WRONG, and OSError.

        refusal: what the request was answered without.
        """
        flow = provider.async_auth_flow(request)
        try:
            async with self._route.outside(self.not_granted) as client:
                outgoing = await anext(flow)
                while True:
                    if outgoing is not request:
                        response = await self.sent(provider, outgoing, client)
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

    def told(self, error: BaseException) -> str:
        """Why it came to nothing, without a word that was secret."""
        if self.unreachable:
            hand = self._route.hand
            again = shlex.join(
                ["maniple", "mcp", "add", hand.removeprefix("mcp-"), self._route.url, "--connect", self.unreachable]
            )  # quoted, for the host is the server's own word, and this is to be typed
            return (
                f"logging in leads to {visible(self.unreachable)}, where {hand} may not connect: if that is "
                f"where you log in to this server, `{visible(again)}`, with its other options"
            )
        if type(error) is not OAuthFlowError and not isinstance(error, httpx2.TransportError):
            what = "registered no client" if isinstance(error, OAuthRegistrationError) else "gave no token"
            host = self._failed.host if self._failed else "the authorization server"
            return f"{visible(host)} {what}: it answered {self.answered}"
        return records.shown(visible(str(error))[:500])

    async def sent(
        self, provider: OAuthClientProvider, outgoing: httpx2.Request, client: httpx2.AsyncClient
    ) -> httpx2.Response:
        """What one request is answered. Raises what is in WRONG."""
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

    def not_granted(self, address: str) -> None:
        """A host, `host:port`, that the Hand may not connect to."""
        self.unreachable = address
