"""Revokes a login's tokens at the authorization server (acts), by RFC 7009.

The login itself is deleted before, so no answer, or none at all, keeps it. The request goes as those of the steps to a token
do (steps.py): https or loopback, to a granted host, to the named authorization server that has published metadata, and its
answer is small. The refresh token is revoked first: it lasts longest.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError

from manifests.mcp.words import visible
from runtime import records
from runtime.mcp.steps import WRONG, Pass, Route

REVOKE_S: Final = 20.0
"""Seconds in which the authorization server must have answered for all tokens: a person waits."""

Sign = Callable[[str], Awaitable[str]]
"""Called with the issuer as audience; returns an assertion that proves the client (RFC 7523)."""

_JWT: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def revoke(provider: OAuthClientProvider, route: Route, sign: Sign | None) -> str:
    """Revokes the provider's tokens. Returns why that failed, without secrets; "" if it did not, or if there are none.

    sign: for a client that proves itself by a key.
    """
    tokens, server = provider.context.current_tokens, provider.context.oauth_metadata
    if tokens is None:
        return ""
    if server is None or server.revocation_endpoint is None:
        return "it has no revocation endpoint" if server is not None else "its metadata is not known"
    kinds = (("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token))
    way = Pass(route)
    try:
        async with asyncio.timeout(REVOKE_S), route.outside(way.note_unreachable) as client:
            for kind, token in kinds:
                if token:
                    request = await _request(provider, str(server.revocation_endpoint), kind, token, sign)
                    response = await way.send(provider, request, client)
                    if not response.is_success:
                        return f"{visible(request.url.host)} answered {way.refusal}"
    except TimeoutError:
        return f"it has not answered within {REVOKE_S:.0f} seconds"
    except WRONG as error:
        if way.unreachable:
            return f"{route.hand} may not connect to {visible(way.unreachable)}"
        return records.shown(visible(str(error))[:500])
    return ""


async def _request(
    provider: OAuthClientProvider, address: str, kind: str, token: str, sign: Sign | None
) -> httpx2.Request:
    """The request for one token. Raises OAuthFlowError for a client that cannot prove itself."""
    context = provider.context
    if context.client_info is None or context.oauth_metadata is None:
        raise OAuthFlowError("the client that the login belongs to is no longer known")
    form = {"token": token, "token_type_hint": kind, "client_id": context.client_info.client_id}
    form, headers = context.prepare_token_auth(form, {"Content-Type": "application/x-www-form-urlencoded"})
    if sign is not None:
        assertion = await sign(str(context.oauth_metadata.issuer))
        form |= {"client_assertion": assertion, "client_assertion_type": _JWT}
    return httpx2.Request("POST", address, data=form, headers=headers)
