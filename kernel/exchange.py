"""Open calls on their way (acts on what wire/calls.py decides): recorded, delivered, streamed, ended exactly once.

No effect without a record: a call with an effect reaches its provider, and its end the caller, only after the entry is
on disk; a read waits for nothing. A call that has no end yet is in `calls`; whatever takes it out sends its one end.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kernel.record.log import Part
from kernel.runs import Peer, Run, carried
from manifests import holding, paying, schedules
from manifests.calls import OpenCall
from manifests.orphaned_calls import at_death, overdue
from wire import headers, limits
from wire.codec import NIL
from wire.entries import Said
from wire.errors import Late, Refusal

if TYPE_CHECKING:
    from kernel.core import Kernel


class Exchange:
    """All open calls: those that have no end yet. calls: by the kernel's own numbers."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.calls: dict[int, OpenCall] = {}
        self._waiting: set[int] = set()

    def begin(self, peer: Peer, call: OpenCall) -> None:
        """Record an allowed call, then deliver it: at once if it only reads, else once its entry is on disk.

        A call that needs the operator's approval is held instead.
        """
        peer.made[call.caller_number] = call
        if peer.run is not None:
            peer.run.calls += 1
        if call.asks:
            call.until = self._kernel.time() + self._kernel.home.identity.approval_micros
        seq = self.record(call)
        if call.asks:
            self.hold(call)
        elif call.is_recorded_first:
            self.deliver_after(seq, call)
        else:
            self._kernel.deliver(call)

    def deliver_after(self, seq: int, call: OpenCall) -> None:
        """Deliver an open call once an entry is on disk."""
        self._kernel.log.after(seq, partial(self._deliver_if_open, call))

    def hold(self, call: OpenCall) -> None:
        """Hold an open call until the operator answers. Its deadline is suspended, and that of every call above it."""
        kernel = self._kernel
        call.hold()
        kernel.keeping.wait(call, partial(self.refuse, call, holding.expired(call)))
        self.update_clocks()
        kernel.log.after(call.seq, partial(kernel.events.tell, "kernel.held", holding.heard_of(call), call.depth))

    def held(self, *, shown: bool = False) -> list[OpenCall]:
        """The calls that are held. shown: only those whose entry is on disk, which a crash cannot undo."""
        before = self._kernel.log.durable if shown else self._kernel.log.size
        return [call for call in self.calls.values() if call.state == "held" and call.seq < before]

    def answered(self, call: OpenCall, seq: int, own: OpenCall | None) -> None:
        """Release a held call once its answer, entry `seq`, is on disk. own: the operator's call that is made instead."""
        if call.alarm is not None:
            call.alarm.cancel()
        call.go_on(own)
        self.update_clocks()
        self.deliver_after(seq if own is None else self.record(own), own or call)

    def _pass_end_on(self, heir: OpenCall, call: OpenCall, header: headers.End, body: bytes) -> None:
        """The operator's call, made instead of `heir`, has ended: give that end to `heir`."""
        if heir.number in self.calls:
            heir.mark(call.labels)
            self.end(heir, *holding.handed_down(call, header, body))

    def record(self, call: OpenCall) -> int:
        """Open a call and append its entry; returns the entry's number. From here on the call has exactly one end."""
        self.open(call)
        call.began = self._kernel.time()
        call.seq = self._log("call", call, "arguments", call.body, call.begun().copy)
        return call.seq

    def open(self, call: OpenCall) -> None:
        """Open a call whose entry was appended before."""
        kernel = self._kernel
        self.calls[call.number] = call
        if call.reservation is None:
            paying.opened(kernel.budgets.reservations, call)
        if call.parent is not None and not call.is_detached:
            call.parent.children[call.number] = call
        call.timer = kernel.loop.at(call.deadline, partial(self._expire, call))
        if call.parent is not None and call.parent.number in self._waiting:
            self.update_clocks()  # its parent no longer only waits

    def sibling_changed(self, call: OpenCall) -> None:
        """A call ended, or turned out to last: its parent may now only wait for held calls, which suspends its deadline."""
        if call.parent is not None and not self._waiting.isdisjoint(call.parent.children):
            self.update_clocks()

    def forget(self, call: OpenCall) -> None:
        """Drop an open call without an end: its caller's next process makes it again."""
        self._cancel_at_provider(call, "its caller goes on later")
        if (provider := self._kernel.runs.get(call.provider)) is not None:
            provider.serving.pop(call.number, None)
        self._close(call)

    def _log(self, kind: str, call: OpenCall, part: Part, body: bytes, alone: Callable[[], Said]) -> int:
        key, run = self._kernel.digest_key(call.caller), self._kernel.run_of(call.caller)
        return self._kernel.log.put_off(kind, part, (key, body), partial(call.about, alone, key, run, call.labels))

    def _deliver_if_open(self, call: OpenCall) -> None:
        if self.calls.get(call.number) is call:
            self._kernel.deliver(call)

    def deliver(self, call: OpenCall, run: Run) -> None:
        """Hand a call to the run that answers it."""
        kernel = self._kernel
        if run.peer is None:
            return
        call.step("deliver")
        call.provider = run.id
        run.serving[call.number] = call
        run.mark(call.labels)
        kernel.links.send(run.peer, call.delivered(kernel.loop.now(), kernel.time()), call.body)
        self.forward_upload(call)

    def forward_upload(self, call: OpenCall) -> None:
        """Send a call's provider the upload chunks that wait, as many as it takes now."""
        run = self._kernel.runs.get(call.provider) if call.state in ("delivered", "streaming") else None
        while call.early and run is not None and run.peer is not None and not run.peer.is_behind:
            chunk, body = call.early.pop(0)
            run.mark(call.labels)
            self._kernel.links.send(run.peer, call.passed(chunk, call.number, self._kernel.time()), body)

    def reply_chunk(self, run: Run, header: headers.Chunk, body: bytes) -> None:
        """Pass a chunk of a reply to the caller. Raises NotNow beyond its credit, Late when the call has ended."""
        call = run.serving.get(header.number)
        if call is None:
            raise Late(header.number)
        call.spend_down()
        call.mark(call.provided.labels, header.labels)
        caller, passed = self._mark_caller(call), call.passed(header, call.caller_number, self._kernel.time())
        if (tape := self._kernel.tape_of(call)) is not None:
            tape.hear(passed, body)
        elif caller is not None:
            self._kernel.links.send(caller, passed, body)

    def upload_chunk(self, peer: Peer, header: headers.Chunk, body: bytes) -> None:
        """Pass a chunk of an upload to the provider. Raises NotNow beyond its credit or after the last, Late as above."""
        call = peer.made.get(header.number)
        if call is None:
            raise Late(header.number)
        call.spend_up(last=header.last)
        call.mark(header.labels, carried(peer.run, call.parent))
        call.early.append((header, body))  # within its credit, so at most a window of them
        self.forward_upload(call)
        if call.early and holding.is_too_much(self.calls.values(), call.by.hand, len(body)):
            self.fail(call, "room", "more is kept for the calls of its Hand than may be")

    def credit(self, peer: Peer, header: headers.Credit) -> None:
        """Pass credit for more chunks from their receiver to their sender. Raises NotNow for more than a window."""
        down = headers.is_made_by_run(header.number)
        call = (peer.made if down else peer.run.serving if peer.run else {}).get(header.number)
        if call is None:
            raise Late(header.number)
        call.credit(header.chunks, down=down)
        other, tape = self._provider(call) if down else self._kernel.peers.get(call.route), self._kernel.tape_of(call)
        passed = replace(header, number=call.number if down else call.caller_number, time=self._kernel.time())
        if not down and tape is not None:
            tape.hear(passed, NIL)
        elif other is not None:
            self._kernel.links.send(other, passed, NIL)

    def provider_ends(self, run: Run, header: headers.Done | headers.Failed | headers.Cancelled, body: bytes) -> None:
        """End a call as its provider says. Raises Late when it had its end before, unless a late cost is due."""
        run.used = run.used.and_then(header.used) if header.used is not None else run.used
        call = run.serving.heard(header.number)
        if call is None:
            self._kernel.budgets.correct(run, header)
            return
        run.mark(header.labels)
        call.mark(call.provided.labels, header.labels)
        self.end(call, header, body, is_word=True)

    def end(self, call: OpenCall, header: headers.End, body: bytes = NIL, *, is_word: bool = False) -> None:
        """Give a call its one end: log it, and send it to the caller; if anything was done or spent, once that is on disk.

        is_word: the provider itself gave this end, and its cost. What was made for the call and is still open is cancelled.
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
        header, cost = call.priced(header, was_begun=was_begun, is_word=is_word)
        is_lasting, tape = (call.has_effect and was_begun) or cost is not None, kernel.tape_of(call)
        if tape is not None:
            self._mark_caller(call)
            tape.hear(call.end_for_caller(header, kernel.time()), body, bound=True, durable=is_lasting)
            tape.made.pop(call.caller_number, None)
        provider = kernel.runs.get(call.provider)
        if call.route == b"" and provider is not None:
            kernel.resuming.ended(provider, call, header, body)
        seq = self._log("end", call, "reply", body, partial(call.over, header))
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
            kernel.supervisor.call_ended(provider, call)
        if call.heir is not None:
            kernel.log.after(seq, partial(self._pass_end_on, call.heir, call, header, body))

    def _close(self, call: OpenCall) -> bool:
        """Take a call out of the open ones; False when it was not among them."""
        if self.calls.get(call.number) is not call:  # it was dropped by forget(), and may have been made again
            return False
        del self.calls[call.number]
        for timer in filter(None, (call.timer, call.alarm)):
            timer.cancel()
        if call.parent is not None:
            call.parent.children.pop(call.number, None)
            self.sibling_changed(call)
        return True

    def fail(self, call: OpenCall, code: str, text: str) -> None:
        """End a call in Failed, on the kernel's account, and cancel it at its provider."""
        self._cancel_at_provider(call, text)
        self.end(call, headers.Failed(number=0, code=code, text=text[: limits.WHY_MAX]))

    def cancel(self, call: OpenCall, why: str) -> None:
        """End a call in Cancelled, and cancel it at its provider, whose answer no longer counts."""
        self._cancel_at_provider(call, why)
        self.end(call, headers.Cancelled(number=0, why=why[: limits.WHY_MAX]))

    def refuse(self, call: OpenCall, refusal: Refusal) -> None:
        """End a call in Refused, on the kernel's account: its provider may not start, or it is not allowed any more."""
        if self._kernel.resuming.outlives(self._kernel.runs.get(call.caller)):
            return
        why = (refusal.bare if call.by.hand else refusal.why)[: limits.WHY_MAX]
        self.end(call, headers.Refused(number=0, code=refusal.code, why=why, grant=refusal.grant))

    def _expire(self, call: OpenCall) -> None:
        if call.number in self.calls:
            self.fail(call, "deadline", overdue(call.method))

    def provider_died(self, run: Run, *, is_crash: bool, may_repeat: bool) -> list[OpenCall]:
        """End the calls that were open at a dead run. Returns those that may be delivered again, which stay open."""
        again = []
        for call in list(run.serving.values()):
            call.crashes += is_crash
            if failed := at_death(call, run.name, run.why, may_repeat=may_repeat):
                self.fail(call, *failed)
            else:
                run.serving.pop(call.number)
                call.take_back()
                again.append(call)
        return again

    def update_clocks(self) -> None:
        """Suspend the deadlines of all calls by and at paused Hands, of held calls, and of calls that only wait for these;
        resume those of all others.
        """
        kernel, now = self._kernel, self._kernel.loop.now()
        waiting = holding.waited_for([*self.held(), *kernel.upgrading.works()], kernel.time())
        self._waiting = waiting
        for call in self.calls.values():
            run = kernel.runs.get(call.provider)
            owner = run.hand if run else kernel.state.hands.get(kernel.catalogue.owner(call.method))
            still = holding.stands_still(call, owner.id if owner else "", waiting, kernel.state)
            # a call whose deadline has passed ends, whatever it waits for
            if still and call.timer is not None and call.deadline > now:
                call.timer.cancel()
                call.timer, call.left = None, call.deadline - now
            elif not still and call.timer is None:
                call.deadline = now + call.left
                call.timer = kernel.loop.after(call.left, partial(self._expire, call))

    def caller_gone(self, peer: Peer) -> None:
        """Cancel what a peer that is gone had open."""
        for call in list(peer.made.values()):
            self.cancel(call, "its caller is gone")

    def _cancel_at_provider(self, call: OpenCall, why: str) -> None:
        provider = self._provider(call) if call.state in ("delivered", "streaming") else None
        if provider is not None:
            header = headers.Cancel(number=call.number, why=why[: limits.WHY_MAX], time=self._kernel.time())
            self._kernel.links.send(provider, header, NIL)

    def _send_end(self, call: OpenCall, header: headers.End, body: bytes) -> None:
        kernel, peer = self._kernel, self._mark_caller(call)
        if call.route == b"":
            kernel.results.keep(call.provider, header, body, call.labels)
        if peer is None:
            return
        peer.made.pop(call.caller_number, None)
        kernel.links.send(peer, call.end_for_caller(header, kernel.time()), body)

    def _report_firing(self, call: OpenCall, run: Run, header: headers.End, seq: int) -> None:
        """Tell the Hand `scheduling` how a scheduled run ended: in the kernel's own words, so without the reply's labels."""
        body = schedules.ended(self._kernel.state, run.hand, run.id, header)
        if body is not None:
            self._kernel.log.after(seq, partial(self._kernel.events.tell, "kernel.fired", body, call.depth))

    def _mark_caller(self, call: OpenCall) -> Peer | None:
        """The peer that gets a part of the reply now, if it is there; its run and the parent call take the labels."""
        caller, run = self._kernel.peers.get(call.route), self._kernel.runs.get(call.caller)
        if call.parent is not None:
            call.parent.mark(call.labels)
        if run is not None and call.route:
            run.mark(call.labels)
        return caller

    def _provider(self, call: OpenCall) -> Peer | None:
        run = self._kernel.runs.get(call.provider)
        return run.peer if run else None
