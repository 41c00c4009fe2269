"""The problems that a check has found, each by the path of its key; given lines and columns at the end (pure).

Separate so that readers and rules can note a problem by its path alone; positions are computed once, and only if there
are problems.
"""

import re
from typing import Final

from manifests.errors import Problem
from manifests.positions import Path, Positions

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Findings:
    """A list of problems; true if there are any."""

    def __init__(self) -> None:
        self._rows: list[tuple[Path, bool, str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def has(self, path: Path) -> bool:
        """Whether a problem with exactly this path was noted."""
        return any(row[0] == path for row in self._rows)

    def at_key(self, path: Path, what: str, instead: str) -> None:
        """Note a problem of the key itself, or of something missing below it."""
        self._rows.append((path, False, what, instead))

    def at_value(self, path: Path, what: str, instead: str) -> None:
        """Note a problem of the value."""
        self._rows.append((path, True, what, instead))

    def placed(self, text: str, file: str) -> tuple[Problem, ...]:
        """Return the problems without duplicates, in the order of the file. text: the file's content."""
        positions = Positions(text)
        problems = {
            Problem(file, *(positions.value(path) if at_value else positions.key(path)), what, instead)
            for path, at_value, what, instead in self._rows
        }
        return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column, problem.what)))


def spelled(path: Path) -> str:
    """Format a path as TOML spells it: provides."web.fetch".effect, hand.needs[2]."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += ("." if written else "") + (part if _BARE.fullmatch(part) else f'"{part}"')
    return written
