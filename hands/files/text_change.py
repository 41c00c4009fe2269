"""Applies an exact replacement or a unified diff to a text (pure: bytes in, bytes out).

Nothing is guessed. A replacement is made only if the old text occurs exactly as often as the caller says; a hunk only
where all its old lines stand in the text, one after the other. Line numbers age quickly, so a hunk may have moved: it is
searched outwards from its stated line, and refused if two places match at the same distance. A line ends at a line feed;
a carriage return before it belongs to the line and must match as well.

Diffs have the format of GNU diff -u (POSIX, diff, "Diff -u or -U Output Format"), for one file.
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
"""From a file's bytes to its new bytes."""

CHANGE_MOST: Final = 16 * 1024 * 1024
"""Bytes of a text that is edited in place, before and after. All callers share the memory of one process, so a text is
never split into lines: a place in it is an offset.
"""

BLOCK: Final = 4096
"""Bytes whose line ends are counted in one step when a line's offset is sought."""

HUNKS_MOST: Final = 1000
MOVED_MOST: Final = 10_000
"""How many lines away from its stated line a hunk is searched."""


def replace(text: bytes, old: bytes, new: bytes, times: int) -> bytes:
    """The text with each `old` replaced by `new`. Raises FileRefused unless `old` occurs exactly `times` times."""
    found = text.count(old)
    if found != times:
        hint = "" if found else _hint(text, old)
        raise FileRefused(
            "no match", f"`old` occurs {found} times in the file, not {times}.{hint} Nothing was changed."
        )
    _must_fit(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new)


@dataclass(kw_only=True)
class Hunk:
    """at: its first line, from 0. old, new: its lines before and after, with line ends. kept: number of lines that it leaves
    as they are.
    """

    at: int
    kept: int = 0
    old: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)


class LineStart(NamedTuple):
    """Where a line begins. line: number from 0. offset: in bytes."""

    line: int
    offset: int


@dataclass(frozen=True, kw_only=True)
class Patched:
    """The patched text. offsets: by how many lines each hunk had moved. added, removed: numbers of lines."""

    text: bytes
    offsets: tuple[int, ...]
    added: int
    removed: int


def apply_diff(text: bytes, diff: bytes) -> Patched:
    """Applies a diff to a text. Raises FileRefused if it is malformed or does not match."""
    kept, pieces = memoryview(text), list[bytes | memoryview]()
    at, shift, added, removed, offsets = LineStart(0, 0), 0, 0, 0, list[int]()
    total = text.count(b"\n") + (text[-1:] not in (b"", b"\n"))
    for number, hunk in enumerate(parse_hunks(diff), 1):
        found = _find_hunk(text, total, hunk, at, hunk.at + shift, number)
        shift = found.line - hunk.at
        offsets.append(shift)
        if at.offset < found.offset:
            pieces.append(kept[at.offset : found.offset])
        pieces += hunk.new
        at = LineStart(found.line + len(hunk.old), found.offset + sum(map(len, hunk.old)))
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
    """Lines with their ends. Only a line feed ends a line (for bytes.splitlines a lone carriage return does, too)."""
    return BytesIO(text).readlines()


def _find_hunk(text: bytes, total: int, hunk: Hunk, least: LineStart, wanted: int, number: int) -> LineStart:
    """Where a hunk matches, at `least` or after it, nearest to line `wanted`. A hunk without old lines matches at `wanted`.

    total: the text's lines. number: the hunk's, for errors. Raises FileRefused for no match, or two equally near.
    """
    if not hunk.old:
        return _line_start(text, least, min(max(wanted, least.line), total))
    old, most = b"".join(hunk.old), total - len(hunk.old)
    whole = all(line.endswith(b"\n") for line in hunk.old[:-1]) and hunk.old[-1]
    before = _upwards(text, least, min(wanted, most), max(wanted - MOVED_MOST, least.line))
    behind = _downwards(text, least, max(wanted + 1, least.line), min(wanted + MOVED_MOST, most))

    def distance(spot: LineStart) -> int:
        return abs(spot.line - wanted)

    for _, spots in groupby(merge(before, behind, key=distance), key=distance):
        fits = [spot for spot in spots if whole and _fits(text, old, spot.offset)]
        if len(fits) > 1:
            raise FileRefused("no match", f"Hunk {number} matches two places. Nothing was changed.")
        if fits:
            return fits[0]
    raise FileRefused("no match", f"Hunk {number} does not match the file.{_hint(text, old)} Nothing was changed.")


def _hint(text: bytes, old: bytes) -> str:
    """Why a text that looks right does not occur: the unseen ends of the file's lines. "" for another reason."""
    if b"\r" not in old and old.replace(b"\n", b"\r\n") in text:
        return " The file's lines end in CR LF (\\r\\n), and those of the text in LF."
    if old.endswith(b"\n") and text.endswith(old[:-1]):
        return r" The file ends without a line feed (in a diff: `\ No newline at end of file`)."
    return ""


def _fits(text: bytes, old: bytes, offset: int) -> bool:
    return text.startswith(old, offset) and (old.endswith(b"\n") or offset + len(old) == len(text))


def _line_start(text: bytes, known: LineStart, line: int) -> LineStart:
    """Where a line begins, counted from a known one at or before it; the end of the text if it has fewer lines."""
    offset, more = known.offset, line - known.line
    while (ends := text.count(b"\n", offset, offset + BLOCK)) < more:
        offset, more = offset + BLOCK, more - ends
        if offset >= len(text):
            return LineStart(line, len(text))
    for _ in range(more):
        offset = text.index(b"\n", offset) + 1
    return LineStart(line, offset)


def _upwards(text: bytes, least: LineStart, first: int, last: int) -> Iterator[LineStart]:
    """Each line from `first` up to `last`, in descending order. Neither lies before `least`."""
    if first < last:
        return
    spot = _line_start(text, least, first)
    yield spot
    while spot.line > last:
        spot = LineStart(spot.line - 1, text.rfind(b"\n", 0, spot.offset - 1) + 1)
        yield spot


def _downwards(text: bytes, least: LineStart, first: int, last: int) -> Iterator[LineStart]:
    """Each line from `first` down to `last`, in ascending order. Neither lies before `least`."""
    if first > last:
        return
    spot = _line_start(text, least, first)
    yield spot
    while spot.line < last:
        spot = LineStart(spot.line + 1, text.index(b"\n", spot.offset) + 1)
        yield spot


def parse_hunks(diff: bytes) -> Iterator[Hunk]:
    """The hunks of one file's diff, in order. Raises FileRefused if it is malformed."""
    rest = _lines(diff.removesuffix(b"\n") + b"\n")
    end = len(_lines(diff.rstrip(b"\r\n")))
    begin = next((i for i, line in enumerate(rest) if line.startswith(b"@@")), None)
    if begin is None:
        raise FileRefused("arguments", "`diff` has no hunk: no line begins with @@.")
    if sum(line.startswith(b"+++ ") for line in rest[:begin]) > 1:
        raise FileRefused("arguments", "`diff` is about several files. Patch them one by one.")
    at, count, before = begin, 0, 0
    while at < end:
        hunk, at = _parse_hunk(rest, at)
        count += 1
        if count > HUNKS_MOST:
            raise FileRefused("arguments", f"`diff` has more than {HUNKS_MOST} hunks.")
        if hunk.at < before:
            raise FileRefused("arguments", f"Hunk {count} begins before the one above it ends.")
        before = hunk.at + len(hunk.old)
        yield hunk


def _parse_hunk(rest: Sequence[bytes], at: int) -> tuple[Hunk, int]:
    """(the hunk that begins at line `at` of the diff, the number of the line after it). Raises FileRefused."""
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
            _drop_last_line_end(rest[at - 1][:1], hunk)
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


def _drop_last_line_end(kind: bytes, hunk: Hunk) -> None:
    """Removes the line feed of the hunk's last line: `\\ No newline at end of file`. kind: that line's first byte."""
    for lines, but in ((hunk.old, b"+"), (hunk.new, b"-")):
        if kind != but and lines:
            lines[-1] = lines[-1].removesuffix(b"\n")
