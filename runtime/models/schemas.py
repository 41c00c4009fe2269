"""Reads an answer's text as JSON and checks it against a JSON Schema (pure); mends it if only its spelling is wrong.

Mended is what models are known to write around or in JSON: a Markdown fence, words before and after, an extra comma,
single quotes, a missing bracket at the end (`json-repair`), a lone surrogate (surrogates.py). `jsonschema` checks it,
by draft 2020-12 unless the schema names another; a `$ref` outside the schema is never fetched. Problems are in words,
to be sent to the model; they name places and rules of the schema and repeat nothing of the answer, which may have copied
content from outside that no mark would surround there.
"""

import re
from typing import TYPE_CHECKING, Final, SupportsIndex

import msgspec
from msgspec import Struct

from runtime.models.surrogates import well_formed_value

if TYPE_CHECKING:
    from jsonschema import ValidationError

PROBLEMS_MOST: Final = 8
TEXT_MOST: Final = 1_048_576
MENDED_MOST: Final = 150_000
"""Characters of a text that is mended, at most: json-repair takes a second for so many without quotes, and four times as long
for twice as many.
"""

BRACKETS_MOST: Final = 20_000
"""Opening brackets of a text that is mended, at most: each takes a tenth of a millisecond or more."""

READS_MOST: Final = 2_000_000
"""Characters that json-repair may read to mend a text, which take about two seconds. It reads a character of near-JSON up to
four times; but from an unescaped quote in a list it reads all that follows, each time.
"""

_OWN_NAME: Final = "[a name of yours]"
_SIGN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[]["{}]', re.DOTALL)
"""A text between quotes, a bracket, or the quote of a text without an end."""

_FENCE: Final = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)


class Checked(Struct, frozen=True, kw_only=True):
    """value: what was read. problems: why it does not match the schema, () if it does. mended: its spelling was wrong."""

    value: object = None
    problems: tuple[str, ...] = ()
    mended: bool = False


def read(text: str, schema: dict[str, object]) -> Checked:
    """Read a text as JSON and check it against the schema. An invalid schema is a problem too."""
    text = text[:TEXT_MOST]
    fence = _FENCE.match(text)
    bare = fence[1] if fence else text
    try:
        value: object = msgspec.json.decode(bare)
        mended = bool(fence)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        value, mended = _mend(bare), True
        if value in ("", None):
            return Checked(problems=("it is not JSON",), mended=True)
    return Checked(value=value, problems=find_problems(value, schema), mended=mended)


def is_one_object(text: str) -> bool:
    """Return whether a text that is nearly JSON has one whole object; `read` would complete one that was cut."""
    depth, begun = 0, False
    for found in _SIGN.finditer(text, max(0, text.find("{"))):
        if found[0] == '"' or (begun and not depth):
            return False
        begun = True
        depth += (found[0] in "[{") - (found[0] in "]}")
    return begun and not depth


def find_problems(value: object, schema: dict[str, object]) -> tuple[str, ...]:
    """Return why a value does not match the schema, each with its place; () if it does."""
    try:
        return _check(value, schema)
    except _InvalidSchema as error:
        return (str(error),)


def find_fault(schema: dict[str, object]) -> str:
    """Return why a schema is invalid, as far as that shows without a value to check; "" if it is not."""
    try:
        _check(None, schema)
    except _InvalidSchema as error:
        return str(error)
    return ""


class _TooManyReads(Exception):
    """You get this one when a text has been read from READS_MOST times."""


class _CountedText(str):  # noqa: SLOT000  there is one at a time
    """A text that counts how often it is read from. A count, unlike a time, ends each attempt at the same place."""

    _reads = 0

    def __getitem__(self, at: SupportsIndex | slice) -> str:
        self._reads += 1
        if self._reads > READS_MOST:
            raise _TooManyReads
        return super().__getitem__(at)


class _InvalidSchema(Exception):
    """You get this one when the schema itself is wrong, so that no value can match it."""


def _check(value: object, schema: dict[str, object]) -> tuple[str, ...]:
    import jsonschema
    import referencing
    from jsonschema.validators import validator_for

    if not isinstance(schema.get("$schema", ""), str):
        raise _InvalidSchema("the schema itself is wrong: its $schema is not text")
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        found = sorted(
            kind(schema, registry=referencing.Registry()).iter_errors(value),
            key=lambda error: list(map(str, error.path)),
        )
    except jsonschema.SchemaError as error:
        raise _InvalidSchema(f"the schema itself is wrong: {_cut(error.message)}") from None
    except (referencing.exceptions.Unresolvable, RecursionError, re.error) as error:
        raise _InvalidSchema(f"the schema cannot be followed: {type(error).__name__}") from None
    return tuple(map(_problem, found[:PROBLEMS_MOST]))


def _problem(error: "ValidationError") -> str:
    """Return where in the value which rule is broken. Of names in the value only those that the schema names are shown."""
    named = set(error.absolute_schema_path)
    steps = (f"[{at}]" if isinstance(at, int) else f".{at}" if at in named else _OWN_NAME for at in error.absolute_path)
    place = "".join(("$", *steps))
    if not isinstance(error.validator, str):
        return f"{place}: something must not be there"
    if error.validator == "required":  # its message has the name, from the schema
        return f"{place}: {_cut(error.message)}"
    return _cut(f'{place}: does not match "{error.validator}": {msgspec.json.encode(error.validator_value).decode()}')


def correction(problems: tuple[str, ...]) -> str:
    """Return the message that asks the model to correct its answer."""
    listed = "\n".join(f"- {one}" for one in problems)
    return (
        f"Your answer does not match the JSON Schema that was asked for:\n{listed}\nAnswer again, with the JSON alone."
    )


def _mend(text: str) -> object:
    from json_repair import loads

    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0 or len(text) - start > MENDED_MOST or sum(map(text.count, "{[(")) > BRACKETS_MOST:
        return None
    try:
        return well_formed_value(loads(_CountedText(text[start:]), skip_json_loads=True))
    except (ValueError, RecursionError, _TooManyReads):
        return None


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:299]}…"
