"""What an agent says while it thinks, piece by piece (acts): events of its own, for whoever shows its words as they come.

The whole answer is in the run's end whatever becomes of these: a piece that may not be published now is left out, and the
`at` of the next one, in characters from the thought's beginning, shows that something is missing.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from runtime.errors import CallFailed, CallRefused
from runtime.models.messages import TextPiece, unpacked

SAID: Final = "said"
"""The event that is published of each piece, where [events] publishes it and the model may be asked for a stream."""

STREAMS: Final = "model.stream"
PIECE: Final = 80
"""Characters from which on a piece is published; a line's end publishes what there is."""

APART: Final = 120.0
"""Seconds between two pieces, for each call a minute that its run may make: so they take half of these at most. A model that

is quicker is told in longer pieces: a run that says more is refused, and then ended as a flood.
"""


class Saying:
    """One thought's text. publish: takes an event's body; run, thought: whose, and which of its thoughts, from 1.

    now: the run's clock, in seconds. apart: seconds between two pieces, but for the last one.
    """

    def __init__(
        self, publish: Callable[[dict[str, object]], Awaitable[None]], run: str, thought: int,
        now: Callable[[], float], apart: float,
    ) -> None:  # fmt: skip
        self._publish, self._run, self._thought = publish, run, thought
        self._now, self._apart, self._due = now, apart, 0.0
        self._at, self._text = 0, ""

    async def hear(self, chunk: bytes) -> None:
        """A chunk of model.stream. Raises CodecError for one that is none."""
        for piece in unpacked(chunk):
            if isinstance(piece, TextPiece):
                self._text += piece.text
        if (len(self._text) >= PIECE or "\n" in self._text) and self._now() >= self._due:
            await self.end()

    async def end(self) -> None:
        """Nothing more comes, or enough has come."""
        text, at = self._text, self._at
        self._text, self._at, self._due = "", at + len(text), self._now() + self._apart
        if text:
            with suppress(CallRefused, CallFailed):
                await self._publish({"run": self._run, "thought": self._thought, "at": at, "text": text})
