"""What a skill holds that whoever installs it should see (pure): the same for the same files, each with where and why.

No finding says that a skill is bad, and none that it is good: it says what is there. What is looked for is what runs, what a
person does not see as the file is shown, what leads elsewhere, what cannot be read, and what asks for more than text. Lists
are bounded, and say what they leave out. Time is in proportion to the files.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from manifests.seeing import INVISIBLE
from manifests.skills.reading import FILE, Skill, plain

KINDS: Final = {
    "script": "a program: nothing but an agent that may call shell.run can run it",
    "binary": "no text: nobody reads what is in it",
    "hidden": "characters that are not seen where the file is shown, and that a model reads",
    "comment": "text that is left out where Markdown is shown, and that a model reads",
    "encoded": "a long run without a space, such as base64: what it stands for is not seen",
    "link": "an address elsewhere, which an agent may be told to read",
    "outside": "a way out of the skill's folder: an agent cannot read it as a file of the skill",
    "missing": "a file that the skill names and has not",
    "large": "longer than the format recommends; it is read in pieces",
    "tools": "tools that it wants to have without being asked: that grants nothing",
    "keys": "keys of its head that the format has not: they are passed over",
}
"""What is looked for, and what it means."""

MOST: Final = 200
"""Findings of one skill that are told."""

ENCODED: Final = 200
BODY_LINES: Final = 500
BODY_MOST: Final = 20_000
TEXT_MOST: Final = 256 * 1024
"""Characters of a run that counts; lines and characters of SKILL.md, and characters of other texts, that are still fine."""

_SHOWN: Final = 120
_PROGRAMS: Final = tuple(
    f".{ending}"
    for ending in ["bash", "bat", "cjs", "cmd", "js", "mjs", "php", "pl", "ps1", "py", "rb", "sh", "ts", "zsh"]
)
_MAGIC: Final = (
    (b"\x7fELF", "script", "machine code (ELF)"),
    (b"MZ", "script", "machine code (PE)"),
    (b"\xcf\xfa\xed\xfe", "script", "machine code (Mach-O)"),
    (b"\x00asm", "script", "WebAssembly"),
    (b"PK\x03\x04", "binary", "an archive, which was not looked into"),
    (b"\x1f\x8b", "binary", "compressed, and was not looked into"),
)
_MARKDOWN: Final = (".md", ".mdx", ".markdown")
_RUN: Final = re.compile(r"[A-Za-z0-9+/_=-]+")
_URL: Final = re.compile(r"https?://[^\s<>()\"'`\]]+", re.IGNORECASE)
_POINTS: Final = re.compile(r"\]\(([^()\s]+)")
_SAID_ASIDE: Final = re.compile(r"^\[[^\]\n]{1,80}\]:[ \t]*(?:#|<>)[ \t]*(\S.*)$", re.MULTILINE)
_SELECTORS: Final = range(0xFE00, 0xFE10)
_JOINER: Final = "\u200d"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is there. kind: of KINDS; line: from 1, 0 for the whole file."""

    kind: str
    file: str
    line: int
    text: str


def scan(skill: Skill) -> tuple[list[Finding], int]:
    """What is found, in the order of KINDS and then of the files; and how many more there are than MOST."""
    found = [*_of_head(skill), *(one for path, raw in skill.files.items() for one in _of_file(skill, path, raw))]
    order = list(KINDS)
    found.sort(key=lambda one: (order.index(one.kind), one.file != FILE, one.file, one.line))
    return found[:MOST], max(0, len(found) - MOST)


def _of_head(skill: Skill) -> Iterator[Finding]:
    if skill.tools:
        yield Finding(kind="tools", file=FILE, line=0, text=_cut(" ".join(skill.tools)))
    if skill.others:
        yield Finding(kind="keys", file=FILE, line=0, text=_cut(", ".join(skill.others)))
    if told := _escaped(skill):
        yield Finding(kind="hidden", file=FILE, line=0, text=_cut(f"as escapes in description: {told}"))


def _escaped(skill: Skill) -> str:
    """Hidden characters of the description that its head writes as escapes, so that nothing of them stands in the file."""
    text, written = skill.description, skill.files[FILE].decode()
    hidden = (one for place, one in enumerate(text) if _is_hidden(text, place, one) and one not in written)
    return _points_of(Counter(f"U+{ord(one):04X}" for one in hidden))


def _of_file(skill: Skill, path: str, raw: bytes) -> Iterator[Finding]:
    for magic, kind, what in _MAGIC:
        if raw.startswith(magic):
            yield Finding(kind=kind, file=path, line=0, text=f"{len(raw)} bytes: {what}")
            return
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        yield Finding(kind="binary", file=path, line=0, text=f"{len(raw)} bytes")
        return
    yield from _of_size(skill, path, text)
    if raw.startswith(b"#!") or path.lower().endswith(_PROGRAMS):
        yield Finding(kind="script", file=path, line=0, text=_cut(text.partition("\n")[0]))
    at = _Lines(text)
    yield from _hidden(path, text, at)
    for run in _RUN.finditer(text):
        if len(run[0]) >= ENCODED:
            yield Finding(kind="encoded", file=path, line=at.line(run.start()), text=f"{len(run[0])} characters")
    yield from _links(path, text, at)
    if path.lower().endswith(_MARKDOWN):
        yield from _comments(path, text, at)
        yield from _points(skill, path, text, at)


class _Lines:
    """On which line a place of a text is."""

    def __init__(self, text: str) -> None:
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def line(self, place: int) -> int:
        return bisect_right(self._ends, place - 1) + 1


def _of_size(skill: Skill, path: str, text: str) -> Iterator[Finding]:
    if path == FILE:
        lines, size = skill.body.count("\n"), len(skill.body)
        if lines > BODY_LINES or size > BODY_MOST:
            yield Finding(kind="large", file=path, line=0, text=f"{lines} lines, {size} characters")
    elif len(text) > TEXT_MOST:
        yield Finding(kind="large", file=path, line=0, text=f"{len(text)} characters")


def _hidden(path: str, text: str, at: _Lines) -> Iterator[Finding]:
    """Lines with characters that are not seen, and which: their numbers, and how many there are."""
    seen: dict[int, Counter[str]] = {}
    place = 0
    for piece in text.splitlines(keepends=True):
        if not (piece.isascii() and piece.rstrip("\r\n").replace("\t", " ").isprintable()):
            for offset, char in enumerate(piece):
                if _is_hidden(text, place + offset, char):
                    seen.setdefault(at.line(place + offset), Counter())[f"U+{ord(char):04X}"] += 1
        place += len(piece)
    for line, points in seen.items():
        yield Finding(kind="hidden", file=path, line=line, text=_cut(_points_of(points)))


def _points_of(points: Mapping[str, int]) -> str:
    return ", ".join(f"{point} × {count}" if count > 1 else point for point, count in points.items())


def _is_hidden(text: str, place: int, char: str) -> bool:
    """Whether a character draws nothing. Not: one selector or joiner within a picture (emoji), a mark at a file's begin."""
    if char in "\n\r\t" or (char == "\ufeff" and place == 0):
        return False
    before = text[place - 1 : place]
    if ord(char) in _SELECTORS and before:
        return before in INVISIBLE or before.isspace() or (before.isascii() and before not in "#*0123456789")
    if char == _JOINER and before:
        following = text[place + 1 : place + 2]
        return not following or unicodedata.category(following) != "So"
    return char in INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Co", "Zl", "Zp")


def _links(path: str, text: str, at: _Lines) -> Iterator[Finding]:
    """Each host once, with where it first stands."""
    hosts: dict[str, tuple[int, int]] = {}
    for found in _URL.finditer(text):
        try:
            host = urlsplit(found[0]).hostname or found[0]
        except ValueError:
            host = found[0]
        place, count = hosts.get(host, (found.start(), 0))
        hosts[host] = place, count + 1
    for host, (place, count) in hosts.items():
        yield Finding(kind="link", file=path, line=at.line(place), text=_cut(f"{host}{f' ({count})' * (count > 1)}"))


def _comments(path: str, text: str, at: _Lines) -> Iterator[Finding]:
    begin = text.find("<!--")
    while begin >= 0:
        end = text.find("-->", begin + 4)
        said = text[begin + 4 : end if end >= 0 else len(text)]
        yield Finding(kind="comment", file=path, line=at.line(begin), text=_cut(said))
        begin = text.find("<!--", end) if end >= 0 else -1
    for aside in _SAID_ASIDE.finditer(text):
        yield Finding(kind="comment", file=path, line=at.line(aside.start()), text=_cut(aside[1]))


def _points(skill: Skill, path: str, text: str, at: _Lines) -> Iterator[Finding]:
    """Where Markdown points within the skill's folder, or out of it."""
    above = path.rpartition("/")[0]
    for found in _POINTS.finditer(text):
        target = found[1].partition("#")[0].partition("?")[0].strip("<>")
        if not target or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target):
            continue
        reached = _reached(above, target)
        if reached is None:
            yield Finding(kind="outside", file=path, line=at.line(found.start()), text=_cut(target))
        elif not (_is_there(skill, reached) or _is_there(skill, _reached("", target))):
            yield Finding(kind="missing", file=path, line=at.line(found.start()), text=_cut(target))


def _is_there(skill: Skill, path: str | None) -> bool:
    """Whether it is a file of the skill's, or a folder of it; the format has paths begin at the skill's folder."""
    return path is not None and (not path or any(one == path or one.startswith(f"{path}/") for one in skill.files))


def _reached(above: str, target: str) -> str | None:
    """The path that a relative one means, None if it leads out."""
    if target.startswith(("/", "~", "\\")):
        return None
    parts = above.split("/") if above else []
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _cut(text: str) -> str:
    shown = plain(text[: _SHOWN * 4])
    return shown if len(shown) <= _SHOWN and len(text) <= _SHOWN * 4 else f"{shown[:_SHOWN]}…"
