"""A value that lies deeper than any line of a program's tells, and not deeper than the bus carries (pure).

How deep that is depends on the Python: until 3.12 each level of a comprehension takes two of the interpreter's thousand.
"""

import sys
from typing import Final

LEVELS: Final = 700 if sys.version_info < (3, 12) else 1_200


def nested(levels: int = LEVELS) -> object:
    """None, in so many lists."""
    value: object = None
    for _ in range(levels):
        value = [value]
    return value
