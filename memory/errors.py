"""The errors of memory, as one tree (pure).

StoreError            code: its short name; str: what happened, and what to do
├── Invalid           an argument cannot be stored or queried: nothing has changed
├── Absent            there is no such item: the same text whether it never existed, is gone, or is another space's
├── Conflict          the item has changed since the caller read it: read again, and decide again
├── Full              the disk or the owner's quota is full: nothing has changed, reading goes on
└── Damaged           the file differs from what was written: `verify` says what is intact
"""

from typing import ClassVar, Final

ASTRAY: Final = "an index of this memory names what is not there: `maniple memory verify` mends it"


class StoreError(Exception):
    """Base of all errors of memory. The Hand answers it as Failed(code)."""

    code: ClassVar[str] = "memory"


class Invalid(StoreError):
    """An argument cannot be stored or queried."""

    code = "arguments"


class Absent(StoreError):
    """There is no such item in this namespace."""

    code = "absent"


class Conflict(StoreError):
    """The item has changed since the caller read it."""

    code = "conflict"


class Full(StoreError):
    """No room, on the disk or in the owner's quota."""

    code = "full"


class Damaged(StoreError):
    """The file differs from what was written to it."""

    code = "damaged"
