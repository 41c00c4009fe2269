"""Dispatches each message, if its sender may send it (acts on what manifests/policy.py and wire/rates.py decide).

The kernel reads the header and never opens a body. Malformed bytes, and messages that the protocol does not allow at that
moment, end the peer that sent them and nobody else.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.loop import tell_fault
from kernel.runs import Peer, Run, carried
from manifests import policy
from manifests.approvals import BODY_MOST, Reason, asking, check_room
from manifests.calls import OpenCall, beside_alarms, chain, opened
from manifests.holding import check_kept, counts
from manifests.installed import Installed
from manifests.policy import Link, admit, decide, normal, refused, within_state
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

    def turn(self) -> None:
        """Read one message, and act on it."""
        self._take(*self._kernel.bus.receive())

    def _take(self, route: bytes, principal: str, frames: list[bytes]) -> None:
        kernel = self._kernel
        peer = kernel.peers.get(route)
        if peer is None:
            if route not in kernel.gone:  # else it was sent before its peer's end
                self._greet(route, principal, frames)
            return
        if peer.principal != principal or (peer.run is not None and peer.run.leaves):
            return  # the run's next process will send this again
        peer.looks = 0
        if peer.run is not None and peer.run.paused:
            peer.run.held.append(frames)  # it was on its way before the process was stopped
            return
        try:
            header = codec.decode_from_run(frames[0])
            if len(frames) != 2 or len(frames[1]) > limits.BODY_MAX:
                raise CodecError(f"a message has a header and a body of at most {limits.BODY_MAX} bytes")
            self._hear(peer, header, frames[1])
        except Late:
            if peer.late.take(kernel.loop.now()) == "flood":
                kernel.links.end(peer, "flood", "a flood of what concerns no open call")
        except (CodecError, NotNow) as error:
            kernel.links.end(peer, "malformed", str(error))
        except Exception:  # noqa: BLE001 - a fault of the kernel's own costs this peer its link, never everybody the kernel
            tell_fault()
            kernel.links.end(peer, "fault", "its message met a fault of the kernel's own: see run/kernel.log")

    def release(self, run: Run) -> None:
        """Take the messages that a run had sent before it was paused."""
        held, run.held = run.held, []
        for frames in held:
            if run.peer is not None:
                self._take(run.peer.route, run.id, frames)

    def _greet(self, route: bytes, principal: str, frames: list[bytes]) -> None:
        """The first message of a connection: it must be Hello. A run's key is bound to one connection, the operator's not."""
        kernel = self._kernel
        run = kernel.runs.get(principal)
        try:
            header = codec.decode_from_run(frames[0]) if frames else None
        except CodecError:
            header = None
        is_late = principal != OPERATOR and (run is None or run.state != "joining" or run.peer is not None or run.ended)
        if is_late or not isinstance(header, headers.Hello) or header.version != limits.PROTOCOL:
            why = "a connection whose first message is not Hello, or not the first of its key"
            kernel.tally(principal, "malformed", why)
            return
        bounds = run.hand.package.manifest.limits if run is not None else _OPERATORS
        paced = Rate(bounds.calls_per_minute, kernel.loop.now())
        peer = kernel.peers[route] = Peer(route, principal, run, paced, bounds.in_flight, kernel.bus.link())
        if run is not None:
            run.peer, run.link = peer, peer.link
        hello = headers.Hello(version=limits.PROTOCOL, time=kernel.time())
        first = kernel.log.size - 1 if header.is_written and run is None else -1
        kernel.log.after(first, partial(kernel.links.send, peer, hello, NIL))
        if run is not None and run.tape is not None:
            run.tape.greet(peer)

    def _hear(self, peer: Peer, header: headers.FromRun, body: bytes) -> None:
        """Act on a message; one of a run with a tape goes through that first."""
        run, taken = peer.run, header
        if run is not None and run.tape is not None:
            try:
                found = run.tape.take(peer, header, body)
            except Diverged as error:
                self._kernel.resuming.diverged(run, str(error))
                return
            if found is None:
                return
            taken = found
        self.obey(peer, taken, body)

    def obey(self, peer: Peer, header: headers.FromRun, body: bytes) -> None:
        """Do what a message asks for, if its sender may ask it. Raises NotNow, or Late."""
        kernel, run = self._kernel, peer.run
        match header:
            case headers.Call():
                self._call(peer, header, body)
            case headers.Done() | headers.Failed() | headers.Cancelled() if run is not None:
                kernel.exchange.provider_ends(run, header, body)
            case headers.Chunk(number=number) if headers.is_made_by_run(number):
                kernel.exchange.upload_chunk(peer, header, body)
            case headers.Chunk() if run is not None:
                kernel.exchange.reply_chunk(run, header, body)
            case headers.Credit(number=0, chunks=chunks):
                kernel.events.credit(peer, chunks)
            case headers.Credit():
                kernel.exchange.credit(peer, header)
            case headers.Cancel(number=number, why=why):
                if number not in peer.made:
                    raise Late(number)
                kernel.exchange.cancel(peer.made[number], why or "its caller took it back")
            case headers.Publish() | headers.Subscribe():
                self._event(peer, header, body)
            case headers.Ready() if run is not None:
                kernel.supervisor.ready(run)
            case headers.Resting() if run is not None:
                kernel.resuming.rests(run)
            case headers.Bye(why=why):
                kernel.links.leave(peer, why)
            case _:
                raise NotNow(f"{type(header).__name__} is not this peer's to send now")

    def _call(self, peer: Peer, header: headers.Call, body: bytes) -> None:
        if not headers.is_made_by_run(header.number) or header.number in peer.made:
            raise NotNow(f"call {header.number} is not a new odd number")
        resource, by = header.resource, link_of(peer)
        try:
            self._admit(peer, header.method)
            provided, owner = self._kernel.catalogue.find(header.method)
            resource = normal(provided, resource)
            parent = self._parent(peer, header.parent)
            reasons = self._ask(peer, by, parent, provided, resource, owner, header.ask)
            if reasons and len(body) > BODY_MOST:
                raise Refusal("too large", f"nobody can read and approve more than {BODY_MOST} bytes of arguments")
            self._kernel.budgets.admit(by, parent, header.method, header.most or provided.most)
            check_kept(self._kernel.exchange.calls.values(), by.hand, len(body))
        except Refusal as refusal:
            self._refuse(peer, header.number, header.method, resource, refusal)
            return
        call = opened(
            header, self._kernel.next_call(), peer.principal, by, peer.route, provided=provided, resource=resource,
            body=body, parent=parent, labels=carried(peer.run, parent), owner=owner, now=self._kernel.loop.now(),
        )  # fmt: skip
        call.asks = reasons
        self._kernel.exchange.begin(peer, call)

    def _admit(self, peer: Peer, method: str) -> None:
        """Count one more request of this peer. Raises Refusal beyond its limit, NotNow (which ends it) in a flood."""
        pace, made, most = peer.rate.take(self._kernel.loop.now()), len(peer.made), peer.in_flight
        if made >= most and peer.run is not None and peer.run.clock:
            made, most = beside_alarms(peer.made.values(), most, method)
        admit(pace, peer.rate.per_minute, made, most, method)

    def _parent(self, peer: Peer, number: int) -> OpenCall | None:
        """The parent of a new call: a task run's work, else the call that its header names, which must be open at it."""
        run = peer.run
        if run is None or (run.work is None and number == 0):
            return None
        call = run.work or run.serving.get(number)
        if call is None or call.state == "ended":
            raise Refusal("parent", f"call {call.number if call else number} is not open at {run.name}")
        return call

    def _ask(
        self, peer: Peer, by: Link, parent: OpenCall | None, provided: Provided, resource: str, owner: Installed | None,
        wish: str = "",
    ) -> tuple[Reason, ...]:  # fmt: skip
        """The one decision, for calls and `kernel.check`. Returns why the operator is asked, if at all. Raises Refusal."""
        links = [by, *(call.by for call in chain(parent))]
        reasons = self._allow(links, peer.run.hand if peer.run else None, provided, resource, owner, wish)
        if reasons:
            check_room(*counts(self._kernel.exchange.held(), peer.principal, by.hand))
        return reasons

    def _allow(
        self, links: list[Link], caller: Installed | None, provided: Provided, resource: str, owner: Installed | None,
        wish: str,
    ) -> tuple[Reason, ...]:  # fmt: skip
        kernel = self._kernel
        decide(links, provided, resource, provider=owner.id if owner else "")
        within_state(kernel.state, caller, owner, provided.method, resource)
        is_operators = caller is None and provided.method.startswith("kernel.")
        kernel.log_allows(provided.method, provided.effect, operators=is_operators)
        return asking(links, provided, resource, kernel.state.rules, kernel.time(), wish)

    def check(self, peer: Peer, parent: OpenCall | None, method: str, resource: str) -> Refusal | tuple[Reason, ...]:
        """What would become of a call now: a refusal, or why the operator would be asked first (empty: it would pass)."""
        try:
            provided, owner = self._kernel.catalogue.find(method)
            resource = normal(provided, resource)
            reasons = self._ask(peer, link_of(peer), parent, provided, resource, owner)
            self._kernel.budgets.admit(link_of(peer), parent, method, provided.most)
            return reasons
        except Refusal as refusal:
            return refusal

    def decide_again(self, call: OpenCall, caller: Installed) -> tuple[Reason, ...]:
        """Decide again about an open call of a Hand that was allowed before. Raises Refusal."""
        provided, owner = self._kernel.catalogue.find(call.method)
        resource = normal(provided, call.resource)
        return self._allow([link.by for link in chain(call)], caller, provided, resource, owner, call.wish)

    def _refuse(self, peer: Peer, number: int, method: str, resource: str, refusal: Refusal) -> None:
        """Refuse a call, and log it: of many within a second for one reason only the first, and their number."""
        kernel, why = self._kernel, (refusal.bare if peer.run else refusal.why)[: limits.WHY_MAX]
        if refusal.code == "finishing" and kernel.resuming.outlives(peer.run):
            return
        if kernel.counted(peer.principal, refusal.code, SINGLY):
            run = peer.run.id if peer.run else ""
            kernel.log.append("refusal", **refused(refusal, peer.principal, run, method, resource))
        header = headers.Refused(number=number, code=refusal.code, why=why, grant=refusal.grant, time=kernel.time())
        kernel.links.send(peer, header, NIL)

    def _event(self, peer: Peer, header: headers.Publish | headers.Subscribe, body: bytes) -> None:
        kernel, run = self._kernel, peer.run
        is_publishing = isinstance(header, headers.Publish)
        event = f"{run.name if run else OPERATOR}.{header.event}" if is_publishing else header.event
        provided, _ = kernel.catalogue.find("kernel.publish" if is_publishing else "kernel.subscribe")
        try:
            self._admit(peer, provided.method)
            parent = self._parent(peer, header.parent)
            self._ask(peer, link_of(peer), parent, provided, normal(provided, event), None)
            if isinstance(header, headers.Publish):
                kernel.events.publish(peer, parent, event, header.labels, body)
            else:
                kernel.events.subscribe(peer, event)
        except Refusal as refusal:
            self._refuse(peer, header.number, provided.method, event, refusal)
            return
        kernel.links.send(peer, headers.Done(number=header.number, time=kernel.time()), NIL)


def link_of(peer: Peer) -> Link:
    """A peer as policy sees it."""
    run = peer.run
    return policy.link_of(peer.principal, run.hand if run else None, run.grants if run else None)
