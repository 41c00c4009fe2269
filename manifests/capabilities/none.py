"""Kind `none`: no resource, written as the empty text (pure).

Its only patterns are `*` and `**`, which belong to no kind. An empty list of patterns still covers nothing.
"""

from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("*",)


def normalise(text: str) -> str:
    """Return the empty text. Raises ResourceInvalid for any other."""
    if text:
        raise ResourceInvalid("this method acts on no resource, so none may be given")
    return ""


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid: no pattern other than `*` and `**` matches the empty text."""
    raise PatternInvalid(f'"{pattern}" names a resource, but this method acts on none', 'write ["*"]')


def covers(_pattern: str, _resource: str) -> bool:
    """Return False: this kind has no patterns of its own."""
    return False


def includes(_wide: str, _narrow: str) -> bool:
    """Return False: this kind has no patterns of its own."""
    return False
