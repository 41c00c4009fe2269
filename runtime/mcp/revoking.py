"""Telling an authorization server that a login is over (acts): its tokens are taken back there, by RFC 7009.

The login itself is forgotten before, so nothing that is answered here, or not answered, keeps it. The request goes as the
steps to a token go (steps.py): https or loopback, to a granted host, to the authorization server that was named and has
described itself, and its answer is small. The refresh token is told first: it is what lasts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError

from manifests.mcp.words import visible
from runtime import records
from runtime.mcp.steps import WRONG, Pass, Route

TOLD_S: Final = 20.0
"""Seconds in which the authorization server must have answered for all tokens: a person waits."""

Sign = Callable[[str], Awaitable[str]]
"""Given who is to believe it, an assertion that proves the client (RFC 7523)."""

_JWT: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def revoke(provider: OAuthClientProvider, route: Route, sign: Sign | None) -> str:
    """Tell of the provider's tokens; why that could not be, without a word that was secret, "" when it was or none are there.

    sign: of a client that proves itself by a key.
    """
    tokens, server = provider.context.current_tokens, provider.context.oauth_metadata
    if tokens is None:
        return ""
    if server is None or server.revocation_endpoint is None:
        return "it names no place to be told at" if server is not None else "it has not told where"
    kinds = (("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token))
    way = Pass(route)
    try:
        async with asyncio.timeout(TOLD_S), route.outside(way.not_granted) as client:
            for kind, token in kinds:
                if token:
                    request = await _request(provider, str(server.revocation_endpoint), kind, token, sign)
                    response = await way.sent(provider, request, client)
                    if not response.is_success:
                        return f"{visible(request.url.host)} answered {way.answered}"
    except TimeoutError:
        return f"it has not answered within {TOLD_S:.0f} seconds"
    except WRONG as error:
        if way.unreachable:
            return f"{route.hand} may not connect to {visible(way.unreachable)}"
        return records.shown(visible(str(error))[:500])
    return ""


async def _request(
    provider: OAuthClientProvider, address: str, kind: str, token: str, sign: Sign | None
) -> httpx2.Request:
    """Raises OAuthFlowError for a client that cannot prove itself."""
    context = provider.context
    if context.client_info is None or context.oauth_metadata is None:
        raise OAuthFlowError("it is not known any more which client the login was of")
    told = {"token": token, "token_type_hint": kind, "client_id": context.client_info.client_id}
    told, headers = context.prepare_token_auth(told, {"Content-Type": "application/x-www-form-urlencoded"})
    if sign is not None:
        assertion = await sign(str(context.oauth_metadata.issuer))
        told |= {"client_assertion": assertion, "client_assertion_type": _JWT}
    return httpx2.Request("POST", address, data=told, headers=headers)
