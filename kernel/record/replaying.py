"""The run of a replay: a process of its own, whose every request is answered from the tape of a recorded run (acts).

It is confined and watched as any run, but its messages go to wire/replaying.py and nowhere else. Each step that it makes is
streamed to the operator as the reply of the call `kernel.replay`.
"""

from typing import TYPE_CHECKING

from kernel.record.journal import TapeFile
from kernel.record.tapes import Tape
from kernel.runs import Peer, Run
from manifests.calls import OpenCall
from manifests.lives import has_fixed_order
from wire import codec, headers
from wire.headers import FromKernel, FromRun
from wire.replaying import Replay

if TYPE_CHECKING:
    from kernel.core import Kernel


class Replayed(Tape):
    """A recorded tape, only read, during its replay. credit: how many messages may still be sent.

    A replay that does not end by itself ends at its call's deadline, or when the operator cancels the call.
    """

    def __init__(self, kernel: "Kernel", run: Run, file: TapeFile, call: OpenCall, credit: int) -> None:
        """Raises TapeDamaged."""
        super().__init__(kernel, run.id, file, in_order=has_fixed_order(run.hand.package.manifest))
        self.replay = Replay(file.records, in_order=self.in_order)
        self._of, self._call, self.credit = run, call, credit
        self.count = 1  # so that no first record is written

    def accept(self, peer: Peer, header: FromRun, body: bytes) -> FromRun | None:
        """Compare a message of the run with the tape. Only its Bye is returned for the kernel to act on."""
        self._of.state = "ready" if isinstance(header, headers.Ready) else self._of.state
        self.replay.accept(header, body)
        self.pump()
        return header if isinstance(header, headers.Bye) else None

    def send(self, header: FromKernel, body: bytes, *, bound: bool = False, durable: bool = False) -> None:
        """Take the operator's credit for more steps, or cancellation of the replay."""
        self.credit += getattr(header, "chunks", 0)
        self.pump()
        if isinstance(header, headers.Cancel):
            self._kernel.supervisor.kill(self._of, "its replay was cancelled")

    def pump(self) -> None:
        """Send the run what may be sent, stream each step to the operator, and answer with the verdict at the end."""
        kernel, run, number = self._kernel, self._of, self._call.number
        while number in run.serving and self.credit and run.peer is not None and (due := self.replay.next_message()):
            self.credit -= 1
            body = self._with_secrets(due[0], due[1].body, whole=True) if due[1].secret else due[1].body
            kernel.links.transmit(run.peer, codec.encode(due[0]), body)
            kernel.exchange.reply_chunk(run, headers.Chunk(number=number), due[2])
        if self.replay.verdict is not None and number in run.serving:
            kernel.answer(self._call, self.replay.verdict)
        if number not in run.serving:
            kernel.supervisor.kill(run, f"it replayed {self.replay.began.run}")
