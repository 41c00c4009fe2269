"""Open calls on their way (acts on what kernel/calls.py decides): recorded, delivered, streamed, and ended exactly once.

No effect without a record: a call with an effect reaches its provider, and its end the caller, only after the entry is on
disk; a read waits for nothing. A call that has no end yet is in `calls`; whatever takes it out sends its one end.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kernel.calls import OpenCall
from kernel.runs import Peer, Run
from manifests.policy import shown
from wire import headers, limits
from wire.codec import NIL
from wire.entries import Body, body_digest
from wire.errors import Refusal

if TYPE_CHECKING:
    from kernel.core import Kernel

class Exchange:
    """Every call that has no end yet."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.calls: dict[int, OpenCall] = {}

    # beginning ------------------------------------------------------------------------------------------------------

    def begin(self, peer: Peer, call: OpenCall, deliver: Callable[[OpenCall], None]) -> None:
        """Record an allowed call, and deliver it: at once if it only reads, else once its entry is on disk."""
        kernel, run = self._kernel, peer.run
        peer.made[call.caller_number] = call
        if run is not None:
            run.calls += 1
        seq = self.record(call, run.id if run else "", body_digest(kernel.digest_key(call.caller), call.body))
        if call.has_effect:
            kernel.log.after(seq, partial(self._if_open, call, deliver))
        else:
            deliver(call)

    def record(self, call: OpenCall, run: str, arguments: Body) -> int:
        """Open a call: from here on it has exactly one end."""
        kernel = self._kernel
        self.calls[call.number] = call
        if call.parent is not None:
            call.parent.children[call.number] = call
        call.timer = kernel.loop.after(call.deadline - kernel.loop.now(), partial(self._expire, call))
        return kernel.log.append(
            "call", principal=call.caller, run=run, method=call.method, resource=kernel.logged_resource(call),
            verdict="allowed", arguments=arguments, labels=tuple(sorted(call.labels)), call=call.number,
            parent=call.parent.number if call.parent else 0, detail={"effect": call.provided.effect},
        )  # fmt: skip

    def _if_open(self, call: OpenCall, act: Callable[[OpenCall], None]) -> None:
        if call.number in self.calls:
            act(call)

    def deliver(self, call: OpenCall, run: Run) -> None:
        """Hand a call to the run that answers it."""
        kernel = self._kernel
        peer = run.peer
        if peer is None:
            return
        call.step("deliver")
        call.provider = run.id
        call.cpu_before = run.cpu_seconds()
        run.serving[call.number] = call
        run.labels |= call.labels
        header = headers.Call(
            number=call.number,
            method=call.method,
            resource=call.resource,
            deadline=max(1, int((call.deadline - kernel.loop.now()) * 1000)),
            most=call.most,
            upload=call.uploading,
            labels=tuple(sorted(call.labels)),
            time=kernel.time(),
        )
        kernel.send(peer, header, call.body)

    # the middle -----------------------------------------------------------------------------------------------------

    def reply_chunk(self, run: Run, header: headers.Chunk, body: bytes) -> None:
        """A piece of a reply, from the provider to the caller. Raises NotNow beyond the caller's credit."""
        call = run.serving.get(header.number)
        if call is None:
            return  # it has ended meanwhile: its deadline passed, or its caller is gone
        call.spend_down()
        call.mark(self._marks(call, header.labels))
        caller = self._kernel.peers.get(call.route)
        if caller is None:
            return
        if caller.run is not None:
            caller.run.labels |= call.labels
        labels = tuple(sorted(call.labels))
        number = call.caller_number
        self._kernel.send(caller, headers.Chunk(number=number, labels=labels, time=self._kernel.time()), body)

    def upload_chunk(self, peer: Peer, header: headers.Chunk, body: bytes) -> None:
        """A piece of an upload, from the caller to the provider. Raises NotNow beyond the provider's credit."""
        call = peer.made.get(header.number)
        if call is None:
            return
        call.spend_up(last=header.last)
        call.mark(frozenset(header.labels))
        provider = self._provider(call)
        if provider is not None:
            passed = headers.Chunk(
                number=call.number, labels=header.labels, last=header.last, time=self._kernel.time()
            )
            self._kernel.send(provider, passed, body)

    def credit(self, peer: Peer, header: headers.Credit) -> None:
        """Room for more chunks, from whoever receives them. Raises NotNow for more than a window."""
        made_by_run = headers.is_made_by_run(header.number)
        serving = peer.run.serving if peer.run else {}
        call = peer.made.get(header.number) if made_by_run else serving.get(header.number)
        if call is None:
            return
        call.credit(header.chunks, down=made_by_run)
        other = self._provider(call) if made_by_run else self._kernel.peers.get(call.route)
        if other is not None:
            number = call.number if made_by_run else call.caller_number
            self._kernel.send(other, headers.Credit(number=number, chunks=header.chunks, time=self._kernel.time()), NIL)

    # the one end ----------------------------------------------------------------------------------------------------

    def provider_ends(self, run: Run, header: headers.Done | headers.Failed | headers.Cancelled, body: bytes) -> None:
        """The end that a provider gives. Late ends are nothing: the call had its one end."""
        call = run.serving.get(header.number)
        if call is None:
            return
        run.labels |= frozenset(header.labels)
        call.mark(self._marks(call, header.labels))
        self.end(call, header, body)

    def end(self, call: OpenCall, header: headers.End, body: bytes = NIL) -> None:
        """Give a call its one end: log it, and send it to its caller, once it is on disk if anything was done or spent."""
        kernel = self._kernel
        if self.calls.pop(call.number, None) is None:
            return
        call.step("end")
        if call.timer is not None:
            call.timer.cancel()
        if call.parent is not None:
            call.parent.children.pop(call.number, None)
        for made in list(call.children.values()):
            self.cancel(made, "the call it was made for has ended")
        provider = kernel.runs.get(call.provider)
        cost = None if isinstance(header, headers.Refused) else header.cost
        seq = kernel.log.append(
            "end", principal=call.provider or "kernel", run=kernel.run_of(call.caller), method=call.method,
            resource=kernel.logged_resource(call), verdict=type(header).__name__.lower(), why=shown(_why(header)),
            reply=body_digest(kernel.digest_key(call.caller), body), cost=cost, labels=tuple(sorted(call.labels)),
            call=call.number, parent=call.parent.number if call.parent else 0,
        )  # fmt: skip
        if provider is not None:
            provider.serving.pop(call.number, None)
            kernel.supervisor.call_ended(provider, call)
        kernel.spent(call, cost)
        if call.has_effect or cost is not None:
            kernel.log.after(seq, partial(self._tell, call, header, body))
        else:
            self._tell(call, header, body)

    def fail(self, call: OpenCall, code: str, text: str, body: bytes = NIL) -> None:
        """End a call in Failed, by the kernel, and let its provider know that nobody waits any more."""
        self._withdraw(call, text)
        self.end(call, headers.Failed(number=0, code=code, text=text[: limits.WHY_MAX]), body)

    def cancel(self, call: OpenCall, why: str) -> None:
        """End a call in Cancelled. What its provider still says of it is nothing; everything made for it goes too."""
        self._withdraw(call, why)
        self.end(call, headers.Cancelled(number=0, why=why[: limits.WHY_MAX]))

    def refuse(self, call: OpenCall, refusal: Refusal) -> None:
        """End a call in Refused, by the kernel: whoever should have answered it may not start."""
        why = refusal.why[: limits.WHY_MAX]
        self.end(call, headers.Refused(number=0, code=refusal.code, why=why, grant=refusal.grant))

    def _expire(self, call: OpenCall) -> None:
        """The deadline has come."""
        if call.number in self.calls:
            self.fail(call, "deadline", f"{call.method} did not end within its time")

    def provider_died(self, run: Run) -> list[OpenCall]:
        """End what was open at a dead run, but for what may be made again: those calls are given back, as open."""
        again = []
        for call in list(run.serving.values()):
            call.crashes += 1
            if call.crashes > 1:
                self.fail(call, "poison", f"{call.method} was open at two crashes of {run.name}")
            elif call.may_be_made_again and not run.is_task:
                run.serving.pop(call.number)
                call.step("redeliver")
                call.provider = ""
                again.append(call)
            else:
                self.fail(call, "ended", f"run ended: {run.why or 'its process died'}")
        return again

    def stand_still(self, run: Run, *, still: bool) -> None:
        """Stop the clocks of the calls at a run and by it while it is paused, and let them go on when it is resumed."""
        now = self._kernel.loop.now()
        for call in [*run.serving.values(), *(run.peer.made.values() if run.peer else ())]:
            if call.timer is not None:
                call.timer.cancel()
            if still:
                call.timer = None
                call.left = call.deadline - now
            else:
                call.deadline = now + call.left
                call.timer = self._kernel.loop.after(call.left, partial(self._expire, call))

    def caller_gone(self, peer: Peer) -> None:
        """Cancel what a peer that is gone had open."""
        for call in list(peer.made.values()):
            self.cancel(call, "its caller is gone")

    def _withdraw(self, call: OpenCall, why: str) -> None:
        if call.state in ("delivered", "streaming"):
            provider = self._provider(call)
            if provider is not None:
                told = headers.Cancel(number=call.number, why=why[: limits.WHY_MAX], time=self._kernel.time())
                self._kernel.send(provider, told, NIL)

    def _tell(self, call: OpenCall, header: headers.End, body: bytes) -> None:
        kernel = self._kernel
        if call.route == b"":
            kernel.results.keep(call.provider, header, body)
            return
        peer = kernel.peers.get(call.route)
        if peer is None:
            return
        peer.made.pop(call.caller_number, None)
        if peer.run is not None:
            peer.run.labels |= call.labels
        if call.parent is not None:
            call.parent.labels |= call.labels
        kernel.send(peer, _addressed(header, call, kernel.time()), body)

    def _provider(self, call: OpenCall) -> Peer | None:
        run = self._kernel.runs.get(call.provider)
        return run.peer if run else None

    def _marks(self, call: OpenCall, labels: tuple[str, ...]) -> frozenset[str]:
        return frozenset((*call.provided.labels, *labels))


def _addressed(header: headers.End, call: OpenCall, now: int) -> headers.End:
    """The same end, as its caller gets it: under the caller's number, with all labels and the kernel's time."""
    number, labels = call.caller_number, tuple(sorted(call.labels))
    match header:
        case headers.Done(cost=cost):
            return headers.Done(number=number, labels=labels, cost=cost, time=now)
        case headers.Failed(code=code, text=text, cost=cost):
            return headers.Failed(number=number, code=code, text=text, labels=labels, cost=cost, time=now)
        case headers.Refused(code=code, why=why, grant=grant):
            return headers.Refused(number=number, code=code, why=why, grant=grant, time=now)
        case headers.Cancelled(why=why, cost=cost):
            return headers.Cancelled(number=number, why=why, labels=labels, cost=cost, time=now)


def _why(header: headers.End) -> str:
    match header:
        case headers.Failed(code=code, text=text):
            return f"{code}: {text}"
        case headers.Refused(why=why) | headers.Cancelled(why=why):
            return why
    return ""
