"""Open calls (acts on what wire/calls.py decides): recorded, delivered, streamed, and ended exactly once.

No effect without a record: a call with an effect reaches its provider only after its entry is on disk, and its end reaches
the caller only after that entry is; a read waits for neither. `calls` holds the calls without an end; whoever removes one
sends its end.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kernel.record.log import Part
from kernel.runs import Peer, Run, labels_of_sender
from manifests import holding, paying, schedules
from manifests.calls import OpenCall
from manifests.orphaned_calls import deadline_text, failure_at_death
from wire import headers, limits
from wire.codec import NIL
from wire.entries import Said
from wire.errors import Late, Refusal

if TYPE_CHECKING:
    from kernel.core import Kernel


class Exchange:
    """All calls that have no end yet. calls: by the kernel's own numbers."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.calls: dict[int, OpenCall] = {}
        self._waiting: set[int] = set()

    def begin(self, peer: Peer, call: OpenCall) -> None:
        """Record an allowed call, then deliver it: a read at once, any other when its entry is on disk.

        A call that needs the operator's approval is held instead.
        """
        peer.open_calls[call.caller_number] = call
        if peer.run is not None:
            peer.run.calls += 1
        if call.asks:
            call.until = self._kernel.time() + self._kernel.home.identity.approval_micros
        seq = self.record(call)
        if call.asks:
            self.hold(call)
        elif call.is_recorded_first:
            self.deliver_when_durable(seq, call)
        else:
            self._kernel.deliver(call)

    def deliver_when_durable(self, seq: int, call: OpenCall) -> None:
        """Deliver a call when entry `seq` is on disk, if it is still open then."""
        self._kernel.log.after(seq, partial(self._deliver_if_open, call))

    def hold(self, call: OpenCall) -> None:
        """Hold an open call until the operator answers, and suspend its deadline and those of all calls above it."""
        kernel = self._kernel
        call.hold()
        kernel.keeping.set_expiry(call, partial(self.refuse, call, holding.expired_refusal(call)))
        self.update_clocks()
        kernel.log.after(call.seq, partial(kernel.events.emit, "kernel.held", holding.event_body(call), call.depth))

    def held_calls(self, *, is_durable: bool = False) -> list[OpenCall]:
        """Return the held calls. is_durable: only those whose entry is on disk, so that a crash cannot undo them."""
        before = self._kernel.log.durable if is_durable else self._kernel.log.size
        return [call for call in self.calls.values() if call.state == "held" and call.seq < before]

    def release(self, call: OpenCall, seq: int, own: OpenCall | None) -> None:
        """Deliver a held call when its answer, entry `seq`, is on disk. own: the operator's call to make in its place."""
        if call.alarm is not None:
            call.alarm.cancel()
        call.release(own)
        self.update_clocks()
        self.deliver_when_durable(seq if own is None else self.record(own), own or call)

    def _pass_end_on(self, heir: OpenCall, call: OpenCall, header: headers.End, body: bytes) -> None:
        """Give `heir`, a held call, the end of the operator's call that was made in its place."""
        if heir.number in self.calls:
            heir.mark(call.labels)
            self.end(heir, *holding.end_for_heir(call, header, body))

    def record(self, call: OpenCall) -> int:
        """Open a call, which from now on has exactly one end, and append its entry. Returns the entry's number."""
        self.open(call)
        call.began = self._kernel.time()
        call.seq = self._log("call", call, "arguments", call.body, call.call_entry().copy)
        return call.seq

    def open(self, call: OpenCall) -> None:
        """Register an open call: reserve its cost, join it to its parent, set its deadline. record() also logs it."""
        kernel = self._kernel
        self.calls[call.number] = call
        call.secret = call.secret or kernel.digest_key(call.caller)
        if call.reservation is None:
            paying.reserve(kernel.budgets.reservations, call)
        if call.parent is not None and not call.is_detached:
            call.parent.children[call.number] = call
        call.timer = kernel.loop.at(call.deadline, partial(self._expire, call))
        if call.parent is not None and call.parent.number in self._waiting:
            self.update_clocks()  # its parent no longer only waits

    def sibling_changed(self, call: OpenCall) -> None:
        """After a call ended, or set an alarm: suspend its parent's deadline if that now waits only for held calls."""
        if call.parent is not None and not self._waiting.isdisjoint(call.parent.children):
            self.update_clocks()

    def forget(self, call: OpenCall) -> None:
        """Drop an open call without giving it an end: the next process of its caller's run makes it again."""
        self._cancel_at_provider(call, "its caller resumes later")
        if (provider := self._kernel.runs.get(call.provider)) is not None:
            provider.serving.pop(call.number, None)
        self._close(call)

    def _log(self, kind: str, call: OpenCall, part: Part, body: bytes, fields: Callable[[], Said]) -> int:
        """Append an entry about a call, which is computed later, with the digest of a body. Returns its number."""
        return self._kernel.log.defer(kind, part, (call.secret, body), partial(call.fields, fields, call.labels))

    def _deliver_if_open(self, call: OpenCall) -> None:
        if self.calls.get(call.number) is call:
            self._kernel.deliver(call)

    def deliver(self, call: OpenCall, run: Run) -> None:
        """Send a call to the run that answers it."""
        kernel = self._kernel
        if run.peer is None:
            return
        call.step("deliver")
        call.provider = run.id
        run.serving[call.number] = call
        run.mark(call.labels)
        now = kernel.time()
        left = paying.left_for(kernel.budgets.reservations, kernel.state, call, now)
        kernel.links.send(run.peer, call.header_for_provider(kernel.loop.now(), now, left), call.body)
        self.forward_upload(call)

    def forward_upload(self, call: OpenCall) -> None:
        """Send a call's waiting upload chunks to its provider, until that falls behind."""
        run = self._kernel.runs.get(call.provider) if call.state in ("delivered", "streaming") else None
        while call.early and run is not None and run.peer is not None and not run.peer.is_behind:
            chunk, body = call.early.pop(0)
            run.mark(call.labels)
            self._kernel.links.send(run.peer, call.chunk_header(chunk, call.number, self._kernel.time()), body)

    def reply_chunk(self, run: Run, header: headers.Chunk, body: bytes) -> None:
        """Pass a chunk of a reply to the caller. Raises NotNow beyond the provider's credit, Late if the call has ended."""
        call = run.serving.get(header.number)
        if call is None:
            raise Late(header.number)
        call.spend_down()
        call.mark(call.provided.labels, header.labels)
        caller, passed = self._label_caller(call), call.chunk_header(header, call.caller_number, self._kernel.time())
        if (tape := self._kernel.tape_of(call)) is not None:
            tape.send(passed, body)
        elif caller is not None:
            self._kernel.links.send(caller, passed, body)

    def upload_chunk(self, peer: Peer, header: headers.Chunk, body: bytes) -> None:
        """Pass a chunk of an upload to the provider. Raises NotNow beyond the caller's credit or after the last chunk, Late
        if the call has ended.
        """
        call = peer.open_calls.get(header.number)
        if call is None:
            raise Late(header.number)
        call.spend_up(last=header.last)
        call.mark(header.labels, labels_of_sender(peer.run, call.parent))
        call.early.append((header, body))  # its credit bounds these to one window
        self.forward_upload(call)
        if call.early and holding.exceeds_kept(self.calls.values(), call.by.hand, len(body)):
            self.fail(call, "room", "the open calls of its Hand take more memory than they may")

    def credit(self, peer: Peer, header: headers.Credit) -> None:
        """Pass credit from the receiver of chunks to their sender. Raises NotNow beyond a window, Late after the end."""
        down = headers.is_made_by_run(header.number)
        calls = peer.open_calls if down else peer.run.serving if peer.run else {}
        if (call := calls.get(header.number)) is None:
            raise Late(header.number)
        call.credit(header.chunks, down=down)
        other = self._provider_peer(call) if down else self._kernel.peers.get(call.route)
        tape = self._kernel.tape_of(call)
        passed = replace(header, number=call.number if down else call.caller_number, time=self._kernel.time())
        if not down and tape is not None:
            tape.send(passed, NIL)
        elif other is not None:
            self._kernel.links.send(other, passed, NIL)

    def end_as_provided(self, run: Run, header: headers.Done | headers.Failed | headers.Cancelled, body: bytes) -> None:
        """End a call as its provider says. Raises Late if it has ended already, unless the provider still owes its cost."""
        run.used = run.used.and_then(header.used) if header.used is not None else run.used
        call = run.serving.heard(header.number)
        if call is None:
            self._kernel.budgets.correct(run, header)
            return
        run.mark(header.labels)
        call.mark(call.provided.labels, header.labels)
        self.end(call, header, body, is_word=True)

    def end(self, call: OpenCall, header: headers.End, body: bytes = NIL, *, is_word: bool = False) -> None:
        """Give a call its one end: log it, send it to the caller, and cancel the calls made for it that are still open.

        If the call may have had an effect or a cost, the caller gets the end only when its entry is on disk. is_word: the
        provider itself gave this end and its cost.
        """
        kernel, was_begun, was_held = self._kernel, call.was_begun, call.state == "held"
        if not self._close(call):
            return
        call.step("end")
        if was_held:
            self.update_clocks()
        call.body = b""
        for made in list(call.children.values()):
            self.cancel(made, "the call it was made for has ended")
        header, cost = call.settle_cost(header, was_begun=was_begun, is_word=is_word)
        is_lasting, tape = (call.has_effect and was_begun) or cost is not None, kernel.tape_of(call)
        if tape is not None:
            self._label_caller(call)
            tape.send(call.end_for_caller(header, kernel.time()), body, bound=True, durable=is_lasting)
            tape.open_calls.pop(call.caller_number, None)
        provider = kernel.runs.get(call.provider)
        if call.route == b"" and provider is not None:
            kernel.resuming.record_end(provider, call, header, body)
        seq = self._log("end", call, "reply", body, partial(call.end_entry, header))
        if provider is not None:
            provider.serving.over(call, is_word=is_word)
            if call.route == b"":
                self._report_firing(call, provider, header, seq)
        kernel.budgets.settle(call, cost, is_word=is_word)
        if tape is not None:
            tape.pump()
        elif is_lasting:
            kernel.log.after(seq, partial(self._send_end, call, header, body))
        else:
            self._send_end(call, header, body)
        if provider is not None:
            kernel.supervisor.on_call_end(provider, call)
        if call.heir is not None:
            kernel.log.after(seq, partial(self._pass_end_on, call.heir, call, header, body))

    def _close(self, call: OpenCall) -> bool:
        """Remove a call from the open ones. Returns False if it was not one of them."""
        if self.calls.get(call.number) is not call:  # forget() dropped it, and it may have been made again
            return False
        del self.calls[call.number]
        for timer in filter(None, (call.timer, call.alarm)):
            timer.cancel()
        if call.parent is not None:
            call.parent.children.pop(call.number, None)
            self.sibling_changed(call)
        return True

    def fail(self, call: OpenCall, code: str, text: str) -> None:
        """End a call in Failed, for a reason of the kernel's, and cancel it at its provider."""
        self._cancel_at_provider(call, text)
        self.end(call, headers.Failed(number=0, code=code, text=text[: limits.WHY_MAX]))

    def cancel(self, call: OpenCall, why: str) -> None:
        """End a call in Cancelled, and cancel it at its provider, whose answer is ignored from now on."""
        self._cancel_at_provider(call, why)
        self.end(call, headers.Cancelled(number=0, why=why[: limits.WHY_MAX]))

    def refuse(self, call: OpenCall, refusal: Refusal) -> None:
        """End a call in Refused: its provider may not start, or the call is no longer allowed."""
        if self._kernel.resuming.outlives(self._kernel.runs.get(call.caller)):
            return
        why = (refusal.bare if call.by.hand else refusal.why)[: limits.WHY_MAX]
        self.end(call, headers.Refused(number=0, code=refusal.code, why=why, grant=refusal.grant))

    def _expire(self, call: OpenCall) -> None:
        """Fail a call whose deadline has passed."""
        if call.number in self.calls:
            self.fail(call, "deadline", deadline_text(call.method))

    def end_calls_at(self, run: Run, *, is_crash: bool, may_repeat: bool) -> list[OpenCall]:
        """End the calls that were open at a dead run. Returns those that may be delivered again: they stay open."""
        again = []
        for call in list(run.serving.values()):
            call.crashes += is_crash
            if failed := failure_at_death(call, run.name, run.why, may_repeat=may_repeat):
                self.fail(call, *failed)
            else:
                run.serving.pop(call.number)
                call.take_back()
                again.append(call)
        return again

    def update_clocks(self) -> None:
        """Suspend the deadlines of all calls by and at paused Hands, of held calls, and of calls that wait only for held
        ones. Resume all other deadlines.
        """
        kernel, now = self._kernel, self._kernel.loop.now()
        waiting = holding.all_waiting([*self.held_calls(), *kernel.upgrading.undecided_work()], kernel.time())
        self._waiting = waiting
        for call in self.calls.values():
            run = kernel.runs.get(call.provider)
            owner = run.hand if run else kernel.state.hands.get(kernel.catalogue.owner(call.method))
            is_suspended = holding.is_clock_stopped(call, owner.id if owner else "", waiting, kernel.state)
            # a call whose deadline has passed ends, even if it should be suspended now
            if is_suspended and call.timer is not None and call.deadline > now:
                call.timer.cancel()
                call.timer, call.left = None, call.deadline - now
            elif not is_suspended and call.timer is None:
                call.deadline = now + call.left
                call.timer = kernel.loop.after(call.left, partial(self._expire, call))

    def cancel_calls_of(self, peer: Peer) -> None:
        """Cancel the open calls of a peer that is gone."""
        for call in list(peer.open_calls.values()):
            self.cancel(call, "its caller is gone")

    def _cancel_at_provider(self, call: OpenCall, why: str) -> None:
        """Tell a call's provider that it is cancelled, if it has the call."""
        provider = self._provider_peer(call) if call.state in ("delivered", "streaming") else None
        if provider is not None:
            header = headers.Cancel(number=call.number, why=why[: limits.WHY_MAX], time=self._kernel.time())
            self._kernel.links.send(provider, header, NIL)

    def _send_end(self, call: OpenCall, header: headers.End, body: bytes) -> None:
        """Send a call's end to its caller. The end of a run's work goes to whoever waits for the run."""
        kernel, peer = self._kernel, self._label_caller(call)
        if call.route == b"":
            kernel.results.set_outcome(call.provider, header, body, call.labels)
        if peer is None:
            return
        peer.open_calls.pop(call.caller_number, None)
        kernel.links.send(peer, call.end_for_caller(header, kernel.time()), body)

    def _report_firing(self, call: OpenCall, run: Run, header: headers.End, seq: int) -> None:
        """Tell the Hand `scheduling` how a scheduled run ended. The words are the kernel's, so they carry no labels."""
        body = schedules.end_event(self._kernel.state, run.hand, run.id, header)
        if body is not None:
            self._kernel.log.after(seq, partial(self._kernel.events.emit, "kernel.fired", body, call.depth))

    def _label_caller(self, call: OpenCall) -> Peer | None:
        """Add a call's labels to its caller's run and to its parent call. Returns the caller's peer, if it is connected."""
        caller, run = self._kernel.peers.get(call.route), self._kernel.runs.get(call.caller)
        if call.parent is not None:
            call.parent.mark(call.labels)
        if run is not None and call.route:
            run.mark(call.labels)
        return caller

    def _provider_peer(self, call: OpenCall) -> Peer | None:
        """Return the peer of the run that answers a call, if it is connected."""
        run = self._kernel.runs.get(call.provider)
        return run.peer if run else None
