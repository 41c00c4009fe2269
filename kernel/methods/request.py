"""What an act of a kernel method is given, and how a method is declared (values)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from kernel.errors import Failure
from kernel.runs import Peer, Run
from manifests.calls import OpenCall
from manifests.errors import ParamsInvalid
from manifests.installed import Installed
from manifests.params import check
from manifests.schema import Effect, Provided, ResourceKind

if TYPE_CHECKING:
    from kernel.core import Kernel


class Request:
    """One call of a kernel method. arguments: checked against the method's params. run: the caller's, None: the operator."""

    __slots__ = ("arguments", "call", "kernel", "peer", "run")

    def __init__(self, kernel: "Kernel", call: OpenCall, peer: Peer, arguments: Mapping[str, object]) -> None:
        self.kernel = kernel
        self.call = call
        self.peer = peer
        self.run: Run | None = peer.run
        try:
            self.arguments = check(call.provided.params, arguments)
        except ParamsInvalid as error:
            raise Failure("arguments", "; ".join(error.problems)) from None

    def text(self, name: str) -> str:
        """A text argument, "" when it was not given."""
        return str(self.arguments.get(name) or "")

    def hand(self) -> Installed:
        """The installed Hand that the resource names. Raises Failure when there is none."""
        hand = self.kernel.state.hands.get(self.call.resource)
        if hand is None:
            raise Failure("unknown hand", f"no Hand {self.call.resource!r} is installed: see `maniple hands`")
        return hand


Act = Callable[[Request], object]


class Method(Struct, frozen=True, kw_only=True):
    """A declaration and its act."""

    provided: Provided
    act: Act


def method(
    name: str, summary: str, act: Act, on: ResourceKind = "none", effect: Effect = "read", /, **params: str
) -> Method:
    """The row of one kernel method; name without `kernel.`; on: kind of resource; params as in `[provides]`."""
    row = Provided(method=f"kernel.{name}", summary=summary, resource=on, effect=effect, params=params)
    return Method(provided=row, act=act)
