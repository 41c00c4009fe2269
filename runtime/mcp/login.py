"""How the Hand of a server elsewhere logs in to it (acts): OAuth 2.1 as the package has it, within what the Hand may reach.

The steps are the package's (mcp.client.auth); what is ours is who takes them and when. A call never waits for a person: it
goes with the token that is there, which is refreshed when it has expired, and else fails and says `maniple mcp login`. There,
and only there, the package may register a client and send a person to a page. A client that logs in by its own secret or
key needs no person, and takes all steps within a call.

The steps themselves, and what is told of one that comes to nothing, are a pass of their own each time (steps.py).
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
from runtime.mcp.login_rules import UNAUTHORISED, algorithm_of, came_back, check_address, is_refusal
from runtime.mcp.revoking import Sign, revoke
from runtime.mcp.steps import WRONG, Outside, Pass, Route

PAGE_MOST: Final = 8 * 1024
"""Characters of a page's address."""

_NOWHERE: Final = "http://127.0.0.1/callback"  # of a provider that sends nobody anywhere

Show = Callable[[str], Awaitable[None]]
"""Given the page that a person is to open."""

Hear = Callable[[], Awaitable[str]]
"""The address that the page sent the person to."""


class Login(httpx2.Auth):
    """The login of one Hand. why: what only a person can mend, "" while nothing is wrong."""

    def __init__(self, hand: str, url: str, wanted: tools.Login, proof: str, kept: Kept, outside: Outside) -> None:
        """Raises HandBroken when the settings fit no login."""
        logging.getLogger("mcp.client.auth").setLevel(logging.CRITICAL + 1)  # it would tell what stands in answers
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
        if not is_refusal(response):
            self._let_in(response)
            return
        async with self._turn:
            is_mended = await self._mended(request, response)
        if is_mended:
            self._sign(request)
            response = yield request
            if not is_refusal(response):
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
        if response.status_code == UNAUTHORISED and context.can_refresh_token():
            context.token_expiry_time = 1.0  # long past, whatever was said: then the package refreshes it
            return await self._stepped(request, None)
        return False

    async def _stepped(self, request: httpx2.Request, refusal: httpx2.Response | None) -> bool:
        """Take the package's steps to a token; whether there is one. Why not is what a call is then told."""
        before, steps = self._bearer(), Pass(self._route)
        with _told_if_not_kept():
            try:
                await steps.take(self._provider, self._kept, request, refusal)
            except WRONG as error:
                self.why = steps.told(error)
                records.logger().warning("logging in to the server failed", why=self.why)
                self._provider = self._unasked()  # it may have taken half of something
                return False
            if self._provider.context.current_tokens is None and steps.is_over:
                self._kept.drop_tokens()
        return self._provider.context.is_token_valid() and self._bearer() != before

    def _let_in(self, response: httpx2.Response) -> None:
        """Nothing is wrong any more, if the server did what it was asked: an error says nothing of that."""
        if response.is_success:
            self.why = ""

    def _refused(self, response: httpx2.Response) -> None:
        header = response.headers.get("WWW-Authenticate", "")
        with _told_if_not_kept():
            self._kept.refused(Challenge(status=response.status_code, header=header))
        if self._wanted.is_alone:
            self.why = self.why or f"the server refuses {self._hand}'s client, though it has logged in"
        else:
            more = "" if response.status_code == UNAUTHORISED else " for more than it may do now"
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
        _check_redirect(redirect)
        request = httpx2.Request("POST", self._url, headers={"MCP-Protocol-Version": "2025-11-25"})
        headers = [(b"WWW-Authenticate", challenge.header.encode())] if challenge.header else []
        refusal = httpx2.Response(challenge.status, headers=headers, request=request)
        draft = self._kept.draft()  # a login that comes to nothing leaves the one before as it was

        async def showing(url: str) -> None:
            check_address(url)
            self._route.check_authority(provider)
            if len(url) > PAGE_MOST:
                raise OAuthFlowError(f"the address of its page is too long: {len(url)} characters")
            await show(url)

        async def hearing() -> AuthorizationCodeResult:
            return came_back(await hear(), redirect)

        if self._is_at_page:  # calls do not wait for it, and so another login does not, either
            raise Failure("conflict", "somebody is logging in to this server already: end that first")
        self._is_at_page, steps = True, Pass(self._route)
        try:
            registered = await draft.registered()
            if registered is not None and AnyUrl(redirect) not in (registered.redirect_uris or ()):
                draft.drop_client()
            provider = self._person(redirect, showing, hearing, draft)
            await self._restored(provider)
            if challenge.status == UNAUTHORISED:
                provider.context.clear_tokens()
            before, provider.context.token_expiry_time = provider.context.current_tokens, None  # it refreshes nothing
            await steps.take(provider, draft, request, refusal)
            tokens = provider.context.current_tokens
            if tokens is None or tokens is before:
                raise OAuthFlowError("the server's refusal does not say that it wants a login")
        except WRONG as error:
            raise Failure("login", steps.told(error)) from None
        finally:
            self._is_at_page = False
        async with self._turn:
            draft.refused(None)
            self._provider, self.why = self._unasked(), ""
            try:
                self._kept.adopt(draft)
            except OSError as error:
                why = f"{self._hand} is logged in until it ends, but that could not be kept: {error.strerror}"
                raise Failure("login", why) from None
        return tokens.scope or ""

    async def forget(self) -> tuple[bool, str]:
        """Log out. Whether there was a login, and why the authorization server could not be told of its end, "" if it was."""
        async with self._turn:
            before = self._provider
            await self._restored(before)
            self._provider = self._unasked()
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

    def _unasked(self) -> OAuthClientProvider:
        """What takes the steps that need no person."""
        return self._alone() if self._wanted.is_alone else self._person(_NOWHERE, None, None, self._kept)

    async def _restored(self, provider: OAuthClientProvider) -> None:
        """Let a new provider know what is kept; and one whose token could not be refreshed, which then begins anew."""
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
    """Raises Failure for what is no address on this machine to be sent back to."""
    try:
        where = urlsplit(redirect)
    except ValueError:
        raise Failure("arguments", "redirect is not a URL") from None
    if where.scheme != "http" or where.hostname not in LOOPBACK or where.query or where.fragment:
        raise Failure("arguments", "redirect is an http URL on loopback")


@contextmanager
def _told_if_not_kept() -> Iterator[None]:
    """On a disk that takes nothing a login goes on as long as this process does."""
    try:
        yield
    except OSError as error:
        records.logger().warning("what is known of the login could not be kept", why=str(error))
