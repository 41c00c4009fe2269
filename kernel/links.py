"""Sends messages to peers, and ends the links of peers that are gone, leave, or break the protocol (acts).

What messages mean is decided in router.py; here a message is bytes that a peer takes or does not take.
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
"""Messages about one process rather than its run, and so not put on a tape."""

CUT_FOR: Final = 0.5
"""Seconds from the end of a connection to the end of its peer: time to read what the peer had sent before."""

SEND_AGAIN: Final = (0.001, 0.032)
"""Seconds until a message that a peer did not take is sent again: the first wait, and the longest. It doubles each time."""


class Links:
    """Every peer's link."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        # by scratch folder, the entry that must be on disk before its runs are sent anything
        self._blocked_folders: dict[str, int] = {}

    def read_connection_events(self) -> None:
        """Log the connections that were turned away, and end the peers whose connection was cut, after CUT_FOR."""
        for descriptor in self._kernel.bus.connection_events():
            if descriptor < 0:
                self._kernel.log_refusal(NOBODY, "connection", "no CURVE, or a key that is unknown, retired or in use")
            elif any(peer.link[0] == descriptor for peer in self._kernel.peers.values()):
                self._kernel.loop.after(CUT_FOR, partial(self._check_cut, descriptor))

    def _check_cut(self, descriptor: int) -> None:
        """End the peer whose connection this was, if it was cut without Bye."""
        for peer in list(self._kernel.peers.values()):
            if peer.link[0] == descriptor and self._kernel.bus.is_cut(peer.link):
                self._on_connection_lost(peer)

    def send(self, peer: Peer, header: headers.FromKernel, body: bytes) -> None:
        """Send a message to a peer; if its run has a tape, through the tape."""
        tape = peer.run.tape if peer.run is not None else None
        if tape is None or isinstance(header, UNTAPED):
            self.transmit(peer, codec.encode(header), body)
        else:
            tape.send(header, body)

    def transmit(self, peer: Peer, raw: bytes, body: bytes) -> None:
        """Send an encoded header and a body. End a peer that is gone, or for which too many bytes wait."""
        run, unsent = peer.run, peer.unsent
        if run is not None and run.work is not None and run.work.labels is not run.sent_labels:
            self._log_new_labels(run, run.work.labels)
        is_blocked = bool(self._blocked_folders) and self._is_blocked(peer)
        taken = None if unsent or is_blocked else self._kernel.bus.send(peer.route, raw, body)
        if taken is None and (peer.keep_unsent(raw, body) or is_blocked):
            if len(unsent) == 1 and not is_blocked:
                self._kernel.loop.after(SEND_AGAIN[0], partial(self._send_unsent, peer))
        elif not taken:
            self.on_send_failure(peer, is_gone=taken is False)

    def _log_new_labels(self, run: Run, labels: frozenset[str]) -> None:
        """Log the new labels of a run's work, if the run's scratch folder outlives this kernel and is lent to other runs.

        No run in the folder is sent anything until they are on disk. Otherwise a crash could lose the labels of content that
        stays in the folder.
        """
        kernel, owner, run.sent_labels = self._kernel, self._kernel.runs.get(run.scratch), labels
        if owner is not None and owner.tape is not None and owner.work is not None:
            new = owner.work.labels.difference(kernel.state.unfinished[owner.id].labels)
            if new and kernel.catalogue.lends(owner.grants):
                seq = self._blocked_folders[owner.id] = kernel.record("label", run=owner.id, labels=tuple(sorted(new)))
                kernel.log.after(seq, partial(self._unblock, owner.id, seq))

    def _is_blocked(self, peer: Peer) -> bool:
        """Whether a peer's run may be sent nothing now, since labels of its scratch folder are not on disk yet."""
        return peer.run is not None and peer.run.scratch in self._blocked_folders

    def _unblock(self, folder: str, seq: int) -> None:
        """Send the runs in a scratch folder what has waited for its labels to be on disk."""
        if self._blocked_folders.get(folder) == seq:
            del self._blocked_folders[folder]
            for peer in [run.peer for run in self._kernel.runs.values() if run.peer and run.scratch == folder]:
                self._send_unsent(peer)

    def _send_unsent(self, peer: Peer, wait: float = SEND_AGAIN[0]) -> None:
        """Send what a peer has not taken yet. When it has taken all, send the events, uploads and calls that wait for it."""
        while peer.unsent and self._kernel.peers.get(peer.route) is peer and not self._is_blocked(peer):
            raw, body = peer.unsent[0]
            if not (taken := self._kernel.bus.send(peer.route, raw, body)):
                if taken is None:
                    self._kernel.loop.after(wait, partial(self._send_unsent, peer, min(2 * wait, SEND_AGAIN[1])))
                else:
                    self.on_send_failure(peer, is_gone=True)
                return
            peer.unsent.popleft()
            peer.unsent_bytes, wait = peer.unsent_bytes - len(raw) - len(body), SEND_AGAIN[0]
        if not peer.unsent and self._kernel.peers.get(peer.route) is peer:
            self._kernel.events.flush(peer)
            if peer.run is not None:
                for call in list(peer.run.serving.values()):
                    self._kernel.exchange.forward_upload(call)
                if (life := self._kernel.supervisor.services.life_of(peer.run)) is not None:
                    self._kernel.supervisor.services.feed(life)

    def on_send_failure(self, peer: Peer, *, is_gone: bool) -> None:
        """End a peer that a message could not be sent to. is_gone: it has no connection, most likely because its process
        ended, so a run may resume; otherwise it is at fault.
        """
        if is_gone and peer.run is not None:
            self._on_connection_lost(peer)
        else:
            self.end(peer, "unreachable", "it does not take what it is sent")

    def _on_connection_lost(self, peer: Peer) -> None:
        """End a peer without a connection. A run that can resume is killed at once, any other after GRACE."""
        self.on_bye(peer, "")
        if peer.run is not None and peer.run.tape is not None:
            peer.run.state = "lost"
            self._kernel.launcher.kill(peer.run, signal.SIGKILL)

    def end(self, peer: Peer, code: str, why: str) -> None:
        """End a peer at fault: retire its key, drop its messages, kill its process. The operator loses only the link."""
        if self._kernel.peers.pop(peer.route, None) is None:
            return
        if peer.run is not None or code != "unreachable":
            self._kernel.log_refusal(peer.principal, code, f"ended: {why}")
        self.disconnect(peer)
        if peer.run is not None:
            self._kernel.supervisor.end_as_unfit(peer.run, f"ended by the kernel: {why}")

    def on_bye(self, peer: Peer, why: str) -> None:
        """Disconnect a peer that said Bye. A run's process is killed after GRACE."""
        self._kernel.peers.pop(peer.route, None)
        self.disconnect(peer)
        if (run := peer.run) is not None:
            run.why, run.state = run.why or why, "left"
            self._kernel.loop.after(GRACE, lambda: self._kernel.launcher.kill(run, signal.SIGKILL))

    def disconnect(self, peer: Peer) -> None:
        """Retire a peer's key, cancel its calls, drop its subscriptions. A run's tape keeps both for its next process."""
        if peer.run is None or peer.run.tape is None:
            self._kernel.events.forget(peer)
            self._kernel.exchange.cancel_calls_of(peer)
        if peer.run is not None:
            peer.run.peer = None
            self._kernel.keys.pop(peer.run.key, None)
