"""Keeps replies, so that a page that has not changed is not sent again (acts on a folder; RFC 9111 as a shared cache).

A file for each address: one line of JSON, then the body. Only what was asked for without headers of the caller's own is
kept, and only what its server lets a shared cache keep: not `no-store`, not `private`, nothing that sets cookies or
differs by anything but its coding. Whoever asks says how old an answer may be; an older one, and one of a server that wants
to be asked each time (`no-cache`), or once the answer is stale (`must-revalidate`), is asked for anew, with its validators
(RFC 9110 §13.1), and a 304 brings the body from here.
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
"""Bytes of a reply that is kept; and of all bodies that are on their way at once: one with no room there is not kept."""

VALIDATOR_MOST: Final = 4 * 1024
"""Characters of a validator that is sent back; a longer one, which no request has room for, is none."""

TOO_MANY: Final = 429
_VARY: Final = frozenset(("", "accept-encoding"))
_SECRET: Final = frozenset(("no-store", "private"))
_STRICT: Final = frozenset(("must-revalidate", "proxy-revalidate", "s-maxage"))
"""With one of these a shared cache asks for what is stale, whatever its caller takes (RFC 9111 §5.2.2)."""

_DIGITS: Final = 12
"""Of a number of seconds, as many as anybody needs."""

_OF_ITS_OWN: Final = frozenset(("content-length", "content-encoding", "content-range", "transfer-encoding", "location"))
"""Headers of a 304 that are about itself and not about what is kept (RFC 9111 §3.2)."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A reply. at: when it was last known to be true, in seconds since 1970. size: of its body, bytes.

    address: where its body came from, whoever said later that it has not changed.
    body: of one that is to be kept; one that is found leaves it in its file.
    """

    url: str
    status: int
    headers: dict[str, str]
    address: str
    at: float
    size: int = -1
    body: bytes = b""

    def asking(self) -> dict[str, str]:
        """The headers by which its server says whether it has changed; empty where it gave no validators."""
        pairs = (("if-none-match", self.headers.get("etag")), ("if-modified-since", self.headers.get("last-modified")))
        return {name: value for name, value in pairs if value and value.isascii() and len(value) <= VALIDATOR_MOST}

    def is_young(self, age: float, at: float) -> bool:
        """Whether it may be given at that moment to whoever lets it be so old."""
        control = _control(self.headers)
        if not 0 <= at - self.at < age or "no-cache" in control:
            return False
        return (
            control.keys().isdisjoint(_STRICT) or at - self.at + _seconds(self.headers.get("age", "0")) < self._life()
        )

    def _life(self) -> float:
        """Seconds from when its server made it for which it is fresh (RFC 9111 §4.2.1); what cannot be read is none."""
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

    def refreshed(self, headers: Mapping[str, str], at: float) -> "Kept":
        """The same, as a 304 with these headers says it is at that moment."""
        told = {name: value for name, value in headers.items() if name not in _OF_ITS_OWN}
        return msgspec.structs.replace(self, headers={**self.headers, **told}, at=at)


def may_keep(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a shared cache may keep such a reply."""
    control = _control(headers)
    vary = {part.strip().lower() for part in headers.get("vary", "").split(",")}
    return status == 200 and control.keys().isdisjoint(_SECRET) and vary <= _VARY and "set-cookie" not in headers


def _control(headers: Mapping[str, str]) -> dict[str, str]:
    """What its server says of caching, and the value of each word; of one that stands twice the first."""
    parts = [part.strip().partition("=") for part in headers.get("cache-control", "").split(",")]
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in reversed(parts)}


def _seconds(text: str) -> float:
    """Whole seconds as headers have them; none for what is no such number."""
    return float(text[:_DIGITS]) if text.isascii() and text.isdecimal() else 0.0


def tells_of_the_page(status: int) -> bool:
    """Whether a reply that is no 304 says that what is kept is true no more (RFC 9111 §4.3.3), and not only: ask later."""
    return status < 500 and status != TOO_MANY


class Found:
    """A reply that is kept, whose body is read as it is sent: who waits for its caller holds none of it. To be closed."""

    def __init__(self, kept: Kept, file: BinaryIO, begin: int) -> None:
        self.kept, self._file, self._begin = kept, file, begin

    def piece(self, at: int, most: int) -> bytes:
        """So many bytes of the body, from one on."""
        return os.pread(self._file.fileno(), most, self._begin + at)

    def close(self) -> None:
        """The body is not wanted any more."""
        self._file.close()


class Gathered:
    """A body on its way into the cache, as long as there is room for it beside the others that are. To be closed."""

    def __init__(self, cache: "PageCache") -> None:
        self._cache = cache
        self._body: bytearray | None = bytearray()

    def add(self, piece: bytes) -> None:
        """The next bytes of it."""
        if self._body is not None:
            size = len(self._body) + len(piece)
            if size > BODY_MOST or self._cache.gathered + len(piece) > GATHERED_MOST:
                self.close()
                return
            self._body += piece  # first: where there is no memory for it, it is not counted either
            self._cache.gathered += len(piece)

    @property
    def body(self) -> bytes | None:
        """All of it; None where it is too much to be kept."""
        return None if self._body is None else bytes(self._body)

    def close(self) -> None:
        """Hold nothing of it any more."""
        self._cache.gathered -= len(self._body or b"")
        self._body = None


class PageCache:
    """The folder, made when something is to be kept. size: bytes that it may take; gathered: of bodies on the way."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size, self.gathered = folder, size, 0
        self._used = -1  # not yet known

    def find(self, url: str) -> Found | None:
        """What is kept of an address; None for nothing, and for what a kill or a power cut left of one."""
        try:
            file = self._path(url).open("rb")
        except OSError:
            return None
        try:
            kept = msgspec.json.decode(file.readline(), type=Kept)
            if kept.url == url and file.tell() + kept.size == os.fstat(file.fileno()).st_size:
                return Found(kept, file, file.tell())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            pass
        file.close()
        return None

    def forget(self, url: str) -> None:
        """Keeps nothing of an address any more."""
        with suppress(OSError):
            self._drop(self._path(url))

    def put(self, kept: Kept) -> None:
        """Keeps a reply, and lets the oldest go where there is no room. One that the disk does not take is not kept."""
        try:
            self._put(kept)
        except OSError:
            self._used = -1
            with suppress(OSError):
                self._path(kept.url).with_suffix(".part").unlink()

    def _put(self, kept: Kept) -> None:
        path = self._path(kept.url)
        line = msgspec.json.encode(msgspec.structs.replace(kept, size=len(kept.body), body=b"")) + b"\n"
        size = len(line) + len(kept.body)
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
            file.writelines((line, kept.body))
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
