"""Names that are valid for Hands, labels, params and settings (pure).

Separate because the checker and the seal must agree on it, and the seal is read without the checker.
"""

import re
from typing import Final

LONGEST_NAME: Final = 64
RESERVED: Final = ("kernel", "operator", "maniple", "own", "scratch", "state")
"""Names that no Hand may have: they have a meaning as principal, resource or folder."""

_HAND: Final = r"(?a)[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_FIELD: Final = r"(?a)[a-z][a-z0-9_]*"


def is_hand_name(text: str) -> bool:
    """Whether a text may be the name of a Hand, an event or a label: kebab-case, at most 64 characters."""
    return len(text) <= LONGEST_NAME and re.fullmatch(_HAND, text) is not None


def is_field(text: str) -> bool:
    """Whether a text may be the name of a param or setting: small letters, digits and "_", at most 64 characters."""
    return len(text) <= LONGEST_NAME and re.fullmatch(_FIELD, text) is not None
