"""Stores a login in a file of the Hand's state (acts): tokens, the client they are for, and where they come from.

It is the package's token storage, and more: the package itself keeps only in memory which authorization server its tokens
are from and when they expire, and after a restart would offer a refresh token to the MCP server's own host instead. Only the
Hand and the operator may read the file; it is replaced as a whole. An unreadable file counts as no login, as does one for
another server, client or issuer: the operator may have changed them since.

If a write raises OSError, the new content still counts in this process.
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
_HEADER: Final = 2048  # characters of a WWW-Authenticate header that are stored
_TOKEN: Final = re.compile(r"[\x20-\x7e]{1,16384}")
"""The characters of a token (RFC 6749, appendix A.12), and more than most servers accept."""

_Model = TypeVar("_Model", bound=BaseModel)


class Challenge(Struct, frozen=True, kw_only=True):
    """The server's refusal: its status and WWW-Authenticate header."""

    status: int
    header: str = ""


class _Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file's content; tables are as the package writes them. until: when the token expires, seconds since 1970.

    whose: the server's URL, and the client and issuer that the operator named. server, resource: metadata of the
    authorization server and of the protected resource. authority: the authorization server's URL.
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
    """The package's token storage. client: the one that the operator named; it is not stored then."""

    def __init__(self, folder: Path, whose: tuple[str, ...], client: OAuthClientInformationFull | None = None) -> None:
        self._path, self._part, self._own = folder / FILE, folder / f"{FILE}.part", client
        self._is_draft = False
        self._content = none = _Content(whose=whose)
        with suppress(OSError):  # left by a process that was killed while writing
            os.unlink(self._part)
        with suppress(OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError), open(self._path, "rb") as file:
            found = msgspec.json.decode(file.read(_LARGEST), type=_Content)
            self._content = found if found.whose == whose else none

    def draft(self) -> "Kept":
        """A copy for a login in progress: nothing of it is stored until adopt() takes it."""
        draft = copy.copy(self)
        draft._is_draft = True
        return draft

    def adopt(self, draft: "Kept") -> None:
        """Stores a finished login."""
        self._write(draft._content)

    @property
    def challenge(self) -> Challenge | None:
        """The last refusal that only a person can solve."""
        return self._content.challenge

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in a log."""
        tables = (self._content.tokens or {}, self._content.client or {})
        names = ("access_token", "refresh_token", "client_secret")
        return tuple(str(table[name]) for table in tables for name in names if table.get(name))

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens, expired or not."""
        tokens = _read(OAuthToken, self._content.tokens)
        return tokens if tokens is not None and _TOKEN.fullmatch(tokens.access_token) else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Stores new tokens. Raises ValueError for one that does not fit into a header."""
        if not _TOKEN.fullmatch(tokens.access_token):
            raise ValueError("it is not a token")
        until = None if tokens.expires_in is None else time.time() + tokens.expires_in
        self._write(replace(self._content, tokens=_plain(tokens), until=until))

    async def registered(self) -> OAuthClientInformationFull | None:
        """The client that the tokens are for."""
        return self._own or _read(OAuthClientInformationFull, self._content.client)

    async def register(self, client_info: OAuthClientInformationFull) -> None:
        """Stores a newly registered client."""
        self._write(replace(self._content, client=_plain(client_info)))

    get_client_info, set_client_info = registered, register
    """As the package calls them."""

    def restore(self, context: OAuthContext) -> None:
        """Gives the package again what it knew when the tokens were new."""
        context.token_expiry_time = self._content.until
        context.oauth_metadata = _read(OAuthMetadata, self._content.server)
        context.protected_resource_metadata = _read(ProtectedResourceMetadata, self._content.resource)
        context.auth_server_url = self._content.authority

    def learn(self, context: OAuthContext) -> None:
        """Stores what the package found out about where tokens come from."""
        server, resource = _plain(context.oauth_metadata), _plain(context.protected_resource_metadata)
        self._write(replace(self._content, server=server, resource=resource, authority=context.auth_server_url))

    def set_challenge(self, challenge: Challenge | None) -> None:
        """Stores a refusal, for the next login; None clears it."""
        if challenge is not None:
            challenge = Challenge(status=challenge.status, header=challenge.header[:_HEADER])
        if challenge != self._content.challenge:
            self._write(replace(self._content, challenge=challenge))

    def drop_tokens(self) -> None:
        """Deletes tokens that are no longer valid."""
        self._write(replace(self._content, tokens=None, until=None))

    def drop_client(self) -> None:
        """Deletes a registered client whose redirect has changed."""
        self._write(replace(self._content, client=None))

    def forget(self) -> bool:
        """Deletes everything. Returns whether there were tokens."""
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
    """Syncs a folder: a used or deleted token must not be back after a power cut."""
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
