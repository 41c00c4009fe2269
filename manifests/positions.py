"""The line and column of each key and value in a TOML text (pure).

Separate because tomllib, which parses the text, reports no positions, and only problems need them. Works on text that
tomllib has accepted, so it checks nothing again: it walks over keys, strings, arrays and tables. A path is a tuple of
keys and array indexes; lines and columns count from 1, columns in characters.
"""

import re
import tomllib
from bisect import bisect_right
from typing import Final

Path = tuple[str | int, ...]
Position = tuple[int, int]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASIC: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^'\n]*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})(?!")', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'''(?:'{0,2})(?!')", re.DOTALL)
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")


class Positions:
    """The positions in one text: `key(path)` and `value(path)` fall back to the nearest enclosing table that exists."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._keys: dict[Path, int] = {}
        self._values: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        self._document()

    def key(self, path: Path) -> Position:
        """Return where this key, or else the nearest one above it, first occurs; (1, 1) if neither does."""
        return self._find(self._keys, path)

    def value(self, path: Path) -> Position:
        """Return where the value begins; for a table or a missing value, the position of its key or the one above."""
        at = self._values.get(path)
        return self.key(path) if at is None else self._position(at)

    def _find(self, places: dict[Path, int], path: Path) -> Position:
        while path:
            if path in places:
                return self._position(places[path])
            path = path[:-1]
        return 1, 1

    def _position(self, at: int) -> Position:
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1

    def _document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        double = self._text.startswith("[[", self._at)
        self._at += 2 if double else 1
        path = self._dotted(())
        self._skip(_BLANK)
        self._at += 2 if double else 1
        if double:
            index = self._arrays[path] = self._arrays.get(path, -1) + 1
            self._keys[(*path, index)] = self._keys[path]
            return (*path, index)
        return path

    def _pair(self, table: Path) -> None:
        path = self._dotted(table)
        self._skip(_BLANK)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _dotted(self, table: Path) -> Path:
        """Read a key such as `a.b."c"`, note the position of each part, and return its path."""
        path = table
        while True:
            start = self._skip(_BLANK)
            path = (*path, self._name())
            self._keys.setdefault(path, start)
            self._skip(_BLANK)
            if self._at >= len(self._text) or self._text[self._at] != ".":
                return path
            self._at += 1

    def _name(self) -> str:
        start = self._at
        if self._text[start] in "\"'":
            self._skip(_BASIC if self._text[start] == '"' else _LITERAL)
            return str(tomllib.loads("name = " + self._text[start : self._at])["name"])
        self._skip(_BARE)
        return self._text[start : self._at]

    def _value(self, path: Path) -> None:
        self._values[path] = self._at
        match self._text[self._at : self._at + 3]:
            case '"""':
                self._skip(_LONG_BASIC)
            case "'''":
                self._skip(_LONG_LITERAL)
            case start if start.startswith('"'):
                self._skip(_BASIC)
            case start if start.startswith("'"):
                self._skip(_LITERAL)
            case start if start.startswith("["):
                self._array(path)
            case start if start.startswith("{"):
                self._inline(path)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._text[self._skip(_BLANK)] != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._keys[(*path, index)] = self._at
            self._value((*path, index))
            index += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._text[self._skip(_BLANK)] != "}":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)
        self._at += 1

    def _skip(self, pattern: "re.Pattern[str]") -> int:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return self._at
