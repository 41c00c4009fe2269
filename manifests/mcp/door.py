"""The files of a door, the Hand through which MCP clients make calls (pure).

Clients of a door may do only what its Hand was granted: to the kernel a client is the door, and its calls are checked,
held, paid and logged like every Hand's. A door is supervised unless the operator says otherwise.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from manifests.readers import LONGEST_TEXT
from wire.errors import ManipleError

PREFIX: Final = "door-"
FILE: Final = "door.json"
"""The file in the Hand's folder that describes the Hands that clients may start; sealed like all its files."""

TALK: Final = "talk"
"""The last word of the method for a client's stream of messages, one line of JSON-RPC each."""

CONNECT: Final = "connect"
"""The last word of the method for a client's HTTP connection."""

CHANGED: Final = "kernel.methods"
"""The event that tells a door that the callable methods may have changed."""

MARK: Final = "mcp"
"""The label of all data from clients."""

MAIN: Final = '''"""A door for clients of the Model Context Protocol; HAND.toml says what may be done through it."""

from runtime.mcp.door import Door

__all__ = ["Door"]
'''

SPAWN: Final = "kernel.spawn"
STOP: Final = "kernel.stop"
_RUNS: Final = "r-*"
"""A pattern of run ids. The kernel lets a Hand stop only runs that it began."""

CLIENTS_MOST: Final = 32
"""The most streams open at once, one per client."""

_OTHERS: Final = 64  # the most calls that all clients of a door have open together


class Work(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task Hand that clients may start. params: of its work, None if unknown."""

    summary: str
    params: dict[str, str] | None = None


class Works(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of FILE. hands: by name."""

    hands: dict[str, Work] = {}


class WorksInvalid(ManipleError):
    """FILE cannot be read."""


class Wanted(Struct, frozen=True, kw_only=True):
    """The operator's description of a door. name: without PREFIX. methods: by name, the patterns of their resources.

    hands: task Hands that clients may start. lends: the most that their runs may do, patterns by method.
    """

    name: str
    version: str = "1.0.0"
    methods: Mapping[str, tuple[str, ...]] = {}
    hands: Mapping[str, Work] = {}
    lends: Mapping[str, tuple[str, ...]] = {}
    autonomy: str = "supervised"

    @property
    def hand(self) -> str:
        """The name of its Hand."""
        return f"{PREFIX}{self.name}"


def manifest_of(wanted: Wanted) -> Mapping[str, object]:
    """Return the tables of a door's HAND.toml."""
    held: dict[str, object] = {method: list(patterns) for method, patterns in wanted.methods.items()}
    if wanted.hands:
        agreed = {"approval": False} if wanted.autonomy == "supervised" else {}
        held[SPAWN] = {"allow": list(wanted.hands), **agreed}
        held[STOP] = {"allow": [_RUNS], **agreed}
    return {
        "hand": {
            "name": wanted.hand,
            "version": wanted.version,
            "description": _description(wanted),
            "entry": "main:Door",
            "kind": "service",
            "isolation": "exec",
            "autonomy": wanted.autonomy,
            "idle": "10m",
        },
        "capabilities": held,
        "events": {"subscribes": [CHANGED]},
        "lends": {method: list(patterns) for method, patterns in wanted.lends.items()},
        "provides": {
            f"{wanted.hand}.{TALK}": _row("Talk with a client: lines of JSON-RPC both ways", {}),
            f"{wanted.hand}.{CONNECT}": _row(
                "A client's connection: HTTP both ways", {"digest": "string", "port": "int"}
            ),
        },
        "limits": {
            "memory": "512MiB",
            "wall": "7d",
            "processes": 32,
            "calls_per_minute": 60_000,
            "in_flight": CLIENTS_MOST + _OTHERS,
        },
    }


def encode(works: Works) -> bytes:
    """Encode the content of FILE."""
    return msgspec.json.encode(works)


def read(raw: bytes) -> Works:
    """Decode the content of FILE. Raises WorksInvalid."""
    try:
        return msgspec.json.decode(raw, type=Works)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WorksInvalid(f"{FILE} cannot be read: {error}; `maniple mcp offer` writes it") from None


def _description(wanted: Wanted) -> str:
    return f"What MCP clients may do here as {wanted.name}: {', '.join((*wanted.methods, *wanted.hands))}."[
        :LONGEST_TEXT
    ]


def _row(summary: str, params: dict[str, str]) -> dict[str, object]:
    return {"summary": summary, "resource": "none", "effect": "read", "labels": [MARK], "params": params}
