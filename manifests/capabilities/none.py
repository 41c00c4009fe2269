"""Kind `none`: a method that acts on no resource, so that its resource is the empty text (pure).

Patterns: only `*` (or `**`) makes sense, and those are no kind's own. An empty list still covers nothing: it is how one
asks for nothing.
"""

from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("*",)


def normalise(text: str) -> str:
    """The empty text; ResourceInvalid for any other."""
    if text:
        raise ResourceInvalid("this method acts on no resource, so none may be given")
    return ""


def check_pattern(pattern: str) -> None:
    """PatternInvalid: no other pattern but `*` and `**` suits it."""
    raise PatternInvalid(f'"{pattern}" names a resource, but this method acts on none', 'write ["*"]')


def covers(_pattern: str, _resource: str) -> bool:
    """No pattern does."""
    return False


def includes(_wide: str, _narrow: str) -> bool:
    """No pattern does."""
    return False
