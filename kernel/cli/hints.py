"""The next command to type, as it stands in what is said (pure): between backquotes, and beginning with `maniple`."""

import re
import shlex
from typing import Final

from manifests.visibility import is_visible

_HINT: Final = re.compile(r"`maniple( [^`]*)`")


def with_home(text: str, home: str) -> str:
    """The text, whose hints name the home that was named by --home; "" for none leaves all as it is.

    Who typed --home and then types a hint as it stands would otherwise act on another home.
    """
    if not home:
        return text
    return _HINT.sub(
        lambda hint: hint[0] if "--home" in hint[1] else f"`maniple --home {_quoted(home)}{hint[1]}`", text
    )


def _quoted(home: str) -> str:
    """As a shell reads it, in one line of characters that can be seen: $'…' (POSIX.1-2024) where there are others."""
    if is_visible(home):
        return shlex.quote(home)
    return "$'" + "".join(map(_spelled, home)) + "'"


def _spelled(char: str) -> str:
    if is_visible(char) and char not in "'\\":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))
