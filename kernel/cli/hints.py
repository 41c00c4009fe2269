"""The next command to type, as it stands in what is said (pure): between backquotes, and beginning with `maniple`."""

import re
import shlex
from typing import Final

_HINT: Final = re.compile(r"`maniple( [^`]*)`")


def with_home(text: str, home: str) -> str:
    """The text, whose hints name the home that was named by --home; "" for none leaves all as it is.

    Who typed --home and then types a hint as it stands would otherwise act on another home.
    """
    if not home:
        return text
    return _HINT.sub(
        lambda hint: hint[0] if "--home" in hint[1] else f"`maniple --home {shlex.quote(home)}{hint[1]}`", text
    )
