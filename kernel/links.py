"""Sending to peers, and ending the link of one that is gone, leaves, or breaks the protocol (acts).

Separate from what messages mean (router.py): here a message is bytes that a peer takes or does not.
"""

import signal
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.runs import GRACE, Peer, Run
from wire import codec, headers
from wire.ids import NOBODY

if TYPE_CHECKING:
    from kernel.core import Kernel

UNTAPED: Final = (headers.Hello, headers.Still, headers.Stop)
"""Messages about one process rather than its run: they are not put on a tape."""

CUT_FOR: Final = 0.5
"""Seconds from the cut of a connection to its peer's end: time to read what the peer had sent before."""

SEND_AGAIN: Final = (0.001, 0.032)
"""Seconds until a message that a peer did not take is sent again: at first, and at most after doubling each time."""


class Links:
    """Every peer's link."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._shut: dict[str, int] = {}  # scratch folders whose runs are sent nothing until this entry is on disk

    def look_at_the_door(self) -> None:
        """Log connections that were not admitted; end the peers of those that were cut, once their last messages are read."""
        for descriptor in self._kernel.bus.at_the_door():
            if descriptor < 0:
                self._kernel.tally(NOBODY, "connection", "one without CURVE, or with a key unknown, retired or in use")
            elif any(peer.link[0] == descriptor for peer in self._kernel.peers.values()):
                self._kernel.loop.after(CUT_FOR, partial(self._cut, descriptor))

    def _cut(self, descriptor: int) -> None:
        """A connection was cut without Bye: its peer is lost."""
        for peer in list(self._kernel.peers.values()):
            if peer.link[0] == descriptor and self._kernel.bus.is_cut(peer.link):
                self._lost(peer)

    def send(self, peer: Peer, header: headers.FromKernel, body: bytes) -> None:
        """Send a message to a peer; for a run with a tape, by way of that."""
        tape = peer.run.tape if peer.run is not None else None
        if tape is None or isinstance(header, UNTAPED):
            self.transmit(peer, codec.encode(header), body)
        else:
            tape.hear(header, body)

    def transmit(self, peer: Peer, raw: bytes, body: bytes) -> None:
        """Send an encoded header and a body. A peer that is gone, or takes nothing for too long, is ended."""
        run, unsent = peer.run, peer.unsent
        if run is not None and run.work is not None and run.work.labels is not run.vouched:
            self._vouch(run, run.work.labels)
        is_shut = bool(self._shut) and self._is_shut(peer)
        taken = None if unsent or is_shut else self._kernel.bus.send(peer.route, raw, body)
        if taken is None and (peer.keep(raw, body) or is_shut):
            if len(unsent) == 1 and not is_shut:
                self._kernel.loop.after(SEND_AGAIN[0], partial(self._send_unsent, peer))
        elif not taken:
            self.unreached(peer, is_gone=taken is False)

    def _vouch(self, run: Run, labels: frozenset[str]) -> None:
        """A run's work has new labels. If its scratch folder outlives this kernel and is lent to other runs, these are logged
        first: no run in the folder is sent anything before they are on disk. Else content could stay in it whose labels a
        crash has lost.
        """
        kernel, owner, run.vouched = self._kernel, self._kernel.runs.get(run.scratch), labels
        if owner is not None and owner.tape is not None and owner.work is not None:
            new = owner.work.labels.difference(kernel.state.unfinished[owner.id].labels)
            if new and kernel.catalogue.lends(owner.grants):
                seq = self._shut[owner.id] = kernel.record("label", run=owner.id, labels=tuple(sorted(new)))
                kernel.log.after(seq, partial(self._open, owner.id, seq))

    def _is_shut(self, peer: Peer) -> bool:
        return peer.run is not None and peer.run.scratch in self._shut

    def _open(self, folder: str, seq: int) -> None:
        if self._shut.get(folder) == seq:
            del self._shut[folder]
            for peer in [run.peer for run in self._kernel.runs.values() if run.peer and run.scratch == folder]:
                self._send_unsent(peer)

    def _send_unsent(self, peer: Peer, wait: float = SEND_AGAIN[0]) -> None:
        """Send what a peer had not taken before. When it has taken all, go on with what waits for it elsewhere."""
        while peer.unsent and self._kernel.peers.get(peer.route) is peer and not self._is_shut(peer):
            raw, body = peer.unsent[0]
            if not (taken := self._kernel.bus.send(peer.route, raw, body)):
                if taken is None:
                    self._kernel.loop.after(wait, partial(self._send_unsent, peer, min(2 * wait, SEND_AGAIN[1])))
                else:
                    self.unreached(peer, is_gone=True)
                return
            peer.unsent.popleft()
            peer.behind, wait = peer.behind - len(raw) - len(body), SEND_AGAIN[0]
        if not peer.unsent and self._kernel.peers.get(peer.route) is peer:
            self._kernel.events.flush(peer)
            if peer.run is not None:
                for call in list(peer.run.serving.values()):
                    self._kernel.exchange.forward_upload(call)
                if (life := self._kernel.supervisor.services.of(peer.run)) is not None:
                    self._kernel.supervisor.services.feed(life)

    def unreached(self, peer: Peer, *, is_gone: bool) -> None:
        """A message could not be sent. is_gone: the peer has no connection any more, most likely because its process ended.
        A run is then lost rather than at fault.
        """
        if is_gone and peer.run is not None:
            self._kernel.gone.append(peer.route)
            self._lost(peer)
        else:
            self.end(peer, "unreachable", "it does not take what it is sent")

    def _lost(self, peer: Peer) -> None:
        """A peer's connection is gone. A run that can resume is killed at once."""
        self.leave(peer, "")
        if peer.run is not None and peer.run.tape is not None:
            peer.run.state = "lost"
            self._kernel.launcher.kill(peer.run, signal.SIGKILL)

    def end(self, peer: Peer, code: str, why: str) -> None:
        """End a peer for a fault: retire its key, drop what it sends, kill its process; of the operator's, drop the link."""
        if self._kernel.peers.pop(peer.route, None) is None:
            return
        if code == "unreachable" and peer.run is not None:
            self._kernel.gone.append(peer.route)
        if peer.run is not None or code != "unreachable":
            self._kernel.tally(peer.principal, code, f"ended: {why}")
        self.dismiss(peer)
        if peer.run is not None:
            self._kernel.supervisor.end_as_unfit(peer.run, f"ended by the kernel: {why}")

    def leave(self, peer: Peer, why: str) -> None:
        """A peer said Bye; a run's process is killed after GRACE."""
        self._kernel.peers.pop(peer.route, None)
        self.dismiss(peer)
        if (run := peer.run) is not None:
            run.why, run.state = run.why or why, "left"
            self._kernel.loop.after(GRACE, lambda: self._kernel.launcher.kill(run, signal.SIGKILL))

    def dismiss(self, peer: Peer) -> None:
        """A peer is gone: retire its key, cancel its calls, drop its subscriptions."""
        if peer.run is None or peer.run.tape is None:  # else the run's next process takes over calls and subscriptions
            self._kernel.events.forget(peer)
            self._kernel.exchange.caller_gone(peer)
        if peer.run is not None:
            peer.run.peer = None
            self._kernel.keys.pop(peer.run.key, None)
