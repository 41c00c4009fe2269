"""The life of a call (pure): its states and the credit of its streams. Nothing here sends anything.

LIFE is the whole state machine: (state, event) → state. An event that a state does not list is a protocol violation of its
sender (NotNow). The docs' table is generated from it.
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
"""open: recorded, waiting for the disk or its provider. held: waiting for the operator's answer. delivered: at its provider.
streaming: a part of the reply has reached the caller, so the call can never be made again. ended: its one end was sent."""


class CallLife:
    """A call's state, and the credit of its two streams in chunks: down to the caller, up to the provider.

    is_queued: it was put into a service's queue. A queue may also hold the number of a call that is made again and was not.
    """

    __slots__ = ("down", "is_queued", "number", "state", "up", "uploading")

    def __init__(self, number: int, *, upload: bool) -> None:
        self.number = number
        self.state = "open"
        self.down = limits.WINDOW
        self.up = limits.WINDOW if upload else 0
        self.uploading = upload
        self.is_queued = False

    def mark_queued(self) -> int:
        """Note that the call is queued for a service. Returns its number, for the queue."""
        self.is_queued = True
        return self.number

    def step(self, event: str) -> None:
        """Take the event to the next state. Raises NotNow if this state does not list the event."""
        after = LIFE.get((self.state, event))
        if after is None:
            raise NotNow(f"{event} in state {self.state} of call {self.number}")
        self.state = after

    def spend_down(self) -> None:
        """Count a chunk of the reply. Raises NotNow beyond the caller's credit."""
        if self.down <= 0:
            raise NotNow(f"a chunk without credit on call {self.number}")
        self.step("chunk")
        self.down -= 1

    def spend_up(self, *, last: bool) -> None:
        """Count a chunk of the upload. Raises NotNow beyond the provider's credit, or after the last chunk."""
        if not self.uploading or self.up <= 0:
            raise NotNow(f"an upload's chunk without credit, or after its last, on call {self.number}")
        self.up -= 1
        self.uploading = not last

    def credit(self, chunks: int, *, down: bool) -> None:
        """Add credit, in chunks. Raises NotNow beyond a window."""
        room = (self.down if down else self.up) + chunks
        if room > limits.WINDOW:
            raise NotNow(f"more credit than a window on call {self.number}")
        if down:
            self.down = room
        else:
            self.up = room
