"""Hints in messages (pure): commands to type next, between backquotes and beginning with `maniple`."""

import re
import shlex
from typing import Final

from manifests.visibility import is_visible

_HINT: Final = re.compile(r"`maniple( [^`]*)`")


def with_home(text: str, home: str) -> str:
    """Add `--home HOME` to each hint in a text that has none; "" leaves the text as it is.

    A hint without it, typed as shown, would act on another home.
    """
    if not home:
        return text
    return _HINT.sub(
        lambda hint: hint[0] if "--home" in hint[1] else f"`maniple --home {_shell_quoted(home)}{hint[1]}`", text
    )


def decide_hint(run: str) -> str:
    """The commands that decide about a run whose code was upgraded."""
    return f"`maniple decide {run} finish`, or `… restart`, or `maniple cancel {run}`"


def _shell_quoted(home: str) -> str:
    """Quote a path for a shell, in one line of visible characters: as $'…' (POSIX.1-2024) if it has others."""
    if is_visible(home):
        return shlex.quote(home)
    return "$'" + "".join(map(_escaped, home)) + "'"


def _escaped(char: str) -> str:
    if is_visible(char) and char not in "'\\":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))
