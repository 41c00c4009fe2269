"""Logs the Hand of a remote server in to it (acts): OAuth 2.1 by the package, limited to what the Hand may reach.

The package has the steps (mcp.client.auth); this decides who takes them and when. A call never waits for a person: it uses
the stored token, which is refreshed when it has expired, or else fails and says `maniple mcp login`. Only there may the
package register a client and send a person to a page. A client that logs in by its own secret or key needs no person, and
takes all steps within a call.

Each attempt is a Pass of its own, which also describes its failure (steps.py).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.utils import is_valid_client_metadata_url
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from pydantic import AnyUrl

from manifests.mcp import tools
from manifests.mcp.private import LOOPBACK, is_private
from runtime import records
from runtime.errors import Failure, HandBroken
from runtime.mcp.kept import Challenge, Kept
from runtime.mcp.login_rules import UNAUTHORISED, algorithm_of, check_address, is_refusal, read_redirect
from runtime.mcp.revoking import Sign, revoke
from runtime.mcp.steps import WRONG, Outside, Pass, Route

PAGE_MOST: Final = 8 * 1024
"""Most characters of a page's URL."""

_NOWHERE: Final = "http://127.0.0.1/callback"  # for a provider that opens no page

Show = Callable[[str], Awaitable[None]]
"""Called with the URL of the page that a person must open."""

Hear = Callable[[], Awaitable[str]]
"""Returns the address that the page redirected the person to."""


class Login(httpx2.Auth):
    """The login of one Hand. why: the problem that only a person can solve, or ""."""

    def __init__(self, hand: str, url: str, wanted: tools.Login, proof: str, kept: Kept, outside: Outside) -> None:
        """Raises HandBroken if the settings do not fit the login."""
        logging.getLogger("mcp.client.auth").setLevel(logging.CRITICAL + 1)  # it would log answers, which hold secrets
        self._hand, self._url, self._wanted, self._kept = hand, url, wanted, kept
        self._route = Route(hand=hand, url=url, wanted=wanted, outside=outside)
        self._turn = asyncio.Lock()
        self._is_at_page = False
        self._proof = proof
        self._sign_with: Sign | None = None
        self.why = ""
        if wanted.is_alone and not proof:
            raise HandBroken(
                f"its setting {wanted.proof} is not set: `maniple settings {hand} --secret {wanted.proof}`"
            )
        self._provider = self._provider_without_person()

    # within a call ----------------------------------------------------------------------------------------------------

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Sends a request with the token. A refusal that no step here can solve is stored and returned."""
        async with self._turn:
            await self._restore(self._provider)
            context = self._provider.context
            if not context.is_token_valid() and context.can_refresh_token():
                await self._take_steps(request, None)
        self._sign(request)
        response = yield request
        if not is_refusal(response):
            self._let_in(response)
            return
        async with self._turn:
            is_mended = await self._renew(request, response)
        if is_mended:
            self._sign(request)
            response = yield request
            if not is_refusal(response):
                self._let_in(response)
                return
        self._refused(response)

    async def _renew(self, request: httpx2.Request, response: httpx2.Response) -> bool:
        """Gets another token than the refused one, if possible. Returns whether there is one."""
        context, sent = self._provider.context, request.headers.get("Authorization")
        if context.is_token_valid() and sent != self._bearer():
            return True
        if self._wanted.is_alone:
            return await self._take_steps(request, response)
        if response.status_code == UNAUTHORISED and context.can_refresh_token():
            context.token_expiry_time = 1.0  # long past, so that the package refreshes it
            return await self._take_steps(request, None)
        return False

    async def _take_steps(self, request: httpx2.Request, refusal: httpx2.Response | None) -> bool:
        """Takes the package's steps to a token. Returns whether there is a new one; if not, `why` says it to calls."""
        before, steps = self._bearer(), Pass(self._route)
        with _log_if_not_stored():
            try:
                await steps.take(self._provider, self._kept, request, refusal)
            except WRONG as error:
                self.why = steps.explain(error)
                records.logger().warning("logging in to the server failed", why=self.why)
                self._provider = self._provider_without_person()  # the old one may be half-way through the steps
                return False
            if self._provider.context.current_tokens is None and steps.is_over:
                self._kept.drop_tokens()
        return self._provider.context.is_token_valid() and self._bearer() != before

    def _let_in(self, response: httpx2.Response) -> None:
        """Clears `why` after a successful response; an error says nothing about the login."""
        if response.is_success:
            self.why = ""

    def _refused(self, response: httpx2.Response) -> None:
        header = response.headers.get("WWW-Authenticate", "")
        with _log_if_not_stored():
            self._kept.set_challenge(Challenge(status=response.status_code, header=header))
        if self._wanted.is_alone:
            self.why = self.why or f"the server refuses {self._hand}'s client, though it has logged in"
        else:
            more = "" if response.status_code == UNAUTHORISED else " for more than it may do now"
            self.why = f"the server wants a login{more}: `maniple mcp login {self._hand.removeprefix('mcp-')}`"

    # with a person ----------------------------------------------------------------------------------------------------

    @property
    def challenge(self) -> Challenge | None:
        """The server's last refusal; None once we are logged in."""
        return self._kept.challenge

    async def by_person(self, redirect: str, show: Show, hear: Hear) -> str:
        """Logs in with a person. Returns the granted scope. Raises Failure if that fails."""
        challenge = self._kept.challenge
        assert challenge is not None
        _check_redirect(redirect)
        request = httpx2.Request("POST", self._url, headers={"MCP-Protocol-Version": "2025-11-25"})
        headers = [(b"WWW-Authenticate", challenge.header.encode())] if challenge.header else []
        refusal = httpx2.Response(challenge.status, headers=headers, request=request)
        draft = self._kept.draft()  # a failed login leaves the earlier one as it was

        async def showing(url: str) -> None:
            check_address(url)
            self._route.check_authority(provider)
            if len(url) > PAGE_MOST:
                raise OAuthFlowError(f"the address of its page is too long: {len(url)} characters")
            await show(url)

        async def hearing() -> AuthorizationCodeResult:
            return read_redirect(await hear(), redirect)

        if self._is_at_page:  # like calls, another login does not wait for it
            raise Failure("conflict", "somebody is logging in to this server already: end that first")
        self._is_at_page, steps = True, Pass(self._route)
        try:
            registered = await draft.registered()
            if registered is not None and AnyUrl(redirect) not in (registered.redirect_uris or ()):
                draft.drop_client()
            provider = self._person(redirect, showing, hearing, draft)
            await self._restore(provider)
            if challenge.status == UNAUTHORISED:
                provider.context.clear_tokens()
            before, provider.context.token_expiry_time = (
                provider.context.current_tokens,
                None,
            )  # so that it refreshes nothing
            await steps.take(provider, draft, request, refusal)
            tokens = provider.context.current_tokens
            if tokens is None or tokens is before:
                raise OAuthFlowError("the server's refusal does not say that it wants a login")
        except WRONG as error:
            raise Failure("login", steps.explain(error)) from None
        finally:
            self._is_at_page = False
        async with self._turn:
            draft.set_challenge(None)
            self._provider, self.why = self._provider_without_person(), ""
            try:
                self._kept.adopt(draft)
            except OSError as error:
                why = f"{self._hand} is logged in until it ends, but that could not be stored: {error.strerror}"
                raise Failure("login", why) from None
        return tokens.scope or ""

    async def forget(self) -> tuple[bool, str]:
        """Logs out. Returns (whether there was a login, why the authorization server could not be told, or "")."""
        async with self._turn:
            before = self._provider
            await self._restore(before)
            self._provider = self._provider_without_person()
            try:
                was = self._kept.forget()
            except OSError as error:
                raise Failure("login", f"the login could not be deleted: {error.strerror}") from None
        return was, await revoke(before, self._route, self._sign_with)

    # providers --------------------------------------------------------------------------------------------------------

    def _person(
        self,
        redirect: str,
        show: Show | None,
        hear: Callable[[], Awaitable[AuthorizationCodeResult]] | None,
        kept: Kept,
    ) -> OAuthClientProvider:
        about = OAuthClientMetadata(client_name=f"Maniple ({self._hand})", redirect_uris=[AnyUrl(redirect)])
        document = self._wanted.client if is_valid_client_metadata_url(self._wanted.client) else None
        return OAuthClientProvider(self._url, about, kept, show, hear, document)

    def _alone(self) -> OAuthClientProvider:
        client, issuer = self._wanted.client, self._wanted.issuer
        try:
            if self._wanted.proof == "client_secret":
                return ClientCredentialsOAuthProvider(self._url, self._kept, client, self._proof, issuer=issuer)
            signed = SignedJWTParameters(
                issuer=client, subject=client, signing_key=self._proof, signing_algorithm=algorithm_of(self._proof)
            )
            self._sign_with = signed.create_assertion_provider()
            return PrivateKeyJWTOAuthProvider(self._url, self._kept, client, self._sign_with, issuer=issuer)
        except ValueError:
            raise HandBroken(f"its setting {self._wanted.proof}, or the issuer, cannot be read") from None

    def _provider_without_person(self) -> OAuthClientProvider:
        """A provider for the steps that need no person."""
        return self._alone() if self._wanted.is_alone else self._person(_NOWHERE, None, None, self._kept)

    async def _restore(self, provider: OAuthClientProvider) -> None:
        """Gives the stored login to a new provider, or to one that reset itself after a failed refresh."""
        if not provider._initialized:
            await provider._initialize()
            self._kept.restore(provider.context)
            records.hide_also(self._kept.secrets)

    def _bearer(self) -> str:
        tokens = self._provider.context.current_tokens
        return "" if tokens is None else f"Bearer {tokens.access_token}"

    def _sign(self, request: httpx2.Request) -> None:
        request.headers.pop("Authorization", None)
        if self._provider.context.is_token_valid() and is_private(str(request.url)):
            request.headers["Authorization"] = self._bearer()


def _check_redirect(redirect: str) -> None:
    """Raises Failure unless the redirect is an http URL on loopback."""
    try:
        where = urlsplit(redirect)
    except ValueError:
        raise Failure("arguments", "redirect is not a URL") from None
    if where.scheme != "http" or where.hostname not in LOOPBACK or where.query or where.fragment:
        raise Failure("arguments", "redirect is an http URL on loopback")


@contextmanager
def _log_if_not_stored() -> Iterator[None]:
    """Logs an OSError: on a full disk the login lasts as long as this process."""
    try:
        yield
    except OSError as error:
        records.logger().warning("the state of the login could not be stored", why=str(error))
