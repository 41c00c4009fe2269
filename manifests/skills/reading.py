"""A skill's folder, read by the rules of the public Agent Skills format (pure).

The format: https://agentskills.io/specification. A folder NAME with a SKILL.md, whose head has `name` and `description`, and
may have `license`, `compatibility`, `metadata` and `allowed-tools`; after it Markdown; beside it whatever else. What the
format bounds is bounded here the same. The sizes below are ours, so that a skill fits where it is kept and read. A key that
the format has not is passed over and told (scanning.py): many skills have some that other programs know.
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
"""Beside HAND.toml: what lies in `skills/NAME/` is a skill of that Hand's."""

NAME_MOST: Final = 64
DESCRIPTION_MOST: Final = 1024
COMPATIBILITY_MOST: Final = 500
SKILL_MOST: Final = 256 * 1024
FILE_MOST: Final = 4 * 1024 * 1024
BYTES_MOST: Final = 8 * 1024 * 1024
FILES_MOST: Final = 200
"""Bytes of SKILL.md, of another file, and of all; and how many there may be."""

SKILLS_MOST: Final = 32
SHELF_MOST: Final = 50
"""Skills that one Hand may have, or read; and that may be installed alone."""

KEYS: Final = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


class Skill(Struct, frozen=True, kw_only=True):
    """A skill. body: of SKILL.md. others: keys that the format has not. files: by their paths in it."""

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
    """The files of each folder below `skills/` of a Hand's, by the folder's name."""
    found: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        top, _, rest = path.partition("/")
        name, slash, inner = rest.partition("/")
        if top == FOLDER and slash:
            found.setdefault(name, {})[inner] = content
    return dict(sorted(found.items()))


def read_all(files: Mapping[str, bytes], shown: str) -> tuple[list[Skill], list[Problem]]:
    """The skills that lie in a Hand's folder, and all that is wrong with them. shown: where the folder is."""
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
    """The skill in a folder of that name, None when it is none; and every problem. shown: where the folder is, for people."""
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
    """What is wrong with its name, its size and its paths, each with what to do."""
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
    """What is wrong with the head's values: the key, what, and what to write."""
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
    """The line of the file on which a key of the head stands, or the first."""
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


def plain(text: str) -> str:
    """One line of a skill's without a character that a person cannot see; such a one is told by its number."""
    line = " ".join(text.split())
    return line if not oddity(line) else "".join(f"\\u{{{ord(one):x}}}" if oddity(one) else one for one in line)
