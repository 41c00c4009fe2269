"""An answer's text against the JSON Schema that was asked for (pure): read, mended where only its spelling is wrong, checked.

Mended is what models are known to write around JSON or in it: a fence of Markdown, words before and after, a comma too many,
single quotes, a missing bracket at the end (`json-repair`), half a letter (letters.py). Checked by `jsonschema` (draft
2020-12 unless the schema names another); a `$ref` outside the schema is never fetched. What is not of the schema is told in
words that go back to the model.
"""

import re
from typing import Final, SupportsIndex

import msgspec
from msgspec import Struct

from runtime.models.letters import all_whole

PROBLEMS_MOST: Final = 8
TEXT_MOST: Final = 1_048_576
BRACKETS_MOST: Final = 20_000
"""Brackets that open in a text whose spelling is mended: each takes a tenth of a millisecond or more."""

LOOKS_MOST: Final = 2_000_000
"""Looks at letters, to mend a text, which take two seconds or so. Of what is nearly JSON each letter is looked at up to four
times; but from a quote in a list that is not escaped json-repair looks at all that follow.
"""

_FENCE: Final = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)


class Checked(Struct, frozen=True, kw_only=True):
    """value: what was read. problems: why it is not of the schema, () when it is. mended: its spelling was wrong."""

    value: object = None
    problems: tuple[str, ...] = ()
    mended: bool = False


def read(text: str, schema: dict[str, object]) -> Checked:
    """The value that a text spells, and whether it is of the schema. A schema that is none is a problem, too."""
    text = text[:TEXT_MOST]
    fence = _FENCE.match(text)
    bare = fence[1] if fence else text
    try:
        value: object = msgspec.json.decode(bare)
        mended = bool(fence)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        value, mended = _mended(bare), True
        if value in ("", None):
            return Checked(problems=("it is not JSON",), mended=True)
    return Checked(value=value, problems=problems(value, schema), mended=mended)


def problems(value: object, schema: dict[str, object]) -> tuple[str, ...]:
    """Why a value is not of the schema, each with its place; () when it is."""
    try:
        return _problems(value, schema)
    except _Faulty as error:
        return (str(error),)


def fault(schema: dict[str, object]) -> str:
    """Why no value can be compared with a schema, as far as that shows without one; "" where it does not."""
    try:
        _problems(None, schema)
    except _Faulty as error:
        return str(error)
    return ""


class _TooOften(Exception):
    """You get this one when a text has been looked at LOOKS_MOST times."""


class _Looked(str):  # noqa: SLOT000  there is one at a time
    """A text that counts how often it is looked at: by letters, and not by time, so that each try ends alike."""

    _looks = 0

    def __getitem__(self, at: SupportsIndex | slice) -> str:
        self._looks += 1
        if self._looks > LOOKS_MOST:
            raise _TooOften
        return super().__getitem__(at)


class _Faulty(Exception):
    """You get this one when the fault is the schema's own: no answer is of it."""


def _problems(value: object, schema: dict[str, object]) -> tuple[str, ...]:
    import jsonschema
    import referencing
    from jsonschema.validators import validator_for

    if not isinstance(schema.get("$schema", ""), str):
        raise _Faulty("the schema itself is wrong: its $schema is not text")
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        found = sorted(
            kind(schema, registry=referencing.Registry()).iter_errors(value),
            key=lambda error: list(map(str, error.path)),
        )
    except jsonschema.SchemaError as error:
        raise _Faulty(f"the schema itself is wrong: {_cut(error.message)}") from None
    except (referencing.exceptions.Unresolvable, RecursionError, re.error) as error:
        raise _Faulty(f"the schema cannot be followed: {type(error).__name__}") from None
    return tuple(f"{error.json_path}: {_cut(error.message)}" for error in found[:PROBLEMS_MOST])


def correction(problems: tuple[str, ...]) -> str:
    """What the model is told, to mend its answer."""
    told = "\n".join(f"- {one}" for one in problems)
    return f"That is not of the JSON Schema that was asked for:\n{told}\nAnswer again, with the JSON alone."


def _mended(text: str) -> object:
    from json_repair import loads

    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0 or sum(map(text.count, "{[(")) > BRACKETS_MOST:
        return None
    try:
        return all_whole(loads(_Looked(text[start:]), skip_json_loads=True))
    except (ValueError, RecursionError, _TooOften):
        return None


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:299]}…"
