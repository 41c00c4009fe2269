"""The part of the Hand that searches a folder and all that lies beneath it: by name, and by content (acts).

Each step, one folder or one piece of a file, runs in a disk thread; names are matched for a moment at a time. So a search
of a large tree holds up nobody, and ends when its caller gives up. No link is followed, each folder is opened anew from
its root, and what cannot be opened is skipped. Expressions are RE2's, whose time is proportional to the text and, at
worst, to the size of the compiled expression: so a piece and an expression both have a maximum.
"""

import asyncio
import errno
import os
import stat
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, Protocol

import re2

import folder_view
import search_crowd
from beneath import RESERVED, Place, must_be_file
from file_refusal import FileRefused
from files_desk import Desk, as_failures
from manifests.capabilities.glob import fault, fits_all
from runtime import Call, Failure
from search_crowd import Crowd, Crowded, Spent

LOOKED_AT_MOST: Final = 200_000
"""Names that one search examines."""

READ_MOST: Final = 1 << 30
"""Bytes that one search reads."""

FOLDER_MOST: Final = 50_000
"""Names of one folder that are examined; the rest are skipped, and the reply says `cut`."""

MOMENT: Final = 0.01
"""Seconds that one search may match names or search a file's pieces before it yields to others."""

BLOCK: Final = 256 * 1024
LINE_SHOWN: Final = 500
TEXT_FRONT: Final = 8192
"""Bytes at a file's beginning in which a zero byte means a binary file, which is skipped (as git and grep do)."""

GLOB_MOST: Final = 10_000
GREP_MOST: Final = 2_000
EXPRESSION_MOST: Final = 8192
"""Characters of an expression."""

PROGRAM_MOST: Final = 5_000
"""Instructions of a compiled expression: RE2 may have to try each of them at each byte."""

_EXPRESSION_MEMORY: Final = 8 * 1024 * 1024


class Match(Protocol):
    """A match of an expression."""

    def start(self) -> int:
        """Offset of the first matching byte."""


class Expression(Protocol):
    """A compiled RE2 expression; the library ships no types. programsize: its instructions."""

    programsize: int

    def search(self, text: bytes, at: int) -> Match | None:
        """The first match at or after offset `at`."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file or folder that a search reached. parts: its path from the start of the search, as shown to the caller."""

    place: Place
    parts: tuple[str, ...]
    facts: folder_view.Facts
    escaped: bool

    @property
    def path(self) -> str:
        """`parts` joined by `/`."""
        return "/".join(self.parts)


class Waiting(NamedTuple):
    """A name still to be visited. A search may hold very many, so each is as small as possible."""

    above: Found
    name: str
    facts: folder_view.Facts

    def as_found(self) -> Found:
        """The full Found."""
        above, (text, escaped) = self.above, folder_view.shown_name(self.name)
        place = Place(
            resource=f"{above.place.resource}/{text}", root=above.place.root, parts=(*above.place.parts, self.name)
        )
        return Found(place=place, parts=(*above.parts, text), facts=self.facts, escaped=escaped)


class Searching(Desk):
    """files.glob and files.grep."""

    async def start(self) -> None:
        """Adds to Desk's the list of running searches."""
        await super().start()
        self.crowd = Crowd()

    async def glob(
        self, call: Call, pattern: str, most: int = folder_view.MOST_DEFAULT, after: str = ""
    ) -> dict[str, object]:
        """files.glob: paths beneath the folder that match the pattern. after: the last path of the previous page."""
        wanted, before = _pattern(pattern), tuple(after.split("/")) if after else ()
        if not 1 <= most <= GLOB_MOST:
            raise Failure("arguments", f"most must be between 1 and {GLOB_MOST}.")
        entries: list[dict[str, object]] = []
        room = folder_view.REPLY_SIZE
        with as_failures(call.resource), self.crowd.joined() as spent:
            async for one in self._walk(call, self.tree.place(call.resource), spent):
                if one.parts <= before or not fits_all(wanted, one.parts):
                    continue
                room -= len(one.path.encode("utf-8", "surrogatepass")) + 120
                if len(entries) == most or room < 0:
                    return {"entries": entries, "more": True, "cut": spent.cut}
                call.add_labels(*await self.disk.do(self._labels_if_any, one))
                entries.append({"path": one.path, **folder_view.facts(one.facts)})
                if one.escaped:
                    entries[-1]["escaped"] = True
        return {"entries": entries, "more": False, "cut": spent.cut}

    async def grep(
        self,
        call: Call,
        pattern: str,
        names: str = "**",
        literal: bool = False,
        ignore_case: bool = False,
        most: int = 200,
    ) -> dict[str, object]:
        """files.grep: lines that match the expression, in the file, or in the files beneath the folder."""
        wanted = _pattern(names)
        with as_failures(call.resource):
            expression = await self.disk.do(_expression, pattern, literal, ignore_case)
        if not 1 <= most <= GREP_MOST:
            raise Failure("arguments", f"most must be between 1 and {GREP_MOST}.")
        matches: list[dict[str, object]] = []
        searched, room = 0, folder_view.REPLY_SIZE
        with as_failures(call.resource), self.crowd.joined() as spent:
            async for one in self._walk(call, self.tree.place(call.resource), spent):
                if spent.size > READ_MOST:
                    break
                if not stat.S_ISREG(one.facts.st_mode) or one.escaped or not fits_all(wanted, one.parts or ("",)):
                    continue
                searched += 1
                for number, text in await self._matching_lines(call, one, expression, most - len(matches) + 1, spent):
                    room -= len(text.encode()) + len(one.path.encode()) + 40
                    if len(matches) == most or room < 0:
                        return {"matches": matches, "searched": searched, "more": True, "cut": spent.cut}
                    matches.append({"path": one.path, "line": number, "text": text})
        return {"matches": matches, "searched": searched, "more": False, "cut": spent.cut}

    async def _walk(self, call: Call, start: Place, spent: Spent) -> AsyncIterator[Found]:
        """Yields a file itself, or all that lies beneath a folder, ordered by the parts of the path.

        Sleeps now and then so that others get a turn: the consumer may only compare, without waiting.
        """
        facts = await self.disk.do(self.tree.look, start)
        one = Found(place=start, parts=(), facts=_shown_of(facts), escaped=False)
        if not stat.S_ISDIR(facts.st_mode):
            must_be_file(facts, start.resource)
            yield one
            return
        waiting, until = await self._read_folder(call, one, spent), time.monotonic() + MOMENT
        while waiting:
            if time.monotonic() >= until:
                await asyncio.sleep(0)
                until = time.monotonic() + MOMENT
            one = waiting.pop().as_found()
            spent.waiting -= 1
            yield one
            if not stat.S_ISDIR(one.facts.st_mode) or one.escaped:
                continue
            if spent.names >= LOOKED_AT_MOST:
                spent.cut = True
                continue
            try:
                waiting += await self._read_folder(call, one, spent)
            except (OSError, FileRefused) as error:  # removed meanwhile, or we may not open it
                spent.cut = spent.cut or getattr(error, "errno", 0) == errno.ENAMETOOLONG

    async def _read_folder(self, call: Call, above: Found, spent: Spent) -> list[Waiting]:
        """The entries of one folder, last one first. Waits while the crowd has no room for them."""
        more = 0
        while True:
            if not self.crowd.has_room(spent, more):
                await asyncio.sleep(search_crowd.RETRY_EVERY)
                continue
            before = spent.names, spent.cut, spent.waiting
            try:
                inside, labels = await self.disk.do(self._list_folder, above, spent)
            except Crowded:
                more = spent.waiting - before[-1]
                spent.names, spent.cut, spent.waiting = before
                continue
            except BaseException:
                spent.waiting = before[-1]
                raise
            call.add_labels(*labels)
            return inside

    async def _matching_lines(
        self, call: Call, one: Found, expression: Expression, most: int, spent: Spent
    ) -> list[tuple[int, str]]:
        """(number from 1, line) of each matching line, at most `most`; none of a binary file."""
        lines, labels = list[tuple[int, str]](), set[str]()
        pieces = self._pieces(one, expression, labels, spent)
        try:
            while (some := await self.disk.do(_take_for_a_moment, pieces, most - len(lines))) is not None:
                lines += some
                if len(lines) == most:
                    break
        finally:
            pieces.close()
        if lines:
            call.add_labels(*labels)
        return lines

    # run in a disk thread ----------------------------------------------------------------------------------------

    def _list_folder(self, above: Found, spent: Spent) -> tuple[list[Waiting], set[str]]:
        """(entries of one folder in descending order of their shown names, the folder's labels)."""
        with ExitStack() as held:
            fd, labels = self.open_with_labels(held, above.place, self.tree.open_folder)
            inside = list(self._entries(fd, above, spent))
            inside.sort(key=lambda one: folder_view.shown_name(one.name)[0], reverse=True)
            return inside, labels

    def _entries(self, fd: int, above: Found, spent: Spent) -> Iterator[Waiting]:
        """Scans a folder and counts its names in `spent`. Raises Crowded if the crowd has no room for more."""
        with os.scandir(fd) as entries:
            for count, entry in enumerate(entries):
                if count == FOLDER_MOST or spent.names == LOOKED_AT_MOST:
                    spent.cut = True
                    return
                if count % search_crowd.CHECK_EVERY == 0 and not self.crowd.has_room(spent):
                    raise Crowded
                spent.names += 1
                if entry.name.startswith(RESERVED):
                    continue
                try:
                    facts = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                spent.waiting += 1
                yield Waiting(above, entry.name, _shown_of(facts))

    def _labels_if_any(self, one: Found) -> set[str]:
        if one.escaped or not (stat.S_ISREG(one.facts.st_mode) or stat.S_ISDIR(one.facts.st_mode)):
            return set()
        try:
            return self.labels_at(one.place)
        except (OSError, FileRefused):
            return set()  # removed or replaced since it was seen

    def _pieces(
        self, one: Found, expression: Expression, labels: set[str], spent: Spent
    ) -> Generator[Iterator[tuple[int, str]], None, None]:
        """For each piece of a file, its matching lines with their numbers. Adds the file's labels to `labels`."""
        with ExitStack() as held:
            try:
                fd, marks = self.open_with_labels(held, one.place, self.tree.open_file)
            except (OSError, FileRefused):
                if not one.parts:
                    raise
                return
            labels |= marks
            above = 0
            for block in _blocks(fd, spent):
                if not above and b"\0" in block[:TEXT_FRONT]:
                    return
                yield _matching_in(block, expression, above)
                above += block.count(b"\n")


def _take_for_a_moment(pieces: Iterator[Iterator[tuple[int, str]]], most: int) -> list[tuple[int, str]] | None:
    """The next lines, at most `most`, found within MOMENT; None once there are no more pieces."""
    lines, until = list[tuple[int, str]](), time.monotonic() + MOMENT
    for piece in pieces:
        lines += islice(piece, most - len(lines))
        if len(lines) == most or time.monotonic() >= until:
            return lines
    return lines or None


def _shown_of(facts: os.stat_result) -> folder_view.Facts:
    return folder_view.Facts(facts.st_mode, facts.st_size, facts.st_mtime_ns)


def _blocks(fd: int, spent: Spent) -> Iterator[bytes]:
    """The file in pieces of about BLOCK bytes that end at a line's end; a longer line is cut."""
    rest, at = b"", 0
    while raw := os.pread(fd, BLOCK, at):
        at += len(raw)
        spent.size += len(raw)
        if spent.size > READ_MOST:
            spent.cut = True
            return
        block = rest + raw
        end = block.rfind(b"\n") + 1
        if not end and len(block) >= BLOCK:
            end = len(block)
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest


def _matching_in(block: bytes, expression: Expression, above: int = 0) -> Iterator[tuple[int, str]]:
    """(number, line) of each matching line of a piece. above: number of the file's lines before this piece."""
    number, at = above + 1, 0
    while at < len(block) and (match := expression.search(block, at)):
        begin = max(block.rfind(b"\n", at, match.start()) + 1, at)
        if begin == len(block):
            return  # an empty match after the last line's end
        end = block.find(b"\n", match.start())
        line = block[begin : end if end >= 0 else len(block)].rstrip(b"\r")
        text = line[: 4 * LINE_SHOWN].decode("utf-8", "replace")
        number += block.count(b"\n", at, begin)
        yield number, text if len(text) <= LINE_SHOWN else text[:LINE_SHOWN] + "…"
        if end < 0:
            return
        number, at = number + 1, end + 1


def _pattern(text: str) -> tuple[str, ...]:
    if len(text) > folder_view.PATTERN_MOST:
        raise Failure("arguments", f"a pattern of paths may have at most {folder_view.PATTERN_MOST} characters.")
    parts = tuple(text.split("/"))
    if not all(parts) or (why := fault(parts)):
        raise Failure(
            "arguments", f"{text!r} is not a pattern of paths: {why if all(parts) else 'a part of it is empty'}."
        )
    return parts


def _expression(text: str, literal: bool, ignore_case: bool) -> Expression:
    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    options.one_line = False
    options.literal = literal
    options.case_sensitive = not ignore_case
    options.max_mem = _EXPRESSION_MEMORY
    if not text or "\n" in text:
        raise Failure(
            "arguments", "pattern must not be empty or go over the end of a line; grep looks at single lines."
        )
    if len(text) > EXPRESSION_MOST:
        raise Failure("arguments", f"pattern may have at most {EXPRESSION_MOST} characters.")
    try:
        made: Expression = re2.compile((text if literal else f"(?m:{text})").encode(), options)
    except re2.error as error:
        why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise Failure("arguments", f"pattern is not a valid RE2 expression: {why}.") from None
    finally:
        re2.purge()  # it caches compiled expressions, and each grows while it searches
    if made.programsize > PROGRAM_MOST:
        raise Failure("arguments", f"pattern is too large: {made.programsize} steps, and {PROGRAM_MOST} are allowed.")
    return made
