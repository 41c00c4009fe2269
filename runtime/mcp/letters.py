"""Replaces halves of surrogate pairs in JSON (pure), so that a message with one can be read.

A program that cuts a text within a character beyond U+FFFF writes half of a surrogate pair as an escape, which JSON allows
(RFC 8259 §8.2) and no parser here accepts: it is not a character, and cannot be encoded.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)
"""One escape: a pair, half a pair, or any other, so that text after an escaped backslash is not taken for an escape."""


def replace_halves(line: bytes) -> bytes:
    """The JSON text with U+FFFD in place of each half of a surrogate pair."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], line)
