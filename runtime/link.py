"""The run's link to the kernel (acts): one DEALER with CURVE that sends and takes messages; it knows no calls.

Nothing here waits but `join`. Reconnecting is off: a link that ends is the end of the process, which a monitor socket
tells. What is sent is first read back as the kernel will read it: a mistake is an error here, and ends no peer.
"""

import struct
import time
from _thread import get_ident
from typing import Final

import zmq

from runtime.errors import LinkLost, WrongThread
from wire import codec, limits
from wire.errors import CodecError
from wire.headers import FromKernel, FromRun, Hello

JOIN_SECONDS: Final = 10.0
_LINGER_MS: Final = 1_000
_EVENT = struct.Struct("=HI")
_LOST: Final = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Link:
    """A joined link. `descriptors` become readable, by an edge, when something may have come."""

    def __init__(self, *, bus: int, server_key: bytes, public: bytes, secret: bytes) -> None:
        """Start to connect, to the socket behind descriptor `bus`, as the owner of this CURVE pair (Z85)."""
        self._thread = get_ident()
        self._zmq = zmq.Context()
        self._socket = self._zmq.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, _LINGER_MS),
            (zmq.RECONNECT_IVL, -1),
            (zmq.SNDHWM, 0),  # what may be under way is bounded by credit and in_flight
            (zmq.MAXMSGSIZE, limits.BODY_MAX + 64),
            (zmq.HANDSHAKE_IVL, int(JOIN_SECONDS * 1000)),
        ):
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.CURVE_SERVERKEY, server_key)
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self._monitor = self._socket.get_monitor_socket(_LOST)
        self._socket.connect(f"ipc:///proc/self/fd/{bus}")
        self.descriptors = frozenset((int(self._socket.FD), int(self._monitor.FD)))

    def join(self) -> None:
        """Say Hello and wait until it is answered. Raises LinkLost when the kernel does not within JOIN_SECONDS."""
        self.send(Hello(version=limits.PROTOCOL))
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        end = time.monotonic() + JOIN_SECONDS
        while (left := end - time.monotonic()) > 0:
            poller.poll(int(left * 1000) + 1)
            message = self.take()
            if message is None:
                continue
            if not isinstance(message[0], Hello) or message[0].version != limits.PROTOCOL:
                raise LinkLost(f"the kernel answered Hello with {type(message[0]).__name__}")
            return
        raise LinkLost(f"the kernel did not answer Hello within {JOIN_SECONDS:.0f} s")

    def check_thread(self) -> None:
        """Raises WrongThread anywhere but in the loop's thread."""
        if get_ident() != self._thread:
            raise WrongThread

    def send(self, header: FromRun, body: bytes = codec.NIL) -> None:
        """Send one message. CodecError for a header the kernel would not accept, LinkLost when nobody takes it."""
        self.check_thread()
        try:
            raw = codec.encode(header)
            codec.decode_from_run(raw)
        except (CodecError, ValueError) as error:  # ValueError: a text with half a surrogate pair
            raise CodecError(f"this {type(header).__name__} cannot travel: {error}") from None
        try:
            self._socket.send_multipart((raw, body), zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise LinkLost(f"nothing can be sent to the kernel: {error}") from None

    def waiting(self) -> bool:
        """Whether `take` has something to do now."""
        return any(int(socket.EVENTS) & zmq.POLLIN for socket in (self._socket, self._monitor))

    def take(self) -> tuple[FromKernel, bytes] | None:
        """The next message, None when none has come. LinkLost for bytes that are none, and when the link is gone."""
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            self._check_monitor()
            return None
        if len(frames) != 2:
            raise LinkLost(f"the kernel sent a message of {len(frames)} frames")
        try:
            header = codec.decode_from_kernel(frames[0])
        except CodecError as error:
            raise LinkLost(f"the kernel sent bytes that are no message: {error}") from None
        return header, frames[1]

    def close(self) -> None:
        """Give what is on its way a moment, then let go."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()
        self._zmq.term()

    def _check_monitor(self) -> None:
        try:
            event = self._monitor.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        number, _ = _EVENT.unpack(event[0])
        raise LinkLost(f"the link to the kernel has ended (event {zmq.Event(number)!r})")
