"""The life of a call (pure): its states and its credit, over values; nothing here sends anything.

LIFE is the whole machine: (state, event) → state; an event that a state does not list is the sender's violation of the
protocol (NotNow). The docs draw their picture from this table.
"""

from typing import Final

from wire import limits
from wire.errors import NotNow

LIFE: Final = {
    ("open", "deliver"): "delivered",
    ("open", "end"): "ended",
    ("open", "hold"): "held",
    ("held", "approve"): "open",
    ("held", "end"): "ended",
    ("delivered", "chunk"): "streaming",
    ("delivered", "end"): "ended",
    ("delivered", "redeliver"): "open",
    ("streaming", "chunk"): "streaming",
    ("streaming", "end"): "ended",
}
"""open: recorded, waiting for the disk or for its provider. held: waiting for the operator's yes or no. delivered: at its
provider. streaming: some of the reply has gone to the caller, so it can never be made again. ended: its one end was sent."""


class CallLife:
    """One call's state, and the credit of its two streams in chunks: down to the caller, up to the provider.

    is_queued: it waits for a service, or did; not yet one that is made again, whose number may still stand there.
    """

    __slots__ = ("down", "is_queued", "number", "state", "up", "uploading")

    def __init__(self, number: int, *, upload: bool) -> None:
        self.number = number
        self.state = "open"
        self.down = limits.WINDOW
        self.up = limits.WINDOW if upload else 0
        self.uploading = upload
        self.is_queued = False

    def queued(self) -> int:
        """Its number, for the queue of a service."""
        self.is_queued = True
        return self.number

    def step(self, event: str) -> None:
        """Go on to the next state. Raises NotNow for an event that this state does not list."""
        after = LIFE.get((self.state, event))
        if after is None:
            raise NotNow(f"{event} in state {self.state} of call {self.number}")
        self.state = after

    def spend_down(self) -> None:
        """A chunk of the reply. Raises NotNow beyond the caller's credit."""
        if self.down <= 0:
            raise NotNow(f"a chunk without credit on call {self.number}")
        self.step("chunk")
        self.down -= 1

    def spend_up(self, *, last: bool) -> None:
        """A chunk of the upload. Raises NotNow beyond the provider's credit, or after the last one."""
        if not self.uploading or self.up <= 0:
            raise NotNow(f"an upload's chunk without credit, or after its last, on call {self.number}")
        self.up -= 1
        self.uploading = not last

    def credit(self, chunks: int, *, down: bool) -> None:
        """More room. Raises NotNow for more than a window of it."""
        room = (self.down if down else self.up) + chunks
        if room > limits.WINDOW:
            raise NotNow(f"more credit than a window on call {self.number}")
        if down:
            self.down = room
        else:
            self.up = room
