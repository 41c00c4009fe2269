"""What a call costs and what it used: the amounts that headers and entries of the log share (pure).

Separate, so that whoever only reads headers need not import the log's entries: `maniple ps` spent some milliseconds on the
import of hashes that it never makes.
"""

from typing import Annotated

from msgspec import Meta, Struct

from wire.canonical import INT_LIMIT

Number = Annotated[int, Meta(ge=0, lt=INT_LIMIT)]


class Cost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A cost. 10 micro-dollars are a thousandth of a cent."""

    micro_dollars: Number
    tokens: Number


class Used(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What a call used, as reported by the run that answered it: what a WASM guest used of the machine, or which model.

    wall: microseconds; memory: peak bytes. model: PROVIDER/MODEL, since a call on a route does not name it.
    """

    fuel: Number = 0
    wall: Number = 0
    memory: Number = 0
    model: Annotated[str, Meta(max_length=1024)] = ""

    def as_detail(self) -> dict[str, object]:
        """Return it for an entry's detail."""
        measured: dict[str, object] = {"fuel": self.fuel, "wall": self.wall, "memory": self.memory}
        return {"model": self.model} if self.model else measured

    def and_then(self, more: "Used") -> "Used":
        """Return the sum of two uses of the machine, one after the other: the larger peak of memory."""
        most = INT_LIMIT - 1
        return Used(
            fuel=min(most, self.fuel + more.fuel),
            wall=min(most, self.wall + more.wall),
            memory=max(self.memory, more.memory),
        )
