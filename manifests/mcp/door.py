"""The files of a door, the Hand through which clients of the Model Context Protocol come in from outside (pure).

What may be done through a door is what its Hand was granted, and nothing besides: a client is nobody else than the door,
and its calls are checked, held, paid and logged as every Hand's. A door is supervised unless the operator says otherwise.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from manifests.readers import LONGEST_TEXT
from wire.errors import ManipleError

PREFIX: Final = "door-"
FILE: Final = "door.json"
"""The file of the Hand's folder that holds what the Hands take which clients may start; sealed as every other."""

TALK: Final = "talk"
"""The last word of the method that is a client's stream of messages, a line of JSON-RPC each."""

CONNECT: Final = "connect"
"""The last word of the method that is a client's connection over HTTP."""

CHANGED: Final = "kernel.methods"
"""The event by which a door hears that what can be called may have changed."""

MARK: Final = "mcp"
"""What everything that a client says is marked with."""

MAIN: Final = '''"""A door for clients of the Model Context Protocol; HAND.toml says what may be done through it."""

from runtime.mcp.door import Door

__all__ = ["Door"]
'''

SPAWN: Final = "kernel.spawn"
STOP: Final = "kernel.stop"
_RUNS: Final = "r-*"
"""Ids of runs: the kernel lets a Hand stop those that it began."""

CLIENTS_MOST: Final = 32
"""Streams that may be open at once, each a client's."""

_OTHERS: Final = 64  # calls that the clients of a door may have open, all together


class Work(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task Hand that clients may start. params: what its work takes, None where that cannot be told."""

    summary: str
    params: dict[str, str] | None = None


class Works(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What FILE holds: each by its Hand's name."""

    hands: dict[str, Work] = {}


class WorksInvalid(ManipleError):
    """FILE cannot be read."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What the operator offers. name: without PREFIX. methods: each with the patterns of its resources.

    hands: task Hands that clients may start. lends: the most that their runs may do, methods with patterns.
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
    """The tables of its HAND.toml."""
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


def written(works: Works) -> bytes:
    """As JSON."""
    return msgspec.json.encode(works)


def read(raw: bytes) -> Works:
    """The content of FILE. Raises WorksInvalid."""
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
