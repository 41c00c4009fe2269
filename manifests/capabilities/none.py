"""Kind `none`: a method that acts on no resource, so that its resource is the empty text (pure).

Patterns: only `*` (or `**`) makes sense. An empty list still covers nothing: it is how one asks for nothing.
"""

from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("*",)


def normalise(text: str) -> str:
    """The empty text; ResourceInvalid for any other."""
    if text:
        raise ResourceInvalid("this method acts on no resource, so none may be given")
    return ""


def check_pattern(pattern: str) -> None:
    """PatternInvalid for anything but `*` and `**`."""
    if pattern not in ("*", "**"):
        raise PatternInvalid(f'"{pattern}" names a resource, but this method acts on none', 'write ["*"]')


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the resource, which is in normal form. Never raises."""
    return pattern in ("*", "**") and resource == ""


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises."""
    return wide in ("*", "**") and narrow in ("*", "**")
