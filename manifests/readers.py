"""Readers of HAND.toml's values, one per type named in reference.py (pure).

A reader takes the raw value of a key and returns what schema.py keeps, or BAD after it has noted what is wrong. It
knows one value only; rules that need several keys are in rules.py.
"""

import re
from collections.abc import Callable
from keyword import iskeyword
from typing import Final

from manifests import capabilities
from manifests.confinement import layers
from manifests.errors import PatternInvalid, ValueInvalid
from manifests.findings import Findings, spelled
from manifests.grants import is_method_pattern
from manifests.names import LONGEST_NAME, is_field, is_hand_name
from manifests.positions import Path
from manifests.reference import AT, LATER, REQUIRED, Key, keys_of
from manifests.typed import split_type, word
from manifests.values import parse_duration, parse_size
from manifests.versions import is_version

BAD: Final = object()
"""What a reader returns for a value it has refused."""

LONGEST_TEXT: Final = 500
LONGEST_COMMAND: Final = 64
LONGEST_SHOWN: Final = 80
RESERVED_FIELDS: Final = ("self", "call")
_ENTRY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WASM: Final = re.compile(r"(?!(?:.*/)?\.)[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*\.wa(?:sm|t)", re.ASCII)
_PROGRAM: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)
_OWN_PROGRAM: Final = re.compile(r"\.(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+", re.ASCII)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Reader = Callable[[Findings, Path, object, Key], object]


def read_table(found: Findings, section: str, path: Path, raw: object) -> dict[str, object]:
    """The good values of one table by their key; everything else in it is noted. section as in reference.SECTIONS."""
    if not isinstance(raw, dict):
        found.at_value(
            path, f"{spelled(path)} is {word(raw)}, not a table", f"write [{spelled(path)}] on a line of its own"
        )
        return {}
    keys = keys_of(section)
    values: dict[str, object] = {}
    for name, value in raw.items():
        if name in keys:
            read = READERS[keys[name].type](found, (*path, name), value, keys[name])
            if read is not BAD:
                values[name] = read
        else:
            note_unknown(found, section, (*path, name))
    for name, key in keys.items():
        if key.default == REQUIRED and name not in raw:
            found.at_key(path, f"{spelled((*path, name))} is missing", f"write {name} = {_example(key)}")
    return values


def note_unknown(found: Findings, section: str, path: Path) -> None:
    """Notes a key that the section does not have: comes later, belongs elsewhere, or is a slip of the pen."""
    name = str(path[-1])
    later = LATER.get(f"{section}.{name}" if section else name)
    if later is not None:
        what = spelled(path) if section else f"[{name}]"
        found.at_key(path, f"{what} {later}; it comes later", "leave it out for now")
        return
    from difflib import get_close_matches

    names = keys_of(section) if section else {one.partition(".")[0]: None for one in AT}
    close = get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.6)
    elsewhere = [key.path for key in AT.values() if key.path.endswith(f".{name}") and "*" not in key.path]
    if close:
        instead = f'did you mean "{close[0]}"?'
    elif elsewhere:
        instead = f"it belongs in [{elsewhere[0].rpartition('.')[0]}]"
    else:
        instead = f"there are {', '.join(names)}"
    found.at_key(path, f"{spelled(path)} is not a {'key' if section else 'section'} of HAND.toml", instead)


def _example(key: Key) -> str:
    examples = {
        "name": '"my-hand"',
        "version": '"1.0.0"',
        "text": '"..."',
        "patterns": '["..."]',
    }
    return " or ".join(f'"{choice}"' for choice in key.choices) if key.choices else examples[key.type]


def _refused(found: Findings, path: Path, value: object, wanted: str, instead: str) -> object:
    if isinstance(value, str) and len(value) <= LONGEST_SHOWN:
        shown = f'"{value}"'
    elif isinstance(value, int | float) and not isinstance(value, bool) and len(repr(value)) <= LONGEST_SHOWN:
        shown = repr(value)
    else:
        shown = word(value)
    found.at_value(path, f"{spelled(path)} is {shown}, not {wanted}", instead)
    return BAD


def _bool(found: Findings, path: Path, value: object, key: Key) -> object:
    return (
        value
        if isinstance(value, bool)
        else _refused(found, path, value, "true or false", "write true or false, without quotes")
    )


def _count(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return _refused(found, path, value, "a count", "write a whole number without quotes")


def _text(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, str) or not value.strip():
        return _refused(found, path, value, "a sentence", 'write a text in quotes, such as "..."')
    if len(value) > LONGEST_TEXT:
        return _refused(found, path, value, "short enough", f"write at most {LONGEST_TEXT} characters")
    if capabilities.spelling.oddity(value):
        found.at_value(
            path, f"{spelled(path)}: {capabilities.spelling.oddity(value)}", "write one line of visible characters"
        )
        return BAD
    return value


def _name(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, str) or not is_hand_name(value):
        return _refused(
            found, path, value, "a name", f'write small letters, digits and single "-", such as {_nearest_name(value)}'
        )
    return value


def _nearest_name(value: object) -> str:
    words = (
        re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1-\2", value).lower()) if isinstance(value, str) else []
    )
    name = "-".join(words).lstrip("0123456789-")[:LONGEST_NAME].rstrip("-")
    return f'"{name or "my-hand"}"'


def _version(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and is_version(value):
        return value
    return _refused(found, path, value, "a version", 'write three numbers, such as "1.2.0"')


def _entry(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and _ENTRY.fullmatch(value):
        return value
    return _refused(
        found, path, value, "module:Class", 'write the file without .py, a colon and the class, such as "main:MyHand"'
    )


def _command(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list) or not 0 < len(value) <= LONGEST_COMMAND:
        return _refused(
            found, path, value, "a program and its arguments", 'write a list of texts, such as ["node", "server.js"]'
        )
    good = True
    for index, item in enumerate(value):
        if not isinstance(item, str) or "\0" in item or len(item) > LONGEST_TEXT:
            _refused(found, (*path, index), item, "an argument", "write a text without NUL, of at most 500 characters")
            good = False
        elif index == 0 and not (_PROGRAM.fullmatch(item) or _OWN_PROGRAM.fullmatch(item)):
            wanted = "a program of the system's, or a file of the Hand's"
            _refused(found, (*path, index), item, wanted, 'write its name, such as "node", or its place, "./server"')
            good = False
    return tuple(value) if good else BAD


def _wasm(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and len(value) <= LONGEST_SHOWN and _WASM.fullmatch(value):
        return value
    return _refused(
        found, path, value, "a module in the Hand's folder", 'write its path there, such as "main.wasm" or "main.wat"'
    )


def _choice(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and value in key.choices:
        return value
    return _refused(found, path, value, "one of its values", f"write {_example(key)}")


def _measure(parse: Callable[[str], int], of: str, example: str) -> Reader:
    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if not isinstance(value, str):
            return _refused(found, path, value, f"a {of}", f"write a number and a unit in quotes, such as {example}")
        try:
            return parse(value)
        except ValueInvalid as error:
            found.at_value(path, f"{spelled(path)}: {error.why}", error.instead)
            return BAD

    return read


def _list(fits: Callable[[str], bool], wanted: str, instead: str) -> Reader:
    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if not isinstance(value, list):
            return _refused(found, path, value, "a list", 'write a list of texts, such as ["..."]')
        seen: list[str] = []
        for index, item in enumerate(value):
            if not isinstance(item, str) or not fits(item):
                _refused(found, (*path, index), item, wanted, instead)
            elif item in seen:
                found.at_value((*path, index), f'"{item}" stands twice in {spelled(path)}', "leave one out")
            else:
                seen.append(item)
        return tuple(seen) if len(seen) == len(value) else BAD

    return read


def _is_folder(text: str) -> bool:
    """A path from the top, in its shortest form."""
    return (
        text.startswith("/")
        and text != "/"
        and not {"", ".", ".."}.intersection(text[1:].split("/"))
        and "\0" not in text
    )


def _patterns(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list):
        return _refused(found, path, value, "a list of patterns", 'write a list, such as ["reports/**"]')
    good: list[str] = []
    for index, item in enumerate(value):
        if not isinstance(item, str):
            _refused(found, (*path, index), item, "a pattern", 'write a text, such as "reports/**"')
            continue
        try:
            capabilities.check_pattern(item)
            good.append(item)
        except PatternInvalid as error:
            found.at_value((*path, index), f"{spelled(path)}: {error.why}", error.instead)
    return tuple(good) if len(good) == len(value) else BAD


def _types(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, dict):
        return _refused(found, path, value, "a table of names and types", 'write it like { timeout = "duration?" }')
    good: dict[str, str] = {}
    for name, of in value.items():
        if not is_field(name) or iskeyword(name) or name in RESERVED_FIELDS:
            found.at_key(
                (*path, name),
                f'"{name}" cannot be the name of a param',
                'write small letters, digits and "_", no word of Python',
            )
            continue
        try:
            split_type(of if isinstance(of, str) else "")
            good[name] = str(of)
        except ValueInvalid as error:
            _refused(found, (*path, name), of, "a type", error.instead)
    return good if len(good) == len(value) else BAD


def _choices(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list) or not value:
        return _refused(found, path, value, "a list of values", 'write a list, such as ["low", "high"]')
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        return _refused(
            found, path, value, "a list of texts or whole numbers", 'write it like ["low", "high"] or [1, 2]'
        )
    return tuple(value)


def _any(found: Findings, path: Path, value: object, key: Key) -> object:
    return value


READERS: Final[dict[str, Reader]] = {
    "bool": _bool,
    "choice": _choice,
    "choices": _choices,
    "command": _command,
    "count": _count,
    "duration": _measure(parse_duration, "duration", '"60s"'),
    "entry": _entry,
    "event patterns": _list(
        is_method_pattern, "publisher.event", 'write it like "data-pipeline.loaded" or "data-pipeline.*"'
    ),
    "folders": _list(
        _is_folder,
        "a folder of this machine",
        'write its whole path, without "..", and not "/" itself, such as "/proc"',
    ),
    "layers": _list(layers.NAMES.__contains__, "a layer of confinement", f"choose from {', '.join(layers.NAMES)}"),
    "name": _name,
    "names": _list(is_hand_name, "a name", 'write small letters, digits and single "-", such as "my-name"'),
    "patterns": _patterns,
    "programs": _list(
        lambda text: _PROGRAM.fullmatch(text) is not None,
        "a program's name",
        'write it without its folder, such as "ffmpeg"',
    ),
    "size": _measure(parse_size, "size", '"256MiB"'),
    "text": _text,
    "types": _types,
    "value": _any,
    "variables": _list(
        lambda text: _VARIABLE.fullmatch(text) is not None, "a variable's name", 'write it like "SLACK_TOKEN"'
    ),
    "version": _version,
    "wasm": _wasm,
}
"""By the type that reference.py names."""
