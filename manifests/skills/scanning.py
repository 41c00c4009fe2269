"""Scans a skill for what a person who installs it should see (pure; the same result for the same files).

A finding states what the skill contains, not whether it is good or bad. It may be something that can run, that a person
does not see when the file is displayed, that leads elsewhere, that is not text, or that asks for more than text. Lists are
bounded, and count what they omit. Takes time linear in the files; omitted findings are counted but not created.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from manifests.skills import unseen
from manifests.skills.reading import FILE, Skill, visible_line
from manifests.visibility import INVISIBLE

KINDS: Final = {
    "script": "a program: nothing but an agent that may call shell.run can run it",
    "binary": "no text: nobody reads what is in it",
    "hidden": "characters that are not seen where the file is shown, and that a model reads",
    "comment": "text that is left out where Markdown is shown, and that a model reads",
    "encoded": "a long run without a space, such as base64: what it stands for is not seen",
    "link": "an address elsewhere, which an agent may be told to read",
    "outside": "a way out of the skill's folder: an agent cannot read it as a file of the skill",
    "missing": "a file that the skill names but lacks",
    "large": "longer than the format recommends; it is read in pieces",
    "tools": "tools that it wants to use without asking: that grants nothing",
    "keys": "keys of its head that the format does not define: they are ignored",
}
"""The kinds of findings, and their meanings."""

MOST: Final = 200
"""The most findings reported for one skill."""

ENCODED: Final = 200
BODY_LINES: Final = 500
BODY_MOST: Final = 20_000
TEXT_MOST: Final = 256 * 1024
"""The least characters of a run that is reported; the most lines and characters of SKILL.md, and characters of another
text, that are not reported as large."""

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
_ODD: Final = re.compile(r"[^\t\n\r -~]")
_SELECTORS: Final = range(0xFE00, 0xFE10)
_JOINER: Final = "\u200d"


class Finding(Struct, frozen=True, kw_only=True):
    """One finding. kind: of KINDS; line: from 1, 0 for the whole file."""

    kind: str
    file: str
    line: int
    text: str


class _Mark(NamedTuple):
    """A finding before it is shortened. place: offset in the file's text, -1 for the whole file; text: complete, as it is."""

    kind: str
    place: int
    text: str


def scan(skill: Skill) -> tuple[list[Finding], int]:
    """Return the findings, in the order of KINDS and then of the files, and the number beyond MOST."""
    told: dict[str, list[Finding]] = {kind: [] for kind in KINDS}
    count, there = 0, _there(skill)
    for path in sorted(skill.files, key=lambda one: (one != FILE, one)):
        text = _text(skill.files[path])
        at = _Lines(text or "")
        for mark in _of_file(skill, path, text, there):
            count += 1
            rows = told[mark.kind]
            if len(rows) < MOST:
                rows.append(Finding(kind=mark.kind, file=path, line=at.line(mark.place), text=_cut(mark.text)))
    found = [one for rows in told.values() for one in rows]
    return found[:MOST], max(0, count - MOST)


def _there(skill: Skill) -> set[str]:
    """Return the paths of its files and of their folders; "" is the skill's own."""
    found = {""}
    for path in skill.files:
        while path not in found:
            found.add(path)
            path = path.rpartition("/")[0]
    return found


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _of_head(skill: Skill) -> Iterator[_Mark]:
    if skill.tools:
        yield _Mark("tools", -1, " ".join(skill.tools))
    if skill.others:
        yield _Mark("keys", -1, ", ".join(skill.others))
    if told := _escaped(skill):
        yield _Mark("hidden", -1, f"as escapes in description: {told}")


def _escaped(skill: Skill) -> str:
    """Return the hidden characters that the head writes as escapes in the description, so that the file itself has none."""
    text, written = skill.description, skill.files[FILE].decode()
    hidden = (one for place, one in enumerate(text) if _is_hidden(text, place, one) and one not in written)
    return _points_of(Counter(f"U+{ord(one):04X}" for one in hidden))


def _of_file(skill: Skill, path: str, text: str | None, there: Container[str]) -> Iterator[_Mark]:
    """Yield the findings of one file; those of each kind in the order of its text."""
    raw = skill.files[path]
    if path == FILE:
        yield from _of_head(skill)
    for magic, kind, what in _MAGIC:
        if raw.startswith(magic):
            yield _Mark(kind, -1, f"{len(raw)} bytes: {what}")
            return
    if text is None:
        yield _Mark("binary", -1, f"{len(raw)} bytes")
        return
    yield from _of_size(skill, path, text)
    if raw.startswith(b"#!") or path.lower().endswith(_PROGRAMS):
        yield _Mark("script", -1, text.partition("\n")[0])
    yield from _hidden(text)
    for run in _RUN.finditer(text):
        if len(run[0]) >= ENCODED:
            yield _Mark("encoded", run.start(), f"{len(run[0])} characters")
    yield from _links(text)
    if path.lower().endswith(_MARKDOWN):
        yield from (_Mark("comment", place, said) for place, said in unseen.find_unseen(text))
        yield from _points(path, text, there)


class _Lines:
    """Line numbers of offsets in a text. Asked in ascending order, it reads the text once."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._line = text, 0, 1

    def line(self, place: int) -> int:
        if place < 0:
            return 0
        if place < self._place:
            self._place, self._line = 0, 1
        self._line += self._text.count("\n", self._place, place)
        self._place = place
        return self._line


def _of_size(skill: Skill, path: str, text: str) -> Iterator[_Mark]:
    if path == FILE:
        lines, size = skill.body.count("\n"), len(skill.body)
        if lines > BODY_LINES or size > BODY_MOST:
            yield _Mark("large", -1, f"{lines} lines, {size} characters")
    elif len(text) > TEXT_MOST:
        yield _Mark("large", -1, f"{len(text)} characters")


def _hidden(text: str) -> Iterator[_Mark]:
    """Yield the lines that have hidden characters, with the code points and counts of these."""
    first, end, points = 0, 0, Counter[str]()
    for found in _ODD.finditer(text):
        place = found.start()
        if not _is_hidden(text, place, found[0]):
            continue
        if points and place > end:
            yield _Mark("hidden", first, _points_of(points))
            points = Counter()
        if not points:
            first, end = place, text.find("\n", place)
            end = len(text) if end < 0 else end
        points[f"U+{ord(found[0]):04X}"] += 1
    if points:
        yield _Mark("hidden", first, _points_of(points))


def _points_of(points: Mapping[str, int]) -> str:
    return ", ".join(f"{point} × {count}" if count > 1 else point for point, count in points.items())


def _is_hidden(text: str, place: int, char: str) -> bool:
    """Whether a character is invisible. Selectors and joiners in emoji, and a byte order mark at the start, are not."""
    if char == "\ufeff" and place == 0:
        return False
    before = text[place - 1 : place]
    if ord(char) in _SELECTORS and before:
        return before in INVISIBLE or before.isspace() or (before.isascii() and before not in "#*0123456789")
    if char == _JOINER and before:
        following = text[place + 1 : place + 2]
        return not following or unicodedata.category(following) != "So"
    return char in INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Co", "Zl", "Zp")


def _links(text: str) -> Iterator[_Mark]:
    """Yield each host once, at its first occurrence, with the number of occurrences."""
    hosts: dict[str, tuple[int, int]] = {}
    for found in _URL.finditer(text):
        try:
            host = urlsplit(found[0]).hostname or found[0]
        except ValueError:
            host = found[0]
        place, count = hosts.get(host, (found.start(), 0))
        hosts[host] = place, count + 1
    for host, (place, count) in hosts.items():
        yield _Mark("link", place, f"{host}{f' ({count})' * (count > 1)}")


def _points(path: str, text: str, there: Container[str]) -> Iterator[_Mark]:
    """Yield links to paths outside the skill's folder, or to missing files. The format's paths begin at that folder."""
    above = path.rpartition("/")[0]
    for found in _POINTS.finditer(text):
        target = found[1].partition("#")[0].partition("?")[0].strip("<>")
        if not target or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target):
            continue
        reached = _reached(above, target)
        if reached is None:
            yield _Mark("outside", found.start(), target)
        elif reached not in there and _reached("", target) not in there:
            yield _Mark("missing", found.start(), target)


def _reached(above: str, target: str) -> str | None:
    """Resolve a relative path in the folder `above`; None if it leads out of the skill."""
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
    shown = visible_line(text[: _SHOWN * 4])
    return shown if len(shown) <= _SHOWN and len(text) <= _SHOWN * 4 else f"{shown[:_SHOWN]}…"
