"""The calls that this run makes (acts through the link): their numbers, ends, streams under credit, and cancellation.

A call has exactly one end. A stream's writer waits for credit, so at most limits.WINDOW chunks are under way; its reader
gives credit back for consumed chunks, limits.GIVEN_BACK at a time, or fewer if it is slow. At most `in_flight` calls are
open at once, and a further one waits here until another has ended. But if all of these are streams, which the Hand may be
keeping open while it waits, the call is sent at once and the kernel refuses it with a reason. A call that is given up sends
Cancel, and keeps its place until its end arrives.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from types import TracebackType
from typing import Final, Self

from msgspec import Struct
from msgspec.structs import replace

from runtime.errors import CallCancelled, CallFailed, CallRefused, LinkLost
from runtime.link import Link
from wire import codec, headers, limits
from wire.amounts import Cost
from wire.codec import Value
from wire.errors import CodecError

answering: Final[ContextVar[int]] = ContextVar("answering", default=0)
"""The number of the call that this task is answering, 0 for none: the parent of the calls it makes. Tasks inherit it."""


class Reply(Struct, frozen=True, kw_only=True):
    """The reply of a call that ended in Done: value, labels, cost, and the kernel's time in microseconds since 1970."""

    value: Value
    labels: tuple[str, ...] = ()
    cost: Cost | None = None
    time: int = 0


class Outgoing:
    """One open call. chunks: received, not consumed. credit: for the upload. end: header and body, once it has arrived.

    given_up: nobody waits for it any more. placed: it holds one of the `in_flight` places. streamed: it is a stream, whose
    end may depend on the Hand. on_end: called at its end, for alarm(), with whether it was not cancelled.
    """

    __slots__ = (
        "chunks", "credit", "end", "given_up", "number", "on_end", "placed", "streamed", "uploading", "waiters",
    )  # fmt: skip

    def __init__(self, number: int, *, upload: bool, streamed: bool, placed: bool) -> None:
        self.number = number
        self.chunks: deque[bytes] = deque()
        self.credit = limits.WINDOW
        self.uploading = upload
        self.streamed = streamed
        self.placed = placed
        self.given_up = False
        self.on_end: Callable[[bool], None] | None = None
        self.end: tuple[headers.End, bytes] | None = None
        self.waiters: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Wakes all who wait in wait_for_change()."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for_change(self) -> None:
        """Returns at the next wake()."""
        waiter: asyncio.Future[None] = asyncio.Future()  # it is put into no set, so it needs no number (see loop.py)
        self.waiters.append(waiter)
        await waiter


class Calls:
    """All open calls of this run."""

    def __init__(self, link: Link, in_flight: int) -> None:
        self._link = link
        self._next = 1
        self._open: dict[int, Outgoing] = {}
        self._in_flight = in_flight
        self._streams = 0
        self._places = asyncio.Semaphore(in_flight)

    async def call(
        self, method: str, resource: str, arguments: dict[str, object], seconds: float | None, most: Cost | None,
        ask: str = "", labels: tuple[str, ...] = (), *, beside: bool = False,
    ) -> Reply:  # fmt: skip
        """Makes a call and waits for its end, which the kernel sends after `seconds` at the latest. Raises as reply_of().

        most: what it may cost. ask: why the operator must approve it first. labels: added to those that it has anyway.
        beside: it takes none of the `in_flight` places; only for kernel.sleep.
        """
        body = codec.encode_body(arguments)
        header = _call_header(method, resource, seconds, most, upload=False)
        header = replace(header, ask=ask[: limits.WHY_MAX], labels=labels)
        call = await self._start(header, body, streamed=False, beside=beside)
        try:
            while call.end is None:
                if call.chunks:
                    raise CallFailed("stream", f"{method} answers with a stream: read it with self.kernel.stream(...)")
                await call.wait_for_change()
        finally:
            self.give_up(call, "its caller stopped waiting")
        return reply_of(call.end)

    def stream(
        self,
        method: str,
        resource: str,
        arguments: dict[str, object],
        timeout: float | None,
        most: Cost | None,
        *,
        upload: bool,
        ask: str = "",
    ) -> "Stream":
        """A call whose reply or upload is a stream; it is sent when the stream is entered. ask: as for call()."""
        header = replace(_call_header(method, resource, timeout, most, upload=upload), ask=ask[: limits.WHY_MAX])
        return Stream(self, self._link, header, codec.encode_body(arguments))

    async def ask(self, header: headers.Publish | headers.Subscribe, body: bytes = codec.NIL) -> None:
        """Publishes or subscribes, and waits for the answer. Raises as reply_of()."""
        call = await self._start(header, body, streamed=False)
        try:
            while call.end is None:
                await call.wait_for_change()
        finally:
            self.give_up(call, "", cancel=False)
        reply_of(call.end)

    async def _start(
        self, header: headers.Request, body: bytes, *, streamed: bool,
        beside: bool = False,
    ) -> Outgoing:  # fmt: skip
        self._link.check_thread()
        placed = not beside and self._streams < self._in_flight and await self._places.acquire()
        number = self._next
        upload = isinstance(header, headers.Call) and header.upload
        try:
            self._link.send(replace(header, number=number), body)
        except BaseException:
            if placed:
                self._places.release()
            raise
        self._next += 2
        self._streams += streamed
        call = self._open[number] = Outgoing(number, upload=upload, streamed=streamed, placed=placed)
        return call

    def alarm(self, milliseconds: int, on_end: Callable[[bool], None]) -> Callable[[], None]:
        """Has the kernel send a message after so many milliseconds. Returns a function that cancels this.

        on_end: called with True at that message, with False if it was cancelled instead. This is a call of the loop: it
        takes no place, and the Hand does not see it.
        """
        number, body = self._next, codec.encode_body({"milliseconds": milliseconds})
        header = _call_header("kernel.sleep", "", milliseconds / 1000 + 60, None, upload=False)
        self._link.send(replace(header, number=number, parent=0), body)
        self._next += 2
        call = self._open[number] = Outgoing(number, upload=False, streamed=False, placed=False)
        call.on_end = on_end
        return lambda: self.give_up(call, "an earlier alarm is set")

    def give_up(self, call: Outgoing, why: str, *, cancel: bool = True) -> None:
        """Stops waiting for a call: if it has no end yet, cancels it and ignores what arrives."""
        if call.end is not None or call.given_up:
            return
        call.given_up = True
        self._streams -= call.streamed
        call.streamed = False
        call.chunks.clear()
        if cancel:
            self._link.send(headers.Cancel(number=call.number, why=why))

    # messages of the kernel ------------------------------------------------------------------------------------------

    def take_chunk(self, header: headers.Chunk, body: bytes) -> None:
        """Takes a chunk of a reply. Raises LinkLost beyond the window, or for a call that is not open."""
        call = self._find(header.number)
        if call.given_up:
            return
        if (
            len(call.chunks) >= limits.WINDOW + limits.OWED
        ):  # an earlier process of the run may have given back more credit
            raise LinkLost(f"the kernel sent a chunk without credit on call {header.number}")
        call.chunks.append(body)
        call.wake()

    def take_credit(self, header: headers.Credit) -> None:
        """Takes credit for an upload. Credit that arrives after the call's end is ignored."""
        call = self._open.get(header.number)
        if call is None:
            return
        call.credit += header.chunks
        call.wake()

    def take_end(self, header: headers.End, body: bytes) -> None:
        """Takes the end of a call. Raises LinkLost for a call that is not open."""
        call = self._find(header.number)
        del self._open[header.number]
        self._streams -= call.streamed
        if call.placed:
            self._places.release()
        call.end = header, body
        call.wake()
        if call.on_end is not None:
            call.on_end(not isinstance(header, headers.Cancelled))

    def _find(self, number: int) -> Outgoing:
        call = self._open.get(number)
        if call is None:
            raise LinkLost(f"the kernel spoke of call {number}, which is not open")
        return call


class Stream:
    """A call whose reply or upload is a stream. Use it with `async with`; read it with `async for`.

    Leaving the block normally finishes an upload and waits for its end, ignoring the rest of the reply; a download that was
    not read to its end is cancelled. Leaving it by an exception cancels either.
    """

    def __init__(self, calls: Calls, link: Link, header: headers.Call, body: bytes) -> None:
        self._calls = calls
        self._link = link
        self._header = header
        self._body = body
        self._call: Outgoing | None = None
        self._owed = 0
        self._given = 0.0

    async def __aenter__(self) -> Self:
        self._call = await self._calls._start(self._header, self._body, streamed=True)
        self._given = monotonic()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        call = self._opened()
        try:
            if kind is None and self._header.upload and call.end is None:
                await self.finish()
                while await self.read() is not None:
                    pass
        finally:
            self._calls.give_up(call, "its caller left the stream")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.read()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def read(self) -> bytes | None:
        """The next chunk, None after the last. Raises as reply_of() if the call did not end in Done."""
        call = self._opened()
        while not call.chunks:
            self._give_credit(call)
            if call.end is not None:
                reply_of(call.end)
                return None
            await call.wait_for_change()
        self._give_credit(call)
        self._owed += 1
        return _bytes_of(call.chunks.popleft())

    @property
    def is_readable(self) -> bool:
        """Whether read() would not wait: there is a chunk, or the end."""
        call = self._opened()
        return bool(call.chunks) or call.end is not None

    async def send(self, chunk: bytes) -> None:
        """Sends one chunk; waits for credit. After the call's end, raises as reply_of(), or CallFailed("ended")."""
        call = self._opened()
        body = codec.encode_body(as_bytes(chunk))
        if not call.uploading:
            raise CallFailed("upload", "this call has no upload: open it with upload=True, and send before finish()")
        while call.end is None and call.credit == 0:
            await call.wait_for_change()
        if call.end is not None:
            reply_of(call.end)
            raise CallFailed("ended", f"{self._header.method} ended before the whole upload was sent")
        call.credit -= 1
        self._link.send(headers.Chunk(number=call.number), body)

    async def finish(self) -> None:
        """Ends the upload; nothing can be sent after this."""
        call = self._opened()
        while call.uploading and call.end is None and call.credit == 0:
            await call.wait_for_change()
        if call.uploading and call.end is None:
            call.credit -= 1
            self._link.send(headers.Chunk(number=call.number, last=True), codec.encode_body(b""))
        call.uploading = False

    def cancel(self, why: str) -> None:
        """Cancels the call: read() then raises CallCancelled, unless another end was already on its way."""
        call = self._opened()
        if call.end is None:
            self._link.send(headers.Cancel(number=call.number, why=why))

    @property
    def reply(self) -> Reply:
        """The reply, once the stream has ended. Raises CallFailed, CallRefused or CallCancelled if there is none."""
        end = self._opened().end
        if end is None:
            raise CallFailed("open", "the stream has not ended yet: read it to its end first")
        return reply_of(end)

    def _give_credit(self, call: Outgoing) -> None:
        now = monotonic()
        if call.end is None and should_give_credit(self._owed, now - self._given):
            self._link.send(headers.Credit(number=call.number, chunks=self._owed))
            self._owed, self._given = 0, now

    def _opened(self) -> Outgoing:
        self._link.check_thread()
        if self._call is None:
            raise CallFailed("closed", "a stream is used inside `async with self.kernel.stream(...) as s:`")
        return self._call


def should_give_credit(owed: int, seconds: float) -> bool:
    """Whether a reader that owes credit for `owed` chunks gives it back now.

    seconds: since it last did, by the machine's clock. A deterministic run's own clock would stand still while the Hand
    works; and since the time of credit is not recorded, it may depend on real time (wire/fast_forward.py).
    """
    return owed >= limits.GIVEN_BACK or (owed > 0 and seconds * 1000 >= limits.GIVEN_BACK_AFTER)


def reply_of(end: tuple[headers.End, bytes]) -> Reply:
    """The reply of an end that is Done. Raises CallFailed, CallRefused or CallCancelled for any other."""
    header, body = end
    match header:
        case headers.Done():
            return Reply(value=_value_of(body), labels=header.labels, cost=header.cost, time=header.time)
        case headers.Failed():
            detail = _value_of(body)
            added: dict[str, object] = dict(detail) if isinstance(detail, dict) else {}
            raise CallFailed(header.code, header.text, added, cost=header.cost)
        case headers.Refused():
            raise CallRefused(header.code, header.why, header.grant)
        case headers.Cancelled():
            raise CallCancelled(header.why, cost=header.cost)


def as_bytes(chunk: object) -> bytes:
    """The chunk as bytes. Raises CodecError for anything that is not."""
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, bytearray | memoryview):
        return bytes(chunk)
    raise CodecError(f"a chunk is bytes, not {type(chunk).__name__}")


def _bytes_of(body: bytes) -> bytes:
    value = _value_of(body)
    if not isinstance(value, bytes):
        raise CallFailed("malformed", "the other side sent a chunk that is not bytes")
    return value


def _value_of(body: bytes) -> Value:
    try:
        return codec.decode_body(body)
    except CodecError as error:  # the kernel never opens a body, so this is the other Hand's mistake
        raise CallFailed("malformed", f"the other side sent a body that cannot be read: {error}") from None


def _call_header(method: str, resource: str, timeout: float | None, most: Cost | None, *, upload: bool) -> headers.Call:
    """Makes a call's header, its number still 0. Raises ValueError or CodecError."""
    if timeout is not None and not 0 < timeout * 1000 <= limits.DEADLINE_MAX:
        raise ValueError(f"timeout is in seconds, above 0 and at most {limits.DEADLINE_MAX // 1000}; it was {timeout}")
    for what, text, most_bytes in (("method", method, limits.METHOD_MAX), ("resource", resource, limits.RESOURCE_MAX)):
        if len(text) > most_bytes or len(text.encode("utf-8", "replace")) > most_bytes:
            raise CodecError(f"a {what} is at most {most_bytes} bytes of UTF-8: {text[:40]!r}… is longer")
    return headers.Call(
        number=0,
        method=method,
        resource=resource,
        deadline=0 if timeout is None else max(1, round(timeout * 1000)),
        parent=answering.get(),
        most=most,
        upload=upload,
    )
