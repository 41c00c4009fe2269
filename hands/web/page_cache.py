"""Caches replies, so that an unchanged page is not sent again (acts on a folder; RFC 9111 as a shared cache).

One file per URL: the SHA-256 of all that follows, a line; one line of JSON; then the body. Stored are only replies to
requests without headers of the caller's, and only what the server lets a shared cache store: not `no-store`, not
`private`, nothing that sets cookies or varies by anything but its coding. The caller says how old an answer may be. An
older one is revalidated with its validators (RFC 9110 §13.1), as is one that the server wants checked each time
(`no-cache`) or once it is stale (`must-revalidate`); after a 304 the body comes from here.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

BODY_MOST: Final = 4 * 1024 * 1024
GATHERED_MOST: Final = 16 * 1024 * 1024
"""Bytes of a stored body; and of all bodies being collected at once: one that finds no room is not stored."""

VALIDATOR_MOST: Final = 4 * 1024
"""Characters of a validator; a longer one, for which a request has no room, is ignored."""

TOO_MANY: Final = 429
_VARY: Final = frozenset(("", "accept-encoding"))
_SECRET: Final = frozenset(("no-store", "private"))
_STRICT: Final = frozenset(("must-revalidate", "proxy-revalidate", "s-maxage"))
"""With one of these a shared cache must revalidate a stale reply, whatever the caller accepts (RFC 9111 §5.2.2)."""

_DIGEST_SIZE: Final = 65
"""Bytes of a file's first line."""

_DIGITS: Final = 12
"""Digits of a number of seconds that are read."""

_OF_ITS_OWN: Final = frozenset(("content-length", "content-encoding", "content-range", "transfer-encoding", "location"))
"""Headers of a 304 that describe the 304 and not the stored reply (RFC 9111 §3.2)."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A stored reply. at: when the server last confirmed it, in seconds since 1970. size: bytes of its body.

    address: the address its body came from, even if another confirmed it later.
    body: set only for a reply that is about to be stored; a found one leaves it in its file.
    """

    url: str
    status: int
    headers: dict[str, str]
    address: str
    at: float
    size: int = -1
    body: bytes = b""

    def validators(self) -> dict[str, str]:
        """The request headers that ask whether the reply has changed; empty if the server gave no validators."""
        pairs = (("if-none-match", self.headers.get("etag")), ("if-modified-since", self.headers.get("last-modified")))
        return {name: value for name, value in pairs if value and value.isascii() and len(value) <= VALIDATOR_MOST}

    def is_young(self, age: float, at: float) -> bool:
        """Whether it may be used at moment `at` by a caller that accepts an age of `age` seconds."""
        control = _control(self.headers)
        if not 0 <= at - self.at < age or "no-cache" in control:
            return False
        return (
            control.keys().isdisjoint(_STRICT) or at - self.at + _seconds(self.headers.get("age", "0")) < self._life()
        )

    def _life(self) -> float:
        """Seconds for which it is fresh from when its server made it (RFC 9111 §4.2.1); 0 if that cannot be read."""
        control = _control(self.headers)
        for name in ("s-maxage", "max-age"):
            if name in control:
                return _seconds(control[name])
        try:
            ends = parsedate_to_datetime(self.headers["expires"]).timestamp()
            made = parsedate_to_datetime(self.headers["date"]).timestamp() if "date" in self.headers else self.at
        except (KeyError, ValueError, OverflowError):
            return 0.0
        return ends - made

    def confirmed(self, headers: Mapping[str, str], at: float) -> "Kept":
        """This reply, updated by the headers of a 304 that came at moment `at`."""
        new = {name: value for name, value in headers.items() if name not in _OF_ITS_OWN}
        return msgspec.structs.replace(self, headers={**self.headers, **new}, at=at)


def may_keep(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a shared cache may store a reply."""
    control = _control(headers)
    vary = {part.strip().lower() for part in headers.get("vary", "").split(",")}
    return status == 200 and control.keys().isdisjoint(_SECRET) and vary <= _VARY and "set-cookie" not in headers


def _control(headers: Mapping[str, str]) -> dict[str, str]:
    """The directives of cache-control and their values; the first one, where a directive is repeated."""
    parts = [part.strip().partition("=") for part in headers.get("cache-control", "").split(",")]
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in reversed(parts)}


def _seconds(text: str) -> float:
    """A header's whole seconds; 0 if it is not a number."""
    return float(text[:_DIGITS]) if text.isascii() and text.isdecimal() else 0.0


def outdates_stored(status: int) -> bool:
    """Whether a reply other than 304 shows that the stored one is outdated (RFC 9111 §4.3.3), and not just "ask later"."""
    return status < 500 and status != TOO_MANY


class Found:
    """A stored reply whose body is read from its file in pieces as it is sent. Must be closed."""

    def __init__(self, kept: Kept, file: BinaryIO, begin: int) -> None:
        self.kept, self._file, self._begin = kept, file, begin

    def read(self, at: int, most: int) -> bytes:
        """At most `most` bytes of the body from offset `at`."""
        return os.pread(self._file.fileno(), most, self._begin + at)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Gathered:
    """Collects a body to be stored, while there is room beside the others being collected. Must be closed."""

    def __init__(self, cache: "PageCache") -> None:
        self._cache = cache
        self._body: bytearray | None = bytearray()

    def add(self, piece: bytes) -> None:
        """Appends bytes; gives up, and frees them all, if there is no room."""
        if self._body is not None:
            size = len(self._body) + len(piece)
            if size > BODY_MOST or self._cache.gathered + len(piece) > GATHERED_MOST:
                self.close()
                return
            self._body += piece  # first: if there is no memory for it, it must not be counted
            self._cache.gathered += len(piece)

    @property
    def body(self) -> bytes | None:
        """The whole body; None if it was too large to be stored."""
        return None if self._body is None else bytes(self._body)

    def close(self) -> None:
        """Frees what was collected."""
        self._cache.gathered -= len(self._body or b"")
        self._body = None


class PageCache:
    """The cache's folder, made at the first store. size: bytes that it may take. gathered: bytes being collected."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size, self.gathered = folder, size, 0
        self._used = -1  # not known yet

    def find(self, url: str) -> Found | None:
        """The stored reply of a URL; None if there is none, or it is not what was stored, as after a power cut."""
        try:
            file = self._path(url).open("rb")
        except OSError:
            return None
        try:
            digest = file.readline(_DIGEST_SIZE)
            if hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n" == digest:
                file.seek(_DIGEST_SIZE)
                kept = msgspec.json.decode(file.readline(), type=Kept)
                if kept.url == url:
                    return Found(kept, file, file.tell())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            pass
        file.close()
        return None

    def forget(self, url: str) -> None:
        """Removes the stored reply of a URL."""
        with suppress(OSError):
            self._drop(self._path(url))

    def put(self, kept: Kept) -> None:
        """Stores a reply; removes the oldest ones if there is no room. Does nothing if the disk refuses it."""
        try:
            self._put(kept)
        except OSError:
            self._used = -1
            with suppress(OSError):
                self._path(kept.url).with_suffix(".part").unlink()

    def _put(self, kept: Kept) -> None:
        path = self._path(kept.url)
        line = msgspec.json.encode(msgspec.structs.replace(kept, size=len(kept.body), body=b"")) + b"\n"
        size = _DIGEST_SIZE + len(line) + len(kept.body)
        if size > self._size:
            return
        if self._used < 0:
            self._folder.mkdir(exist_ok=True)
            self._used = sum(one.stat().st_size for one in self._folder.iterdir())
        self._drop(path)
        if self._used + size > self._size:
            for old in sorted(self._folder.iterdir(), key=lambda one: one.stat().st_mtime_ns):
                self._drop(old)
                if self._used + size <= self._size // 2:
                    break
        draft = path.with_suffix(".part")
        with draft.open("wb") as file:
            file.writelines((hashlib.sha256(line + kept.body).hexdigest().encode() + b"\n", line, kept.body))
        draft.replace(path)
        self._used += size

    def _drop(self, path: Path) -> None:
        try:
            size = path.stat().st_size
            os.unlink(path)
        except FileNotFoundError:
            return
        self._used -= size

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode()).hexdigest()


def now() -> float:
    """Seconds since 1970."""
    return time.time()
