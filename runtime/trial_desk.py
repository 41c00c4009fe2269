"""The kernel's end of a trial's link (acts): answers a Hand's calls as its test says (testing.py)."""

import asyncio
from _thread import get_ident
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from manifests import capabilities as kinds
from manifests.grants import GrantSet, missing_grant
from manifests.policy import ABOUT_ONESELF
from runtime.calls import Calls
from runtime.clock import RecordedClock
from runtime.errors import CallCancelled, CallFailed, CallRefused, Failure
from runtime.link import Link
from runtime.serving import Serving, fitting
from wire import codec, headers, limits
from wire.headers import FromRun, is_made_by_run

NUMBER: Final = 2
"""The number of the call that the Hand answers: a trial makes one at a time."""

_PIECE: Final = 256 * 1024


class Asked(Struct, frozen=True, kw_only=True):
    """A call that the Hand made. upload: all bytes that it streamed with the call."""

    method: str
    resource: str = ""
    arguments: dict[str, object] = {}
    upload: bytes = b""


class Streamed(Struct, frozen=True):
    """A streamed reply: its bytes or pieces, then its value."""

    pieces: bytes | Sequence[bytes]
    value: object = None


class NoReply(AssertionError):
    """The Hand made a call for which the test has no reply. The call failed, and the Hand may have gone on."""


class Desk(Link):
    """The kernel's end of the link, in the same process."""

    def __init__(self, grants: GrantSet, name: str, replies: Mapping[str, object], clock: RecordedClock) -> None:
        self._thread = get_ident()
        self._grants, self._name, self._replies, self._clock = grants, name, replies, clock
        self.kernel: Calls
        self.calls: list[Asked] = []
        self.events: list[tuple[str, object]] = []
        self.notes: list[dict[str, object]] = []
        self.streamed = b""
        self.fault: Exception | None = None
        self._open: dict[int, _Open] = {}

    def begin(self, serving: Serving, ended: "asyncio.Future[tuple[headers.End, bytes]]", upload: bytes) -> None:
        """Begins a call that the Hand answers."""
        self._serving, self._ended = serving, ended
        self._upload = cut(upload) if upload else deque()
        self._credit = limits.WINDOW

    def send(self, header: FromRun, body: bytes = codec.NIL, *, soon: bool = False) -> None:
        """Takes a message of the Hand, once it waits. Raises CodecError as the real link does."""
        self.check_thread()
        codec.decode_from_run(codec.encode(header))
        asyncio.get_running_loop().call_soon(self._take, header, body)

    def feed(self) -> None:
        """Streams as much of the upload as there is credit for."""
        while self._upload and self._credit:
            self._credit -= 1
            piece = codec.encode_body(self._upload.popleft())
            self._serving.take_chunk(headers.Chunk(number=NUMBER, last=not self._upload), piece)

    def _take(self, header: FromRun, body: bytes) -> None:
        match header:
            case headers.Call(number=number):
                self._open[number] = one = _Open(header, body)
                if not header.upload:
                    self._reply(number, one)
            case headers.Chunk() | headers.Credit() | headers.Cancel() if is_made_by_run(header.number):
                if (found := self._open.get(header.number)) is not None:
                    self._take_of(found, header, body)
            case headers.Chunk():
                self.streamed += _bytes(body)
                self._serving.take_credit(headers.Credit(number=header.number, chunks=1))
            case headers.Credit():
                self._credit += header.chunks
                self.feed()
            case headers.Publish(number=number):
                if self._allowed(number, "kernel.publish", f"{self._name}.{header.event}"):
                    self.events.append((header.event, codec.decode_body(body)))
                    self.kernel.take_end(headers.Done(number=number), codec.NIL)
            case headers.Subscribe(number=number):
                if self._allowed(number, "kernel.subscribe", header.event):
                    self.kernel.take_end(headers.Done(number=number), codec.NIL)
            case headers.Done() | headers.Failed() | headers.Cancelled():
                self._ended.set_result((header, body))
            case _:
                raise AssertionError(f"a Hand said {type(header).__name__}")

    def _take_of(self, one: "_Open", header: headers.Chunk | headers.Credit | headers.Cancel, body: bytes) -> None:
        """Takes a further message about a call that the Hand made."""
        number = header.number
        match header:
            case headers.Chunk():
                one.upload += _bytes(body)
                self.kernel.take_credit(headers.Credit(number=number, chunks=1))
                if header.last:
                    self._reply(number, one)
            case headers.Credit():
                one.credit += header.chunks
                self._stream(number, one)
            case headers.Cancel():
                del self._open[number]
                self.kernel.take_end(headers.Cancelled(number=number, why=header.why), codec.NIL)

    def _allowed(self, number: int, method: str, resource: str) -> bool:
        """Whether HAND.toml asks for this; if not, refuses the call. Of a resource without normal form the method decides."""
        is_asked = (
            self._grants.allows(method, resource) and not self._grants.lends(method, resource)
            if kinds.is_normal(resource)
            else self._grants.mentions(method)
        )
        if is_asked or method in ABOUT_ONESELF:
            return True
        self._open.pop(number, None)
        why = f"HAND.toml does not ask for {method}{f' on {resource}' if resource else ''}"
        refused = headers.Refused(
            number=number, code="capability", why=fitting(why), grant=missing_grant(self._grants, method, resource)
        )
        self.kernel.take_end(refused, codec.NIL)
        return False

    def _reply(self, number: int, one: "_Open") -> None:
        """Gives a call its end."""
        method, resource = one.header.method, one.header.resource
        if not self._allowed(number, method, resource):
            return
        arguments = codec.decode_body(one.body)
        assert isinstance(arguments, dict)
        made = Asked(method=method, resource=resource, arguments=dict(arguments), upload=bytes(one.upload))
        if method not in _OWN:
            self.calls.append(made)
        try:
            one.end, one.pieces = self._end(number, self._given(made))
        except Exception as fault:  # noqa: BLE001  the test's own mistake, raised once the call has ended
            self.fault = self.fault or fault
            one.end = headers.Failed(number=number, code="no reply", text=fitting(str(fault))), codec.NIL
        self._stream(number, one)

    def _given(self, made: Asked) -> object:
        """The test's reply to a call, or else the kernel's. Raises NoReply if there is neither."""
        if made.method not in self._replies:
            return self._own(made)
        given = self._replies[made.method]
        try:
            return given(made) if callable(given) else given
        except (Failure, CallFailed, CallRefused, CallCancelled) as end:
            return end

    def _end(self, number: int, given: object) -> tuple[tuple[headers.End, bytes], deque[bytes]]:
        """(the encoded end of a call, the pieces streamed before it)."""
        time, pieces = self._clock.micros(), deque[bytes]()
        match given:
            case Failure(code=code, text=text, detail=detail) | CallFailed(code=code, text=text, detail=detail):
                failed = headers.Failed(number=number, code=code, text=fitting(text), time=time)
                return (failed, codec.encode_body(detail)), pieces
            case CallRefused(code=code, why=why, grant=grant):
                refused = headers.Refused(number=number, code=code, why=fitting(why), grant=grant, time=time)
                return (refused, codec.NIL), pieces
            case CallCancelled(why=why):
                return (headers.Cancelled(number=number, why=fitting(why), time=time), codec.NIL), pieces
            case Streamed(pieces=streamed, value=value):
                return (headers.Done(number=number, time=time), codec.encode_body(value)), cut(streamed)
            case value:
                return (headers.Done(number=number, time=time), codec.encode_body(value)), pieces

    def _own(self, made: Asked) -> object:
        """The kernel's own reply. Raises NoReply if it has none."""
        match made.method, made.arguments:
            case "kernel.sleep", {"milliseconds": int() as milliseconds}:
                self._clock.take(headers.Done(number=0, time=self._clock.micros() + milliseconds * 1000))
            case "kernel.note", note:
                self.notes.append(note)
            case _:
                raise NoReply(f"the trial has no reply for {made.method}: give it one")
        return None

    def _stream(self, number: int, one: "_Open") -> None:
        """Streams as much of a reply as there is credit for, then its end."""
        while one.pieces and one.credit:
            one.credit -= 1
            self.kernel.take_chunk(headers.Chunk(number=number), codec.encode_body(one.pieces.popleft()))
        if not one.pieces and one.end is not None and self._open.pop(number, None) is not None:
            self.kernel.take_end(*one.end)


_OWN: Final = ("kernel.sleep", "kernel.note")


class _Open:
    """An open call that the Hand made."""

    def __init__(self, header: headers.Call, body: bytes) -> None:
        self.header, self.body = header, body
        self.upload = bytearray()
        self.pieces: deque[bytes] = deque()
        self.credit = limits.WINDOW
        self.end: tuple[headers.End, bytes] | None = None


def _bytes(body: bytes) -> bytes:
    value = codec.decode_body(body)
    assert isinstance(value, bytes)
    return value


def cut(given: bytes | Sequence[bytes]) -> deque[bytes]:
    """A stream's pieces, as they travel."""
    if not isinstance(given, bytes):
        return deque(given)
    return deque(given[at : at + _PIECE] for at in range(0, len(given), _PIECE))
