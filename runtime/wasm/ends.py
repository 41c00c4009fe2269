"""The ends of a guest's call, with their codes and texts (pure).

    Ended       raised on the guest's thread: ends the call with this code and text; becomes runtime.Failure
    Exited      raised by proc_exit: a program ended by itself, with this number
    Unfit       raised for a module that cannot be compiled, loaded or called; its text says why

Codes: `fuel`, `deadline`, `memory`, `table`, `stack`, `trap`, `exit`, `cancelled`, `malformed`, and those of a guest's own
`maniple.fail`.
"""

import re
from collections.abc import Sequence
from typing import Final

from manifests.values import format_size
from wire.errors import ManipleError

LONGEST_WHERE: Final = 200
MOST_NAMES: Final = 3
"""Most characters that say where it trapped, and most functions named there."""

_LONGEST_PART: Final = 3  # digits of the length of a mangled name's part


class Ended(ManipleError):
    """The guest's call fails with this code and text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Exited(ManipleError):
    """The guest called proc_exit."""

    def __init__(self, number: int) -> None:
        super().__init__(f"it ended with proc_exit({number})")
        self.number = number


class Unfit(ManipleError):
    """The module cannot run, or not on this machine; the text says why."""


TRAPS: Final = {
    0: ("stack", "its stack is used up: it recursed too deep"),
    1: ("trap", "it reached outside of its memory"),
    2: ("trap", "an atomic access was not aligned"),
    3: ("trap", "it reached outside of a table"),
    4: ("trap", "it called an empty entry of a table"),
    5: ("trap", "it called a function of another type"),
    6: ("trap", "an integer overflowed"),
    7: ("trap", "it divided by zero"),
    8: ("trap", "it converted a number to an integer that cannot hold it"),
    9: ("trap", "it reached `unreachable`, which is how compiled programs give up"),
    10: ("deadline", "it was interrupted"),
    11: ("fuel", "its fuel is used up"),
    12: ("trap", "it waited on memory that is not shared"),
    13: ("trap", "it used a null reference"),
}
"""wasmtime_trap_code_t → code and text."""

_GAVE_UP: Final = frozenset((1, 9))
_NEARLY: Final = 1024 * 1024

_RESOURCES: Final = (
    ("exceeds memory limits", "memory"),
    ("memory count too high", "memory"),
    ("exceeds table limits", "table"),
    ("table count too high", "table"),
    ("Cannot allocate memory", "memory"),
    ("failed to create memory", "memory"),
    ("out of memory", "memory"),
)
"""Parts of wasmtime's messages for an instance that is too large, and the limit each is about."""


def of_trap(code: int, names: Sequence[str], *, memory: int, most: int) -> Ended:
    """The end for a trap. names: of the innermost functions. memory: bytes the guest had. most: bytes it could have.

    A program that gets no more memory traps: then the memory limit is the reason to report.
    """
    where = _where(names)
    if code in _GAVE_UP and memory > most - _NEARLY:
        return Ended("memory", f"it had all the memory it may have, {format_size(most)}, and gave up{where}")
    kind, text = TRAPS.get(code, ("trap", f"it trapped, with code {code} of wasmtime's"))
    return Ended(kind, text + where)


def of_error(message: str) -> Ended:
    """The end for an error other than a trap, such as an instance that is too large."""
    last = message.strip().rpartition("\n")[2].strip()
    last = re.sub(r"^\d+: ", "", last)
    for part, code in _RESOURCES:
        if part in message:
            return Ended(code, f"it cannot be instantiated: {last}")
    return Ended("malformed", f"it cannot be instantiated: {last}")


def _where(names: Sequence[str]) -> str:
    """` (in f, called by g)`; "" when there are no names."""
    text = ", called by ".join(map(_readable, names))
    return f" (in {text[:LONGEST_WHERE]})" if names else ""


def _readable(name: str) -> str:
    """A function's name in one line; demangles only names of C++ and Rust like `_ZN3foo3barE`, to foo::bar."""
    parts, rest = [], name.removeprefix("_ZN") if name.startswith("_ZN") else ""
    while (size := re.match(rf"[1-9][0-9]{{,{_LONGEST_PART - 1}}}", rest)) is not None:
        begin, end = size.end(), size.end() + int(size[0])
        parts.append(rest[begin:end])
        rest = rest[end:]
    whole = "::".join(parts) if parts and rest.startswith("E") else name
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in whole)
