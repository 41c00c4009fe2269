"""What a model is told of a method, for the person who decides whether one may be told that (pure).

A model goes by these words, and whoever wrote the Hand, or the server behind it, chose them: a param's description can try to
tell it what to do as well as a method's can. So before the yes each text is here that a model will read after it, on a line
of its own, between « and », which it cannot write itself. Lines are to be shown as screen.visible() makes them.
"""

import json
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Final

from manifests.schema import Provided
from manifests.typed import split_type

IN_PLACE: Final = 60
"""Lines, of all that is new together, that are shown without being asked for."""

_FACTS: Final = {
    "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} of them", "maxItems": "at most {} of them",
    "minimum": "at least {}", "maximum": "at most {}",
    "exclusiveMinimum": "more than {}", "exclusiveMaximum": "less than {}",
}  # fmt: skip


def of(one: Provided, before: Provided | None) -> list[str]:
    """Lines of what is told of it but for its summary.

    before: the method as it was, if it was there: then each line has "+ " or "- " before it where it is other than it was.
    """
    now = list(_lines(one))
    if before is None:
        return now
    then = list(_lines(before))
    if one.summary != before.summary:
        then.insert(0, f"summary  {quoted(before.summary)}")
        now.insert(0, f"summary  {quoted(one.summary)}")
    return list(_compared(then, now))


def quoted(text: str) -> str:
    """Somebody's words, between marks that they do not hold."""
    return f"«{text.replace('«', '<').replace('»', '>')}»"


def _lines(one: Provided) -> Iterator[str]:
    bare = []
    for name, of_type in one.params.items():
        kind, optional = split_type(of_type)
        what = kind + (", may be left out" if optional else "")
        if schema := one.schemas.get(name):
            yield from _schema(name, what, schema)
        else:
            bare.append(f"{name} ({what})")
    if bare:
        yield ", ".join(bare)


def _schema(path: str, what: str, schema: Mapping[str, object]) -> Iterator[str]:
    """A line for it, and one for each schema within it. what: what is known of it otherwise."""
    facts = [what, *_facts(schema)]
    said = schema.get("description")
    yield "  ".join(filter(None, (path, "; ".join(filter(None, facts)), quoted(said) if isinstance(said, str) else "")))
    fields, required = schema.get("properties"), schema.get("required")
    must = required if isinstance(required, list) else []
    for name, inner in fields.items() if isinstance(fields, dict) else ():
        yield from _inner(f"{path}.{name}", "must be given" if name in must else "", inner)
    yield from _inner(f"{path}[]", "", schema.get("items"))
    yield from _inner(f"{path}.*", "", schema.get("additionalProperties"))
    kinds = schema.get("anyOf")
    for at, inner in enumerate(kinds if isinstance(kinds, list) else [], 1):
        yield from _inner(f"{path}, way {at}", "", inner)


def _inner(path: str, what: str, schema: object) -> Iterator[str]:
    if isinstance(schema, dict) and (schema or what or not path.endswith(("[]", ".*"))):
        yield from _schema(path, what, schema)


def _facts(schema: Mapping[str, object]) -> list[str]:
    """What stands in it besides texts and schemas."""
    types, values = schema.get("type"), schema.get("enum")
    found = [" or ".join(map(str, types)) if isinstance(types, list) else str(types)] if types else []
    if isinstance(values, list):
        found.append(f"one of {', '.join(map(_written, values))}")
    found += [words.format(_written(schema[word])) for word, words in _FACTS.items() if word in schema]
    if schema.get("additionalProperties") is False:
        found.append("no further fields")
    return found + ([f"{_written(schema['default'])} if left out"] if "default" in schema else [])


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _compared(then: list[str], now: list[str]) -> Iterator[str]:
    for what, start, end, begun, ended in SequenceMatcher(None, then, now, autojunk=False).get_opcodes():
        if what == "equal":
            yield from (f"  {line}" for line in now[begun:ended])
        else:
            yield from (f"- {line}" for line in then[start:end])
            yield from (f"+ {line}" for line in now[begun:ended])
