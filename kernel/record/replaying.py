"""A run that is replayed: a process of its own, whose every request is answered from a recorded run's tape (acts).

It is a run as any other, confined and watched, but for two things: what it says goes to wire/replaying.py and nowhere else,
and what it is shown doing goes to the operator, as the stream of the one call that it answers, `kernel.replay`.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from kernel.record.journal import TapeFile
from kernel.record.tapes import Tape
from kernel.runs import Peer, Run
from manifests.calls import OpenCall
from manifests.lives import in_order
from wire import codec, headers
from wire.headers import FromKernel, FromRun
from wire.replaying import Replay
from wire.tape import Record

if TYPE_CHECKING:
    from kernel.core import Kernel

STILL: Final = 10.0
"""Seconds without a message or any work of its process after which a replayed run waits for what never comes."""


class Replayed(Tape):
    """The tape of a run that is replayed; it is only read. credit: messages that it may be told before the operator's next.

    One that comes to no end otherwise is ended by its call's deadline, or when the operator takes the call back.
    """

    def __init__(self, kernel: "Kernel", run: Run, file: TapeFile, call: OpenCall, credit: int) -> None:
        """Raises TapeDamaged."""
        is_in_order = in_order(run.hand.package.manifest)
        super().__init__(kernel, run.id, file, in_order=is_in_order)
        self._replay = Replay(file.records, in_order=is_in_order)
        self._of, self._call, self._credit = run, call, credit
        self._beat(None)

    def take(self, peer: Peer, header: FromRun, body: bytes) -> FromRun | None:
        """Nothing but its farewell is for the kernel."""
        if isinstance(header, headers.Ready):
            self._of.state = "ready"
        self.count += 1
        self._replay.take(header, body)
        self.pump()
        return header if isinstance(header, headers.Bye) else None

    def put(self, record: Record, *, bound: bool) -> None:
        """Nothing is added."""

    def hear(self, header: FromKernel, body: bytes, *, bound: bool = False, durable: bool = False) -> None:
        """What the operator says of the call: go on, or stop."""
        if isinstance(header, headers.Credit):
            self._credit += header.chunks
            self.pump()
        else:
            self._kernel.supervisor.kill(self._of, getattr(header, "why", ""))

    def pump(self) -> None:
        """Tell what may be told, and show it; then what has come of it."""
        kernel, run = self._kernel, self._of
        while self._credit and run.peer is not None and (told := self._replay.next()) is not None:
            header, heard, step = told
            self._credit -= 1
            kernel.transmit(run.peer, header, self._secret(header) if heard.secret else heard.body)
            if self._call.number in run.serving:
                piece = codec.encode_body(msgspec.json.encode(step))
                kernel.exchange.reply_chunk(run, headers.Chunk(number=self._call.number), piece)
        if self._replay.verdict is not None and self._call.number in run.serving:
            kernel.answer(self._call, msgspec.to_builtins(self._replay.verdict))
        if self._call.number not in run.serving:
            kernel.supervisor.kill(run, f"it replayed {self._replay.began.run}")

    def _beat(self, before: tuple[int, float] | None) -> None:
        run = self._of
        now = self.count, round(run.cpu_seconds(), 1)
        if now == before and self._credit and run.state == "ready" and not run.paused:
            self._replay.stands_still()
            self.pump()
        if run.state != "left" and not run.ended:
            self._kernel.loop.after(STILL, partial(self._beat, now))
