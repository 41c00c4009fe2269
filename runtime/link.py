"""The run's link to the kernel (acts): one DEALER with CURVE that sends and receives messages; it knows nothing of calls.

Only `join` waits. Reconnecting is off: a lost link, which a monitor socket reports, ends the process. A header is decoded
before it is sent, as the kernel will: so a mistake is an error here, and not a protocol violation that ends this peer.

The sockets are those of zmq.backend, and their options plain numbers: the richer classes and their enumerations write to so
many pages of the memory shared with the template that each run would use half a megabyte more.
"""

import select
import struct
import time
from _thread import get_ident
from contextlib import suppress
from typing import Final

import zmq
from zmq.backend import Context, Socket

from runtime.errors import LinkLost, WrongThread
from wire import codec, limits
from wire.errors import CodecError
from wire.headers import FromKernel, FromRun, Hello

JOIN_SECONDS: Final = 10.0
_LINGER_MS: Final = 1_000
_EVENT: Final = struct.Struct("=HI")
_LOST: Final = int(
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_OPTIONS: Final = (
    (int(zmq.LINGER), _LINGER_MS),
    (int(zmq.RECONNECT_IVL), -1),
    (int(zmq.SNDHWM), 0),  # what may be under way is bounded by credit and in_flight
    (int(zmq.MAXMSGSIZE), limits.BODY_MAX + 64),
    (int(zmq.HANDSHAKE_IVL), int(JOIN_SECONDS * 1000)),
)
_DEALER, _PAIR = int(zmq.DEALER), int(zmq.PAIR)
_SERVERKEY, _PUBLICKEY, _SECRETKEY = int(zmq.CURVE_SERVERKEY), int(zmq.CURVE_PUBLICKEY), int(zmq.CURVE_SECRETKEY)
_FD, _EVENTS = int(zmq.FD), int(zmq.EVENTS)
_POLLIN, _NOBLOCK, _FIRST = int(zmq.POLLIN), int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_MONITOR: Final = "inproc://monitor"


class Link:
    """The link to the kernel's bus. descriptors: readable when something may have arrived; edge-triggered."""

    def __init__(self, *, bus: int, server_key: bytes, public: bytes, secret: bytes) -> None:
        """Starts connecting to the socket behind descriptor `bus`, with this CURVE key pair (Z85)."""
        self._thread = get_ident()
        self._zmq = Context(1)
        self._socket = Socket(self._zmq, _DEALER)
        for option, number in _OPTIONS:
            self._socket.set(option, number)
        for option, key in ((_SERVERKEY, server_key), (_PUBLICKEY, public), (_SECRETKEY, secret)):
            self._socket.set(option, key)
        self._unsent: list[tuple[bytes, bytes]] = []
        self._socket.monitor(_MONITOR, _LOST)
        self._monitor = Socket(self._zmq, _PAIR)
        self._monitor.connect(_MONITOR)
        self._socket.connect(f"ipc:///proc/self/fd/{bus}")
        self.descriptors = frozenset((_number(self._socket, _FD), _number(self._monitor, _FD)))

    def join(self) -> None:
        """Sends Hello and waits for its answer. Raises LinkLost if the kernel does not answer within JOIN_SECONDS."""
        self.send(Hello(version=limits.PROTOCOL))
        poll = select.poll()
        for descriptor in self.descriptors:
            poll.register(descriptor, select.POLLIN)
        end = time.monotonic() + JOIN_SECONDS
        while (message := self.take()) is None:
            left = end - time.monotonic()
            if left <= 0:
                raise LinkLost(f"the kernel did not answer Hello within {JOIN_SECONDS:.0f} s")
            poll.poll(left * 1000)
        if not isinstance(message[0], Hello) or message[0].version != limits.PROTOCOL:
            raise LinkLost(f"the kernel answered Hello with {type(message[0]).__name__}")

    def check_thread(self) -> None:
        """Raises WrongThread, unless called in the loop's thread."""
        if get_ident() != self._thread:
            raise WrongThread

    def send(self, header: FromRun, body: bytes = codec.NIL, *, soon: bool = False) -> None:
        """Sends one message. Raises CodecError for a header the kernel would not accept, LinkLost if it cannot be sent.

        soon: it may wait for the next message, or for flush(), which the loop calls in each round: two messages sent
        together wake the kernel only once.
        """
        self.check_thread()
        try:
            raw = codec.encode(header)
            codec.decode_from_run(raw)
        except (CodecError, ValueError, OverflowError) as error:  # a lone surrogate; a number beyond 64 bits
            raise CodecError(f"this {type(header).__name__} cannot travel: {error}") from None
        self._unsent.append((raw, body))
        if not soon or len(self._unsent) > 1:
            self.flush()

    def flush(self) -> None:
        """Sends the messages queued with `soon`. Raises LinkLost if they cannot be sent."""
        if not self._unsent:
            return
        unsent, self._unsent = self._unsent, []
        try:
            for raw, body in unsent:
                self._socket.send(raw, _FIRST)
                self._socket.send(body, _NOBLOCK)
        except zmq.ZMQError as error:
            raise LinkLost(f"nothing can be sent to the kernel: {error}") from None

    def waiting(self) -> bool:
        """Whether a message has arrived. Asks the socket, since the descriptor's edge may have been consumed already.

        The monitor need not be asked: only take() reads from it.
        """
        return bool(_number(self._socket, _EVENTS) & _POLLIN)

    def take(self) -> tuple[FromKernel, bytes] | None:
        """The next message; None if none has arrived. Raises LinkLost for malformed bytes, and if the link is gone."""
        try:
            first = self._socket.recv(_NOBLOCK, copy=False)
        except zmq.Again:
            self._check_link()
            return None
        second = self._socket.recv(_NOBLOCK, copy=False) if first.more else first
        if second is first or second.more:
            raise LinkLost("the kernel sent a message that is not a header and a body")
        try:
            header = codec.decode_from_kernel(first.bytes)
        except CodecError as error:
            raise LinkLost(f"the kernel sent bytes that are no message: {error}") from None
        return header, second.bytes

    def _check_link(self) -> None:
        """Raises LinkLost if the monitor reports that the connection is gone."""
        try:
            number, _ = _EVENT.unpack(self._monitor.recv(_NOBLOCK))
        except zmq.Again:
            return
        raise LinkLost(f"the link to the kernel has ended (zmq event {number})")

    def close(self) -> None:
        """Sends what is queued, gives messages under way a moment, and closes."""
        with suppress(LinkLost):
            self.flush()
        self._monitor.close(0)
        self._socket.close()
        self._zmq.term()


def _number(socket: Socket, option: int) -> int:
    """A numeric option of a socket."""
    value = socket.get(option)
    assert isinstance(value, int)
    return value
