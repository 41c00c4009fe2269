"""Semantic versions: syntax and precedence (pure).

Separate because both the checker and the refusal of downgrades need it. Follows SemVer 2.0.0, sections 9 to 11:
a pre-release is older than its release, and build metadata is ignored.
"""

import re
from typing import Final

LONGEST: Final = 64
_SEMVER: Final = (
    r"(?a)(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)

Rank = tuple[tuple[int, int, int], bool, tuple[tuple[int, int, str], ...]]


def is_version(text: str) -> bool:
    """Whether the text is a SemVer of at most 64 characters."""
    return len(text) <= LONGEST and re.fullmatch(_SEMVER, text) is not None


def rank(version: str) -> Rank:
    """Return a value that orders versions by precedence. Raises ValueError if the text is not a version."""
    match = re.fullmatch(_SEMVER, version) if len(version) <= LONGEST else None
    if match is None:
        raise ValueError(f"{version!r} is not a version")
    major, minor, patch, pre = match.groups()
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return (int(major), int(minor), int(patch)), not pre, parts


def is_older(version: str, than: str) -> bool:
    """Whether `version` comes before `than`; both must be versions."""
    return rank(version) < rank(than)


def next_patch(version: str) -> str:
    """Return the release that follows a version: its patch number plus one."""
    (major, minor, patch), *_ = rank(version)
    return f"{major}.{minor}.{patch + 1}"
