"""Recognises pictures of the four types that models accept, by their first bytes (pure). File names do not count.

Used by the command line for files that go with a question, and by agents for what tools return, so that both accept the same.
The signatures are those of the WHATWG's MIME Sniffing Standard (section 6.1), without the last two letters of WebP's.
"""

import re
from typing import Final

_BEGINNINGS: Final = re.compile(
    rb"(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF....WEBP)", re.DOTALL
)


def media(content: bytes) -> str:
    """Return the media type of a picture, such as image/png; "" if it is none."""
    found = _BEGINNINGS.match(content)
    return f"image/{found.lastgroup}" if found else ""
