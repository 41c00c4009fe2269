"""Checks and dispatches each message from a peer (acts on what manifests/policy.py and wire/rates.py decide).

The kernel reads the header and never opens a body. A peer that sends malformed bytes, or a message that the protocol does
not allow at that moment, is ended; no other peer is affected.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.loop import log_fault
from kernel.runs import Peer, Run, labels_of_sender
from manifests import policy
from manifests.approvals import BODY_MOST, Reason, check_room, reasons_to_ask
from manifests.calls import OpenCall, chain, count_without_alarms, open_call
from manifests.holding import check_kept, count_held
from manifests.installed import Installed
from manifests.policy import Link, admit, check_state, decide, normalise, refusal_entry
from manifests.schema import Limits, Provided
from wire import codec, headers, limits
from wire.codec import NIL
from wire.errors import CodecError, Diverged, Late, NotNow, Refusal
from wire.ids import OPERATOR
from wire.rates import SINGLY, Rate

if TYPE_CHECKING:
    from kernel.core import Kernel

_OPERATORS: Final = Limits(calls_per_minute=6_000_000, in_flight=1_024)


class Router:
    """Reads, checks and dispatches the messages of all peers."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel

    def read_message(self) -> None:
        """Read one message from the bus and act on it."""
        self._receive(*self._kernel.bus.receive())

    def _receive(self, route: bytes, principal: str, frames: list[bytes]) -> None:
        """Check who sent a message and whether it is well formed, and pass it on; end a peer that breaks the protocol."""
        kernel = self._kernel
        peer = kernel.peers.get(route)
        if peer is None:
            self._open_connection(route, principal, frames)
            return
        if peer.principal != principal or (peer.run is not None and peer.run.is_leaving):
            return  # a run that is being killed: its next process sends this again
        peer.stalled_checks = 0
        if peer.run is not None and peer.run.paused:
            peer.run.held_frames.append(frames)  # sent before the process was stopped
            return
        try:
            header = codec.decode_from_run(frames[0])
            if len(frames) != 2 or len(frames[1]) > limits.BODY_MAX:
                raise CodecError(f"a message has a header and a body of at most {limits.BODY_MAX} bytes")
            self._pass_tape(peer, header, frames[1])
        except Late:
            if peer.late_rate.take(kernel.loop.now()) == "flood":
                kernel.links.end(peer, "flood", "a flood of messages about calls that are not open")
        except (CodecError, NotNow) as error:
            kernel.links.end(peer, "malformed", str(error))
        except Exception:  # noqa: BLE001 - a bug of the kernel's costs this peer its link, not everybody the kernel
            log_fault()
            kernel.links.end(peer, "fault", "its message raised an error in the kernel: see run/kernel.log")

    def release(self, run: Run) -> None:
        """Act on the messages that a run had sent before it was paused."""
        held, run.held_frames = run.held_frames, []
        for frames in held:
            if run.peer is not None:
                self._receive(run.peer.route, run.id, frames)

    def _open_connection(self, route: bytes, principal: str, frames: list[bytes]) -> None:
        """Accept a connection, whose first message must be Hello. A run's key gets one connection, the operator's many."""
        kernel = self._kernel
        run = kernel.runs.get(principal)
        try:
            header = codec.decode_from_run(frames[0]) if frames else None
        except CodecError:
            header = None
        if principal != OPERATOR and (run is None or run.state != "joining" or run.is_ending):
            return  # its process has ended, or is being ended: for instance in a freeze
        if (run and run.peer) or not isinstance(header, headers.Hello) or header.version != limits.PROTOCOL:
            if run is None or not run.count or kernel.bus.link()[1]:  # or a last message of the run's process before
                why = "a connection whose first message is not Hello, or not the first of its key"
                kernel.log_refusal(principal, "malformed", why)
            return
        bounds = run.hand.package.manifest.limits if run is not None else _OPERATORS
        rate = Rate(bounds.calls_per_minute, kernel.loop.now())
        peer = kernel.peers[route] = Peer(route, principal, run, rate, bounds.in_flight, kernel.bus.link())
        if run is not None:
            run.peer, run.link = peer, peer.link
        hello = headers.Hello(version=limits.PROTOCOL, time=kernel.time())
        first = kernel.log.size - 1 if header.is_written and run is None else -1
        kernel.log.after(first, partial(kernel.links.send, peer, hello, NIL))
        if run is not None and run.tape is not None:
            run.tape.connect(peer)

    def _pass_tape(self, peer: Peer, header: headers.FromRun, body: bytes) -> None:
        """Match a message with its run's tape, if it has one, and dispatch it unless the tape has answered it."""
        run, taken = peer.run, header
        if run is not None and run.tape is not None:
            try:
                found = run.tape.accept(peer, header, body)
            except Diverged as error:
                self._kernel.resuming.end_diverged(run, str(error))
                return
            if found is None:
                return
            taken = found
        self.dispatch(peer, taken, body)

    def dispatch(self, peer: Peer, header: headers.FromRun, body: bytes) -> None:
        """Do what a message asks for. Raises NotNow if its sender may not ask that now, Late if its call has ended."""
        kernel, run = self._kernel, peer.run
        match header:
            case headers.Call():
                self._call(peer, header, body)
            case headers.Done() | headers.Failed() | headers.Cancelled() if run is not None:
                kernel.exchange.end_as_provided(run, header, body)
            case headers.Chunk(number=number) if headers.is_made_by_run(number):
                kernel.exchange.upload_chunk(peer, header, body)
            case headers.Chunk() if run is not None:
                kernel.exchange.reply_chunk(run, header, body)
            case headers.Credit(number=0, chunks=chunks):
                kernel.events.credit(peer, chunks)
            case headers.Credit():
                kernel.exchange.credit(peer, header)
            case headers.Cancel(number=number, why=why):
                if number not in peer.open_calls:
                    raise Late(number)
                kernel.exchange.cancel(peer.open_calls[number], why or "its caller cancelled it")
            case headers.Publish() | headers.Subscribe():
                self._publish_or_subscribe(peer, header, body)
            case headers.Ready() if run is not None:
                kernel.supervisor.on_ready(run)
            case headers.Resting() if run is not None:
                kernel.resuming.on_resting(run)
            case headers.Bye(why=why):
                kernel.links.on_bye(peer, why)
            case _:
                raise NotNow(f"{type(header).__name__} is not this peer's to send now")

    def _call(self, peer: Peer, header: headers.Call, body: bytes) -> None:
        """Admit and decide on a new call, then begin it or refuse it."""
        if not headers.is_made_by_run(header.number) or header.number in peer.open_calls:
            raise NotNow(f"call {header.number} is not a new odd number")
        resource, by = header.resource, link_of(peer)
        try:
            self._admit(peer, header.method)
            provided, owner = self._kernel.catalogue.find(header.method)
            resource = normalise(provided, resource)
            parent = self._parent(peer, header.parent)
            reasons = self._decide(peer, by, parent, provided, resource, owner, header.ask)
            if reasons and len(body) > BODY_MOST:
                raise Refusal("too large", f"nobody can read and approve more than {BODY_MOST} bytes of arguments")
            self._kernel.budgets.admit(by, parent, header.method, header.most or provided.most)
            check_kept(self._kernel.exchange.calls.values(), by.hand, len(body))
        except Refusal as refusal:
            self._refuse(peer, header.number, header.method, resource, refusal)
            return
        call = open_call(
            header, self._kernel.next_call(), peer.principal, by, peer.route, provided=provided, resource=resource,
            body=body, parent=parent, labels=labels_of_sender(peer.run, parent), owner=owner, now=self._kernel.loop.now(),
        )  # fmt: skip
        call.asks = reasons
        self._kernel.exchange.begin(peer, call)

    def _admit(self, peer: Peer, method: str) -> None:
        """Count a request of this peer. Raises Refusal beyond its limits, and NotNow, which ends the peer, in a flood."""
        pace, made, most = peer.rate.take(self._kernel.loop.now()), len(peer.open_calls), peer.in_flight
        if made >= most and peer.run is not None and peer.run.clock:
            made, most = count_without_alarms(peer.open_calls.values(), most, method)
        admit(pace, peer.rate.per_minute, made, most, method)

    def _parent(self, peer: Peer, number: int) -> OpenCall | None:
        """Return the parent of a new call: a task run's work, else the call `number`. Raises Refusal if it is not open at
        the run.
        """
        run = peer.run
        if run is None or (run.work is None and number == 0):
            return None
        call = run.work or run.serving.get(number)
        if call is None or call.state == "ended":
            raise Refusal("parent", f"call {call.number if call else number} is not open at {run.name}")
        return call

    def _decide(
        self, peer: Peer, by: Link, parent: OpenCall | None, provided: Provided, resource: str, owner: Installed | None,
        wish: str = "",
    ) -> tuple[Reason, ...]:  # fmt: skip
        """Decide on a call; `kernel.check` decides by the same code. Returns why the operator must be asked: nothing if the
        call is allowed outright. Raises Refusal.
        """
        links = [by, *(call.by for call in chain(parent))]
        reasons = self._decide_now(links, peer.run.hand if peer.run else None, provided, resource, owner, wish)
        if reasons:
            check_room(*count_held(self._kernel.exchange.held_calls(), peer.principal, by.hand))
        return reasons

    def _decide_now(
        self, links: list[Link], caller: Installed | None, provided: Provided, resource: str, owner: Installed | None,
        wish: str,
    ) -> tuple[Reason, ...]:  # fmt: skip
        """Decide by the grants of a chain, and by the state of the home. Returns why to ask the operator. Raises Refusal."""
        kernel = self._kernel
        decide(links, provided, resource, provider=owner.id if owner else "")
        check_state(kernel.state, caller, owner, provided.method, resource)
        is_operators = caller is None and provided.method.startswith("kernel.")
        kernel.log_allows(provided.method, provided.effect, operators=is_operators)
        return reasons_to_ask(links, provided, resource, kernel.state.rules, kernel.time(), wish)

    def check(self, peer: Peer, parent: OpenCall | None, method: str, resource: str) -> Refusal | tuple[Reason, ...]:
        """Return what the kernel would decide on a call now: a refusal, or why to ask the operator (empty: allowed)."""
        try:
            provided, owner = self._kernel.catalogue.find(method)
            resource = normalise(provided, resource)
            reasons = self._decide(peer, link_of(peer), parent, provided, resource, owner)
            self._kernel.budgets.admit(link_of(peer), parent, method, provided.most)
            return reasons
        except Refusal as refusal:
            return refusal

    def decide_again(self, call: OpenCall, caller: Installed) -> tuple[Reason, ...]:
        """Decide again on an open call, by the grants and the state of now; as `_decide`. Raises Refusal."""
        provided, owner = self._kernel.catalogue.find(call.method)
        resource = normalise(provided, call.resource)
        return self._decide_now([link.by for link in chain(call)], caller, provided, resource, owner, call.wish)

    def _refuse(self, peer: Peer, number: int, method: str, resource: str, refusal: Refusal) -> None:
        """Refuse a call, and log that. Of many within a second for one reason, only the first and their number are logged."""
        kernel, why = self._kernel, (refusal.bare if peer.run else refusal.why)[: limits.WHY_MAX]
        if refusal.code == "finishing" and kernel.resuming.outlives(peer.run):
            return
        if kernel.count_refusal(peer.principal, refusal.code, SINGLY):
            run = peer.run.id if peer.run else ""
            kernel.log.append("refusal", **refusal_entry(refusal, peer.principal, run, method, resource))
        header = headers.Refused(number=number, code=refusal.code, why=why, grant=refusal.grant, time=kernel.time())
        kernel.links.send(peer, header, NIL)

    def _publish_or_subscribe(self, peer: Peer, header: headers.Publish | headers.Subscribe, body: bytes) -> None:
        """Admit and decide on a publication or a subscription, carry it out, and answer it."""
        kernel, run = self._kernel, peer.run
        is_publishing = isinstance(header, headers.Publish)
        event = f"{run.name if run else OPERATOR}.{header.event}" if is_publishing else header.event
        provided, _ = kernel.catalogue.find("kernel.publish" if is_publishing else "kernel.subscribe")
        try:
            self._admit(peer, provided.method)
            parent = self._parent(peer, header.parent)
            self._decide(peer, link_of(peer), parent, provided, normalise(provided, event), None)
            if isinstance(header, headers.Publish):
                kernel.events.publish(peer, parent, event, header.labels, body)
            else:
                kernel.events.subscribe(peer, event)
        except Refusal as refusal:
            self._refuse(peer, header.number, provided.method, event, refusal)
            return
        kernel.links.send(peer, headers.Done(number=header.number, time=kernel.time()), NIL)


def link_of(peer: Peer) -> Link:
    """Return the link of a chain of calls that stands for this peer, as manifests/policy.py takes it."""
    run = peer.run
    return policy.link_of(peer.principal, run.hand if run else None, run.grants if run else None)
