"""The files of a door, the Hand through which clients of the Model Context Protocol come in from outside (pure).

What may be done through a door is what its Hand was granted, and nothing besides: a client is nobody else than the door,
and its calls are checked, held, paid and logged as every Hand's. A door is supervised unless the operator says otherwise.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from manifests.readers import LONGEST_TEXT

PREFIX: Final = "door-"
TALK: Final = "talk"
"""The last word of the method that is a client's stream of messages, a line of JSON-RPC each."""

MARK: Final = "mcp"
"""What everything that a client says is marked with."""

MAIN: Final = '''"""A door for clients of the Model Context Protocol; HAND.toml says what may be done through it."""

from runtime.mcp.door import Door

__all__ = ["Door"]
'''

CLIENTS_MOST: Final = 32
"""Streams that may be open at once, each a client's."""

_OTHERS: Final = 64  # calls that the clients of a door may have open, all together


class Wanted(Struct, frozen=True, kw_only=True):
    """What the operator offers. name: without PREFIX. methods: each with the patterns of its resources."""

    name: str
    version: str = "1.0.0"
    methods: Mapping[str, tuple[str, ...]] = {}
    autonomy: str = "supervised"

    @property
    def hand(self) -> str:
        """The name of its Hand."""
        return f"{PREFIX}{self.name}"


def manifest_of(wanted: Wanted) -> Mapping[str, object]:
    """The tables of its HAND.toml."""
    return {
        "hand": {
            "name": wanted.hand,
            "version": wanted.version,
            "description": _description(wanted),
            "entry": "main:Door",
            "kind": "service",
            "isolation": "exec",
            "autonomy": wanted.autonomy,
            "idle": "1m",
        },
        "capabilities": {method: list(patterns) for method, patterns in wanted.methods.items()},
        "provides": {f"{wanted.hand}.{TALK}": _row("Talk with a client: lines of JSON-RPC both ways")},
        "limits": {
            "memory": "512MiB",
            "wall": "7d",
            "processes": 32,
            "calls_per_minute": 6_000,
            "in_flight": CLIENTS_MOST + _OTHERS,
        },
    }


def _description(wanted: Wanted) -> str:
    return f"What MCP clients may do here as {wanted.name}: {', '.join(wanted.methods)}."[:LONGEST_TEXT]


def _row(summary: str) -> dict[str, object]:
    return {"summary": summary, "resource": "none", "effect": "read", "labels": [MARK]}
