"""The files of the Hand `skills`, which holds the skills that were installed alone (pure).

One Hand holds them all, made anew and sealed by the home's own key each time one is installed or removed: so what each of
them says is under a seal whose digest is in the log, and a file that is changed later is found before it is read. Each skill
is a method, `skills.NAME`: who may read it is a grant like any other, and what is told of it, its description, is what
`kernel.describe` tells of the method.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from manifests.readers import LONGEST_SUMMARY, LONGEST_TEXT
from manifests.skills.reading import FOLDER, Skill, plain
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
    """By which a skill is read."""
    return f"{PREFIX}{name}"


def manifest_of(version: str, skills: Iterable[Skill]) -> Mapping[str, object]:
    """The tables of its HAND.toml."""
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
                "summary": _cut(plain(one.description), LONGEST_SUMMARY),
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
    """All its files but HAND.toml."""
    found = {"main.py": MAIN.encode()}
    for one in skills:
        found |= {f"{FOLDER}/{one.name}/{path}": content for path, content in one.files.items()}
    return found


def version_after(before: str, micros: int) -> str:
    """Its next version: the year, the day, and the millisecond of it (UTC); later than the one before, "" for none.

    A home remembers the last version by name, also when nothing is installed any more: by the clock the next one is newer,
    since an installation takes longer than the clock to go on.
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
