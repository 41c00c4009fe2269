"""JSON that names half a letter (pure): a message of which is read, instead of not at all.

A program that cuts a text within a letter beyond the first 65,536 writes half of a surrogate pair as an escape, which JSON
allows (RFC 8259 §8.2) and no reader here takes: it is no letter, and cannot be sent on.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)
"""One escape: a pair, half a pair, or any other, so that what follows a backslash that is itself escaped is no escape."""


def whole(line: bytes) -> bytes:
    """The same text of JSON with the sign for what is no letter, U+FFFD, in place of each half of one."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], line)
