"""Reads one table of a spec key by key (pure): every wrong type, bad value and unknown key becomes a Problem.

Separate from pipeline_check.py, which knows the keys. This knows only how to read a text, a flag or a list of names, and
to go on after a mistake, so that all problems are found at once.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar, get_args

from pipeline_errors import Problem, did_you_mean

NAME_MAX: Final = 200

_T = TypeVar("_T", bound=str)


class Problems:
    """All problems found so far."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, key: str, what: str, instead: str) -> None:
        """Adds a problem."""
        self.found.append(Problem(key, what, instead))


def choices_of(literal: object) -> tuple[str, ...]:
    """The texts of a Literal type."""
    return tuple(str(choice) for choice in get_args(literal))


class Section:
    """One table of the spec. at: its dotted key, "" for the top."""

    def __init__(self, at: str, table: object, problems: Problems) -> None:
        self.at = at
        self.problems = problems
        self._asked: set[str] = set()
        self.table: dict[str, object] = {}
        if isinstance(table, dict) and all(isinstance(key, str) for key in table):
            self.table = table
        else:
            problems.add(at or "spec", f"this is {_kind(table)}, not a table", f"Write [{at}] and its keys below it.")
            self.problems = Problems()  # its missing keys are no further problems

    def key(self, name: str) -> str:
        """The dotted key of a name in this table."""
        return f"{self.at}.{name}" if self.at else name

    def bad(self, name: str, what: str, instead: str) -> None:
        """Adds a problem of this key."""
        self.problems.add(self.key(name), what, instead)

    def raw(self, name: str) -> object:
        """The value as it is; None if the key is missing."""
        self._asked.add(name)
        return self.table.get(name)

    def text(self, name: str, default: str = "", *, required: str = "", most: int = 1000) -> str:
        """A text. required: what to write if it is missing."""
        value = self.raw(name)
        if value is None and required:
            self.bad(name, "it is missing", required)
        if value is None:
            return default
        if not isinstance(value, str) or (not value and required):
            self.bad(name, f"this is {_kind(value)}, not a text", f'Write {name} = "…".')
            return default
        if len(value) > most:
            self.bad(name, f"it has {len(value)} characters", f"Write at most {most}.")
            return default
        return value

    def choice(self, name: str, among: Sequence[_T], default: _T) -> _T:
        """One of some texts."""
        value = self.raw(name)
        if value is None:
            return default
        for choice in among:
            if choice == value:
                return choice
        self.bad(name, f"{value!r} is not possible", did_you_mean(str(value), among))
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """true or false."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.bad(name, f"this is {_kind(value)}", f"Write {name} = true or {name} = false.")
        return default

    def count(self, name: str) -> int | None:
        """A number that is 0 or more."""
        value = self.raw(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        self.bad(name, f"{value!r} is not a count", f"Write a whole number, such as {name} = 10.")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts; one text counts as a list of one. None if the key is missing."""
        value = self.raw(name)
        if isinstance(value, str):
            value = [value]
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.bad(name, f"this is {_kind(value)}, not a list of texts", f'Write {name} = ["…", "…"].')
            return None
        return tuple(value)

    def names(self, name: str, *, required: str = "") -> tuple[str, ...]:
        """A list of column names without repetition."""
        found = self.texts(name)
        if not found:
            if required and (found is not None or name not in self.table):
                self.bad(name, "it names no column", required)
            return ()
        for item in sorted({item for item in found if found.count(item) > 1}):
            self.bad(name, f'"{item}" stands there twice', "Name each column once.")
        return tuple(item for item in found if self.is_name(name, item))

    def pairs(self, name: str, *, required: str) -> dict[str, str]:
        """A table of texts."""
        value = self.raw(name)
        if not isinstance(value, dict) or not value:
            self.bad(name, "it is missing" if value is None else f"this is {_kind(value)}", required)
            return {}
        found: dict[str, str] = {}
        for key, item in value.items():
            if isinstance(item, str):
                found[str(key)] = item
            else:
                self.bad(f"{name}.{key}", f"this is {_kind(item)}, not a text", f'Write {key} = "…".')
        return found

    def is_name(self, at: str, name: str) -> bool:
        """Whether this is valid as the name of a column or table; adds a problem if not."""
        if name and len(name) <= NAME_MAX and not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
            return True
        self.bad(at, f"{name!r} cannot be a name", f"A name has 1 to {NAME_MAX} characters and no control characters.")
        return False

    def close(self, also: Iterable[str] = ()) -> None:
        """Adds a problem for every key that was not read."""
        known = sorted({*self._asked, *also})
        for name in self.table:
            if name not in known:
                self.bad(name, "there is no such key", did_you_mean(name, known))


def check_table_name(section: Section, table: str, *, needed: bool) -> None:
    """Adds a problem for a table name that is missing or that SQLite reserves."""
    if not table:
        if needed:
            section.bad("table", "it is missing", 'Write table = "…": the table of the database to write to.')
        return
    section.is_name("table", table)
    if table.casefold().startswith("sqlite_"):
        section.bad("table", f'"{table}" is a name that SQLite keeps for itself', "Choose another.")


def check_key(section: Section, mode: str, key: tuple[str, ...]) -> None:
    """Adds a problem if upsert has no key, or another mode has one."""
    if mode == "upsert" and not key:
        section.bad("key", "upsert needs it", 'Write key = ["…"]: the columns that tell rows apart.')
    if mode != "upsert" and key:
        section.bad("key", f'mode "{mode}" has no key', 'Leave the key out, or write mode = "upsert".')


def _kind(value: object) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return "a bool"
        case int() | float():
            return "a number"
        case str():
            return "a text" if value else "an empty text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"a {type(value).__name__}"
