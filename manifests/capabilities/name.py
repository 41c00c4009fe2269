"""Kind `name`: one plain word, such as a Hand, an event or a model (pure).

A name has 1 to 256 of the ASCII characters A-Z a-z 0-9 . _ @ + - and starts with a letter or digit. It is case-sensitive.
A name has only one spelling, so its normal form is itself; look-alikes are refused because they are not ASCII.

Patterns: a name with `*` for any number of characters, dots included (`data-pipeline.*`); `*` or `**` alone covers every
name.
"""

import re
from typing import Final

from manifests.capabilities.glob import fits
from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("monitoring", "data-pipeline.*", "*")
_NAME: Final = r"(?a)[A-Za-z0-9][A-Za-z0-9._@+-]{0,255}"
_PATTERN: Final = r"(?a)[A-Za-z0-9*][A-Za-z0-9._@+*-]{0,255}"
_CHARACTERS: Final = "letters, digits and . _ @ + -, starting with a letter or digit"


def normalise(text: str) -> str:
    """Return the name itself. Raises ResourceInvalid if the text is not a name."""
    if not re.fullmatch(_NAME, text):
        raise ResourceInvalid(f"a name has 1 to 256 {_CHARACTERS}")
    return text


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid if the pattern can match no name."""
    if not re.fullmatch(_PATTERN, pattern) or "**" in pattern:
        raise PatternInvalid(f'"{pattern}" is not a name', f"write {_CHARACTERS}, with * for any part")


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the name, which is in normal form. Never raises."""
    return fits(pattern, resource)


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises."""
    return fits(wide, narrow)
