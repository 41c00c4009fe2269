"""A call that has no end yet: what the kernel decides from, in one record (values; its life is wire/calls.py)."""

from collections.abc import Iterable
from typing import Protocol

from manifests.policy import Link
from manifests.schema import Provided
from wire.calls import CallLife
from wire.entries import Cost
from wire.headers import Chunk
from wire.labels import join


class Timer(Protocol):
    """Something that was to happen at a moment."""

    def cancel(self) -> None:
        """Never to happen."""


class OpenCall(CallLife):
    """One open call; number is the kernel's (even).

    caller: the run's id or `operator`; by: what policy sees of it, kept since a caller may be gone before its calls are.
    route, caller_number: where the end goes; no route for the work of a task run. labels: what its reply is marked with so
    far, and what calls made for it are marked with. deadline: monotonic seconds. children: open calls made for it.
    crashes: how often a provider died with it. cpu: seconds of processor time charged to it.
    left: seconds to the deadline while it stands still. upload: it has one; early: its chunks that came before its provider.
    """

    __slots__ = (
        "alarm", "body", "by", "caller", "caller_number", "children", "cpu", "crashes", "deadline", "early", "labels", "left",
        "most", "parent", "provided", "provider", "resource", "route", "timer", "upload",
    )  # fmt: skip

    def __init__(
        self, number: int, caller: str, by: Link, route: bytes, caller_number: int, *, provided: Provided, resource: str,
        body: bytes, parent: "OpenCall | None", deadline: float, labels: frozenset[str], most: Cost | None, upload: bool,
    ) -> None:  # fmt: skip
        super().__init__(number, upload=upload)
        self.caller, self.by, self.route, self.caller_number = caller, by, route, caller_number
        self.provided, self.resource, self.body, self.most = provided, resource, body, most
        self.parent, self.deadline, self.labels, self.upload = parent, deadline, labels, upload
        self.early: list[tuple[Chunk, bytes]] = []
        self.children: dict[int, OpenCall] = {}
        self.timer: Timer | None = None
        self.alarm: Timer | None = None
        self.provider = ""
        self.crashes = 0
        self.cpu = 0.0
        self.left = 0.0

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
        return self.state == "delivered" and not self.upload and (not self.has_effect or self.provided.idempotent)

    def mark(self, *labels: Iterable[str]) -> None:
        """Add labels; none is ever taken away."""
        self.labels = join(self.labels, *labels)

    def shown_labels(self) -> tuple[str, ...]:
        """Its labels as a header and the log have them."""
        return tuple(sorted(self.labels))


def chain(call: OpenCall | None) -> list[OpenCall]:
    """A call and those it was made for, innermost first."""
    links = []
    while call is not None:
        links.append(call)
        call = call.parent
    return links
