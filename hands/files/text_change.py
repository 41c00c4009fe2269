"""What a text becomes by an exact replacement or by a unified diff (pure: bytes in, bytes out).

Nothing is guessed. A replacement is made only where the old text stands as often as its author believes; a hunk only
where every line of it that is not new stands in the text, one after the other. A hunk may have moved, since line
numbers age quickly: it is then looked for, from where it should be outwards, and refused when it stands in two places
equally far. Lines end at a line feed; a carriage return before it belongs to the line and must match as well.

The form of a diff is that of GNU diff -u (POSIX, diff, "Diff -u or -U Output Format"), for one file.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from io import BytesIO
from itertools import groupby
from typing import Final, NamedTuple

from file_refusal import FileRefused

_HUNK: Final = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@.*")
_NO_END: Final = b"\\"
Change = Callable[[bytes], bytes]
"""What a file's bytes become."""

CHANGE_MOST: Final = 16 * 1024 * 1024
"""Bytes of a text that is changed in place, before and after. All callers share the memory of one process, so
a text is never taken apart into its lines: a place in it is an offset.
"""

BLOCK: Final = 4096
"""Bytes in which line ends are counted at once, on the way to a line."""

HUNKS_MOST: Final = 1000
MOVED_MOST: Final = 10_000
"""Lines: how far from where it should be a hunk is looked for."""


def replaced(text: bytes, old: bytes, new: bytes, times: int) -> bytes:
    """The text with each `old` as `new`. times: how often `old` stands in it. Raises FileRefused if it is otherwise."""
    found = text.count(old)
    if found != times:
        raise FileRefused("no match", f"`old` occurs {found} times in the file, not {times}. Nothing was changed.")
    _must_fit(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new)


@dataclass(kw_only=True)
class Hunk:
    """at: the first line, from 0, that it speaks of. old, new: its lines before and after, with their ends. kept: how
    many of them it leaves as they are.
    """

    at: int
    kept: int = 0
    old: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)


class Spot(NamedTuple):
    """Where a line begins. line: from 0. offset: in bytes."""

    line: int
    offset: int


@dataclass(frozen=True, kw_only=True)
class Patched:
    """offsets: of each hunk, by how many lines it had moved. added, removed: lines."""

    text: bytes
    offsets: tuple[int, ...]
    added: int
    removed: int


def patched(text: bytes, diff: bytes) -> Patched:
    """The text after the diff. Raises FileRefused for one that cannot be read, or does not fit."""
    kept, pieces = memoryview(text), list[bytes | memoryview]()
    at, shift, added, removed, offsets = Spot(0, 0), 0, 0, 0, list[int]()
    total = text.count(b"\n") + (text[-1:] not in (b"", b"\n"))
    for number, hunk in enumerate(hunks(diff), 1):
        place = _place(text, total, hunk, at, hunk.at + shift, number)
        shift = place.line - hunk.at
        offsets.append(shift)
        if at.offset < place.offset:
            pieces.append(kept[at.offset : place.offset])
        pieces += hunk.new
        at = Spot(place.line + len(hunk.old), place.offset + sum(map(len, hunk.old)))
        added += len(hunk.new) - hunk.kept
        removed += len(hunk.old) - hunk.kept
    if at.offset < len(text):
        pieces.append(kept[at.offset :])
    if any(piece[-1:] != b"\n" for piece in pieces[:-1]):
        raise FileRefused("no match", "A line without an end would stand in the middle of the file.")
    _must_fit(sum(map(len, pieces)))
    return Patched(text=b"".join(pieces), offsets=tuple(offsets), added=added, removed=removed)


def _must_fit(size: int) -> None:
    if size > CHANGE_MOST:
        raise FileRefused("too large", f"It would have more than {CHANGE_MOST} bytes. Nothing was changed.")


def _lines(text: bytes) -> list[bytes]:
    """Lines with their ends; only a line feed ends one (bytes.splitlines would end one at a lone carriage return)."""
    return BytesIO(text).readlines()


def _place(text: bytes, total: int, hunk: Hunk, least: Spot, wanted: int, number: int) -> Spot:
    """Where a hunk begins, at `least` or after it. A hunk without an old line stands where it says. total: lines."""
    if not hunk.old:
        return _after(text, least, min(max(wanted, least.line), total))
    old, most = b"".join(hunk.old), total - len(hunk.old)
    whole = all(line.endswith(b"\n") for line in hunk.old[:-1]) and hunk.old[-1]
    before = _upwards(text, least, min(wanted, most), max(wanted - MOVED_MOST, least.line))
    behind = _downwards(text, least, max(wanted + 1, least.line), min(wanted + MOVED_MOST, most))

    def away(spot: Spot) -> int:
        return abs(spot.line - wanted)

    for _, spots in groupby(merge(before, behind, key=away), key=away):
        fits = [spot for spot in spots if whole and _fits(text, old, spot.offset)]
        if len(fits) > 1:
            raise FileRefused("no match", f"Hunk {number} matches two places. Nothing was changed.")
        if fits:
            return fits[0]
    raise FileRefused("no match", f"Hunk {number} does not match the file. Nothing was changed.")


def _fits(text: bytes, old: bytes, offset: int) -> bool:
    return text.startswith(old, offset) and (old.endswith(b"\n") or offset + len(old) == len(text))


def _after(text: bytes, spot: Spot, line: int) -> Spot:
    """Where a line begins that is this one or comes after it; the end of the text, where it has no such line."""
    offset, more = spot.offset, line - spot.line
    while (ends := text.count(b"\n", offset, offset + BLOCK)) < more:
        offset, more = offset + BLOCK, more - ends
        if offset >= len(text):
            return Spot(line, len(text))
    for _ in range(more):
        offset = text.index(b"\n", offset) + 1
    return Spot(line, offset)


def _upwards(text: bytes, least: Spot, first: int, last: int) -> Iterator[Spot]:
    """Each line from the first up to the last, which is `least` or comes after it."""
    if first < last:
        return
    spot = _after(text, least, first)
    yield spot
    while spot.line > last:
        spot = Spot(spot.line - 1, text.rfind(b"\n", 0, spot.offset - 1) + 1)
        yield spot


def _downwards(text: bytes, least: Spot, first: int, last: int) -> Iterator[Spot]:
    """Each line from the first, which is `least` or comes after it, down to the last."""
    if first > last:
        return
    spot = _after(text, least, first)
    yield spot
    while spot.line < last:
        spot = Spot(spot.line + 1, text.index(b"\n", spot.offset) + 1)
        yield spot


def hunks(diff: bytes) -> Iterator[Hunk]:
    """The hunks of one file's diff, in order. Raises FileRefused for what is none."""
    rest = _lines(diff.removesuffix(b"\n") + b"\n")
    end = len(_lines(diff.rstrip(b"\r\n")))
    begin = next((i for i, line in enumerate(rest) if line.startswith(b"@@")), None)
    if begin is None:
        raise FileRefused("arguments", "`diff` has no hunk: no line begins with @@.")
    if sum(line.startswith(b"+++ ") for line in rest[:begin]) > 1:
        raise FileRefused("arguments", "`diff` is about several files. Patch them one by one.")
    at, count, before = begin, 0, 0
    while at < end:
        hunk, at = _hunk(rest, at)
        count += 1
        if count > HUNKS_MOST:
            raise FileRefused("arguments", f"`diff` has more than {HUNKS_MOST} hunks.")
        if hunk.at < before:
            raise FileRefused("arguments", f"Hunk {count} begins before the one above it ends.")
        before = hunk.at + len(hunk.old)
        yield hunk


def _hunk(rest: Sequence[bytes], at: int) -> tuple[Hunk, int]:
    """A hunk that begins at this line of the diff, and the line after it."""
    match = _HUNK.fullmatch(rest[at].rstrip(b"\r\n"))
    if match is None:
        shown = rest[at].strip().decode("utf-8", "replace")[:80]
        raise FileRefused("arguments", f"`diff`, line {at + 1}: {shown!r} begins no hunk; one file a diff.")
    first, olds, news = int(match[1]), int(match[2] or 1), int(match[4] or 1)
    hunk = Hunk(at=first - 1 if olds else first)
    at += 1
    while len(hunk.old) < olds or len(hunk.new) < news or (at < len(rest) and rest[at].startswith(_NO_END)):
        line = rest[at] if at < len(rest) else b""
        kind, body = line[:1], line[1:]
        if kind == _NO_END:
            _without_end(rest[at - 1][:1], hunk)
        elif kind in (b" ", b"-", b"+") or line in (b"\n", b"\r\n"):
            body = body if kind in (b" ", b"-", b"+") else line
            body = body if body.endswith(b"\n") else body + b"\n"
            hunk.kept += kind not in (b"-", b"+")
            if kind != b"+":
                hunk.old.append(body)
            if kind != b"-":
                hunk.new.append(body)
        else:
            raise FileRefused("arguments", f"`diff`, line {at + 1}: the hunk is not as long as it says.")
        at += 1
    if len(hunk.old) != olds or len(hunk.new) != news:
        raise FileRefused("arguments", f"`diff`: the hunk that ends in line {at} is longer than it says.")
    return hunk, at


def _without_end(kind: bytes, hunk: Hunk) -> None:
    """The line before has no line feed at its end (`\\ No newline at end of file`)."""
    for lines, but in ((hunk.old, b"+"), (hunk.new, b"-")):
        if kind != but and lines:
            lines[-1] = lines[-1].removesuffix(b"\n")
