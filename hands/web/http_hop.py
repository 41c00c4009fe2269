"""Makes one HTTP/1.1 request over an open connection and reads its reply, within bounds (acts; h11 parses the bytes).

Exactly one hop: no redirect is followed, no cookie kept, no connection reused, no credential added. Everything that a
server sends is bounded: headers by HEADERS_MAX, interim replies by INTERIM_MAX, the body by `most`, both packed and
unpacked. Time is bounded by the caller's asyncio.timeout, which also ends a server that sends one byte a minute.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import h11

from bounded_inflate import CODINGS, Inflate
from dialling import READ_SIZE, Link
from url_parts import Url, absolute
from web_failure import WebFailed

HEADERS_MAX: Final = 64 * 1024
INTERIM_MAX: Final = 16
GIVEN_MAX: Final = 16 * 1024
CHUNK_SIZE: Final = 256 * 1024
MOMENT: Final = 0.001
"""Seconds that one body is parsed before other calls get a turn: a server may send chunks of one byte."""

METHODS: Final = ("GET", "HEAD")

_OURS: Final = (("user-agent", "Maniple/1"), ("accept", "*/*"), ("accept-encoding", "gzip, deflate"))
_NOT_GIVEN: Final = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive")
)
"""Headers that decide how the bytes are parsed or which host they are for: a caller may not set them."""

Send = Callable[[bytes], Awaitable[None]]


@dataclass
class Progress:
    """The state of a hop under way. phase: what it is doing, for the text of a timeout. status: 0 until there is one.
    size: bytes of the body delivered.
    """

    began: int = field(default_factory=time.monotonic_ns)
    phase: str = "looking up the name and connecting"
    first_byte_us: int = 0
    status: int = 0
    size: int = 0

    def elapsed_us(self) -> int:
        """Microseconds since the call began."""
        return (time.monotonic_ns() - self.began) // 1000


def request_headers(url: Url, given: Mapping[str, object]) -> list[tuple[str, str]]:
    """The request's headers: the caller's, ours where he gave none, and those that only we set. Raises WebFailed."""
    mine: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str):
            raise WebFailed("arguments", f"headers: the value of {name!r} is not a text.")
        if name.lower() in _NOT_GIVEN or name.lower().startswith("proxy-"):
            raise WebFailed("arguments", f"headers: {name!r} is set by this Hand and by nobody else.")
        mine[name.lower()] = value
    if sum(len(name) + len(value) + 4 for name, value in mine.items()) > GIVEN_MAX:
        raise WebFailed("arguments", f"headers: they are larger than {GIVEN_MAX} bytes.")
    defaults = [(name, value) for name, value in _OURS if name not in mine]
    return [("host", url.authority), *defaults, *mine.items(), ("connection", "close")]


def request(url: Url, method: str, given: Mapping[str, object]) -> h11.Request:
    """The request, checked by h11. Raises WebFailed for an invalid method or header."""
    if method not in METHODS:
        raise WebFailed("arguments", f"method must be GET or HEAD, not {method!r}.")
    try:
        return h11.Request(method=method, target=url.target, headers=request_headers(url, given))
    except (h11.LocalProtocolError, UnicodeError) as error:
        raise WebFailed("arguments", f"headers: {error}.") from None


async def exchange(
    link: Link, asked: h11.Request, url: str, most: int, send: Send, progress: Progress
) -> dict[str, object]:
    """Sends the request and streams the reply's body. Returns the reply of `web.fetch` but for times. Raises WebFailed.

    most: bytes of the body, unpacked. Chunks are passed on as they arrive, at most CHUNK_SIZE each.
    """
    wire = _Wire(link)
    try:
        await wire.send(asked)
        progress.phase = "waiting for the first byte"
        reply = await wire.reply()
        progress.status, progress.first_byte_us = reply.status_code, progress.elapsed_us()
        progress.phase = "reading the body"
        headers = headers_of(reply)
        coding = headers.get("content-encoding", "").strip().lower()
        packed = coding in CODINGS and asked.method != b"HEAD"
        _check_length(headers, packed or asked.method == b"HEAD", most)
        await _body(wire, Inflate(coding) if packed else None, most, send, progress)
    except h11.RemoteProtocolError as error:
        raise _protocol_failure(error, wire.ended) from None
    except ssl.SSLError as error:
        raise WebFailed("tls", f"The encrypted connection broke: {error.reason or error}.") from None
    except OSError as error:
        if isinstance(error, TimeoutError) and error.errno is None:
            raise  # the caller's time limit
        raise WebFailed("broken off", f"The connection broke: {error.strerror or error}.") from None
    if packed:  # the body delivered is not packed, and has another length
        headers = {name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")}
    answer: dict[str, object] = {"status": reply.status_code, "headers": headers, "url": url, "size": progress.size}
    if 300 <= reply.status_code < 400 and "location" in headers:
        answer["location"] = absolute(url, headers["location"])
    return answer


def headers_of(reply: h11.Response) -> dict[str, str]:
    """A reply's headers: names in lower case; repeated ones joined by ", " (RFC 9110 §5.3), `set-cookie` by a line feed."""
    values: dict[str, list[str]] = {}
    for name, value in reply.headers:
        values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return {name: ("\n" if name == "set-cookie" else ", ").join(each) for name, each in values.items()}


def _check_length(headers: Mapping[str, str], unknown: bool, most: int) -> None:
    length = headers.get("content-length", "")
    if not unknown and length.isdigit() and int(length) > most:
        raise WebFailed("too large", f"The body has {length} bytes, and `most` is {most}. Nothing was delivered.")


def _protocol_failure(error: h11.RemoteProtocolError, ended: bool) -> WebFailed:
    if ended:
        return WebFailed("broken off", "The server ended the connection before its reply was whole.")
    return WebFailed("bad reply", f"The reply is not HTTP/1.1: {error}.")


async def _body(wire: "_Wire", inflate: Inflate | None, most: int, send: Send, progress: Progress) -> None:
    came = 0
    async for raw in wire.pieces():
        came += len(raw)
        pieces = inflate.feed(raw) if inflate else (raw,)
        for piece in pieces:
            room = most - progress.size
            if piece[:room]:
                progress.size += len(piece[:room])
                await send(piece[:room])
            if len(piece) > room:
                raise WebFailed("too large", f"The body is larger than `most`, {most} bytes. So much was delivered.")
        if came > most + HEADERS_MAX:  # packed bytes may unpack to nothing
            raise WebFailed("too large", f"The packed body is larger than `most`, {most} bytes.")
    if inflate:
        inflate.end()


class _Wire:
    """h11's client state machine on a connection."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADERS_MAX)
        self.ended = False

    async def send(self, asked: h11.Request) -> None:
        self._link.writer.write(self._machine.send(asked) or b"")
        self._link.writer.write(self._machine.send(h11.EndOfMessage()) or b"")
        await self._link.writer.drain()

    async def reply(self) -> h11.Response:
        """The final reply's status and headers; interim replies (1xx) are skipped. Raises WebFailed."""
        for _ in range(INTERIM_MAX):
            event = await self._event()
            if isinstance(event, h11.Response):
                if sum(len(name) + len(value) + 4 for name, value in event.headers) > HEADERS_MAX:
                    raise WebFailed("bad reply", f"The reply's headers are larger than {HEADERS_MAX} bytes.")
                return event
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                break
        raise WebFailed("bad reply", "The server answered with something that is not a reply to this request.")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives; small pieces that arrived together are joined."""
        gathered, until = bytearray(), time.monotonic() + MOMENT
        while True:
            if time.monotonic() >= until:
                await asyncio.sleep(0)
                until = time.monotonic() + MOMENT
            event = self._machine.next_event()
            if isinstance(event, h11.Data):
                gathered += event.data
                if len(gathered) < CHUNK_SIZE - READ_SIZE:
                    continue
            if gathered:
                yield bytes(gathered)
                gathered.clear()
            if event is h11.NEED_DATA:
                await self._read()
            elif not isinstance(event, h11.Data):
                return

    async def _event(self) -> object:
        while (event := self._machine.next_event()) is h11.NEED_DATA:
            await self._read()
        return event

    async def _read(self) -> None:
        raw = await self._link.reader.read(READ_SIZE)
        self.ended = not raw
        self._machine.receive_data(raw)
