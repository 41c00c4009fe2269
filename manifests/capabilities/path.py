"""Kind `path`: a file or folder under one of the named roots that the operator granted (pure).

A path looks like `root/folder/file`; its first part is the root's name (`reports`, `scratch`). It is checked as text
only: the provider opens it beneath the root's descriptor, following no link. Refused are `.` and `..`, absolute paths,
doubled slashes, backslashes, `*` (reserved for patterns), invisible characters, Unicode forms other than NFC, spaces at
either end of a part, and parts over 255 bytes. One slash at the end is dropped. Case-sensitive.

Patterns: `*` is any number of characters within one part, `**` any number of parts, even none: `reports/*.csv`,
`reports/**` (the folder itself and all below it), `reports/**/total.csv`. `*` or `**` alone covers every path.
"""

import re
from typing import Final

from manifests.capabilities.glob import fault, fits_all
from manifests.capabilities.namespace import SPACES
from manifests.capabilities.spelling import is_nfc, is_too_long, oddity
from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("reports/**", "reports/*.csv", "*")
LONGEST_PART: Final = 255
_ROOT: Final = r"(?a)[a-z0-9]+(?:-[a-z0-9]+)*"
_ROOT_PATTERN: Final = r"(?a)[a-z0-9*]+(?:-[a-z0-9*]+)*"


def is_root(text: str) -> bool:
    """Whether a text is well formed as the name of a root, the first part of a path."""
    return re.fullmatch(_ROOT, text) is not None and len(text) <= LONGEST_PART


def normalise(text: str) -> str:
    """Return the path without a slash at its end. Raises ResourceInvalid with the reason if it is not a path."""
    path = text[:-1] if text.endswith("/") and len(text) > 1 else text
    why = _complaint(path)
    if why:
        raise ResourceInvalid(why)
    if "*" in path:
        raise ResourceInvalid('it holds a "*", which only a grant may')
    if not re.fullmatch(_ROOT, path.partition("/")[0]):
        raise ResourceInvalid(
            "it does not begin with the name of a root (small letters, digits and -), as in reports/a.csv"
        )
    if path.partition("/")[0] in SPACES:
        raise ResourceInvalid(f"{path.partition('/')[0]} is not a root: it is a space of memories")
    return path


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid if the pattern can match no path, or is not in normal form."""
    why = _complaint(pattern) or fault(tuple(pattern.split("/")))
    if why:
        raise PatternInvalid(
            f'"{pattern}" is not a path pattern: {why}', 'write one like "reports/**" or "reports/*.csv"'
        )
    if not re.fullmatch(_ROOT_PATTERN, pattern.partition("/")[0]):
        raise PatternInvalid(
            f'"{pattern}" does not begin with the name of a root',
            'write "root/...", with a name that `maniple roots` lists',
        )


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the path, which is in normal form. Never raises."""
    return fits_all(tuple(pattern.split("/")), tuple(resource.split("/")))


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises. Sound; complete except for `**` next to `*`."""
    return fits_all(tuple(wide.split("/")), tuple(narrow.split("/")))


def _complaint(path: str) -> str:
    if not path:
        return "it is empty"
    if odd := oddity(path):
        return odd
    if is_too_long(path):
        return "it is longer than 1 KiB"
    if path.startswith("/"):
        return "it is absolute; a path begins with the name of a root"
    if "\\" in path:
        return "it holds a backslash"
    if not is_nfc(path):
        return "it is not in Unicode's composed form (NFC)"
    return next(filter(None, map(_part_complaint, path.split("/"))), "")


def _part_complaint(part: str) -> str:
    if not part:
        return "it holds a doubled slash"
    if part in (".", ".."):
        return f'it holds a "{part}"'
    if part != part.strip(" "):
        return "a part of it begins or ends with a space"
    return "a part of it is longer than 255 bytes" if len(part.encode()) > LONGEST_PART else ""
