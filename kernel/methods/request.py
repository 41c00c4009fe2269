"""The Request that a kernel method's act is given, and the declaration of such methods (values)."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from kernel.errors import Failure
from kernel.runs import Peer, Run
from manifests.calls import OpenCall
from manifests.errors import ParamsInvalid
from manifests.installed import Installed
from manifests.params import check, pass_through
from manifests.schema import Effect, Provided, ResourceKind
from wire.codec import decode_body, decode_table
from wire.limits import ARGUMENTS_MAX

if TYPE_CHECKING:
    from kernel.core import Kernel


class Request:
    """A call of a kernel method. arguments: checked against the method's params; those it passes on unread are still encoded.
    run: the caller's, None for the operator.
    """

    __slots__ = ("arguments", "call", "kernel", "peer", "run")

    def __init__(self, kernel: "Kernel", call: OpenCall, peer: Peer, unread: Collection[str]) -> None:
        """Decode the arguments. Raises Failure or CodecError if they are invalid, or too large to decode in the loop."""
        self.kernel = kernel
        self.call = call
        self.peer = peer
        self.run: Run | None = peer.run
        table, params = decode_table(call.body), call.provided.params
        unread_ones = {name: table.pop(name) for name in unread if name in table}
        if peer.run is not None and sum(len(bytes(raw)) for raw in table.values()) > ARGUMENTS_MAX:
            raise Failure("arguments", f"{call.method} takes at most {ARGUMENTS_MAX >> 10} KiB of arguments")
        try:
            given = {name: decode_body(raw) for name, raw in table.items()}
            read = check({name: of for name, of in params.items() if name not in unread}, given)
            self.arguments: Mapping[str, object] = {**read, **pass_through(params, unread_ones)}
        except ParamsInvalid as error:
            raise Failure("arguments", "; ".join(error.problems)) from None

    def text(self, name: str) -> str:
        """Return a text argument, "" if it was not given."""
        return str(self.arguments.get(name) or "")

    def hand(self) -> Installed:
        """Return the installed Hand that the resource names. Raises Failure if there is none."""
        hand = self.kernel.state.hands.get(self.call.resource)
        if hand is None:
            raise Failure("unknown hand", f"no Hand {self.call.resource!r} is installed: see `maniple hands`")
        return hand


Act = Callable[[Request], object]


class Method(Struct, frozen=True, kw_only=True):
    """A declaration and its act. unread: params of type dict that are passed on without being decoded."""

    provided: Provided
    act: Act
    unread: tuple[str, ...] = ()


def method(
    name: str, summary: str, act: Act, on: ResourceKind = "none", effect: Effect = "read", /, **params: str
) -> Method:
    """Declare a kernel method. name: without `kernel.`; on: the kind of its resource; params: as in `[provides]`.

    The param `inputs` is not decoded: a run decodes its own inputs.
    """
    row = Provided(method=f"kernel.{name}", summary=summary, resource=on, effect=effect, params=params)
    return Method(provided=row, act=act, unread=tuple(name for name in params if name == "inputs"))
