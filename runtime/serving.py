"""The calls that this run answers (acts through the link): one task per call, its streams under credit, exactly one end.

A task that returns ends its call in Done, one that raises in Failed, one that is cancelled in Cancelled. The traceback goes
to the log, one line of it to the caller. A BaseException that is not an Exception ends the whole run.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from time import monotonic
from typing import Final, Self

from msgspec.structs import replace

from manifests.returns import misfits
from manifests.schema import Provided
from runtime import records
from runtime.calls import answering, as_bytes, should_give_credit
from runtime.errors import CallFailed, Failure, HandBroken, LinkLost
from runtime.link import Link
from runtime.undisturbed import undisturbed
from wire import codec, headers, limits
from wire.amounts import Cost, Used
from wire.errors import CodecError
from wire.labels import Labels, join, plain

_FEW: Final = 4096
"""Bytes of arguments that hold too few objects to be decoded with garbage collection suspended."""

_NOT_FINISHED: Final = "the Hand was stopped before it answered"


class Call:
    """A call, as the method that answers it sees it.

    method, resource: as the kernel checked them. labels: of the arguments, and of the upload so far. most: what it may cost;
    left: without that, what budgets leave for it. number: the kernel's. deadline: the milliseconds after which the kernel
    ends it. uploads: whether the caller streams an upload; upload: its chunks. time: the kernel's clock at delivery, in
    microseconds since 1970.
    """

    __slots__ = (
        "_added", "_chunks", "_cost", "_credit", "_finished", "_given", "_is_taken_back", "_link", "_owed", "_uploading",
        "_used", "_waiters",
        "deadline", "labels", "left", "method", "most", "number", "resource", "time", "uploads",
    )  # fmt: skip

    def __init__(self, link: Link, header: headers.Call) -> None:
        self.number = header.number
        self.method = header.method
        self.resource = header.resource
        self.labels = header.labels
        self.most, self.left = header.most, header.left
        self.deadline = header.deadline
        self.time = header.time
        self._link = link
        self.uploads = self._uploading = header.upload
        self._chunks: deque[tuple[bytes, bool]] = deque()
        self._credit = limits.WINDOW
        self._owed, self._given = 0, monotonic()
        self._finished = self._is_taken_back = False
        self._waiters: list[asyncio.Future[None]] = []
        self._added: Labels = frozenset()
        self._cost: Cost | None = None
        self._used: Used | None = None

    async def send(self, chunk: bytes) -> None:
        """Streams one chunk to the caller; waits until there is room for it.

        It leaves with the next message, or as soon as this Hand waits for something: so long computations belong in a
        thread.
        """
        self._link.check_thread()
        body = codec.encode_body(as_bytes(chunk))
        while self._credit == 0 and not self._finished:
            await self._wait_for_change()
        if self._finished:
            raise CallFailed("ended", f"call {self.number} has been answered: nothing can be sent after it")
        self._credit -= 1
        self._link.send(headers.Chunk(number=self.number, labels=tuple(sorted(self._added))), body, soon=True)

    @property
    def upload(self) -> AsyncIterator[bytes]:
        """The chunks that the caller streams, to their end; none if it streams nothing."""
        return _Upload(self)

    def add_labels(self, *labels: str) -> None:
        """Adds labels to the reply, and to chunks from now on. None can be removed."""
        self._added = join(self._added, map(plain, labels))

    def cost(self, *, tokens: int = 0, micro_dollars: int = 0) -> None:
        """Adds to the cost of this call."""
        spent = self._cost or Cost(tokens=0, micro_dollars=0)
        self._cost = Cost(tokens=spent.tokens + tokens, micro_dollars=spent.micro_dollars + micro_dollars)

    def measured(self, used: Used) -> None:
        """Sets what the call's end reports of its use of the machine."""
        self._used = used

    async def _next_upload_chunk(self) -> bytes | None:
        """The next chunk, None after the last."""
        self._link.check_thread()
        while self._uploading:
            while not self._chunks:
                self._give_credit()
                await self._wait_for_change()
            self._give_credit()
            body, last = self._chunks.popleft()
            self._uploading = not last
            self._owed += 1
            chunk = _chunk(body)
            if chunk or not last:
                return chunk
        return None

    def _give_credit(self) -> None:
        now = monotonic()
        if not self._finished and should_give_credit(self._owed, now - self._given):
            self._link.send(headers.Credit(number=self.number, chunks=self._owed))
            self._owed, self._given = 0, now

    async def _wait_for_change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # used by Serving -------------------------------------------------------------------------------------------------

    def _take_chunk(self, body: bytes, labels: tuple[str, ...], *, last: bool) -> None:
        if len(self._chunks) >= limits.WINDOW:
            raise LinkLost(f"the kernel sent a chunk without credit on call {self.number}")
        self.labels = tuple(sorted(join(self.labels, labels)))
        self._chunks.append((body, last))
        self._wake()

    def _take_credit(self, chunks: int) -> None:
        self._credit += chunks
        self._wake()

    def _finish(self) -> tuple[tuple[str, ...], Cost | None, Used | None]:
        """Closes the call for sending. Returns the labels, cost and use that its end carries."""
        self._finished = True
        self._wake()
        return tuple(sorted(self._added)), self._cost, self._used


class _Upload(AsyncIterator[bytes]):
    def __init__(self, call: Call) -> None:
        self._call = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._call._next_upload_chunk()
        if chunk is None:
            raise StopAsyncIteration
        return chunk


Answer = Callable[[Call, dict[str, object]], Awaitable[object]]
"""Answers a call, given its arguments."""


class Serving:
    """All calls open at this run. answer: the Hand. group: where tasks live. broken: ends the run (exit 1).

    provides: the manifest's entry of each method.
    """

    def __init__(
        self, link: Link, answer: Answer, provides: Mapping[str, Provided], group: asyncio.TaskGroup,
        broken: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._link = link
        self._answer = answer
        self._provides = provides
        self._group = group
        self._broken = broken
        self._open: dict[int, tuple[Call, asyncio.Task[None]]] = {}
        self._closing = False
        self.raised = False

    @property
    def open_calls(self) -> tuple[int, ...]:
        """The numbers of the calls being answered."""
        return tuple(self._open)

    def take_call(self, header: headers.Call, body: bytes) -> None:
        """Starts answering a call. Raises LinkLost for a number that is not the kernel's or is open already.

        A call that crosses a Stop on its way, or comes while the run breaks, is left unanswered: the kernel gives it to the
        next run, or ends it.
        """
        if headers.is_made_by_run(header.number) or header.number in self._open or header.number == 0:
            raise LinkLost(f"the kernel delivered a call under the number {header.number}")
        if self._closing:
            return
        call = Call(self._link, header)
        work = self._serve(call, body)
        try:
            task = self._group.create_task(work, name=f"{call.method} {call.number}")
        except RuntimeError:  # the group is ending, since another task raised
            work.close()
            return
        self._open[call.number] = call, task
        task.add_done_callback(lambda done: self._end_unstarted(call, done))

    def take_chunk(self, header: headers.Chunk, body: bytes) -> None:
        """Takes a chunk of an upload; ignores it if the call has ended."""
        if (found := self._open.get(header.number)) is not None:
            found[0]._take_chunk(body, header.labels, last=header.last)

    def take_credit(self, header: headers.Credit) -> None:
        """Takes credit for a reply's chunks."""
        if (found := self._open.get(header.number)) is not None:
            found[0]._take_credit(header.chunks)

    def take_cancel(self, header: headers.Cancel) -> None:
        """Takes the caller's cancellation: cancels the task, which then most likely ends in Cancelled."""
        if (found := self._open.get(header.number)) is not None:
            found[0]._is_taken_back = True
            found[1].cancel(header.why)

    def cancel_all(self) -> None:
        """Cancels every open call and starts no other, since the run stops."""
        self._closing = True
        for _, task in self._open.values():
            task.cancel(_NOT_FINISHED)

    async def _serve(self, call: Call, body: bytes) -> None:
        answering.set(call.number)
        try:
            arguments = _arguments(body)
            value = await self._answer(call, arguments)
            reply = codec.encode_body(value)
            if wrong := self._returns_fault(call, value, reply):
                self._end_wrong_returns(call, wrong)
                return
            labels, cost, used = call._finish()
            self._end(call, headers.Done(number=call.number, labels=labels, cost=cost, used=used), reply)
        except asyncio.CancelledError as cancelled:
            self._end_cancelled(call, str(cancelled))
        except Failure as failure:
            self._end_failed(call, failure.code, failure.text, failure.detail)
        except LinkLost as error:
            self._broken(error)
        except Exception as error:  # noqa: BLE001  it becomes the end, and a traceback in the log
            self.raised = True
            records.logger().error(
                "a call raised", method=call.method, call=call.number, exc_info=records.raised(error)
            )
            self._end_failed(call, "raised", one_line(error))
        except BaseException as error:  # noqa: BLE001  it ends the run
            self._end_failed(call, "raised", one_line(error))
            self._broken(error)

    def _returns_fault(self, call: Call, value: object, reply: bytes) -> tuple[str, ...]:
        """How a reply differs from the method's `returns`; () if it does not. The decoded reply counts, as it travels."""
        provided = self._provides.get(call.method)
        if provided is None or not provided.returns or not misfits(provided.returns, value):
            return ()
        return misfits(provided.returns, codec.decode_body(reply))

    def _end_wrong_returns(self, call: Call, wrong: tuple[str, ...]) -> None:
        """Ends a call whose reply is not what HAND.toml declares: the Hand's own fault, as if it had raised."""
        self.raised, why = True, "; ".join(wrong)
        records.logger().error(
            "an answer is not what `returns` in HAND.toml declares", method=call.method, call=call.number, why=why
        )
        self._end_failed(
            call, "returns", records.shown(f"{call.method} answered with something else than it declares: {why}")
        )

    def _end_unstarted(self, call: Call, task: asyncio.Task[None]) -> None:
        """Ends a call whose task was cancelled before its first step, and so never ran."""
        if task.cancelled() and call.number in self._open:
            self._end_cancelled(call, "")

    def _end_cancelled(self, call: Call, why: str) -> None:
        """Ends a call in Cancelled: its caller, the run's stop or the Hand itself cancelled it. Else the run is breaking."""
        if not (why or call._is_taken_back or self._closing):
            self._end_failed(call, "ended", "the Hand broke before it answered")
            return
        why, (labels, cost, used) = fitting(why or _NOT_FINISHED), call._finish()
        self._end(call, headers.Cancelled(number=call.number, why=why, labels=labels, cost=cost, used=used))

    def _end_failed(self, call: Call, code: str, text: str, detail: dict[str, object] | None = None) -> None:
        labels, cost, used = call._finish()
        try:
            body = codec.encode_body(detail) if detail else codec.NIL
        except CodecError:
            body = codec.NIL
        code, text = fitting(code, limits.LABEL_MAX) or "failed", fitting(text)
        end = headers.Failed(number=call.number, code=code, text=text, labels=labels, cost=cost, used=used)
        self._end(call, end, body)

    def _end(self, call: Call, end: headers.Done | headers.Failed | headers.Cancelled, body: bytes = codec.NIL) -> None:
        try:
            self._link.send(end, body)
        except CodecError as error:  # labels, a cost or measures that the kernel would not take
            records.logger().error("a call's end could not be sent as it was", call=call.number, why=str(error))
            failed = headers.Failed(number=call.number, code="raised", text=fitting(str(error)))
            try:  # the cost is settled, whatever else of the end is wrong
                self._link.send(replace(failed, cost=end.cost))
            except CodecError:
                self._link.send(failed)
        del self._open[call.number]


def one_line(error: BaseException) -> str:
    """An exception as one line, without secrets."""
    text = " ".join(str(error).split())
    if text and isinstance(error, HandBroken):  # a sentence for people
        return records.shown(text)
    return records.shown(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def fitting(text: str, most: int = limits.WHY_MAX) -> str:
    """A text, cut and cleaned to fit into a header."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= most else text[: most - 1] + "…"


def _chunk(body: bytes) -> bytes:
    """A chunk's bytes. Raises Failure: the kernel never opens a body, so a malformed one is the caller's mistake."""
    try:
        value = codec.decode_body(body)
    except CodecError as error:
        raise Failure("arguments", f"a chunk of the upload cannot be read: {error}") from None
    if not isinstance(value, bytes):
        raise Failure("arguments", "a chunk of the upload is not bytes")
    return value


def _arguments(body: bytes) -> dict[str, object]:
    try:
        if len(body) <= _FEW:
            value = codec.decode_body(body)
        else:
            with undisturbed():
                value = codec.decode_body(body)
    except CodecError as error:
        raise Failure("arguments", f"the arguments cannot be read: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise Failure("arguments", "the arguments are not a table of names and values")
    return dict(value)
