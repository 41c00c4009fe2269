"""The state of each call that a bridge's program answers or makes (acts on the loop's tasks): see runtime/bridge.py."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from runtime import lines
from runtime.calls import Stream
from runtime.errors import CallEnded
from wire import limits

PATIENCE: Final = 5.0
"""Seconds for which others wait while one side takes none of the lines meant for it."""

HELD_MOST: Final = limits.MIB
"""Most bytes of the program's lines that are held for one call; a single line may be longer."""

_SHARE: Final = 16  # 1/16 of the Hand's memory is for the lines of all its calls
_LINE: Final = 256  # bytes that a line takes beside its own
_LOOK: Final = 0.25  # seconds between two polls whether others wait

M = TypeVar("M")


def room(memory: int, in_flight: int) -> int:
    """Bytes of lines to hold for one call of a Hand with these limits."""
    return min(HELD_MOST, memory // _SHARE // in_flight)


class Standstill:
    """How long, in all, the program was not read because one side took nothing while others waited."""

    def __init__(self) -> None:
        self.seconds = 0.0


class Held(Generic[M]):
    """A queue of the program's lines for one side of a call, bounded in bytes.

    taken: how often the side took something.
    """

    def __init__(self, most: int, standstill: Standstill) -> None:
        self.taken = 0
        self._most = most
        self._lines: asyncio.Queue[tuple[M, int]] = asyncio.Queue()
        self._size = self._passing = 0
        self._is_closed = False
        self._standstill = standstill
        self._since = 0.0  # the standstill's seconds when the side last took something, or had nothing to take
        self._changed = asyncio.Event()

    async def hold(self, message: M, length: int, has_others: Callable[[], bool]) -> bool:
        """Queues a message whose line has this length, once there is room. False if others have waited too long.

        If nobody else waits for the program, this waits for ever. Polls are counted, not time, so nobody is blamed for time
        in which this process itself was not running.
        """
        size = length + _LINE
        clock = asyncio.get_running_loop().time
        while self._size and self._size + size > self._most and not self._is_closed:
            if self._standstill.seconds - self._since >= PATIENCE:
                return False
            self._changed.clear()
            begun = clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._changed.wait()
            if has_others():
                self._standstill.seconds += min(clock() - begun, _LOOK)
        if self._is_closed:
            return True
        if not self._size:
            self._since = self._standstill.seconds
        self._size += size
        self._lines.put_nowait((message, size))
        return True

    async def next(self) -> M:
        """The next message; the one before has been passed on."""
        self._size -= self._passing
        self._passing = 0
        self.note_taken()
        message, self._passing = await self._lines.get()
        return message

    def note_taken(self) -> None:
        """Notes that the side took something."""
        self.taken += 1
        self._since = self._standstill.seconds
        self._changed.set()

    @property
    def is_behind(self) -> bool:
        """Whether the side has not taken everything."""
        return self._size > 0

    def close(self) -> None:
        """Drops the queue; whoever waits for room goes on."""
        self._is_closed = True
        self._size = self._passing = 0
        self._changed.set()


class Answering:
    """A call that the program answers, and its lines about it.

    is_asked: the program was told of it. end: (code, text) of its Failed, for which its task is cancelled.
    """

    def __init__(self, held: Held[lines.Chunk | lines.Done | lines.Failed]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.held = held
        self.is_asked = False
        self.end: tuple[str, str] | None = None

    def give_up(self, code: str, text: str) -> None:
        """Ends the call in Failed with this code and text."""
        if self.end is not None:
            return
        self.end = code, text
        self.held.close()
        self.task.cancel()


class Making:
    """A call that the program makes, with its upload. is_uploading: more of the upload is to come."""

    def __init__(self, call: lines.Call, held: Held[lines.Upload]) -> None:
        self.parent = call.parent
        self.method = call.method
        self.is_uploading = call.upload
        self.held = held
        self.task: asyncio.Task[None] | None = None
        self.why = ""

    def give_up(self, why: str) -> None:
        """Ends the call in Failed, with the code `room`."""
        self.why = why
        self.held.close()
        if self.task is not None:
            self.task.cancel()

    async def pass_upload(self, stream: Stream) -> None:
        """Passes on the program's upload. If the call ends before, the reader of its reply reports that."""
        try:
            is_last = False
            while not is_last:
                message = await self.held.next()
                is_last = message.last
                if message.piece or not is_last:
                    for part in lines.pieces(message.piece):
                        await stream.send(part)
                        self.held.note_taken()
            await stream.finish()
        except CallEnded:
            self.held.close()
