"""Whose memory a call is about (pure): parses the delivered namespace into a file and a space within it.

The kernel has already replaced `own` and sessions by the caller's immutable id (manifests/capabilities/namespace.py), so
nothing is resolved here, and nothing in a call's body has a say in it.
"""

from typing import Final

from msgspec import Struct

PLAIN: Final = ""
"""The space of a file outside its sessions."""


class Place(Struct, frozen=True, kw_only=True):
    """Where a call reads and writes. owner: `own/ID` or `shared/NAME`, a file. space: in it, PLAIN or `session/KEY`."""

    owner: str
    space: str


def place_of(resource: str) -> Place:
    """Parses a namespace in the form that the kernel delivers. Raises ValueError for any other."""
    kind, _, rest = resource.partition("/")
    name, _, session = rest.partition("/")
    if kind not in ("own", "shared") or not name or (session and kind == "shared"):
        raise ValueError(f"{resource!r} was not delivered by a kernel")
    return Place(owner=f"{kind}/{name}", space=session or PLAIN)
