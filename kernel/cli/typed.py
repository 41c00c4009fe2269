"""Parses `key=value` and `key:=JSON` from the command line, and converts them to declared types (pure)."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from kernel.cli.exits import Ended, Exit
from kernel.cli.screen import is_text
from manifests.errors import ParamsInvalid, ValueInvalid
from manifests.params import check, parse
from manifests.typed import convert, from_text

_NOT_TEXT: Final = frozenset(("int", "float", "bool", "list", "dict"))


class Arguments(Struct, frozen=True, kw_only=True):
    """Parsed words. texts: as typed after `=`. values: decoded from JSON after `:=`."""

    texts: dict[str, str] = {}
    values: dict[str, object] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.texts, *self.values)


def parse_words(given: Iterable[str]) -> Arguments:
    """Parse `key=value` and `key:=JSON`. Raises Ended (usage) for anything else, and for a key given twice."""
    texts: dict[str, str] = {}
    values: dict[str, object] = {}
    for word in given:
        if not is_text(word):
            raise Ended(f"`{word}` is not UTF-8 text", Exit.USAGE)
        name, equals, text = word.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":")
        if not equals or not name:
            raise Ended(f"`{word}` is not key=value; write key=text, or key:=JSON", Exit.USAGE)
        if name in texts or name in values:
            raise Ended(f"`{name}` is given twice", Exit.USAGE)
        if is_json:
            values[name] = _json(name, text)
        else:
            texts[name] = text
    return Arguments(texts=texts, values=values)


def arguments(declared: Mapping[str, str], given: Arguments, *, see: str) -> dict[str, object]:
    """Convert arguments to the types of the declared params. Raises Ended (usage) with every problem.

    see: the command that shows what is declared, for the error.
    """
    try:
        converted = parse(declared, given.texts, beside=given.values)
        check(declared, {**converted, **given.values})
    except ParamsInvalid as error:
        raise Ended(f"{'; '.join(error.problems)}: see `{see}`", Exit.USAGE) from None
    return {**converted, **given.values}


def settings(types: Mapping[str, str], given: Arguments) -> dict[str, object]:
    """Convert values to the types of settings; the kernel checks them further. Ended (usage) for a wrong type."""
    values = dict(given.values)
    for name, text in given.texts.items():
        if name not in types:
            values[name] = text
            continue
        try:
            values[name] = from_text(types[name], text)
        except ValueInvalid as error:
            raise Ended(f"`{name}`: {error.why}; {error.instead}", Exit.USAGE) from None
    return values


def inputs(takes: Mapping[str, str], given: Arguments) -> dict[str, object]:
    """Convert a task's inputs: texts to the types of its params, as far as known; other values stay as they are.

    Raises Ended (usage) for a wrong type.
    """
    texts = {name: text for name, text in given.texts.items() if takes.get(name, "").removesuffix("?") in _NOT_TEXT}
    try:
        read_as = parse({name: takes[name] for name in texts}, texts)
        converted = {name: convert(takes[name].removesuffix("?"), value) for name, value in read_as.items()}
    except ParamsInvalid as error:
        raise Ended("; ".join(error.problems), Exit.USAGE) from None
    return {**given.texts, **converted, **given.values}


def _json(name: str, text: str) -> object:
    import msgspec

    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Ended(f"`{name}` is not JSON: write {name}={text} for text, or JSON after :=", Exit.USAGE) from None
    return value
