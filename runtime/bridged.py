"""What a bridge keeps of each call that its program answers or makes (acts on the loop's tasks): see runtime/bridge.py."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from runtime import lines
from runtime.calls import Stream
from runtime.errors import CallEnded
from wire import limits

PATIENCE: Final = 5.0
"""Seconds for which others wait for one who takes nothing of what the program said to him."""

HELD_MOST: Final = limits.MIB
"""Bytes of the program's lines that are held for one call, at most; a single one may be longer."""

_SHARE: Final = 16  # of the Hand's memory, so much of it for all of its calls together
_LINE: Final = 256  # bytes that one takes beside its own
_LOOK: Final = 0.25  # seconds between two looks at whether others wait

M = TypeVar("M")


def room(memory: int, in_flight: int) -> int:
    """Bytes of lines that are held for one call of a Hand with these limits."""
    return min(HELD_MOST, memory // _SHARE // in_flight)


class Standstill:
    """How long, in all, the program was not heard because of one who took nothing, while others waited for it."""

    def __init__(self) -> None:
        self.seconds = 0.0


class Held(Generic[M]):
    """What the program said to one, in order, as far as there is room, and he has not taken it yet.

    taken: how often he took something.
    """

    def __init__(self, most: int, standstill: Standstill) -> None:
        self.taken = 0
        self._most = most
        self._said: asyncio.Queue[tuple[M, int]] = asyncio.Queue()
        self._size = self._passing = 0
        self._is_closed = False
        self._standstill = standstill
        self._since = 0.0  # of the standstill, when he last took something, or had nothing to take
        self._stirred = asyncio.Event()

    async def hold(self, said: M, length: int, has_others: Callable[[], bool]) -> bool:
        """Keep what it said in a line of this length, as soon as there is room. False when others have waited too long.

        What is said to one alone waits as long as he likes. It is the looks that are counted, not the time, so nobody is
        taken to have stood still for as long as this very process did.
        """
        size = length + _LINE
        clock = asyncio.get_running_loop().time
        while self._size and self._size + size > self._most and not self._is_closed:
            if self._standstill.seconds - self._since >= PATIENCE:
                return False
            self._stirred.clear()
            begun = clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._stirred.wait()
            if has_others():
                self._standstill.seconds += min(clock() - begun, _LOOK)
        if self._is_closed:
            return True
        if not self._size:
            self._since = self._standstill.seconds
        self._size += size
        self._said.put_nowait((said, size))
        return True

    async def next(self) -> M:
        """The next that it said; the one before has been passed on."""
        self._size -= self._passing
        self._passing = 0
        self.moved()
        said, self._passing = await self._said.get()
        return said

    def moved(self) -> None:
        """He took something."""
        self.taken += 1
        self._since = self._standstill.seconds
        self._stirred.set()

    @property
    def is_behind(self) -> bool:
        """Whether he has not taken all of it."""
        return self._size > 0

    def close(self) -> None:
        """Nothing more is passed on; whoever waited for room goes on."""
        self._is_closed = True
        self._size = self._passing = 0
        self._stirred.set()


class Answering:
    """A call that the program answers, and what it said of it.

    is_asked: it has been told of it. end: code and text of how it ends, for which its task is cancelled.
    """

    def __init__(self, held: Held[lines.Chunk | lines.Done | lines.Failed]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.held = held
        self.is_asked = False
        self.end: tuple[str, str] | None = None

    def give_up(self, code: str, text: str) -> None:
        """End it in Failed with these."""
        if self.end is not None:
            return
        self.end = code, text
        self.held.close()
        self.task.cancel()


class Making:
    """A call that the program makes, and what it uploads to it. is_uploading: more of it is to come."""

    def __init__(self, call: lines.Call, held: Held[lines.Upload]) -> None:
        self.parent = call.parent
        self.method = call.method
        self.is_uploading = call.upload
        self.held = held
        self.task: asyncio.Task[None] | None = None
        self.why = ""

    def give_up(self, why: str) -> None:
        """End it in Failed, code `room`."""
        self.why = why
        self.held.close()
        if self.task is not None:
            self.task.cancel()

    async def pass_on(self, stream: Stream) -> None:
        """Pass on what the program uploads. When the call has its end before, the call's reader tells."""
        try:
            is_last = False
            while not is_last:
                said = await self.held.next()
                is_last = said.last
                if said.piece or not is_last:
                    for part in lines.pieces(said.piece):
                        await stream.send(part)
                        self.held.moved()
            await stream.finish()
        except CallEnded:
            self.held.close()
