"""What each message means, and whether its sender may say it (acts on what policy.py and rates.py decide).

The kernel reads the header and never opens a body. Bytes that are no header, and messages that the protocol does not
allow at that moment, end the peer that sent them and nobody else.
"""

from typing import TYPE_CHECKING

from kernel.calls import OpenCall, chain
from kernel.runs import Peer
from manifests.grants import is_method
from manifests.policy import Link, decide, normal, shown
from manifests.schema import Provided
from wire import codec, headers, limits
from wire.codec import NIL
from wire.errors import CodecError, NotNow, Refusal
from wire.ids import OPERATOR
from wire.rates import Rate

if TYPE_CHECKING:
    from kernel.core import Kernel

_OPERATOR_RATE = 600_000
_OPERATOR_IN_FLIGHT = 1_024
_AT_ONCE = 64  # messages read before timers and descriptors get their turn


class Router:
    """The dispatch of everything that peers send."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel

    def turn(self) -> None:
        """Read what has come, up to a bound, and act on each message."""
        receive = self._kernel.bus.receive
        for _ in range(_AT_ONCE):
            message = receive()
            if message is None:
                return
            self._take(*message)

    def _take(self, route: bytes, principal: str, frames: list[bytes]) -> None:
        kernel = self._kernel
        peer = kernel.peers.get(route)
        if peer is None:
            self._greet(route, principal, frames)
            return
        if peer.principal != principal:
            return
        try:
            header = codec.decode_from_run(frames[0])
            body = frames[1] if len(frames) == 2 else None
            if body is None or len(body) > limits.BODY_MAX:
                raise CodecError(f"a message has a header and a body of at most {limits.BODY_MAX} bytes")
            self._obey(peer, header, body)
        except (CodecError, NotNow) as error:
            kernel.end_peer(peer, "malformed", str(error))

    def _greet(self, route: bytes, principal: str, frames: list[bytes]) -> None:
        """The first message of a connection: Hello, or nothing. A key is bound to one connection, the operator's to any."""
        kernel = self._kernel
        try:
            header = codec.decode_from_run(frames[0])
        except CodecError:
            header = None
        run = kernel.runs.get(principal)
        late = principal != OPERATOR and (run is None or run.peer is not None or run.ended)
        if late or not isinstance(header, headers.Hello) or header.version != limits.PROTOCOL:
            kernel.tally(principal, "malformed", "a connection whose first message is not Hello, or not its first")
            return
        if run is None:
            peer = Peer(route, OPERATOR, None, Rate(_OPERATOR_RATE, kernel.loop.now()), _OPERATOR_IN_FLIGHT)
        else:
            bounds = run.hand.package.manifest.limits
            peer = Peer(route, principal, run, Rate(bounds.calls_per_minute, kernel.loop.now()), bounds.in_flight)
            run.peer = peer
        kernel.peers[route] = peer
        kernel.send(peer, headers.Hello(version=limits.PROTOCOL, time=kernel.time()), NIL)

    def _obey(self, peer: Peer, header: headers.FromRun, body: bytes) -> None:
        kernel, run = self._kernel, peer.run
        match header:
            case headers.Call():
                self._call(peer, header, body)
            case headers.Done() | headers.Failed() | headers.Cancelled() if run is not None:
                kernel.exchange.provider_ends(run, header, body)
            case headers.Chunk() if headers.is_made_by_run(header.number):
                kernel.exchange.upload_chunk(peer, header, body)
            case headers.Chunk() if run is not None:
                kernel.exchange.reply_chunk(run, header, body)
            case headers.Credit(number=0, chunks=chunks):
                kernel.events.credit(peer, chunks)
            case headers.Credit():
                kernel.exchange.credit(peer, header)
            case headers.Cancel(number=number, why=why):
                if number in peer.made:
                    kernel.exchange.cancel(peer.made[number], why or "its caller took it back")
            case headers.Publish() | headers.Subscribe():
                self._event(peer, header, body)
            case headers.Ready() if run is not None:
                kernel.supervisor.ready(run)
            case headers.Bye(why=why):
                kernel.leave(peer, why)
            case _:
                raise NotNow(f"{type(header).__name__} is not this peer's to send now")

    # calls ----------------------------------------------------------------------------------------------------------

    def _call(self, peer: Peer, header: headers.Call, body: bytes) -> None:
        kernel = self._kernel
        if not headers.is_made_by_run(header.number) or header.number in peer.made:
            raise NotNow(f"call {header.number} is not a new odd number")
        provided: Provided | None = None
        resource = header.resource
        try:
            self._admit(peer)
            provided, hand = kernel.provided(header.method)
            resource = normal(provided, resource)
            parent = self._parent(peer, header.parent)
            decide(self.links(peer, parent), provided, resource, provider=hand)
            self._within_state(peer, provided)
            call = self._opened(peer, header, provided, resource, parent, body)
        except Refusal as refusal:
            self.refuse(peer, header, refusal, provided, resource)
            return
        kernel.exchange.begin(peer, call, kernel.deliver)

    def _admit(self, peer: Peer) -> None:
        """Count one more request of this peer. Raises Refusal beyond its limit, NotNow (which ends it) in a flood."""
        verdict = peer.rate.take(self._kernel.loop.now())
        if verdict == "flood":
            raise NotNow(f"a flood: more than twice its {peer.rate.per_minute} calls a minute")
        if verdict == "refuse":
            raise Refusal("rate", f"more than its {peer.rate.per_minute} calls a minute: wait, or raise calls_per_minute")
        if len(peer.made) >= peer.in_flight:
            raise Refusal("in_flight", f"{peer.in_flight} calls are open already: await some, or raise in_flight")

    def _parent(self, peer: Peer, number: int) -> OpenCall | None:
        """The call that the caller is answering: for a task run always its work, else the one it names, open at it."""
        if peer.run is None:
            return None
        if peer.run.work is not None:
            return peer.run.work
        if number == 0:
            return None
        parent = peer.run.serving.get(number)
        if parent is None:
            raise Refusal("parent", f"call {number} is not open at {peer.run.name}")
        return parent

    def links(self, peer: Peer, parent: OpenCall | None) -> list[Link]:
        """The caller and those it calls for, as policy sees them."""
        return [link_of(peer), *(call.by for call in chain(parent))]

    def _within_state(self, peer: Peer, provided: Provided) -> None:
        """Raises Refusal while the home is frozen, a Hand paused, or the log cannot grow."""
        kernel = self._kernel
        operators = peer.run is None and provided.method.startswith("kernel.")
        if not operators:
            if kernel.state.frozen:
                raise Refusal("frozen", "everything is frozen: `maniple thaw` lets it go on")
            if peer.run is not None and peer.run.hand.id in kernel.state.paused:
                raise Refusal("paused", f"{peer.run.name} is paused: `maniple resume {peer.run.name}`")
            owner = kernel.owner_of(provided.method)
            if owner is not None and owner.id in kernel.state.paused:
                raise Refusal("paused", f"{owner.name} is paused: `maniple resume {owner.name}`")
            if owner is not None and owner.id in kernel.state.quarantined:
                why = kernel.state.quarantined[owner.id]
                raise Refusal("quarantined", f"{owner.name} is quarantined ({why}): `maniple start {owner.name}`")
        kernel.log_allows(operators=operators, effect=provided.effect)

    def _opened(
        self, peer: Peer, header: headers.Call, provided: Provided, resource: str, parent: OpenCall | None, body: bytes
    ) -> OpenCall:
        kernel = self._kernel
        now = kernel.loop.now()
        deadline = now + (header.deadline or limits.DEADLINE_DEFAULT) / 1000
        owner = kernel.owner_of(provided.method)
        if owner is not None:
            deadline = min(deadline, now + owner.package.manifest.limits.wall_ms / 1000)
        labels = frozenset(header.labels)
        if parent is not None:
            deadline = min(deadline, parent.deadline)
            labels |= parent.labels
        elif peer.run is not None:
            labels |= peer.run.labels
        if len(labels) > limits.LABELS_MAX:
            raise Refusal("labels", f"a call carries at most {limits.LABELS_MAX} labels, this one would carry {len(labels)}")
        return OpenCall(
            kernel.next_call(), peer.principal, link_of(peer), peer.route, header.number, provided=provided,
            resource=resource, body=body, parent=parent, deadline=deadline, labels=labels, most=header.most,
            upload=header.upload,
        )  # fmt: skip

    def refuse(
        self, peer: Peer, header: headers.Call, refusal: Refusal, provided: Provided | None, resource: str
    ) -> None:
        """Tell the caller why not, and log it: once a second for each principal and reason when there are many."""
        kernel = self._kernel
        told = headers.Refused(
            number=header.number, code=refusal.code, why=refusal.why[: limits.WHY_MAX], grant=refusal.grant, time=kernel.time()
        )
        method = header.method if is_method(header.method) else shown(header.method)
        if kernel.tally(peer.principal, refusal.code, refusal.why, first=True):
            mend = f"; a grant that would allow it: {refusal.grant}" if refusal.grant else ""
            kernel.log.append(
                "refusal", principal=peer.principal, run=peer.run.id if peer.run else "", method=method,
                resource=shown(resource), verdict="refused", why=shown(refusal.why + mend), detail={"code": refusal.code},
            )  # fmt: skip
        kernel.send(peer, told, NIL)

    # events ---------------------------------------------------------------------------------------------------------

    def _event(self, peer: Peer, header: headers.Publish | headers.Subscribe, body: bytes) -> None:
        kernel, run = self._kernel, peer.run
        publishing = isinstance(header, headers.Publish)
        event = f"{run.name if run else OPERATOR}.{header.event}" if publishing else header.event
        provided = kernel.methods["kernel.publish" if publishing else "kernel.subscribe"].provided
        as_call = headers.Call(number=header.number, method=provided.method, resource=event)
        try:
            self._admit(peer)
            normal(provided, event)
            decide(self.links(peer, run.work if run else None), provided, event, provider="")
            self._within_state(peer, provided)
        except Refusal as refusal:
            self.refuse(peer, as_call, refusal, provided, event)
            return
        if isinstance(header, headers.Publish):
            kernel.events.publish(peer, event, header.labels, body)
        else:
            kernel.events.subscribe(peer, event)
        kernel.send(peer, headers.Done(number=header.number, time=kernel.time()), NIL)

    def check(self, peer: Peer, parent: OpenCall | None, method: str, resource: str) -> Refusal | None:
        """What a call would meet, for `kernel.check`: the same decisions, with nothing done. None: it would be allowed."""
        try:
            provided, hand = self._kernel.provided(method)
            resource = normal(provided, resource)
            decide(self.links(peer, parent), provided, resource, provider=hand)
            self._within_state(peer, provided)
        except Refusal as refusal:
            return refusal
        return None


def link_of(peer: Peer) -> Link:
    """A peer as policy sees it."""
    run = peer.run
    if run is None:
        return Link(hand="", name=peer.principal, grants=None)
    readonly = run.hand.package.manifest.hand.autonomy == "readonly"
    return Link(hand=run.hand.id, name=run.name, grants=run.grants, readonly=readonly)
