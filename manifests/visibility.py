"""Which characters are visible (pure): one definition for resources, skills, texts in the log and the screen.

Separate from capabilities/spelling.py because every command needs it, and nothing else of that module.
Source: Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties for INVISIBLE; Python's `isprintable` for the rest.
"""

from typing import Final

INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | {
    chr(point) for point in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Letters and marks that are drawn as nothing."""

WHITESPACE: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
"""How line ends and tabs are written where a text must be one visible line: people know these, and no code points."""


def is_visible(text: str) -> bool:
    """Whether all characters of a line are visible: none is drawn as nothing, moves the cursor or reorders others."""
    return text.isprintable() and (text.isascii() or INVISIBLE.isdisjoint(text))
