"""Forms that an MCP server asks a person to fill in (elicitation): its fields as questions, and the answers (pure).

A server's words are untrusted. So a question names the server, shows its words between quotation marks that they cannot
close, in visible characters and at a limited length; and a form that is too large, or wants a secret (a password, a key),
is refused. Answers are checked by the protocol's subset of JSON Schema (2025-11-25, client/elicitation); the server itself
checks anything beyond, such as patterns.
"""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from manifests.mcp.words import visible
from wire.errors import ManipleError

FIELDS_MOST: Final = 12
CHOICES_MOST: Final = 50
"""The most fields of a form, and choices of a field: each field is a question to a person."""

MESSAGE_MOST: Final = 1_000
WORDS_MOST: Final = 300
CHOICE_MOST: Final = 100
ANSWER_MOST: Final = 10_000
"""The most characters of a form's message and of a field's words, which are cut, and of a choice and an answer, which are
refused."""

YES: Final = ("yes", "true", "y", "1")
NO: Final = ("no", "false", "n", "0")
"""The answers for a boolean; questions name the first of each."""

Kind: TypeAlias = Literal["string", "integer", "number", "boolean", "choice", "choices"]
Given: TypeAlias = str | int | float | bool | list[str]

_SECRET: Final = re.compile(
    r"\b(pass ?(word|phrase|code)s?|secrets?|tokens?|(api|private|secret|access) ?keys?|credentials?|pins?|cvv|cvc"
    r"|(card|account) ?numbers?|security ?codes?)\b"
)
_TYPES: Final[Mapping[Kind, tuple[type, ...]]] = {
    "string": (str,), "choice": (str,), "choices": (list,), "boolean": (bool,), "integer": (int,), "number": (int, float),
}  # fmt: skip
_PART: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|\Z)')
"""One of several choices in an answer: in quotation marks, doubled inside, or up to the next comma."""

_DIGITS: Final = 3  # the most digits of a choice's number
_FAR: Final = 1e21
_WARNING: Final = "Never answer it with a password or a key."


class FormInvalid(ManipleError):
    """A form is refused, and nobody is asked to fill it in. The text says why."""


class AnswerInvalid(ManipleError):
    """An answer does not fit its field. The text says what fits."""


class Field(Struct, frozen=True, kw_only=True):
    """One field. words: its title and description. choices: value → its title, "" if it has none.

    least, most: bounds of a number, of a text's length, or of the number of choices made.
    """

    name: str
    kind: Kind
    words: str = ""
    choices: Mapping[str, str] = {}
    default: Given | UnsetType = UNSET
    is_required: bool = False
    least: float | None = None
    most: float | None = None
    format: str = ""

    @property
    def offered(self) -> list[str]:
        """The only answers allowed, literally; [] if other answers, or an empty one, are allowed."""
        if self.default is not UNSET or not self.is_required:
            return []
        return [YES[0], NO[0]] if self.kind == "boolean" else list(self.choices) if self.kind == "choice" else []

    @property
    def is_numbered(self) -> bool:
        """Whether several choices can be given by their numbers, from 1 on: not if a choice is itself a number."""
        return self.kind == "choices" and not any(one.strip().isdecimal() for one in self.choices)


class Form(Struct, frozen=True, kw_only=True):
    """A message and its fields. A form without fields asks for yes or no."""

    message: str
    fields: tuple[Field, ...]


def read(message: str, schema: Mapping[str, object]) -> Form:
    """Make the form of a message and a requested schema. Raises FormInvalid."""
    properties, required = schema.get("properties"), schema.get("required")
    rows = properties if isinstance(properties, dict) else {}
    if len(rows) > FIELDS_MOST:
        raise FormInvalid(f"it has {len(rows)} fields, and {FIELDS_MOST} are the most")
    needed = required if isinstance(required, list) else []
    return Form(message=message, fields=tuple(_field(str(name), row, name in needed) for name, row in rows.items()))


def question(form: Form, at: int, hand: str, problem: str = "") -> str:
    """Return the question for a form's field, in one line.

    at: the field's index, -1 for a form without fields. problem: why the answer before was refused, "" the first time.
    """
    count = f" ({at + 1} of {len(form.fields)})" if len(form.fields) > 1 else ""
    parts = [f"The server of {hand} asks{count}, in its own words: {_quoted(form.message, MESSAGE_MOST)}."]
    if at >= 0:
        field = form.fields[at]
        words = f" ({_quoted(field.words, WORDS_MOST)})" if field.words else ""
        parts += [
            f"It wants {_quoted(field.name, CHOICE_MOST)}{words}: {_describe_answer(field)}.",
            *_describe_empty(field),
        ]
    else:
        parts.append(f"It wants a {YES[0]} or {NO[0]}.")
    parts += [f"What was answered before is not that: {problem}."] if problem else []
    return " ".join([*parts, _WARNING])


def read_answer(field: Field, text: str) -> Given | UnsetType:
    """Parse a person's answer for a field; UNSET to leave the field out. Raises AnswerInvalid."""
    if not text.strip():
        if field.default is UNSET and field.is_required:
            raise AnswerInvalid("it may not be empty")
        return field.default
    if len(text) > ANSWER_MOST:
        raise AnswerInvalid(f"it has more than {ANSWER_MOST} characters")
    return _check(field, _parse(field, text))


def _parse(field: Field, text: str) -> Given:
    plain = text.strip()
    match field.kind:
        case "string":
            return text
        case "boolean":
            if plain.lower() not in (*YES, *NO):
                raise AnswerInvalid(f"write {YES[0]} or {NO[0]}")
            return plain.lower() in YES
        case "choice":
            return text if text in field.choices else plain
        case "choices":
            return _chosen(plain, field)
        case "integer" | "number":
            with suppress(ValueError):
                number = int(plain) if field.kind == "integer" else float(plain)
                if _is_sized(number):
                    return number
            raise AnswerInvalid(f"it is no {field.kind}")


def _chosen(text: str, field: Field) -> list[str]:
    """Return the choices that an answer names, each once. Commas separate them, unless the whole answer is one choice."""
    found = [_resolve_choice(part, field) for part in _PART.finditer(text) if part[1] is not None or part[2].strip()]
    if text in field.choices and any(one not in field.choices for one in found):
        return [text]
    return list(dict.fromkeys(found))


def _resolve_choice(part: re.Match[str], field: Field) -> str:
    """Return the choice that a part of an answer names; the part itself if it names none."""
    if part[1] is not None:
        inside = part[1].replace('""', '"')
        return inside if inside in field.choices else f'"{part[1]}"'
    plain = part[2].strip()
    if not field.is_numbered or not plain.isascii() or not plain.isdecimal() or len(plain) > _DIGITS:
        return plain
    return dict(enumerate(field.choices, 1)).get(int(plain), plain)


def _check(field: Field, value: Given) -> Given:
    """Return the value if it fits the field. Raises AnswerInvalid."""
    chosen = value if isinstance(value, list) else [str(value)] if field.kind == "choice" else []
    if wrong := [one for one in chosen if one not in field.choices]:
        raise AnswerInvalid(f"{visible(str(wrong[0]))[:CHOICE_MOST]} is none of the choices")
    if field.kind not in ("boolean", "choice"):
        size = len(value) if isinstance(value, str | list) else value
        what = {"string": "characters", "choices": "choices"}.get(field.kind, "")
        if field.least is not None and not size >= field.least:
            raise AnswerInvalid(f"at least {_written(field.least)} {what}".rstrip())
        if field.most is not None and not size <= field.most:
            raise AnswerInvalid(f"at most {_written(field.most)} {what}".rstrip())
    return value


def _field(name: str, row: object, is_required: bool) -> Field:
    if not isinstance(row, dict):
        raise FormInvalid(f"its field {visible(name)[:CHOICE_MOST]} is described by nothing")
    words = ". ".join(str(row[key]).rstrip(".") for key in ("title", "description") if isinstance(row.get(key), str))
    spoken = re.sub(r"([a-z])([A-Z])", r"\1 \2", f"{name} {words}")
    if row.get("format") == "password" or _SECRET.search(re.sub(r"[^a-z0-9]+", " ", spoken.lower())):
        raise FormInvalid(f"its field {visible(name)[:CHOICE_MOST]} looks as if a secret were wanted")
    kind, choices = _kind(row)
    keys = {"string": ("minLength", "maxLength"), "choices": ("minItems", "maxItems")}
    least, most = (_number(row.get(key)) for key in keys.get(kind, ("minimum", "maximum")))
    field = Field(
        name=name, kind=kind, words=words, choices=choices, is_required=is_required, least=least, most=most,
        format=str(row.get("format") or "")[:CHOICE_MOST],
    )  # fmt: skip
    return field if row.get("default") is None else _with_default(field, row["default"])


def _with_default(field: Field, default: object) -> Field:
    try:
        parts = default if isinstance(default, list) else []
        if type(default) not in _TYPES[field.kind] or any(type(one) is not str for one in parts):
            raise AnswerInvalid("it is of another type")
        if isinstance(default, int | float) and not _is_sized(default):
            raise AnswerInvalid("it is no such number")
        assert isinstance(default, str | int | float | list)
        return replace(field, default=_check(field, default))
    except AnswerInvalid as error:
        raise FormInvalid(f"the default of its field {visible(field.name)[:CHOICE_MOST]}: {error}") from None


def _kind(row: Mapping[str, object]) -> tuple[Kind, dict[str, str]]:
    match row.get("type"):
        case "string":
            choices = _choices(row, "oneOf")
            return ("choice", choices) if choices else ("string", {})
        case "array":
            items = row.get("items")
            if isinstance(items, dict) and (choices := _choices(items, "anyOf")):
                return "choices", choices
        case "integer" | "number" | "boolean" as kind:
            return kind, {}
    raise FormInvalid("one of its fields is neither a text, a number, a yes or no, nor a choice")


def _choices(row: Mapping[str, object], several: str) -> dict[str, str]:
    """Return the values to choose from, with their titles. Raises FormInvalid for too many, or too long ones."""
    values, names, titled = row.get("enum"), row.get("enumNames"), row.get(several)
    found: dict[str, str] = {}
    if isinstance(values, list):
        meant = names if isinstance(names, list) and len(names) == len(values) else [""] * len(values)
        found = {str(value): str(name) for value, name in zip(values, meant, strict=True)}
    elif isinstance(titled, list):
        rows = [one for one in titled if isinstance(one, dict) and isinstance(one.get("const"), str)]
        found = {str(one["const"]): str(one.get("title") or "") for one in rows}
    if len(found) > CHOICES_MOST or any(not one or len(one) > CHOICE_MOST for one in found):
        raise FormInvalid(f"a field has at most {CHOICES_MOST} choices of at most {CHOICE_MOST} characters each")
    return found


def _describe_answer(field: Field) -> str:
    """Describe the answers that fit a field."""
    bounds = [
        f"{word} {_written(one)}"
        for word, one in (("at least", field.least), ("at most", field.most))
        if one is not None
    ]
    within = f" ({', '.join(bounds)})" if bounds else ""
    match field.kind:
        case "choice" | "choices":
            shown = ", ".join(
                (f"{place} " if field.is_numbered else "")
                + _quoted(one, CHOICE_MOST)
                + (f" ({_quoted(meant, CHOICE_MOST)})" if meant else "")
                for place, (one, meant) in enumerate(field.choices.items(), 1)
            )
            return f"one of {shown}" if field.kind == "choice" else f"any of {shown}{_describe_choices(field)}{within}"
        case "boolean":
            return f"{YES[0]} or {NO[0]}"
        case "string":
            form = f" in the form {_quoted(field.format, CHOICE_MOST)}" if field.format else ""
            return f"a text{form}{within}"
        case "integer" | "number":
            return f"{'a whole' if field.kind == 'integer' else 'a'} number{within}"


def _describe_choices(field: Field) -> str:
    """Describe how to write several choices."""
    each = " or their numbers" if field.is_numbered else ""
    marks = ', one that holds a comma between " and "' if any("," in one for one in field.choices) else ""
    return f": their words{each}, with commas between them{marks}"


def _describe_empty(field: Field) -> list[str]:
    """Say what an empty answer means, in at most one sentence."""
    match field.default:
        case UnsetType():
            return [] if field.is_required else ["An empty answer leaves it out."]
        case bool() as value:
            meant = YES[0] if value else NO[0]
        case list() as values:
            meant = ", ".join(_as_answered(one) for one in values)
        case value:
            meant = str(value)
    return [f"An empty answer means {_quoted(meant, WORDS_MOST)}."]


def _as_answered(choice: str) -> str:
    """Write a choice as one of several in an answer, in quotation marks if necessary."""
    is_plain = "," not in choice and not choice.startswith('"') and choice == choice.strip()
    return choice if is_plain else '"' + choice.replace('"', '""') + '"'


def _quoted(text: str, most: int) -> str:
    """Quote a server's words with marks that they cannot contain, cut to `most` characters."""
    plain = visible(text).replace("«", "<").replace("»", ">")
    return f"«{plain if len(plain) <= most else plain[: most - 1] + '…'}»"


def _number(value: object) -> float | None:
    """Return a bound; None if there is none, or it is too large to mean anything to a person."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) < _FAR else None


def _written(number: float) -> str:
    """Format a bound with all of its digits."""
    return str(number) if isinstance(number, int) else f"{number:.15g}"


def _is_sized(number: float) -> bool:
    """Whether a number is finite as a double: no NaN, no infinity, and no integer of hundreds of digits."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
