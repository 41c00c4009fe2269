"""Turns a value from a feed or an engine into one short line of text that can be sent (pure)."""

import html
import re
from typing import Final

LINE_MOST: Final = 1000
"""Characters."""

_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")


def line(value: object, *, tag: str | None = None) -> str:
    """The line. tag: replaces each HTML tag; None if the text is not HTML, so `<` and `&` stand for themselves."""
    text = whole(value)
    if tag is not None:
        text = _unescaped(_TAG.sub(tag, text))
    return " ".join(text.split())[:LINE_MOST]  # last, since a character reference may mean a line feed


def whole(value: object) -> str:
    """The whole text, with `?` for lone surrogates, which a character reference may mean."""
    return str(value).encode("utf-8", "replace").decode()


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a character number of thousands of digits
        return text
