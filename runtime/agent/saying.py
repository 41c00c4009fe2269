"""Publishes an agent's words while its model writes them (acts): events `said`, for whoever shows the words as they come.

The run's end has the whole answer in any case: a piece whose publication is refused is left out, and the `at` of the
next piece, in characters from the thought's beginning, shows the gap.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from runtime.errors import CallFailed, CallRefused
from runtime.models.messages import TextPiece, unpack

SAID: Final = "said"
"""The event for each piece, published if [events] lists it and the run may call model.stream."""

STREAMS: Final = "model.stream"
PIECE: Final = 80
"""Characters at which a piece is published; the end of a line publishes a shorter one."""

APART: Final = 120.0
"""Seconds between two pieces, times the run's calls_per_minute: pieces take at most half of its calls.

A quicker model's pieces are longer: a run that publishes more is refused, and in the end killed as a flood.
"""


class Saying:
    """Publishes one thought's text. publish: sends an event with this body. thought: which of the run's, from 1.

    now: the run's clock, in seconds. apart: seconds between two pieces; the last one does not wait. again: the thought before
    was cut off, so this one replaces it. is_cut: some text was published, and the rest of it is not.
    """

    def __init__(
        self, publish: Callable[[dict[str, object]], Awaitable[None]], run: str, thought: int,
        now: Callable[[], float], apart: float, *, again: bool = False,
    ) -> None:  # fmt: skip
        self._publish, self._run, self._thought = publish, run, thought
        self._now, self._apart, self._due = now, apart, 0.0
        self._at, self._text = 0, ""
        self._mark: dict[str, object] = {"again": True} if again else {}
        self.is_cut = False

    async def follow(self, read: Callable[[], Awaitable[bytes | None]]) -> None:
        """Publish a whole stream's text. read: returns its next chunk, None at its end. Raises CodecError as add() does."""
        while (chunk := await read()) is not None:
            await self.add(chunk)
        await self.flush()
        self.is_cut = False

    async def add(self, chunk: bytes) -> None:
        """Take a chunk of model.stream; publish what is due. Raises CodecError for bytes that are not such a chunk."""
        for piece in unpack(chunk):
            if isinstance(piece, TextPiece):
                self._text += piece.text
        if (len(self._text) >= PIECE or "\n" in self._text) and self._now() >= self._due:
            await self.flush()

    async def flush(self) -> None:
        """Publish what has not been published yet."""
        text, at = self._text, self._at
        self._text, self._at, self._due = "", at + len(text), self._now() + self._apart
        if text:
            self.is_cut = True
            with suppress(CallRefused, CallFailed):
                await self._publish({"run": self._run, "thought": self._thought, "at": at, "text": text} | self._mark)
