"""Lists the texts about a method that models will read, for the person who decides on its install (pure).

The author of the Hand, or of the server behind it, wrote these texts, and any of them, also a param's description, can try
to instruct a model. So each is shown before the install, on a line of its own, between « and », which are replaced within
the texts themselves. Callers print the lines through screen.visible().
"""

import json
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Final

from manifests.schema import Provided
from manifests.typed import split_type

LINES_SHOWN: Final = 60
"""Most lines of all new methods together that are shown without being asked for."""

_CONSTRAINTS: Final = {
    "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} of them", "maxItems": "at most {} of them",
    "minimum": "at least {}", "maximum": "at most {}",
    "exclusiveMinimum": "more than {}", "exclusiveMaximum": "less than {}",
}  # fmt: skip


def lines_for(one: Provided, before: Provided | None) -> list[str]:
    """The lines that models read about a method, without its summary.

    before: the method as installed now, if it is: then changed lines begin with "+ " or "- ", equal ones with "  ", and a
    changed summary is included.
    """
    now = list(_method_lines(one))
    if before is None:
        return now
    then = list(_method_lines(before))
    if one.summary != before.summary:
        then.insert(0, f"summary  {quoted(before.summary)}")
        now.insert(0, f"summary  {quoted(one.summary)}")
    return list(_diff(then, now))


def quoted(text: str) -> str:
    """Put a text between « and », which are replaced in the text itself."""
    return f"«{text.replace('«', '<').replace('»', '>')}»"


def _method_lines(one: Provided) -> Iterator[str]:
    bare = []
    for name, of_type in one.params.items():
        kind, optional = split_type(of_type)
        what = kind + (", may be left out" if optional else "")
        if schema := one.schemas.get(name):
            yield from _schema_lines(name, what, schema)
        else:
            bare.append(f"{name} ({what})")
    if bare:
        yield ", ".join(bare)


def _schema_lines(path: str, what: str, schema: Mapping[str, object]) -> Iterator[str]:
    """Yield a line for a JSON schema, and one for each schema inside it. what: facts known from elsewhere."""
    constraints = [what, *_constraints(schema)]
    description = schema.get("description")
    yield "  ".join(
        filter(
            None,
            (path, "; ".join(filter(None, constraints)), quoted(description) if isinstance(description, str) else ""),
        )
    )
    fields, required = schema.get("properties"), schema.get("required")
    required_names = required if isinstance(required, list) else []
    for name, inner in fields.items() if isinstance(fields, dict) else ():
        yield from _inner_lines(f"{path}.{name}", "must be given" if name in required_names else "", inner)
    yield from _inner_lines(f"{path}[]", "", schema.get("items"))
    yield from _inner_lines(f"{path}.*", "", schema.get("additionalProperties"))
    kinds = schema.get("anyOf")
    for at, inner in enumerate(kinds if isinstance(kinds, list) else [], 1):
        yield from _inner_lines(f"{path}, way {at}", "", inner)


def _inner_lines(path: str, what: str, schema: object) -> Iterator[str]:
    if isinstance(schema, dict) and (schema or what or not path.endswith(("[]", ".*"))):
        yield from _schema_lines(path, what, schema)


def _constraints(schema: Mapping[str, object]) -> list[str]:
    """The schema's type, values and limits in words."""
    types, values = schema.get("type"), schema.get("enum")
    found = [" or ".join(map(str, types)) if isinstance(types, list) else str(types)] if types else []
    if isinstance(values, list):
        found.append(f"one of {', '.join(map(_json, values))}")
    found += [words.format(_json(schema[word])) for word, words in _CONSTRAINTS.items() if word in schema]
    if schema.get("additionalProperties") is False:
        found.append("no further fields")
    return found + ([f"{_json(schema['default'])} if left out"] if "default" in schema else [])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _diff(then: list[str], now: list[str]) -> Iterator[str]:
    for what, start, end, begun, ended in SequenceMatcher(None, then, now, autojunk=False).get_opcodes():
        if what == "equal":
            yield from (f"  {line}" for line in now[begun:ended])
        else:
            yield from (f"- {line}" for line in then[start:end])
            yield from (f"+ {line}" for line in now[begun:ended])
