"""What a login leaves behind, in a file of the Hand's own state (acts): tokens, the client they are for, and whose they are.

It is the package's storage of tokens, and more: the package keeps in memory alone which authorization server its tokens
are from, and when they expire, and would after a start offer a refresh token to the MCP server's own host instead. Nobody
but the Hand, and the operator, may read the file; it is replaced as a whole. What cannot be read counts as no login, and so
does what is another server's, client's or issuer's: the operator may have changed them since.

When a write raises OSError, what is kept holds in this process all the same.
"""

import copy
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from mcp.client.auth.oauth2 import OAuthContext
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata
from msgspec import Struct
from msgspec.structs import replace
from pydantic import BaseModel, ValidationError

FILE: Final = "login.json"
_LARGEST: Final = 1024 * 1024
_HEADER: Final = 2048  # characters of what the server says that it wants
_TOKEN: Final = re.compile(r"[\x20-\x7e]{1,16384}")
"""What a header takes (RFC 6749, appendix A.12), and servers, who rarely take more than this."""

_Model = TypeVar("_Model", bound=BaseModel)


class Challenge(Struct, frozen=True, kw_only=True):
    """How the server refused us: its status, and its WWW-Authenticate, which says what it wants."""

    status: int
    header: str = ""


class _Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file's content; tables are as the package writes them. until: when the token expires, in seconds since 1970.

    whose: the server's URL, and the client and issuer that the operator named for it. server, resource: what is known of
    the authorization server and of what it protects; authority: as that names it.
    """

    whose: tuple[str, ...] = ()
    tokens: dict[str, object] | None = None
    until: float | None = None
    client: dict[str, object] | None = None
    server: dict[str, object] | None = None
    resource: dict[str, object] | None = None
    authority: str | None = None
    challenge: Challenge | None = None


class Kept:
    """The package's storage. client: the one that the operator named, which then is not the file's."""

    def __init__(self, folder: Path, whose: tuple[str, ...], client: OAuthClientInformationFull | None = None) -> None:
        self._path, self._part, self._own = folder / FILE, folder / f"{FILE}.part", client
        self._is_draft = False
        self._content = none = _Content(whose=whose)
        with suppress(OSError):  # what a process that was killed while it wrote has left
            os.unlink(self._part)
        with suppress(OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError), open(self._path, "rb") as file:
            found = msgspec.json.decode(file.read(_LARGEST), type=_Content)
            self._content = found if found.whose == whose else none

    def draft(self) -> "Kept":
        """The same, for a login that is not done yet: nothing of it is kept until adopt() takes it."""
        draft = copy.copy(self)
        draft._is_draft = True
        return draft

    def adopt(self, draft: "Kept") -> None:
        """Keep a login that is done."""
        self._write(draft._content)

    @property
    def challenge(self) -> Challenge | None:
        """The last refusal that only a person can mend."""
        return self._content.challenge

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in a log."""
        tables = (self._content.tokens or {}, self._content.client or {})
        names = ("access_token", "refresh_token", "client_secret")
        return tuple(str(table[name]) for table in tables for name in names if table.get(name))

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens, whether or not they have expired."""
        tokens = _read(OAuthToken, self._content.tokens)
        return tokens if tokens is not None and _TOKEN.fullmatch(tokens.access_token) else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """New ones. Raises ValueError for one that no request can carry."""
        if not _TOKEN.fullmatch(tokens.access_token):
            raise ValueError("it is not a token")
        until = None if tokens.expires_in is None else time.time() + tokens.expires_in
        self._write(replace(self._content, tokens=_plain(tokens), until=until))

    async def registered(self) -> OAuthClientInformationFull | None:
        """The client that tokens are for."""
        return self._own or _read(OAuthClientInformationFull, self._content.client)

    async def register(self, client_info: OAuthClientInformationFull) -> None:
        """One that has been registered."""
        self._write(replace(self._content, client=_plain(client_info)))

    get_client_info, set_client_info = registered, register
    """As the package calls them."""

    def restore(self, context: OAuthContext) -> None:
        """Let the package know again what it knew when the tokens were new."""
        context.token_expiry_time = self._content.until
        context.oauth_metadata = _read(OAuthMetadata, self._content.server)
        context.protected_resource_metadata = _read(ProtectedResourceMetadata, self._content.resource)
        context.auth_server_url = self._content.authority

    def learn(self, context: OAuthContext) -> None:
        """Keep what the package has found out about where tokens come from."""
        server, resource = _plain(context.oauth_metadata), _plain(context.protected_resource_metadata)
        self._write(replace(self._content, server=server, resource=resource, authority=context.auth_server_url))

    def refused(self, challenge: Challenge | None) -> None:
        """Keep how we were refused, for the next login; None once that is past."""
        if challenge is not None:
            challenge = Challenge(status=challenge.status, header=challenge.header[:_HEADER])
        if challenge != self._content.challenge:
            self._write(replace(self._content, challenge=challenge))

    def drop_tokens(self) -> None:
        """They are of no use any more."""
        self._write(replace(self._content, tokens=None, until=None))

    def drop_client(self) -> None:
        """A registered client is of no use any more: its redirect leads elsewhere."""
        self._write(replace(self._content, client=None))

    def forget(self) -> bool:
        """Forget everything; whether there were tokens."""
        had = self._content.tokens is not None
        self._content = _Content(whose=self._content.whose)
        for path in (self._part, self._path):
            with suppress(FileNotFoundError):
                os.unlink(path)
        _sync(self._path.parent)
        return had

    def _write(self, content: _Content) -> None:
        raw, self._content = msgspec.json.encode(content), content
        if self._is_draft:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with open(os.open(self._part, flags, 0o600), "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._part, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(self._part)
            raise
        _sync(self._path.parent)


def _sync(folder: Path) -> None:
    """Bring a folder's names to disk: a token that was used up, or forgotten, must not be back after a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _plain(model: BaseModel | None) -> dict[str, object] | None:
    return None if model is None else model.model_dump(mode="json", exclude_none=True)


def _read(of: type[_Model], table: dict[str, object] | None) -> _Model | None:
    try:
        return None if table is None else of.model_validate(table)
    except ValidationError:
        return None
