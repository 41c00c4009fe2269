"""The operator's link to a kernel (acts): synchronous calls over the bus, streams both ways, and Bye at the end.

Whoever may read keys/operator.key of a home is its operator. Whether a kernel serves the home is asked of its socket
first, which costs no time-out when nobody listens, and tells the process that does: its death ends a wait at once.
A link is one DEALER socket; a call is over before the next begins.
"""

import os
import select
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

import zmq
from msgspec import Struct

from kernel.cli import ends, homes, room, screen
from kernel.cli.exits import Ended, Exit, NoKernel
from kernel.cli.serving import listening, open_run_folder, pidfd_of
from wire import codec, headers, limits
from wire.entries import Cost
from wire.errors import CodecError

LAST_WORDS_MS: Final = 500
"""Milliseconds that a message of a kernel that has ended may still be on its way through this process; and between the
break of its link and its end."""

NEVER_MS: Final = 24 * 3_600_000
"""Milliseconds to a new connection, long after the end of the kernel has ended the link. Not -1: libzmq then throws away
what it has received, and nobody has read, as soon as the old one is cut: a kernel's last words.
"""

HELLO_WITHIN: Final = 5.0
"""Seconds in which a kernel that listens must answer Hello."""

QUIET: Final = 65.0
QUIET_MOST: Final = 3600.0
"""Seconds without a message in a call after which the link itself is tried: at first, and at most."""

SLICE: Final = 0.25
"""Seconds of one poll."""

_BROKEN: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)

Hear: TypeAlias = Callable[[codec.Value], None]
"""What is given an event's body."""


class Source(Protocol):
    """Where an upload comes from: a binary file or pipe."""

    def fileno(self) -> int: ...


class Reply(Struct, frozen=True, kw_only=True):
    """What Done brought. labels: where it came from."""

    value: codec.Value
    labels: tuple[str, ...] = ()
    cost: Cost | None = None


class Client:
    """One link, to be used in a `with`. Raises NoKernel when nothing serves the home, Ended when it may not be used.

    is_written: it stands once all that the kernel has done before is on disk.
    """

    def __init__(self, home: str, *, is_written: bool = False) -> None:
        self.home = home
        self._run_folder = open_run_folder(home)
        self._number = -1
        self._pidfd = -1
        self._hear: dict[str, Hear] = {}
        try:
            self.kernel_pid = listening(self._run_folder, home)
            if self.kernel_pid < 0:
                homes.need(home)
                raise NoKernel(f"no kernel runs on {home}: start it with `maniple up`")
            self._pidfd = pidfd_of(self.kernel_pid)
            room.for_threads()
            self._context = zmq.Context()
            self._link = self._connect()
        except BaseException:
            self._close_descriptors()
            raise
        self._poller = zmq.Poller()
        self._poller.register(self._link, zmq.POLLIN)
        if self._pidfd >= 0:
            self._poller.register(self._pidfd, zmq.POLLIN)
        try:
            self._greet(headers.Hello(version=limits.PROTOCOL, is_written=is_written))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say Bye and be gone; calls that are still open are cancelled by that."""
        if not self._link.closed:
            try:
                self._link.send_multipart((codec.encode(headers.Bye()), codec.NIL), zmq.NOBLOCK)
            except zmq.ZMQError:
                pass  # the kernel is gone before
            self._link.disable_monitor()
            self._monitor.close(linger=0)
            is_gone = self._pidfd >= 0 and self.wait_for_exit(0)
            self._link.close(linger=0 if is_gone else 200)  # milliseconds, to send the Bye
            self._context.term()
        self._close_descriptors()

    def call(
        self,
        method: str,
        resource: str = "",
        arguments: object = None,
        *,
        seconds: float = 0,
        chunk: Callable[[bytes], None] | None = None,
        upload: Source | None = None,
        tick: Callable[[], None] | None = None,
        most: Cost | None = None,
        labels: tuple[str, ...] = (),
    ) -> Reply:
        """Make a call and wait for its end. Raises NotDone for any end but Done.

        seconds: deadline, 0 for the kernel's default. chunk: given each piece of the reply as it comes; credit for the
        next is given when it returns. upload: sent as pieces while the reply comes. tick: called about
        once a second meanwhile. most: what it may cost. labels: what all that is sent is marked with.
        """
        check_words(method, resource)
        self._number += 2
        number = self._number
        header = headers.Call(
            number=number,
            method=method,
            resource=resource,
            deadline=min(int(seconds * 1000), limits.DEADLINE_MAX),
            upload=upload is not None,
            most=most,
            labels=labels,
        )
        self._send(header, {} if arguments is None else arguments)
        sender = _Upload(number, upload, self._send) if upload is not None else None
        return self._end_of(number, method, resource, chunk=chunk, sender=sender, tick=tick)

    def subscribe(self, event: str, hear: Hear) -> None:
        """Each event of this name is given to hear, while the end of a call is waited for. Raises NotDone as call() does."""
        self._number += 2
        self._hear[event] = hear
        self._send(headers.Subscribe(number=self._number, event=event))
        self._end_of(self._number)

    def publish(self, name: str, body: object) -> None:
        """Publish it as `operator.NAME`. Raises NotDone as call() does."""
        self._number += 2
        self._send(headers.Publish(number=self._number, event=name), body)
        self._end_of(self._number)

    def _end_of(
        self, number: int, method: str = "", resource: str = "", *, chunk: Callable[[bytes], None] | None = None,
        sender: "_Upload | None" = None, tick: Callable[[], None] | None = None,
    ) -> Reply:  # fmt: skip
        silence = _Silence(self)
        while True:
            message = self._receive(1.0, sender)
            silence.consider(message is not None)
            if message is None:
                if tick is not None:
                    tick()
                continue
            said, body = message
            match said:
                case headers.Chunk(number=of) if of == number:
                    piece = codec.decode_body(body)
                    if chunk is not None:
                        chunk(piece if isinstance(piece, bytes) else repr(piece).encode())
                    self._send(headers.Credit(number=number, chunks=1))
                case headers.Credit(number=of, chunks=chunks) if of == number and sender is not None:
                    sender.credit += chunks
                case headers.Done(number=of, labels=labels, cost=cost) if of == number:
                    return Reply(value=codec.decode_body(body), labels=labels, cost=cost)
                case headers.Failed() | headers.Refused() | headers.Cancelled() if said.number == number:
                    raise ends.not_done(said, method, resource)
                case headers.Event(event=event):
                    self._send(headers.Credit(number=0, chunks=1))
                    self._hear[event](codec.decode_body(body))
                case _:
                    pass  # of an earlier call that had its end

    def ask_for_little(self) -> None:
        """Make a call whose end nobody waits for: any end says that the link is good."""
        self._number += 2
        self._send(headers.Call(number=self._number, method="kernel.budget"), {})

    def wait_for_exit(self, seconds: float) -> bool:
        """Whether the kernel's process is gone within so many seconds."""
        if self._pidfd < 0:
            return True
        gone = select.poll()
        gone.register(self._pidfd, select.POLLIN)
        return bool(gone.poll(seconds * 1000))

    # the link -------------------------------------------------------------------------------------------------------

    def _greet(self, hello: headers.Hello) -> None:
        """Hello, and the kernel's answer. A key that the kernel does not know ends it at once, as the monitor tells."""
        self._send(hello)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            if self._receive(HELLO_WITHIN) is None:
                raise Ended(
                    f"the kernel of {self.home} (process {self.kernel_pid}) does not answer: if that does not change, "
                    f"`kill -9 {self.kernel_pid}`, then `maniple up`"
                )
        finally:
            self._poller.unregister(self._monitor)

    def _connect(self) -> "zmq.Socket[bytes]":
        secret, server = _key(self.home, "operator.key"), _key(self.home, "kernel.pub")
        link = self._context.socket(zmq.DEALER)
        link.setsockopt(zmq.LINGER, 0)
        link.setsockopt(zmq.SNDTIMEO, int(HELLO_WITHIN * 1000))
        link.setsockopt(zmq.RECONNECT_IVL, NEVER_MS)
        link.setsockopt(zmq.MAXMSGSIZE, limits.BODY_MAX + limits.HEADER_MAX)
        try:
            link.setsockopt(zmq.CURVE_SECRETKEY, secret)
            link.setsockopt(zmq.CURVE_PUBLICKEY, zmq.curve_public(secret))
            link.setsockopt(zmq.CURVE_SERVERKEY, server)
        except (zmq.ZMQError, ValueError):
            link.close()
            self._context.term()
            damage = f"the keys in {self.home}/keys are damaged"
            raise Ended(f"{damage}: restore that folder from a backup, then `maniple up`") from None
        self._monitor = link.get_monitor_socket(_BROKEN)
        link.connect(f"ipc:///proc/self/fd/{self._run_folder}/bus")
        return link

    def _send(self, header: headers.Header, body: object = None) -> None:
        try:
            encoded = codec.encode_body(body)
            header_bytes = codec.encode(header)
        except CodecError as error:
            raise Ended(str(error)) from None
        try:
            self._link.send_multipart((header_bytes, encoded))
        except zmq.Again:
            raise NoKernel(f"the kernel of {self.home} accepts no more messages: see `maniple status`") from None

    def _receive(self, seconds: float, sender: "_Upload | None" = None) -> tuple[headers.FromKernel, bytes] | None:
        """The next message; None when none came in time. Raises NoKernel when the kernel has died.

        A signal that arrives just before the poll would not end it, so the poll ends by itself often enough for Ctrl-C.
        """
        slices = max(1, round(seconds / SLICE))
        while slices > 0:
            source = sender.ready_from() if sender is not None else -1
            if source >= 0:
                self._poller.register(source, zmq.POLLIN)
            try:
                ready = dict(self._poller.poll(int(SLICE * 1000)))
            finally:
                if source >= 0:
                    self._poller.unregister(source)
            if self._link in ready:
                header, body = self._link.recv_multipart()
                return codec.decode_from_kernel(header), body
            is_broken = self._monitor in ready
            if self._pidfd in ready or (is_broken and self._pidfd >= 0 and self.wait_for_exit(LAST_WORDS_MS / 1000)):
                if self._link.poll(LAST_WORDS_MS):  # what it said last may come after its end
                    continue
                raise NoKernel(f"the kernel of {self.home} ended before it answered: `maniple up` starts it again")
            if is_broken:
                raise Ended(
                    f"the kernel of {self.home} does not know the keys in {self.home}/keys: they are not what it "
                    "started with; restore that folder from a backup, then `maniple status`"
                )
            if sender is not None and source in ready:
                sender.send_piece()
            elif not ready:
                slices -= 1
        return None

    def _close_descriptors(self) -> None:
        for descriptor in (self._run_folder, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._run_folder = self._pidfd = -1


class _Silence:
    """Tells a call that takes long from a link that the kernel has dropped, which it does without a word."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._patience = QUIET
        self._until = monotonic() + QUIET
        self._has_asked = False

    def consider(self, heard: bool) -> None:
        """Called about once a second. A long silence makes it ask for something small; Ended when that stays away."""
        now = monotonic()
        if heard:
            self._until, self._has_asked = now + self._patience, False
        elif now < self._until:
            return
        elif self._has_asked:
            home = self._client.home
            raise Ended(f"the kernel of {home} has dropped this link: see `maniple status` and {home}/run/kernel.log")
        else:
            self._patience = min(2 * self._patience, QUIET_MOST)
            self._until, self._has_asked = now + HELLO_WITHIN, True
            self._client.ask_for_little()


class _Upload:
    """The pieces of an upload, sent as far as the provider gives credit."""

    def __init__(self, number: int, source: Source, send: Callable[[headers.Header, object], None]) -> None:
        self._number = number
        self._descriptor = source.fileno()
        self._send = send
        self._open = True
        self.credit = limits.WINDOW

    def ready_from(self) -> int:
        """The descriptor to wait for; -1 when nothing may or can be sent now."""
        return self._descriptor if self._open and self.credit > 0 else -1

    def send_piece(self) -> None:
        """Read what there is, and send it; the end of the file is the last piece."""
        piece = os.read(self._descriptor, limits.CHUNK_SIZE)
        self._open = bool(piece)
        self.credit -= 1
        self._send(headers.Chunk(number=self._number, last=not piece), piece)


def check_words(method: str, resource: str) -> None:
    """Raises Ended for what no header can hold: the kernel drops the link of whoever sends it, without a word."""
    for what, text, most in (("method's name", method, limits.METHOD_MAX), ("resource", resource, limits.RESOURCE_MAX)):
        if not screen.is_text(text):
            raise Ended(f"a {what} is UTF-8 text, and this is not: see `maniple methods`", Exit.USAGE)
        if len(text) > most:
            raise Ended(
                f"a {what} has at most {most} characters, and this has {len(text)}: `maniple methods` shows what can "
                "be called, and on what",
                Exit.USAGE,
            )


def _key(home: str, name: str) -> bytes:
    path = os.path.join(home, "keys", name)
    try:
        with open(path, "rb") as file:
            key = file.read(128).strip()
    except OSError as error:
        raise Ended(
            f"the key {path} cannot be read: {error.strerror}; restore it from a backup, then `maniple status`"
        ) from None
    if len(key) != 40:
        raise Ended(f"the key {path} is damaged: restore it from a backup, then `maniple status`")
    return key
