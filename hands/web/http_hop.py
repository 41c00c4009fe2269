"""One HTTP/1.1 request and its reply over an open connection, within bounds (acts; h11 decides what the bytes mean).

Exactly one hop: no redirect is followed, no cookie is kept, no connection is reused, no credentials are added.
Everything a server sends is bounded: headers by HEADERS_MAX, interim replies by INTERIM_MAX, the body by `most` both
as it comes and as it unpacks; time is bounded by the caller's asyncio.timeout, which also ends a server that sends
one byte a minute.
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
"""Seconds for which one body is taken apart before other calls have their turn: a server may send a byte in each chunk."""

METHODS: Final = ("GET", "HEAD")

_OURS: Final = (("user-agent", "Maniple/1"), ("accept", "*/*"), ("accept-encoding", "gzip, deflate"))
_NOT_GIVEN: Final = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive")
)
"""Headers that decide how the bytes are read, or whom they are for: never the caller's."""

Send = Callable[[bytes], Awaitable[None]]


@dataclass
class Progress:
    """What is known while a hop is under way. phase: for the person who reads that the time was over; status: 0 before
    there is one.
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
    """The headers of the request: the caller's, ours where he gave none, and those that are only ours. Raises
    WebFailed.
    """
    mine: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str):
            raise WebFailed("arguments", f"headers: the value of {name!r} is not a text.")
        if name.lower() in _NOT_GIVEN or name.lower().startswith("proxy-"):
            raise WebFailed("arguments", f"headers: {name!r} is set by this Hand and by nobody else.")
        mine[name.lower()] = value
    if sum(len(name) + len(value) + 4 for name, value in mine.items()) > GIVEN_MAX:
        raise WebFailed("arguments", f"headers: they are larger than {GIVEN_MAX} bytes.")
    theirs = [(name, value) for name, value in _OURS if name not in mine]
    return [("host", url.authority), *theirs, *mine.items(), ("connection", "close")]


def request(url: Url, method: str, given: Mapping[str, object]) -> h11.Request:
    """The request, checked by h11. Raises WebFailed for a method or header that is none."""
    if method not in METHODS:
        raise WebFailed("arguments", f"method must be GET or HEAD, not {method!r}.")
    try:
        return h11.Request(method=method, target=url.target, headers=request_headers(url, given))
    except (h11.LocalProtocolError, UnicodeError) as error:
        raise WebFailed("arguments", f"headers: {error}.") from None


async def exchange(
    link: Link, asked: h11.Request, url: str, most: int, send: Send, progress: Progress
) -> dict[str, object]:
    """Sends the request and streams the body of the reply. What `web.fetch` answers. Raises WebFailed.

    most: bytes of the body, unpacked. Chunks are sent as they come, at most CHUNK_SIZE each.
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
    if packed:  # what was delivered is neither packed nor of that length
        headers = {name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")}
    answer: dict[str, object] = {"status": reply.status_code, "headers": headers, "url": url, "size": progress.size}
    if 300 <= reply.status_code < 400 and "location" in headers:
        answer["location"] = absolute(url, headers["location"])
    return answer


def headers_of(reply: h11.Response) -> dict[str, str]:
    """Names in lower case; repeated ones joined by ", " (RFC 9110 §5.3), `set-cookie` by a line feed."""
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
        if came > most + HEADERS_MAX:  # packed bytes that unpack to nothing
            raise WebFailed("too large", f"The packed body is larger than `most`, {most} bytes.")
    if inflate:
        inflate.end()


class _Wire:
    """h11 on a connection: its client state machine, fed and drained."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADERS_MAX)
        self.ended = False

    async def send(self, asked: h11.Request) -> None:
        self._link.writer.write(self._machine.send(asked) or b"")
        self._link.writer.write(self._machine.send(h11.EndOfMessage()) or b"")
        await self._link.writer.drain()

    async def reply(self) -> h11.Response:
        """The final reply's head; interim ones (1xx) are passed over."""
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
        """The body as it comes, small pieces that are there together joined into one."""
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
