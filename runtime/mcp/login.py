"""How the Hand of a server elsewhere logs in to it (acts): OAuth 2.1 as the package has it, within what the Hand may reach.

The steps are the package's (mcp.client.auth); what is ours is who takes them and when. A call never waits for a person: it
goes with the token that is there, which is refreshed when it has expired, and else fails and says `maniple mcp login`. There,
and only there, the package may register a client and send a person to a page. A client that logs in by its own secret or
key needs no person, and takes all steps within a call.

Each step's request is looked at before it goes: https, or loopback; in front of a connection stands `web.connect`, so it
reaches granted hosts alone. Its answer is small, or it is none. What an authorization server says of an error is not passed
on but for its code: it may repeat what it was told.
"""

import asyncio
import logging
import re
import shlex
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthRegistrationError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.utils import is_valid_client_metadata_url
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from msgspec import Struct
from pydantic import AnyUrl

from manifests.mcp import tools
from manifests.mcp.private import LOOPBACK, is_private
from manifests.mcp.words import visible
from runtime import records
from runtime.errors import Failure, HandBroken
from runtime.mcp.http import MOST, Refused
from runtime.mcp.kept import Challenge, Kept

LARGEST: Final = 256 * 1024
"""Bytes of an answer of an authorization server's."""

_NOWHERE: Final = "http://127.0.0.1/callback"  # of a provider that sends nobody anywhere
_CODE: Final = re.compile(r"[a-z_]{1,64}")
_WRONG: Final = (OAuthFlowError, httpx2.HTTPError, httpx2.InvalidURL, ValueError)
_UNAUTHORISED, _FORBIDDEN = 401, 403
_BROKEN: Final = 500  # from here on an answer says nothing of what was asked

Show = Callable[[str], Awaitable[None]]
"""Given the page that a person is to open."""

Hear = Callable[[], Awaitable[str]]
"""The address that the page sent the person to."""

Outside = Callable[[Refused], httpx2.AsyncClient]
"""Makes a client for requests that carry nothing but what the package puts into them."""


class _Failed(Struct, frozen=True, kw_only=True):
    """An answer to a step that gave nothing. code: what it calls its error, "" when it does not."""

    host: str
    status: int
    code: str = ""


class Login(httpx2.Auth):
    """The login of one Hand. why: what only a person can mend, "" while nothing is wrong."""

    def __init__(self, hand: str, url: str, wanted: tools.Login, proof: str, kept: Kept, outside: Outside) -> None:
        """Raises HandBroken when the settings fit no login."""
        logging.getLogger("mcp.client.auth").setLevel(logging.CRITICAL + 1)  # it would tell what stands in answers
        self._hand, self._url, self._wanted, self._kept, self._outside = hand, url, wanted, kept, outside
        self._turn = asyncio.Lock()
        self._is_at_page = False
        self._proof = proof
        self._failed: _Failed | None = None
        self._unreachable = ""
        self.why = ""
        if wanted.is_alone and not proof:
            raise HandBroken(
                f"its setting {wanted.proof} is not set: `maniple settings {hand} --secret {wanted.proof}`"
            )
        self._provider = self._unasked()

    # within a call ----------------------------------------------------------------------------------------------------

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send a request with what lets us in. A refusal that nothing here can mend is kept, and goes on as it is."""
        async with self._turn:
            await self._restored(self._provider)
            context = self._provider.context
            if not context.is_token_valid() and context.can_refresh_token():
                await self._stepped(request, None)
        self._sign(request)
        response = yield request
        if not _is_refusal(response):
            self._let_in(response)
            return
        async with self._turn:
            is_mended = await self._mended(request, response)
        if is_mended:
            self._sign(request)
            response = yield request
            if not _is_refusal(response):
                self._let_in(response)
                return
        self._refused(response)

    async def _mended(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Whether there is another token now than the one that was refused."""
        context, sent = self._provider.context, request.headers.get("Authorization")
        if context.is_token_valid() and sent != self._bearer():
            return True
        if self._wanted.is_alone:
            return await self._stepped(request, response)
        if response.status_code == _UNAUTHORISED and context.can_refresh_token():
            context.token_expiry_time = 1.0  # long past, whatever was said: then the package refreshes it
            return await self._stepped(request, None)
        return False

    async def _stepped(self, request: httpx2.Request, refusal: httpx2.Response | None) -> bool:
        """Take the package's steps to a token; whether there is one. Why not is what a call is then told."""
        before = self._bearer()
        try:
            await self._steps(self._provider, request, refusal)
        except _WRONG as error:
            self.why = self._told(error)
            records.logger().warning("logging in to the server failed", why=self.why)
        if self._provider.context.current_tokens is None and self._failed and self._failed.status < _BROKEN:
            self._kept.drop_tokens()
        return self._provider.context.is_token_valid() and self._bearer() != before

    def _let_in(self, response: httpx2.Response) -> None:
        """Nothing is wrong any more, if the server did what it was asked: an error says nothing of that."""
        if response.is_success:
            self.why = ""

    def _refused(self, response: httpx2.Response) -> None:
        self._kept.refused(Challenge(status=response.status_code, header=response.headers.get("WWW-Authenticate", "")))
        if self._wanted.is_alone:
            self.why = self.why or f"the server refuses {self._hand}'s client, though it has logged in"
        else:
            more = "" if response.status_code == _UNAUTHORISED else " for more than it may do now"
            self.why = f"the server wants a login{more}: `maniple mcp login {self._hand.removeprefix('mcp-')}`"

    # with a person ----------------------------------------------------------------------------------------------------

    @property
    def challenge(self) -> Challenge | None:
        """How the server refused us last, if it still does."""
        return self._kept.challenge

    async def by_person(self, redirect: str, show: Show, hear: Hear) -> str:
        """Log in; what it allows, as the authorization server calls it. Raises Failure when that comes to nothing."""
        challenge = self._kept.challenge
        assert challenge is not None
        where = urlsplit(redirect)
        if where.scheme != "http" or where.hostname not in LOOPBACK or where.query or where.fragment:
            raise Failure("arguments", "redirect is an http URL on loopback")
        request = httpx2.Request("POST", self._url, headers={"MCP-Protocol-Version": "2025-11-25"})
        headers = {"WWW-Authenticate": challenge.header} if challenge.header else {}
        refusal = httpx2.Response(challenge.status, headers=headers, request=request)

        async def showing(url: str) -> None:
            _check(url)
            await show(url)

        async def hearing() -> AuthorizationCodeResult:
            return _came_back(await hear(), redirect)

        if self._is_at_page:  # calls do not wait for it, and so another login does not, either
            raise Failure("conflict", "somebody is logging in to this server already: end that first")
        self._is_at_page = True
        try:
            registered = await self._kept.registered()
            if registered is not None and AnyUrl(redirect) not in (registered.redirect_uris or ()):
                self._kept.drop_client()
            provider = self._person(redirect, showing, hearing)
            await self._restored(provider)
            if challenge.status == _UNAUTHORISED:
                provider.context.clear_tokens()
            await self._steps(provider, request, refusal)
        except _WRONG as error:
            raise Failure("login", self._told(error)) from None
        finally:
            self._is_at_page = False
        async with self._turn:
            self._kept.refused(None)
            self._provider, self.why = self._unasked(), ""
        tokens = provider.context.current_tokens
        return "" if tokens is None else tokens.scope or ""

    async def forget(self) -> bool:
        """Log out, as far as this side goes; whether there was a login."""
        async with self._turn:
            had = self._kept.forget()
            self._provider = self._unasked()
        return had

    # the package's steps ----------------------------------------------------------------------------------------------

    async def _steps(
        self, provider: OAuthClientProvider, request: httpx2.Request, refusal: httpx2.Response | None
    ) -> None:
        """All steps up to where the request would be sent with a token. refusal: what it was answered without."""
        self._failed, self._unreachable = None, ""
        flow = provider.async_auth_flow(request)
        try:
            async with self._outside(self._not_granted) as client:
                outgoing = await anext(flow)
                while True:
                    if outgoing is not request:
                        response = await self._sent(provider, outgoing, client)
                    elif refusal is None:
                        break
                    else:
                        response, refusal = refusal, None
                    outgoing = await flow.asend(response)
        except StopAsyncIteration:
            pass
        finally:
            await flow.aclose()
            self._kept.learn(provider.context)
            self.hide()

    async def _sent(
        self, provider: OAuthClientProvider, outgoing: httpx2.Request, client: httpx2.AsyncClient
    ) -> httpx2.Response:
        if self._is_known and provider.context.client_info is None:
            raise OAuthFlowError(f"the server names another authorization server than {self._wanted.issuer}")
        _check(str(outgoing.url))
        outgoing.extensions = {**outgoing.extensions, MOST: LARGEST}
        response = await client.send(outgoing, follow_redirects=False)
        if response.status_code not in (200, 201):
            self._failed = _Failed(host=outgoing.url.host, status=response.status_code, code=_error_code(response))
        return response

    def _not_granted(self, address: str) -> None:
        self._unreachable = address

    @property
    def _is_known(self) -> bool:
        """Whether the operator named a client that is registered, so that none is to be."""
        return bool(self._wanted.client) and not is_valid_client_metadata_url(self._wanted.client)

    def _told(self, error: BaseException) -> str:
        """Why a login failed, without a word that was secret."""
        if self._unreachable:
            again = shlex.join(
                ["maniple", "mcp", "add", self._hand.removeprefix("mcp-"), self._url, "--connect", self._unreachable]
            )  # quoted, for the host is the server's own word, and this is to be typed
            return (
                f"logging in leads to {visible(self._unreachable)}, where {self._hand} may not connect: if that is "
                f"where you log in to this server, `{visible(again)}`, with its other options"
            )
        if type(error) is not OAuthFlowError and not isinstance(error, httpx2.TransportError):
            what = "registered no client" if isinstance(error, OAuthRegistrationError) else "gave no token"
            last = self._failed or _Failed(host="the authorization server", status=200)
            code = f", {last.code}" if last.code else ""
            return f"{visible(last.host)} {what}: it answered {last.status}{code}"
        return records.shown(visible(str(error))[:500])

    # providers --------------------------------------------------------------------------------------------------------

    def _person(
        self,
        redirect: str,
        show: Show | None,
        hear: Callable[[], Awaitable[AuthorizationCodeResult]] | None,
    ) -> OAuthClientProvider:
        about = OAuthClientMetadata(client_name=f"Maniple ({self._hand})", redirect_uris=[AnyUrl(redirect)])
        document = self._wanted.client if is_valid_client_metadata_url(self._wanted.client) else None
        return OAuthClientProvider(self._url, about, self._kept, show, hear, document)

    def _alone(self) -> OAuthClientProvider:
        client, issuer = self._wanted.client, self._wanted.issuer
        try:
            if self._wanted.proof == "client_secret":
                return ClientCredentialsOAuthProvider(self._url, self._kept, client, self._proof, issuer=issuer)
            signed = SignedJWTParameters(
                issuer=client, subject=client, signing_key=self._proof, signing_algorithm=_algorithm(self._proof)
            )
            return PrivateKeyJWTOAuthProvider(
                self._url, self._kept, client, signed.create_assertion_provider(), issuer=issuer
            )
        except ValueError:
            raise HandBroken(f"its setting {self._wanted.proof}, or the issuer, cannot be read") from None

    def _unasked(self) -> OAuthClientProvider:
        """What takes the steps that need no person."""
        return self._alone() if self._wanted.is_alone else self._person(_NOWHERE, None, None)

    async def _restored(self, provider: OAuthClientProvider) -> None:
        """Let a new provider know what is kept; and one whose token could not be refreshed, which then begins anew."""
        if not provider._initialized:
            await provider._initialize()
            self._kept.restore(provider.context)
            self.hide()

    def hide(self) -> None:
        """Keep tokens out of the log, whatever is told there."""
        records.hide_also(self._kept.secrets)

    def _bearer(self) -> str:
        tokens = self._provider.context.current_tokens
        return "" if tokens is None else f"Bearer {tokens.access_token}"

    def _sign(self, request: httpx2.Request) -> None:
        request.headers.pop("Authorization", None)
        if self._provider.context.is_token_valid() and is_private(str(request.url)):
            request.headers["Authorization"] = self._bearer()


def client_of(wanted: tools.Login, proof: str) -> OAuthClientInformationFull | None:
    """The client that the operator named, None for one that is to be registered or has a document."""
    if not wanted.client or is_valid_client_metadata_url(wanted.client):
        return None
    method = "client_secret_basic" if proof else "none"
    return OAuthClientInformationFull(
        client_id=wanted.client, client_secret=proof or None, token_endpoint_auth_method=method,
        issuer=wanted.issuer or None,
    )  # fmt: skip


def _is_refusal(response: httpx2.Response) -> bool:
    header = response.headers.get("WWW-Authenticate", "")
    return response.status_code == _UNAUTHORISED or (
        response.status_code == _FORBIDDEN and "insufficient_scope" in header
    )


def _check(url: str) -> None:
    """Raises OAuthFlowError for an address that others could listen to, or that is none."""
    if not is_private(url):
        raise OAuthFlowError(f"{url[:200]} is not https: nobody logs in there")


def _came_back(address: str, redirect: str) -> AuthorizationCodeResult:
    """What a page told by where it sent the person."""
    before, _, query = address.strip().partition("?")
    if before != redirect:
        raise OAuthFlowError(f"what came back is no address that begins with {redirect}")
    told = {name: values[0] for name, values in parse_qs(query.partition("#")[0], max_num_fields=32).items()}
    if "error" in told:
        raise OAuthFlowError(f"the page says: {told['error'][:64]}")
    return AuthorizationCodeResult(code=told.get("code", ""), state=told.get("state"), iss=told.get("iss"))


def _error_code(response: httpx2.Response) -> str:
    """What an error is called, by RFC 6749, section 5.2; "" for what is no such name."""
    try:
        code = response.json().get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _algorithm(key: str) -> str:
    """How a private key signs. Raises ValueError for one that cannot be read."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    match load_pem_private_key(key.encode(), None):
        case EllipticCurvePrivateKey(key_size=bits):
            return {256: "ES256", 384: "ES384"}.get(bits, "ES512")
        case Ed25519PrivateKey():
            return "EdDSA"
    return "RS256"
