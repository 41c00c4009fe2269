"""The operator's link to a kernel (acts): synchronous calls over the bus, with streams in both directions.

Anybody who can read keys/operator.key of a home is its operator. The client first connects to the kernel's Unix socket:
this shows without a time-out whether a kernel runs, and its process id, so that a wait ends when that process dies.
A link is one DEALER socket; one call ends before the next begins.
"""

import os
import select
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

import zmq
from msgspec import Struct

from kernel.cli import ends, homes, room, screen
from kernel.cli.exits import Ended, Exit, NoKernel
from kernel.cli.serving import find_kernel, open_pidfd, open_run_folder
from kernel.cli.silence import Silence
from wire import codec, headers, limits
from wire.amounts import Cost
from wire.errors import CodecError

LAST_WORDS_MS: Final = 500
"""Milliseconds to wait, after the kernel's process has ended, for a message still inside libzmq; and, after its link
broke, for that process to end."""

NEVER_MS: Final = 24 * 3_600_000
"""Reconnect interval in milliseconds: a day, so that no link reconnects. Not -1: libzmq then discards received messages
that nobody has read as soon as the connection breaks, among them the last ones of a kernel.
"""

HELLO_WITHIN: Final = 5.0
"""Seconds within which a listening kernel must answer Hello."""

TICK: Final = 1.0
"""Seconds without a message, during a call, between two looks at what is shown meanwhile and at how long it takes."""

SLICE: Final = 0.25
"""Length of one poll in seconds."""

_BROKEN: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)

Listener: TypeAlias = Callable[[codec.Value], None]
"""A function that takes an event's body."""


class Source(Protocol):
    """The source of an upload: a binary file or pipe."""

    def fileno(self) -> int: ...


class Reply(Struct, frozen=True, kw_only=True):
    """The result of a call that ended in Done. labels: marks of where the value came from."""

    value: codec.Value
    labels: tuple[str, ...] = ()
    cost: Cost | None = None


class Client:
    """One link; use it in a `with`. Raises NoKernel when no kernel serves the home, Ended when the home is unusable.

    is_written: connect only when everything that the kernel has done so far is on disk. say: tells the person that a call
    waits for the disk.
    """

    def __init__(self, home: str, *, is_written: bool = False, say: Callable[[str], None] = lambda _: None) -> None:
        self.home, self._say = home, say
        self._run_folder = open_run_folder(home)
        self._number = -1
        self._pidfd = -1
        self._listeners: dict[str, Listener] = {}
        try:
            self.kernel_pid = find_kernel(self._run_folder, home)
            if self.kernel_pid < 0:
                homes.require_home(home)
                raise NoKernel(f"no kernel runs on {home}: start it with `maniple up`")
            self._pidfd = open_pidfd(self.kernel_pid)
            room.check_threads()
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
        """Send Bye and close; the kernel cancels calls that are still open."""
        if not self._link.closed:
            try:
                self._link.send_multipart((codec.encode(headers.Bye()), codec.NIL), zmq.NOBLOCK)
            except zmq.ZMQError:
                pass  # the kernel has ended
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

        seconds: deadline; 0 for the kernel's default. chunk: called with each piece of a streamed reply; when it
        returns, the provider gets credit for the next. upload: sent in pieces meanwhile. tick: called about
        once a second meanwhile. most: the most the call may cost. labels: marks on everything sent.
        """
        check_header_texts(method, resource)
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
        return self._await_end(number, method, resource, chunk=chunk, sender=sender, tick=tick)

    def subscribe(self, event: str, hear: Listener) -> None:
        """Call `hear` with the body of each event of this name, during later calls. Raises NotDone as call() does."""
        self._number += 2
        self._listeners[event] = hear
        self._send(headers.Subscribe(number=self._number, event=event))
        self._await_end(self._number)

    def publish(self, name: str, body: object) -> None:
        """Publish an event `operator.NAME`. Raises NotDone as call() does."""
        self._number += 2
        self._send(headers.Publish(number=self._number, event=name), body)
        self._await_end(self._number)

    def _await_end(
        self, number: int, method: str = "", resource: str = "", *, chunk: Callable[[bytes], None] | None = None,
        sender: "_Upload | None" = None, tick: Callable[[], None] | None = None,
    ) -> Reply:  # fmt: skip
        may_end = method.startswith("kernel.") and tick is None and chunk is None
        cancel = partial(self._cancel, number) if may_end else None
        silence = Silence(self.home, self._ask_status, self._say, cancel)
        while True:
            message = self._receive(TICK, sender)
            silence.check(message is not None)
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
                    raise silence.error() or ends.to_error(said, method, resource)
                case headers.Done() | headers.Failed() | headers.Refused() if said.number == silence.number:
                    silence.learn(said, body)
                case headers.Event(event=event):
                    self._send(headers.Credit(number=0, chunks=1))
                    self._listeners[event](codec.decode_body(body))
                case _:
                    pass  # a late message about an earlier call

    def _ask_status(self) -> int:
        """Ask for the kernel's status without waiting for the answer. Returns the call's number."""
        self._number += 2
        self._send(headers.Call(number=self._number, method="kernel.status"), {})
        return self._number

    def _cancel(self, number: int, why: str) -> None:
        self._send(headers.Cancel(number=number, why=why[: limits.WHY_MAX]))

    def wait_for_exit(self, seconds: float) -> bool:
        """Wait at most `seconds` for the kernel's process to end, and return whether it has."""
        if self._pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    # the link -------------------------------------------------------------------------------------------------------

    def _greet(self, hello: headers.Hello) -> None:
        """Send Hello and wait for its answer. If the kernel does not know the key, the monitor socket says so at once."""
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
        secret, server = _read_key(self.home, "operator.key"), _read_key(self.home, "kernel.pub")
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
        """Return the next message, or None after `seconds`; send pieces of an upload meanwhile. NoKernel if it has died.

        A signal that arrives just before a poll does not interrupt it, so polls are short, for the sake of Ctrl-C.
        """
        slices = max(1, round(seconds / SLICE))
        while slices > 0:
            source = sender.descriptor_to_poll() if sender is not None else -1
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
                if self._link.poll(LAST_WORDS_MS):  # its last message may arrive after its process has ended
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


class _Upload:
    """Sends an upload in pieces, as far as the provider has given credit."""

    def __init__(self, number: int, source: Source, send: Callable[[headers.Header, object], None]) -> None:
        self._number = number
        self._descriptor = source.fileno()
        self._send = send
        self._open = True
        self.credit = limits.WINDOW

    def descriptor_to_poll(self) -> int:
        """The descriptor to poll; -1 at the end of the file or without credit."""
        return self._descriptor if self._open and self.credit > 0 else -1

    def send_piece(self) -> None:
        """Read one piece and send it; at the end of the file, an empty last one."""
        piece = os.read(self._descriptor, limits.CHUNK_SIZE)
        self._open = bool(piece)
        self.credit -= 1
        self._send(headers.Chunk(number=self._number, last=not piece), piece)


def check_header_texts(method: str, resource: str) -> None:
    """Raise Ended (usage) for texts that a header cannot hold: the kernel would drop the link without a message."""
    for what, text, most in (("method's name", method, limits.METHOD_MAX), ("resource", resource, limits.RESOURCE_MAX)):
        if not screen.is_text(text):
            raise Ended(f"a {what} is UTF-8 text, and this is not: see `maniple methods`", Exit.USAGE)
        if len(text) > most:
            raise Ended(
                f"a {what} has at most {most} characters, and this has {len(text)}: `maniple methods` shows what can "
                "be called, and on what",
                Exit.USAGE,
            )


def _read_key(home: str, name: str) -> bytes:
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
