"""What goes wrong in a memory, as one tree (pure).

StoreError            code: its short name; str: what happened, and what to do
├── Invalid           what was given cannot be stored or asked: nothing has changed
├── Absent            there is no such item: the same words whether it never was, is gone, or is somebody else's
├── Conflict          it has changed since the caller read it: read again, and decide again
├── Full              the disk or the owner's quota takes no more: nothing has changed, reading goes on
└── Damaged           the file is not what was written: `verify` says what of it holds
"""

from typing import ClassVar, Final

ASTRAY: Final = "an index of this memory names what is not there: `maniple memory verify` mends it"


class StoreError(Exception):
    """Something a memory says no to; the Hand answers it as Failed(code)."""

    code: ClassVar[str] = "memory"


class Invalid(StoreError):
    """What was given cannot be stored or asked for."""

    code = "arguments"


class Absent(StoreError):
    """There is no such item in this namespace."""

    code = "absent"


class Conflict(StoreError):
    """The item is not as the caller saw it."""

    code = "conflict"


class Full(StoreError):
    """No room, on the disk or in the owner's quota."""

    code = "full"


class Damaged(StoreError):
    """The file does not hold what was written to it."""

    code = "damaged"
