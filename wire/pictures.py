"""Which bytes are a picture (pure): those that begin as the four kinds do that models take. A name says nothing of it.

Asked by the command line for what goes with a question, and by agents for what tools return: what one takes, the other does.
The beginnings are those of the WHATWG's MIME Sniffing Standard (section 6.1), but for the last two letters of WebP's.
"""

import re
from typing import Final

_BEGINNINGS: Final = re.compile(
    rb"(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF....WEBP)", re.DOTALL
)


def media(content: bytes) -> str:
    """Its type, such as image/png; "" for what is none."""
    found = _BEGINNINGS.match(content)
    return f"image/{found.lastgroup}" if found else ""
