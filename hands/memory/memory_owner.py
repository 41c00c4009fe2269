"""Whose memory a call is about (pure): the namespace as the kernel delivers it, as a file and a space within it.

The kernel has put the caller's immutable id where it asked for `own` or a session (manifests/capabilities/namespace.py),
so there is nothing to work out here, and nothing of a call's body has a say in it.
"""

from typing import Final

from msgspec import Struct

PLAIN: Final = ""
"""The space of a file that is no session's."""


class Place(Struct, frozen=True, kw_only=True):
    """Where a call reads and writes. owner: `own/ID` or `shared/NAME`, one file; space: PLAIN or `session/KEY`, within it."""

    owner: str
    space: str


def place_of(resource: str) -> Place:
    """The place that a namespace stands for, in the form that the kernel delivers. ValueError for any other."""
    kind, _, rest = resource.partition("/")
    name, _, session = rest.partition("/")
    if kind not in ("own", "shared") or not name or (session and kind == "shared"):
        raise ValueError(f"{resource!r} was not delivered by a kernel")
    return Place(owner=f"{kind}/{name}", space=session or PLAIN)
