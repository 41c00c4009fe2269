"""The life of a call (pure): its states, its credit and its one end, over values; nothing here sends anything.

LIFE is the whole machine: (state, event) → state; an event that a state does not list is the sender's violation of the
protocol (raised as NotNow). The docs draw their picture from this table.
"""

from typing import Final

from kernel.errors import NotNow
from manifests.schema import Provided
from wire import limits
from wire.entries import Cost

LIFE: Final = {
    ("open", "deliver"): "delivered",
    ("open", "end"): "ended",
    ("delivered", "chunk"): "streaming",
    ("delivered", "end"): "ended",
    ("delivered", "redeliver"): "open",
    ("streaming", "chunk"): "streaming",
    ("streaming", "end"): "ended",
}
"""open: recorded, waiting for the disk or for its provider. delivered: at its provider. streaming: some of the reply has
gone to the caller, so it can never be made again. ended: exactly one end was sent."""


class OpenCall:
    """One call that has no end yet.

    number: the kernel's (even). caller: the run's id or `operator`; route, caller_number: where its end goes.
    labels: what its reply will be marked with so far, and what calls made for it are marked with. deadline: monotonic
    seconds. crashes: how often a provider died with it. Credits count chunks, down to the caller and up to the provider.
    """

    __slots__ = (
        "arguments", "body", "caller", "caller_number", "cpu_before", "crashes", "deadline", "depth", "down", "labels",
        "most", "number", "parent", "provided", "provider", "resource", "route", "state", "timer", "up", "uploading",
    )  # fmt: skip

    def __init__(
        self,
        *,
        number: int,
        caller: str,
        route: bytes,
        caller_number: int,
        provided: Provided,
        resource: str,
        body: bytes,
        parent: "OpenCall | None",
        deadline: float,
        labels: frozenset[str],
        most: Cost | None,
        upload: bool,
    ) -> None:
        self.number = number
        self.caller = caller
        self.route = route
        self.caller_number = caller_number
        self.provided = provided
        self.resource = resource
        self.body = body
        self.parent = parent
        self.depth = parent.depth + 1 if parent else 1
        self.deadline = deadline
        self.labels = labels
        self.most = most
        self.state = "open"
        self.provider = ""
        self.crashes = 0
        self.cpu_before = 0.0
        self.down = limits.WINDOW
        self.up = limits.WINDOW if upload else 0
        self.uploading = upload

    @property
    def method(self) -> str:
        """The method that was called."""
        return self.provided.method

    @property
    def has_effect(self) -> bool:
        """Whether it reaches its provider only after its entry is on disk, and its end its caller likewise."""
        return self.provided.effect != "read"

    @property
    def may_be_made_again(self) -> bool:
        """Whether a provider's death leaves it possible to ask the next one, without anybody noticing."""
        return self.state == "delivered" and not self.up and (not self.has_effect or self.provided.idempotent)

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


def chain(call: OpenCall | None) -> list[OpenCall]:
    """A call and those it was made for, innermost first."""
    links = []
    while call is not None:
        links.append(call)
        call = call.parent
    return links
