"""The tools that a door offers: the methods that it is granted, and the task Hands that it may start (pure).

A method's tool is named and called as in the agent loop; the one that starts a Hand is `run_` and the Hand's name.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mcp_types import Tool, ToolAnnotations
from msgspec import Struct

from manifests.mcp.door import SPAWN, Work
from manifests.mcp.folder import PREFIX as SERVERS
from manifests.schema import Capability
from runtime.agent import tools
from runtime.agent.tools import PreparedCall
from runtime.mcp.returned import schema_of

_RUN: Final = "run."
_WHOLE: Final = {"inputs": "dict?"}


class Row(tools.Row, frozen=True, kw_only=True):
    """A method, as the kernel lists it."""

    idempotent: bool = False
    returns: Mapping[str, str] = {}


class Offer(Struct, frozen=True, kw_only=True):
    """A tool and the call behind it. hand: the Hand that it starts, or "". returns: checked in answers; or {}."""

    tool: Tool
    way: tools.Offered
    hand: str = ""
    returns: Mapping[str, str] = {}

    def prepare(self, arguments: Mapping[str, object]) -> PreparedCall | str:
        """The call for these arguments, or a text that says what is wrong with them."""
        found = tools.prepare(self.way, arguments)
        if isinstance(found, str) or not self.hand:
            return found
        given = found.arguments
        inputs = (given.get("inputs") or {}) if self.way.params == _WHOLE else given
        return PreparedCall(method=SPAWN, resource=self.hand, arguments={"inputs": inputs})


def offers_of(rows: Iterable[Row], capabilities: Sequence[Capability], works: Mapping[str, Work]) -> dict[str, Offer]:
    """The offers by tool name. capabilities: with the resources asked for. works: by Hand name."""
    known = {row.method: row for row in rows}
    for hand, work in works.items():
        summary = f"Start {hand} and wait for its result: {work.summary}"
        params = _WHOLE if work.params is None else work.params
        method = f"{_RUN}{hand}"
        known[method] = Row(method=method, summary=summary, resource="none", effect="external", params=params)
    found = tools.offer(known.values(), capabilities, hidden=())
    return {name: _offer(way, known[way.method], works) for name, way in found.items()}


def _offer(way: tools.Offered, row: Row, works: Mapping[str, Work]) -> Offer:
    """Results of an MCP server are passed on as it sent them, and so are not checked against its Hand's `returns`."""
    returns = {} if row.method.startswith(SERVERS) else row.returns
    return Offer(tool=_tool(way, row, returns), way=way, hand=_hand_of(way.method, works), returns=returns)


def _hand_of(method: str, works: Mapping[str, Work]) -> str:
    hand = method.removeprefix(_RUN)
    return hand if hand != method and hand in works else ""


def _tool(way: tools.Offered, row: Row, returns: Mapping[str, str]) -> Tool:
    """The tool for the protocol. Its hints were pinned when its provider was installed."""
    hints = ToolAnnotations(
        read_only_hint=row.effect == "read",
        destructive_hint=row.effect != "read",
        idempotent_hint=row.idempotent,
        open_world_hint=row.effect == "external",
    )
    return Tool(
        name=way.tool.name, title=row.method, description=way.tool.description,
        input_schema=dict(way.tool.parameters), output_schema=schema_of(returns), annotations=hints,
    )  # fmt: skip
