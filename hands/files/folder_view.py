"""Shows folders and files as a caller sees them: facts, and names that are safe to print (acts only in listing).

A name on disk may be any bytes. A name that a resource can carry is shown as it is. Any other (not UTF-8, not NFC, with
control or direction characters, with a backslash) is shown escaped, with `escaped: true`, so that nothing is hidden and
no two names look alike: `\\xNN` for a byte that is not UTF-8, `\\uNNNN` or `\\UNNNNNNNN` for a character, `\\\\` for a
backslash.
"""

import fnmatch
import heapq
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from beneath import RESERVED, kind_of

MOST_DEFAULT: Final = 1000
MOST_MAX: Final = 10_000
PATTERN_MOST: Final = 1024
"""Characters of a pattern of names."""

REPLY_SIZE: Final = 512 * 1024
"""Bytes of names and facts in one reply; a body on the bus may have twice that. The rest comes with the next call."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = -62_135_596_800
_LAST: Final = 253_402_300_799
_FACTS_SIZE: Final = 110
_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"))


Entries = list[tuple[str, dict[str, object]]]
"""Each entry of a listing: its real name, and what the caller sees."""


def shown_name(name: str) -> tuple[str, bool]:
    """(the name as shown, whether it is escaped). name: as os.scandir gives it, with non-UTF-8 bytes as lone surrogates."""
    if name.isascii() and name.isprintable() and "\\" not in name:
        return name, False
    composed = _is_composed(name)
    text = "".join(_escaped(sign, composed) for sign in name)
    return text, text != name


def _is_composed(name: str) -> bool:
    return unicodedata.is_normalized("NFC", name)


def _escaped(sign: str, composed: bool) -> str:
    number = ord(sign)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    if sign == "\\":
        return "\\\\"
    if unicodedata.category(sign) in _UNSEEN or (not composed and number > 127):
        return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return sign


def timestamp(nanoseconds: int) -> str:
    """A file's time as RFC 3339 text with microseconds, in UTC, clamped to the years 1 to 9999."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    at = _EPOCH + timedelta(seconds=min(max(seconds, _FIRST), _LAST), microseconds=rest // 1000)
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


class Facts(NamedTuple):
    """The fields of os.stat_result that are shown: a tenth of its size."""

    st_mode: int
    st_size: int
    st_mtime_ns: int


def facts(found: os.stat_result | Facts) -> dict[str, object]:
    """An entry's kind, size and time, as a listing shows them. size: bytes; 0 unless it is a file."""
    size = found.st_size if stat.S_ISREG(found.st_mode) else 0
    return {"kind": kind_of(found.st_mode), "size": size, "modified": timestamp(found.st_mtime_ns)}


def names(folder: int, pattern: str, after: str) -> Iterator[tuple[str, str, bool]]:
    """(shown name, real name, escaped) of each entry that matches and sorts after `after`. In the disk's order."""
    wanted = re.compile(fnmatch.translate(pattern))  # not fnmatchcase, which caches every pattern it sees
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(RESERVED):
                continue
            text, escaped = shown_name(entry.name)
            if text > after and wanted.match(text):
                yield text, entry.name, escaped


def listing(folder: int, pattern: str, after: str, most: int) -> tuple[Entries, bool]:
    """([(real name, entry as the caller sees it)] sorted by shown name, whether there are more).

    Holds only the `most` smallest names, however large the folder. Entries that vanish meanwhile are left out.
    """
    chosen = heapq.nsmallest(most + 1, names(folder, pattern, after))
    entries: Entries = []
    room = REPLY_SIZE
    for text, real, escaped in chosen[:most]:
        try:
            found = os.stat(real, dir_fd=folder, follow_symlinks=False)
        except OSError:
            continue
        room -= len(text.encode("utf-8", "surrogatepass")) + _FACTS_SIZE
        if room < 0 and entries:
            return entries, True
        entry: dict[str, object] = {"name": text, **facts(found)}
        if escaped:
            entry["escaped"] = True
        entries.append((real, entry))
    return entries, len(chosen) > most
