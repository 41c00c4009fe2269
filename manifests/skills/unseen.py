"""Finds text in Markdown that rendering omits and that a model reads (pure; CommonMark 0.31 §4.6, §4.7, §6.3).

HTML comments are the well-known way. Others work as well: processing instructions, declarations, hidden elements, and the
titles, addresses and names of link definitions. Nothing is parsed: text that may be omitted is reported. Takes time linear
in the text.
"""

import re
from collections.abc import Iterator
from heapq import merge
from typing import Final

Unseen = tuple[int, str]
"""An offset in the text, and the text that rendering omits there."""

_ENDS: Final = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}
_BEGIN: Final = re.compile(r"<!--|<!\[CDATA\[|<\?|<!(?=[A-Za-z])")
_TITLE: Final = r""""[^"]{0,2000}"|'[^']{0,2000}'|\([^()]{0,2000}\)"""
_DEFINED: Final = re.compile(
    r"^[ \t>*+-]{0,20}\[(?!\^)([^\[\]\n]{1,999})\]:[ \t]*(?:\n[ \t>]{0,20})?"
    r"(?:(#|<>)[ \t]*(?:\n[ \t>]{0,20}(?=[\"'(]))?("
    rf"{_TITLE}"
    r"|\S[^\n]*)?|(<[^<>\n]{1,2000}>|[^\s<]\S{0,2000})"
    rf"(?:[ \t]*(?:(?<=[ \t])|\n[ \t>]{{0,20}})({_TITLE})[ \t]*$)?)",
    re.MULTILINE,
)
"""A link definition: its name, then `#` or `<>` and what follows, or an address and its title."""

_LINKED: Final = re.compile(rf"\]\([ \t]*(?:<[^<>\n]{{0,2000}}>|[^\s<()]{{1,2000}})\s+({_TITLE})\s*\)")
_TAG: Final = re.compile(r"<([A-Za-z][A-Za-z0-9-]*)(?=[\s/>])[^<>]*>")
_HIDES: Final = re.compile(
    r"(?i)\shidden(?=[\s=/>])|(?:display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d]))"
)
_NEVER_SHOWN: Final = frozenset({"noscript", "script", "style", "template", "title"})
_SHOWN: Final = 500
"""The most characters reported of an element's content."""


def find_unseen(text: str) -> Iterator[Unseen]:
    """Yield what rendering omits, in the order of the text."""
    return merge(_between(text), _defined(text), _titles(text), _elements(text))


def _between(text: str) -> Iterator[Unseen]:
    """Yield comments, instructions, declarations and CDATA sections; one without an end extends to the end of the text."""
    at = 0
    while begin := _BEGIN.search(text, at):
        end = text.find(_ENDS[begin[0]], begin.end())
        at = len(text) if end < 0 else end
        yield begin.start(), text[begin.end() : at]


def _defined(text: str) -> Iterator[Unseen]:
    """Yield the texts of link definitions other than a plain address, and their names of several words that no link uses."""
    named: set[str] | None = None
    for found in _DEFINED.finditer(text):
        name, _, aside, target, title = found.groups()
        said = aside or title or (target if target and " " in target else "")
        if not said and " " in name:
            named = _names(text) if named is None else named
            said = name if _folded(name) not in named else ""
        if said:
            yield found.start(1), said


def _names(text: str) -> set[str]:
    """Return the folded texts in brackets that are not link definitions."""
    return {_folded(one[1]) for one in re.finditer(r"\[([^\[\]\n]{1,999})\](?!:)", text)}


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _titles(text: str) -> Iterator[Unseen]:
    for found in _LINKED.finditer(text):
        yield found.start(), found[1]


def _elements(text: str) -> Iterator[Unseen]:
    for tag in _TAG.finditer(text):
        if tag[1].lower() in _NEVER_SHOWN or _HIDES.search(tag[0]):
            yield tag.start(), text[tag.start() : tag.end() + _SHOWN]
