"""Reads a skill's folder by the rules of the public Agent Skills format (pure).

The format: https://agentskills.io/specification. A folder NAME has a SKILL.md, whose head has `name` and `description`, and
may have `license`, `compatibility`, `metadata` and `allowed-tools`; Markdown follows. The folder may have other files. The
format's limits apply here. The limits on sizes below are Maniple's, so that a skill fits where it is stored and read. Keys
that the format does not define are ignored and reported (scanning.py): many skills have some for other programs.
"""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from manifests.capabilities.spelling import oddity
from manifests.errors import Problem
from manifests.seal import path_complaint
from manifests.skills import front_matter
from manifests.skills.front_matter import FrontMatterInvalid, Value

FILE: Final = "SKILL.md"
FOLDER: Final = "skills"
"""The folder beside HAND.toml whose subfolders NAME are the Hand's skills."""

NAME_MOST: Final = 64
DESCRIPTION_MOST: Final = 1024
COMPATIBILITY_MOST: Final = 500
SKILL_MOST: Final = 256 * 1024
FILE_MOST: Final = 4 * 1024 * 1024
BYTES_MOST: Final = 8 * 1024 * 1024
FILES_MOST: Final = 200
"""The most bytes of SKILL.md, of another file, and of all files; and the most files."""

SKILLS_MOST: Final = 32
SHELF_MOST: Final = 50
"""The most skills that one Hand may have or read; and the most that may be installed without a Hand."""

KEYS: Final = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


class Skill(Struct, frozen=True, kw_only=True):
    """A skill. body: of SKILL.md. others: keys that the format does not define. files: content by path in the skill."""

    name: str
    description: str
    license: str = ""
    compatibility: str = ""
    metadata: dict[str, str] = {}
    tools: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    body: str
    files: dict[str, bytes]


def is_name(text: str) -> bool:
    """Whether a text may be a skill's name."""
    return len(text) <= NAME_MOST and _NAME.fullmatch(text) is not None


def folders(files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Return the files of each folder below `skills/` in a Hand's folder, by the folder's name."""
    found: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        top, _, rest = path.partition("/")
        name, slash, inner = rest.partition("/")
        if top == FOLDER and slash:
            found.setdefault(name, {})[inner] = content
    return dict(sorted(found.items()))


def read_all(files: Mapping[str, bytes], shown: str) -> tuple[list[Skill], list[Problem]]:
    """Return the skills in a Hand's folder, and all their problems. shown: the folder's name in the problems."""
    skills, problems = list[Skill](), list[Problem]()
    for name, inner in folders(files).items():
        skill, wrong = read(name, inner, f"{shown}/{FOLDER}/{name}")
        problems += wrong
        if skill is not None:
            skills.append(skill)
    if len(skills) > SKILLS_MOST:
        what = f"it has {len(skills)} skills, {SKILLS_MOST} at most"
        problems.append(Problem(f"{shown}/{FOLDER}", 1, 1, what, "leave some out"))
    return skills, problems


def read(name: str, files: Mapping[str, bytes], shown: str) -> tuple[Skill | None, list[Problem]]:
    """Return the skill in a folder NAME, None if it has problems; and all problems. shown: the folder's name in them."""
    problems = [Problem(shown, 1, 1, what, instead) for what, instead in _of_folder(name, files)]
    file, raw = f"{shown}/{FILE}", files.get(FILE)
    if raw is None:
        near = next((path for path in files if path.lower() == FILE.lower()), "")
        instead = f"rename {near} to {FILE}" if near else f"write {FILE}, with a head that says name and description"
        return None, [*problems, Problem(file, 1, 1, f"there is no {FILE}", instead)]
    if len(raw) > SKILL_MOST:
        what = f"it has {len(raw)} bytes, {SKILL_MOST} at most"
        return None, [*problems, Problem(file, 1, 1, what, "move parts of it into files of their own")]
    try:
        head, body = front_matter.split(raw.decode())
        values = front_matter.read(head)
    except UnicodeDecodeError:
        return None, [*problems, Problem(file, 1, 1, "this is not UTF-8 text", "save it as UTF-8")]
    except FrontMatterInvalid as error:
        return None, [*problems, Problem(file, error.line, error.column, error.what, error.instead)]
    problems += [
        Problem(file, _line_of(head, key), 1, what, instead) for key, what, instead in _of_values(name, values)
    ]
    if problems:
        return None, problems
    skill = Skill(
        name=name,
        description=" ".join(str(values["description"]).split()),
        license=str(values.get("license", "")),
        compatibility=str(values.get("compatibility", "")),
        metadata=_texts(values.get("metadata")),
        tools=_words(values.get("allowed-tools")),
        others=tuple(key for key in values if key not in KEYS),
        body=body,
        files=dict(sorted(files.items())),
    )
    return skill, []


def _of_folder(name: str, files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Return what is wrong with a skill's name, size and paths, each with what to do."""
    found = []
    if not is_name(name):
        mend = f"name it with small letters, digits and single -, at most {NAME_MOST}"
        found.append((f"{name[: NAME_MOST * 2]!r} is not a name for a skill", mend))
    if len(files) > FILES_MOST:
        found.append((f"it holds {len(files)} files, {FILES_MOST} at most", "leave out what it does not need"))
    if (size := sum(map(len, files.values()))) > BYTES_MOST:
        found.append((f"it holds {size} bytes, {BYTES_MOST} at most", "leave out what it does not need"))
    for path, content in sorted(files.items()):
        if why := path_complaint(path):
            found.append((f"the path {path[:200]!r} may not be: {why}", "rename the file"))
        elif len(content) > FILE_MOST:
            found.append((f"{path} has {len(content)} bytes, {FILE_MOST} at most", "leave it out"))
    return found


def _of_values(name: str, values: Mapping[str, Value]) -> list[tuple[str, str, str]]:
    """Return what is wrong with the head's values: the key, the problem, and what to write."""
    found = []
    named, said = values.get("name"), values.get("description")
    if not isinstance(named, str) or not named:
        found.append(("name", "its head has no name", f"write `name: {name}`"))
    elif not is_name(named):
        rule = f"small letters, digits and single -, at most {NAME_MOST}"
        found.append(("name", f"{named[: NAME_MOST * 2]!r} is not a name for a skill", f"write {rule}"))
    elif named != name:
        found.append(("name", f"its name is {named}, its folder's is {name}", f"write `name: {name}`, or rename it"))
    if not isinstance(said, str) or not said.strip():
        found.append(("description", "its head has no description", "say what it does, and when it is to be used"))
    elif len(said) > DESCRIPTION_MOST:
        what = f"its description has {len(said)} characters, {DESCRIPTION_MOST} at most"
        found.append(("description", what, "shorten it"))
    for key, most in (("license", DESCRIPTION_MOST), ("compatibility", COMPATIBILITY_MOST)):
        value = values.get(key, "")
        if not isinstance(value, str) or len(value) > most:
            found.append((key, f"{key} is not text of at most {most} characters", "write one line"))
    if not isinstance(values.get("metadata", {}), dict) and values["metadata"] != "":
        found.append(("metadata", "metadata is not a table", "write names and values below it, indented"))
    tools = values.get("allowed-tools", "")
    if isinstance(tools, dict) or (isinstance(tools, list) and not all(isinstance(one, str) for one in tools)):
        found.append(("allowed-tools", "allowed-tools is not a list of words", "write them with spaces between"))
    return found


def _line_of(head: str, key: str) -> int:
    """Return the line of the file with a key of the head, or 1."""
    for at, line in enumerate(head.splitlines(), 2):
        if line.startswith(f"{key}:"):
            return at
    return 1


def _texts(value: Value | None) -> dict[str, str]:
    return (
        {name: one if isinstance(one, str) else "…" for name, one in value.items()} if isinstance(value, dict) else {}
    )


def _words(value: Value | None) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(map(str, value))
    return tuple(str(value or "").split())


def visible_line(text: str) -> str:
    """Return a text as one line, with each invisible character as its code point, such as \\u{200b}."""
    line = " ".join(text.split())
    return line if not oddity(line) else "".join(f"\\u{{{ord(one):x}}}" if oddity(one) else one for one in line)
