"""The files of the Hand `skills`, which contains the skills that were installed without a Hand (pure).

One Hand contains them all. It is made again, and sealed by the home's own key, each time one is installed or removed: so
each skill's text is under a seal whose digest is in the log, and a later change is detected before it is read. Each skill
is a method, `skills.NAME`: reading it needs a grant like any other, and its description is the method's summary in
`kernel.describe`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from manifests.readers import LONGEST_SUMMARY, LONGEST_TEXT
from manifests.skills.reading import FOLDER, Skill, visible_line
from manifests.versions import is_older

HAND: Final = "skills"
PREFIX: Final = f"{HAND}."
LABEL: Final = "skill"
ENTRY: Final = "main:Skills"
MAIN: Final = '''"""Answers for the skills that lie beside this file."""

from runtime.skills import Skills

__all__ = ["Skills"]
'''


def method_of(name: str) -> str:
    """Return the method that reads a skill."""
    return f"{PREFIX}{name}"


def manifest_of(version: str, skills: Iterable[Skill]) -> Mapping[str, object]:
    """Return the tables of the Hand's HAND.toml."""
    held = sorted(skills, key=lambda one: one.name)
    names = ", ".join(one.name for one in held)
    description = f"Skills that were installed alone: {names}"
    return {
        "hand": {
            "name": HAND,
            "version": version,
            "description": _cut(description, LONGEST_TEXT),
            "entry": ENTRY,
            "kind": "service",
            "autonomy": "readonly",
            "idle": "60s",
        },
        "provides": {
            method_of(one.name): {
                "summary": _cut(visible_line(one.description), LONGEST_SUMMARY),
                "resource": "none",
                "effect": "read",
                "idempotent": True,
                "labels": [LABEL],
                "params": {"file": "string?", "all": "bool?"},
                "returns": {"files": "list?", "text": "string?", "size": "int?", "sizes": "list?"},
            }
            for one in held
        },
    }


def files_of(skills: Iterable[Skill]) -> dict[str, bytes]:
    """Return all files of the Hand except HAND.toml."""
    found = {"main.py": MAIN.encode()}
    for one in skills:
        found |= {f"{FOLDER}/{one.name}/{path}": content for path, content in one.files.items()}
    return found


def version_after(before: str, micros: int) -> str:
    """Return the Hand's next version: year, day, and millisecond of the day (UTC). before: the last version, "" for none.

    The result is newer than `before`. Even after a removal a home remembers the last version by name; the clock makes the
    next one newer, since an installation takes more than a millisecond. micros: since 1970.
    """
    seconds, rest = divmod(micros, 1_000_000)
    now = datetime.fromtimestamp(seconds, UTC)
    second = now.hour * 3600 + now.minute * 60 + now.second
    found = f"{now.year}.{now.month}{now.day:02}.{second * 1_000 + rest // 1_000}"
    if before and not is_older(before, found):
        first, middle, last = before.partition("-")[0].split(".")
        return f"{first}.{middle}.{int(last) + 1}"
    return found


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
