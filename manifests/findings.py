"""What a check has found so far, placed by line and column at the end (pure).

Separate so that readers and rules can note a problem by its path alone; positions are worked out once, and only when
there is something to tell.
"""

import re
from typing import Final

from manifests.errors import Problem
from manifests.positions import Path, Positions

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Findings:
    """Collects problems; `bool(findings)` says whether there are any."""

    def __init__(self) -> None:
        self._rows: list[tuple[Path, bool, str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def has(self, path: Path) -> bool:
        """Whether there is a problem with exactly this."""
        return any(row[0] == path for row in self._rows)

    def at_key(self, path: Path, what: str, instead: str) -> None:
        """A problem that is about the key itself, or about something missing below it."""
        self._rows.append((path, False, what, instead))

    def at_value(self, path: Path, what: str, instead: str) -> None:
        """A problem that is about the value."""
        self._rows.append((path, True, what, instead))

    def placed(self, text: str, file: str) -> tuple[Problem, ...]:
        """The problems in the order of the file, each once."""
        positions = Positions(text)
        problems = {
            Problem(file, *(positions.value(path) if at_value else positions.key(path)), what, instead)
            for path, at_value, what, instead in self._rows
        }
        return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column, problem.what)))


def spelled(path: Path) -> str:
    """A path as one would write it: provides."web.fetch".effect, hand.needs[2]."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += ("." if written else "") + (part if _BARE.fullmatch(part) else f'"{part}"')
    return written
