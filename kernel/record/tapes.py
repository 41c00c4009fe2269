"""The tape of a task run: records each message to the run before it is sent, and resends it to the next process (acts).

A tape outlives the connection: a call that is open when the run's process dies ends on the tape. A request has two numbers,
which are translated here: the tape's, which the kernel uses, and that of the process at the other end.

A message is recorded when it is decided on, and sent when the log entry that it needs is on disk. So messages are sent in
the order of the tape, at first and on every resumption.
"""

from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kernel.record.journal import TapeFile
from kernel.runs import BEHIND_MOST, UNSENT_MOST, Peer, Run
from manifests.budgets import Reservation
from manifests.calls import OpenCall
from manifests.settings import replace_secrets
from manifests.unfinished import Open
from wire import codec, headers, limits
from wire.errors import Diverged, Late, NotNow, TapeDamaged
from wire.fast_forward import SMALL, Contents, Deferred, FastForward, Numbers, Streams, known_of, number_of, up_to
from wire.headers import FromKernel, FromRun, is_made_by_run
from wire.tape import Heard, Record, Spent, Spilled, body_to_keep, message_record, request_record

if TYPE_CHECKING:
    from kernel.core import Kernel

AGAIN: Final = 0.02
"""Seconds until the next attempt to send to a run, when the disk or the run itself is behind."""

NEAR, QUEUED_MOST = 16, 20 * 1024
"""QUEUED_MOST messages may wait for a run: more than its calls, their chunks and credits can be. Bodies of the first NEAR of
them stay in memory; behind these, larger ones are only on the tape."""

STREAMED: Final = (headers.Chunk, headers.Event)


class Tape:
    """One run's tape.

    open_calls: the run's, by their numbers on the tape. pending: calls that are open in the log and that the run has not
    made again yet: each with its number in the log; reservations: theirs. count: records so far. deaths: processes in a row
    that died without adding a record. absent: stands in for the peer until the run has its first process under this kernel,
    and collects its events. spent: what the run had used of its limits at the last note.
    """

    def __init__(self, kernel: "Kernel", run: str, file: TapeFile, *, in_order: bool) -> None:
        self._kernel, self._run, self.file, self.in_order = kernel, run, file, in_order
        self.open_calls: dict[int, OpenCall] = {}
        self.pending: dict[int, tuple[int, Open]] = {}
        self.reservations: dict[int, Reservation] = {}
        self.count = self.deaths = self._messages = 0
        self.last, self.spent = -1, Spent()
        self.peer: Peer | None = None
        self.absent: Peer | None = None
        self._fast_forward: FastForward | None = None
        self._queue: deque[tuple[FromKernel, bytes, bytes | Spilled, int]] = deque()
        self._waiting = Deferred()
        self._streams = Streams()
        self._numbers = Numbers(self._streams)
        self._is_pumping = self._counts_events = self._is_pump_due = False

    def connect(self, peer: Peer) -> None:
        """Serve a process that has connected. It takes over the subscriptions of the one before, and its calls a minute."""
        if (before := self.peer or self.absent) is not None:
            self._kernel.events.hand_over(before, peer)
            peer.rate = before.rate
        if self.peer is None and self._fast_forward is not None:  # resent events of an earlier kernel use its credit
            self._counts_events, peer.event_credit = True, 0
        peer.open_calls, self.peer = self.open_calls, peer
        self._kernel.events.flush(peer)  # what waited while the process before was behind
        self.pump()

    # from the run ----------------------------------------------------------------------------------------------------

    def accept(self, peer: Peer, header: FromRun, body: bytes) -> FromRun | None:
        """Match a message of the run with the tape. Returns the message for the kernel to act on, under its number on the
        tape; None if the tape answers it, or it must wait. Raises Diverged.
        """
        number = number_of(header)
        match header:
            case headers.Call() | headers.Publish() | headers.Subscribe():
                return self._find(past, peer, header, body) if (past := self._fast_forward) else self._new(header, body)
            case headers.Credit() | headers.Cancel() | headers.Chunk() if number == 0 or is_made_by_run(number):
                return self._match_follow_up(header, body)
            case headers.Done() | headers.Failed() | headers.Cancelled() if self._fast_forward is not None:
                unmet = self._fast_forward.unmatched
                if unmet or self._fast_forward.remaining:
                    raise Diverged(f"its code has ended where it should {f'ask for {unmet[0]}' if unmet else 'go on'}")
        return header

    def _find(self, fast_forward: FastForward, peer: Peer, header: headers.Request, body: bytes) -> FromRun | None:
        """Find a request on the tape. Returns it, recorded, if it is new; None if the tape has it, or if it must wait."""
        known = fast_forward.match(known_of(request_record(header, body)))
        if known is None:
            if fast_forward.remaining:
                self._waiting.put(header, body)
                self.pump()
                return None
            return self._new(header, body)
        if not self.in_order:
            self._numbers.bind(known.number, header.number)
        if known.kind == "subscribe":
            self._kernel.events.subscribe_again(peer, known.on)
        is_ended = known.is_ended or any(number_of(queued[0]) == known.number for queued in self._queue)
        if not is_ended and known.number not in self.open_calls:
            self._waiting.put(header, body, known)
        self.pump()
        return None

    def _new(self, header: headers.Request, body: bytes) -> FromRun:
        """Record a new request. Returns it under its number on the tape."""
        header, log = self._numbers.new(header), self._kernel.log
        self.count, self.last = self.count + 1, log.size
        log.journal.put_lazy(self.file, partial(request_record, header, body), body_to_keep(body), self.last + 1)
        return header

    def _match_follow_up(self, header: headers.Credit | headers.Cancel | headers.Chunk, body: bytes) -> FromRun | None:
        """Match a message about an earlier request, or credit for events (number 0); otherwise as accept()."""
        number, past = self._numbers.ours(header.number), self._fast_forward
        if self._waiting.concerns(header.number):  # it counts when it is acted on, behind its request
            self._waiting.put(header, body)
            return None
        if past is not None and isinstance(header, headers.Credit):
            past.credit(number, header.chunks)
        is_recorded = past is not None and (number not in self.open_calls if number else self._counts_events)
        # nobody takes such a chunk; but without credit a program may not come to the request that the tape goes on with
        if is_recorded and (peer := self.peer) and isinstance(header, headers.Chunk) and not self.in_order:
            self._kernel.links.transmit(peer, codec.encode(headers.Credit(number=header.number, chunks=1)), codec.NIL)
        header = header if number == header.number else replace(header, number=number)
        # one that has ended may still have chunks for the run. Of others nothing is counted: it could name ever more
        fresh = self._streams.fresh(header, body) if number >= 0 else header
        self.pump()
        return None if is_recorded else fresh

    # to the run ------------------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Add a record that counts only with the log entry that is appended next."""
        log = self._kernel.log
        self.count, self.last = self.count + 1, log.size
        log.journal.put(self.file, record, log.size + 1)

    def put_spent(self, spent: Spent) -> None:
        """Note what the run has used of its limits. Such a note is no progress of its process."""
        self.spent = spent
        self._kernel.log.journal.put(self.file, spent, self._kernel.log.size)

    def send(self, header: FromKernel, body: bytes, *, bound: bool = False, durable: bool = False) -> None:
        """Record a message to the run, and send it as soon as it may be sent.

        bound: it counts only with the log entry that is appended next; whoever appends that calls pump() then. durable: it
        is sent only when that entry is on disk.
        """
        log, raw, is_secret = self._kernel.log, codec.encode(header), self._is_secret(header)
        on_tape = self._with_secrets(header, body, whole=False) if is_secret else body
        far = None
        if len(self._queue) >= NEAR and len(body) > SMALL and not is_secret:
            far, self.file.spilled = Spilled(raw, body), self.file.spilled + len(body)
        self.count, self._messages = self.count + 1, self._messages + 1
        if bound:
            self.last = log.size
        needs = log.size + bound
        log.journal.put_lazy(self.file, far or partial(message_record, raw, on_tape, is_secret), on_tape, needs)
        self._queue.append((header, raw, far or body, log.size if durable else -1))
        if not bound:
            self._kernel.loop.soon(self.pump)

    @property
    def is_quiet(self) -> bool:
        """Whether the run has open calls, all that is recorded was sent to it, and none of its messages is deferred."""
        return bool(self.open_calls) and self._fast_forward is None and not self._queue and not self._waiting

    def pump(self) -> None:
        """Send the run what may be sent now."""
        run = self._kernel.runs.get(self._run)
        if run is not None and run.state == "waiting":
            self._kernel.resuming.wake(self._run)
        if self._is_pumping or run is None or (peer := run.peer) is None:
            return
        self._is_pumping = True
        try:
            if self._fast_forward is None or self._resend(self._fast_forward, run):
                self._send_new(run)
        except Diverged as error:
            self._kernel.resuming.end_diverged(run, str(error))
        except NotNow as error:  # a deferred message was out of place
            self._kernel.links.end(peer, "malformed", str(error))
        except (TapeDamaged, OSError) as error:
            self._kernel.resuming.give_up(run, f"its tape cannot be read: {error}")
        finally:
            self._is_pumping = False

    def _resend(self, fast_forward: FastForward, run: Run) -> bool:
        """Resend what is on the tape. Returns True if all of it was sent."""
        kernel, peer = self._kernel, run.peer
        while peer and not peer.is_behind and (due := fast_forward.next_message(is_ready=run.state == "ready")):
            header, heard = due
            body = self._with_secrets(header, heard.body, whole=True) if heard.secret else heard.body
            kernel.links.transmit(peer, codec.encode(self._numbers.outgoing(header)), body)
            peer = run.peer
        if fast_forward.remaining or peer is None:
            if peer and peer.is_behind:
                self._pump_later()
            return False
        if self._counts_events:
            self._counts_events = False
            kernel.events.credit(peer, limits.EVENT_WINDOW - fast_forward.under_way(0))
        waiting = self._waiting.take()
        if not fast_forward.unmatched:
            self._fast_forward = None
        for deferred, body, known in waiting:
            if known is not None:
                left = self.pending.pop(known.number, None)
                again = replace(deferred, number=known.number)
                kernel.resuming.make_again(peer, again, body, left, is_begun=known.is_begun)
                continue
            fresh = self.accept(peer, deferred, body)
            if fresh is not None:
                with suppress(Late):
                    kernel.router.dispatch(peer, fresh, body)
        return True

    def _send_new(self, run: Run) -> None:
        """Send the queued messages, in order, until one must wait."""
        kernel = self._kernel
        if run.peer and (len(self._queue) > QUEUED_MOST or self.file.spilled - self.file.stored > UNSENT_MOST[1]):
            kernel.links.on_send_failure(run.peer, is_gone=False)
        while self._queue and (peer := run.peer) is not None:
            header, raw, body, gate = self._queue[0]
            if gate >= kernel.log.durable:
                kernel.log.after(gate, self.pump)
                return
            # back-pressure: a run gets messages no faster than the disk stores them and than it reads them
            if kernel.log.journal.behind > BEHIND_MOST or peer.is_behind:
                self._pump_later()
                return
            number, past = number_of(header), self._fast_forward
            is_awaited = number not in self._numbers.theirs or (past is not None and past.awaits(number))
            has_no_room = isinstance(header, STREAMED) and self._streams.is_behind(number)
            is_early = isinstance(header, headers.Call) and run.state != "ready"
            if has_no_room or is_early or (is_made_by_run(number) and is_awaited):
                return
            self._queue.popleft()
            outgoing = self._numbers.outgoing(header)
            content = self.file.body_of(body) if isinstance(body, Spilled) else body
            kernel.links.transmit(peer, raw if outgoing is header else codec.encode(outgoing), content)
            if content is not body:  # it was read from disk: let others have their turn before the next read
                self._pump_later(0)
                return

    def _pump_later(self, wait: float = AGAIN) -> None:
        """Call pump() after `wait` seconds, unless such a call is due already."""

        def pump_now() -> None:
            self._is_pump_due = False
            self.pump()

        if not self._is_pump_due:
            self._is_pump_due = True
            self._kernel.loop.after(wait, pump_now)

    def _is_secret(self, header: FromKernel) -> bool:
        """Whether a message's body holds settings, whose secrets are not put on the tape."""
        if isinstance(header, headers.Event):
            return header.event == "kernel.settings"
        call = self.open_calls.get(header.number) if isinstance(header, headers.Done) else None
        return call is not None and call.method == "kernel.settings"

    def _with_secrets(self, header: FromKernel, body: bytes, *, whole: bool) -> bytes:
        """Return a body of settings without the secret ones, as the tape keeps it. whole: with their present values."""
        hand = self._kernel.runs[self._run].hand
        now = self._kernel.settings_of(hand) if whole else {}
        return replace_secrets(hand.package.manifest.settings, body, now, is_all=isinstance(header, headers.Event))

    # from one process to the next ------------------------------------------------------------------------------------

    def rewind(self) -> int:
        """Forget the run's process, which is gone. Returns the number of messages that its next process is sent first."""
        self._queue.clear()
        self._waiting.take()
        self._fast_forward = None
        self._streams.rewind({0, *self.open_calls})
        return self._messages

    def begin_fast_forward(self, contents: Contents) -> None:
        """Serve a new process from now on. It is sent these contents of the tape first."""
        self._numbers.begin(contents, in_order=self.in_order)
        self.last, self.spent = max(self.last, contents.needs - 1), contents.spent
        self._messages = max(self._messages, contents.heard)
        self.count = max(self.count, 1 + len(contents.known) + contents.heard)
        read = (one.record for one in up_to(self.file.records(), contents.heard) if isinstance(one.record, Heard))
        self._fast_forward = FastForward(contents, iter(contents.kept or read), in_order=self.in_order)
