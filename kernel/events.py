"""Events: subscriptions, and delivery within each subscriber's credit (acts).

For a subscriber without credit, at most EVENT_WINDOW events wait, of EVENT_BYTES together. Beyond that the oldest are
dropped, and the next event says how many. So a slow subscriber costs the kernel bounded memory, and other peers nothing.
"""

from typing import TYPE_CHECKING, Final

from kernel.runs import Peer, labels_of_sender
from manifests.calls import OpenCall
from wire import codec, headers, limits
from wire.entries import body_digest
from wire.errors import NotNow, Refusal
from wire.labels import join

if TYPE_CHECKING:
    from kernel.core import Kernel


TOPICS_MOST: Final = 256
"""Most events to which one peer may subscribe."""


class Events:
    """The subscriptions of all peers."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._topics: dict[str, dict[bytes, Peer]] = {}

    def subscribe(self, peer: Peer, event: str) -> None:
        """Subscribe a peer to an event; idempotent. Raises Refusal beyond TOPICS_MOST."""
        if len(peer.topics) >= TOPICS_MOST and event not in peer.topics:
            raise Refusal("subscriptions", f"it is subscribed to {TOPICS_MOST} events already, which is the most")
        self._topics.setdefault(event, {})[peer.route] = peer
        peer.topics.add(event)

    def forget(self, peer: Peer) -> None:
        """Drop a peer's subscriptions and its waiting events."""
        for event in list(peer.topics):
            self._drop(peer, event)
        peer.events.clear()

    def hand_over(self, before: Peer, peer: Peer) -> None:
        """Move the subscriptions of a run's last process, and the events that wait, to its next process."""
        for event in before.topics:
            self.subscribe(peer, event)
        peer.events, before.events = before.events, peer.events
        peer.missed, peer.event_credit = before.missed, before.event_credit
        self.forget(before)

    def subscribe_again(self, peer: Peer, event: str) -> None:
        """Restore a subscription that an earlier process of a run made; do nothing if it is no longer allowed."""
        if self._may_subscribe(peer, event) and len(peer.topics) < TOPICS_MOST:
            self.subscribe(peer, event)

    def recheck(self) -> None:
        """After a change of grants: drop the subscriptions that would be refused now."""
        for event, peers in list(self._topics.items()):
            for peer in list(peers.values()):
                if not self._may_subscribe(peer, event):
                    self._drop(peer, event)

    def _may_subscribe(self, peer: Peer, event: str) -> bool:
        """Whether a peer's grants allow it to subscribe to an event."""
        work, check = peer.run.work if peer.run else None, self._kernel.router.check
        return getattr(check(peer, work, "kernel.subscribe", event), "code", "") != "capability"

    def _drop(self, peer: Peer, event: str) -> None:
        """Drop one subscription."""
        peer.topics.discard(event)
        self._topics[event].pop(peer.route)
        if not self._topics[event]:
            del self._topics[event]

    def publish(self, peer: Peer, parent: OpenCall | None, event: str, labels: tuple[str, ...], body: bytes) -> None:
        """Record an event and deliver it to its subscribers, with the depth and labels of a call made now, and `labels`."""
        kernel, run = self._kernel, peer.run
        marks, depth = tuple(sorted(join(labels, labels_of_sender(run, parent)))), parent.depth if parent else 0
        kernel.log.append(
            "event", principal=peer.principal, run=run.id if run else "", method=event, labels=marks,
            parent=parent.number if parent else 0, arguments=body_digest(kernel.digest_key(peer.principal), body),
            detail={"depth": depth} if depth else {},
        )  # fmt: skip
        self.fan_out(event, body, marks, depth)

    def fan_out(self, event: str, body: bytes, labels: tuple[str, ...], depth: int) -> None:
        """Deliver an event to its subscribers. depth: see headers.Event."""
        for subscriber in list(self._topics.get(event, {}).values()):
            self.deliver(subscriber, event, labels, body, depth)

    def emit(self, event: str, body: object, depth: int = 0) -> None:
        """Publish an event of the kernel's own, which carries no labels."""
        if event in self._topics:
            self.fan_out(event, codec.encode_body(body), (), depth)

    def deliver(self, peer: Peer, event: str, labels: tuple[str, ...], body: bytes, depth: int = 0) -> None:
        """Deliver an event to one peer, as soon as it has credit."""
        peer.events.append((event, labels, body, depth))
        while len(peer.events) > limits.EVENT_WINDOW or sum(len(one[2]) for one in peer.events) > limits.EVENT_BYTES:
            peer.events.popleft()
            peer.missed += 1
        self.flush(peer)

    def credit(self, peer: Peer, chunks: int) -> None:
        """Add to a peer's credit the number of events that it has handled. Raises NotNow beyond a window."""
        if peer.event_credit + chunks > limits.EVENT_WINDOW:
            raise NotNow("more credit for events than a window")
        peer.event_credit += chunks
        self.flush(peer)

    def flush(self, peer: Peer) -> None:
        """Send a peer its waiting events, as long as it has credit and is not behind."""
        kernel = self._kernel
        while peer.events and peer.event_credit > 0 and not peer.is_behind:
            event, labels, body, depth = peer.events.popleft()
            peer.event_credit -= 1
            missed, peer.missed = peer.missed, 0
            if peer.run is not None:
                peer.run.mark(labels)
            header = headers.Event(event=event, labels=labels, missed=missed, time=kernel.time(), depth=depth)
            kernel.links.send(peer, header, body)
