"""A value nested more deeply than Python can recurse, and not more deeply than the bus carries (pure).

The depth depends on the Python version: before 3.12 each level of a comprehension takes two of the interpreter's 1,000.
"""

import sys
from typing import Final

LEVELS: Final = 700 if sys.version_info < (3, 12) else 1_200


def nested(levels: int = LEVELS) -> object:
    """None inside `levels` lists."""
    value: object = None
    for _ in range(levels):
        value = [value]
    return value
