"""A line of text out of what a feed or an engine tells (pure): short, without a line's end, in letters that can be sent."""

import html
import re
from typing import Final

LINE_MOST: Final = 1000
"""Characters."""

_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")


def line(told: object, *, tag: str | None = None) -> str:
    """The line. tag: what stands where a tag stood; None of what is no HTML, in which `<` and `&` are what they look like."""
    text = whole(told)
    if tag is not None:
        text = _unescaped(_TAG.sub(tag, text))
    return " ".join(text.split())[:LINE_MOST]  # at last, for a reference may name the end of a line


def whole(told: object) -> str:
    """What was told, in letters alone that can be sent: a reference may name half a one."""
    return str(told).encode("utf-8", "replace").decode()


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a letter whose number has thousands of digits
        return text
