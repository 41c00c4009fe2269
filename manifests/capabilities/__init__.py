"""The kinds of resources, one file each, and the table that joins them (pure).

A method's provider declares the kind of its resource; the kernel normalises the resource by that kind, once, and matches
and delivers only the normal form. Normal forms and patterns show their own kind, so a grant need not state it:

    ""              none
    has "://"                        url
    begins with shared/, session/    namespace
    or own/
    has "/"                          path
    has ":"                          address
    else                             name, the root of a path, `own`, or a route to models (all are one segment)

Kinds that share a spelling match alike: names and roots, and paths and models, `PROVIDER/MODEL`. The method tells them
apart, and a grant is for a method.

`*` or `**` alone covers every resource of every kind, except the memory of a Hand by its id. To add a kind: a file with
the five names of `Kind`, a row in KINDS, a line in `kind_of`, rows in tests/disguises.py.
"""

from functools import lru_cache
from typing import Final, Protocol

from manifests.capabilities import address, model, name, namespace, none, path, url
from manifests.errors import PatternInvalid, ResourceInvalid


class Kind(Protocol):
    """The interface of each file of this folder. It is never given `*` or `**` alone: this module handles those."""

    EXAMPLES: tuple[str, ...]

    def normalise(self, text: str, /) -> str:
        """Return the normal form. Raises ResourceInvalid if there is none. normalise(normalise(x)) == normalise(x)."""

    def check_pattern(self, pattern: str, /) -> None:
        """Raise PatternInvalid, with what to write instead, unless the pattern may be granted."""

    def covers(self, pattern: str, resource: str, /) -> bool:
        """Whether a checked pattern covers a resource in normal form. Never raises."""

    def includes(self, wide: str, narrow: str, /) -> bool:
        """Whether a checked pattern covers all that another covers. Never raises; False if that is not certain."""


KINDS: Final[dict[str, Kind]] = {
    "none": none, "name": name, "path": path, "url": url, "address": address, "namespace": namespace,
    "model": model,
}  # fmt: skip
ANYTHING: Final = ("*", "**")
MOST_REMEMBERED: Final = 1024


_normal: Final[dict[str, bool]] = {}
"""A cache: texts, and whether each is in normal form. It saves parsing what was just normalised."""


@lru_cache(maxsize=MOST_REMEMBERED)
def normalise(kind: str, text: str) -> str:
    """Return the normal form of a resource of that kind. Raises ResourceInvalid if it has none, KeyError for the kind."""
    normal = KINDS[kind].normalise(text)
    _remember(normal, is_so=True)
    return normal


def kind_of(text: str) -> str:
    """Return the kind of a normal form or a pattern, by its spelling."""
    if not text:
        return "none"
    if "://" in text:
        return "url"
    if "/" in text:
        return "namespace" if text.partition("/")[0] in namespace.SPACES else "path"
    return "address" if ":" in text else "name"


def check_pattern(pattern: str, kind: str = "") -> None:
    """Raise PatternInvalid unless the pattern is well formed and, if a kind is given, matches resources of that kind."""
    if pattern in ANYTHING:
        return
    if not pattern:
        raise PatternInvalid("an empty pattern covers nothing", 'write ["*"] for everything or [] for nothing')
    KINDS[kind or kind_of(pattern)].check_pattern(pattern)


def is_normal(resource: str) -> bool:
    """Whether a text is a resource in normal form. Never raises."""
    known = _normal.get(resource)
    if known is not None:
        return known
    try:
        return _remember(resource, is_so=KINDS[kind_of(resource)].normalise(resource) == resource)
    except ResourceInvalid:
        return _remember(resource, is_so=False)


@lru_cache(maxsize=2048)
def is_pattern(pattern: str) -> bool:
    """Whether a text is a well-formed pattern. Never raises."""
    try:
        check_pattern(pattern)
    except PatternInvalid:
        return False
    return True


def covers(pattern: str, resource: str) -> bool:
    """Whether a pattern covers a resource.

    Total: False, not an error, for a malformed pattern and for a resource that is not in normal form.
    """
    if not is_normal(resource) or not is_pattern(pattern) or namespace.is_by_id(resource):
        return False
    return pattern in ANYTHING or _matcher(pattern, resource).covers(pattern, resource)


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers every resource that `narrow` covers. Total; False when either is malformed."""
    if not is_pattern(wide) or not is_pattern(narrow):
        return False
    if wide in ANYTHING or narrow in ANYTHING:
        return wide in ANYTHING
    return _matcher(wide, narrow).includes(wide, narrow)


def _matcher(pattern: str, other: str) -> Kind:
    """Return the kind that both texts share; `none`, which matches neither, if they differ."""
    mine, its = kind_of(pattern), kind_of(other)
    if mine == its:
        return KINDS[mine]
    return path if {mine, its} == {"name", "path"} else none


def _remember(resource: str, *, is_so: bool) -> bool:
    if len(_normal) >= MOST_REMEMBERED:
        _normal.clear()
    _normal[resource] = is_so
    return is_so
