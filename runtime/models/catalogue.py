"""What is known of models and of who serves them: tables beside this module, read whole and strictly (acts: reads those).

`providers.toml` has a row for each service that a driver can speak to, and `listed/NAME.toml` one for each model of the
provider NAME; rows.py says what their keys mean. Each row cites a public page (`source`) and the day of the reading
(`date`); what has none is not listed. A model's row was read in public lists of prices (`records`), which name that page
for it and agree on what it costs. A model that is not here can still be asked, if its provider is: nothing is known then of
its window and price.

Prices are those of text, at the rate of the hour that costs most. What a provider bills by the request (searches), for sound
or pictures at a rate of its own, or less by the batch, is not here.

`parsed` is pure: it takes the files' texts. The others read the files, once in a process.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from manifests.capabilities import model as resource
from manifests.errors import ResourceInvalid
from runtime.models.rows import Long, Model, Price, Provider
from wire.errors import ManipleError

FOLDER: Final = Path(__file__).parent
PROVIDERS: Final = "providers.toml"
LISTED: Final = "listed"

_KEY: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_MONTH_DAY: Final = r"(?:0[1-9]|1[0-2]){}(?:0[1-9]|[12]\d|3[01])"
_DATED: Final = re.compile(f"[-@]20[0-9]{{2}}(?:{_MONTH_DAY.format('')}|-{_MONTH_DAY.format('-')})\\Z", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HERE: Final = frozenset({"127.0.0.1", "::1"})

Row = TypeVar("Row", Provider, Model)


class CatalogueInvalid(ManipleError):
    """The tables have problems: all of them, each with its file and row. Raised by nothing else than reading them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables, sorted. providers, records: by name. models: by PROVIDER/MODEL; named: by their aliases too."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    named: Mapping[str, Model]
    records: Mapping[str, str]

    def find(self, name: str) -> Model | None:
        """The model that PROVIDER/MODEL means, or None if nothing is known of it.

        A row's id or alias, exactly; else, of an id that ends in a date (`-20251001`, `-2025-10-01`, `@20251001`), the row
        without it: a dated snapshot is taken for what its undated name is, unless it has a row of its own.
        """
        if (exact := self.named.get(name)) is not None:
            return exact
        return self.named.get(_DATED.sub("", name))


@cache
def catalogue() -> Catalogue:
    """The tables that Maniple ships. Raises CatalogueInvalid."""
    files = [FOLDER / PROVIDERS, *(FOLDER / LISTED).glob("*.toml")]
    return parsed({file.relative_to(FOLDER).as_posix(): file.read_text(encoding="utf-8") for file in files})


def providers() -> Mapping[str, Provider]:
    """The services that are known, by name."""
    return catalogue().providers


def models() -> Mapping[str, Model]:
    """The models that are listed, by PROVIDER/MODEL."""
    return catalogue().models


def find(name: str) -> Model | None:
    """Catalogue.find in the tables that Maniple ships."""
    return catalogue().find(name)


def parsed(texts: Mapping[str, str]) -> Catalogue:
    """Both tables from their files' texts, by name (`providers.toml`, `listed/NAME.toml`). Raises CatalogueInvalid."""
    problems: list[str] = []
    head = _table(PROVIDERS, texts.get(PROVIDERS, ""), ("records", "providers"), problems)
    records = _records(head.get("records", {}), problems)
    services = _rows(PROVIDERS, head.get("providers", []), "name", Provider, {}, problems)
    for number, provider in services:
        problems += (_at(PROVIDERS, number, provider.name, what) for what in _of_provider(provider))
    problems += _disorder(PROVIDERS, [provider.name for _, provider in services])
    known = {provider.name: provider for _, provider in services}
    listed: list[Model] = []
    for file in sorted(texts.keys() - {PROVIDERS}):
        name = file.removeprefix(f"{LISTED}/").removesuffix(".toml")
        if name not in known or known[name].local:
            problems.append(
                f"{file}: {name} stands in {PROVIDERS} as no provider, or as a local one, whose models are asked for"
            )
        rows = _table(file, texts[file], ("models",), problems).get("models", [])
        found = _rows(file, rows, "id", Model, {"provider": name}, problems)
        for number, model in found:
            whats = (*_of_model(model, records), *_beyond(model, known.get(name)))
            problems += (_at(file, number, model.id, what) for what in whats)
        problems += _disorder(file, [model.id for _, model in found])
        listed += (model for _, model in found)
    named = _named(listed, problems)
    if problems:
        raise CatalogueInvalid(problems)
    return Catalogue(
        providers=MappingProxyType(known),
        models=MappingProxyType({model.name: model for model in listed}),
        named=MappingProxyType(named),
        records=MappingProxyType(records),
    )


def _table(file: str, text: str, keys: tuple[str, ...], problems: list[str]) -> dict[str, object]:
    try:
        table: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: {error}")
        return {}
    problems += (f"{file}: {key} is no key of it; its keys are {', '.join(keys)}" for key in table if key not in keys)
    problems += (f"{file}: {key} is missing" for key in keys if key not in table)
    return table


def _records(table: object, problems: list[str]) -> dict[str, str]:
    try:
        records = msgspec.convert(table, dict[str, str])
    except msgspec.ValidationError as error:
        problems.append(f"{PROVIDERS}, records: {error}")
        return {}
    problems += (f"{PROVIDERS}, records: {what}" for url in records.values() for what in _of_page(url))
    return records


def _rows(
    file: str, rows: object, key: str, kind: type[Row], more: Mapping[str, object], problems: list[str]
) -> list[tuple[int, Row]]:
    """The rows that have their type, each with its number; a problem for each of the others."""
    if not isinstance(rows, list):
        problems.append(f"{file}: its rows begin with [[ and ]]")
        return []
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            problems.append(_at(file, number, "?", "it is no table"))
            continue
        told = sorted(row.keys() & more.keys())
        if told:
            problems.append(_at(file, number, str(row.get(key, "?")), f"{', '.join(told)}: the file's name says that"))
        try:
            found.append((number, msgspec.convert({**row, **more}, kind)))
        except msgspec.ValidationError as error:
            problems.append(_at(file, number, str(row.get(key, "?")), str(error)))
    return found


def _named(listed: Iterable[Model], problems: list[str]) -> dict[str, Model]:
    named: dict[str, Model] = {}
    for model in listed:
        for name in (model.id, *model.aliases):
            whole = f"{model.provider}/{name}"
            if whole in named:
                problems.append(f"{LISTED}/{model.provider}.toml: {name} names {named[whole].id} and {model.id}")
            named[whole] = model
    return named


def _of_provider(provider: Provider) -> Iterator[str]:
    yield from _of_name(f"{provider.name}/any")
    for url in (provider.base_url, *provider.also):
        parts = urlsplit(url)
        here = parts.hostname in _HERE
        if here != provider.local or parts.scheme != ("http" if here else "https") or url.endswith("/"):
            yield f"{url}: https, or of a local one http on 127.0.0.1 or ::1; without a slash at its end"
    if provider.also and not provider.local:
        yield "also: only a local server is looked for at several addresses"
    if not (_KEY.fullmatch(provider.key) or (provider.local and not provider.key)):
        yield "key: the name of an environment variable; only a local server may have none"
    if provider.quirks != tuple(sorted(set(provider.quirks))):
        yield "quirks: sorted, each once"
    if bool(provider.quirks) != bool(provider.quirk_sources):
        yield "quirk_sources: the pages that tell of its quirks, if it has any"
    if provider.quirks and provider.driver != "openai":
        yield "quirks: the openai driver alone acts on them"
    yield from (what for url in provider.quirk_sources for what in _of_page(url))
    yield from _of_source(provider.source, provider.date)


def _of_model(model: Model, records: Mapping[str, str]) -> Iterator[str]:
    yield from (what for name in (model.id, *model.aliases) for what in _of_name(f"{model.provider}/{name}"))
    if not model.window or model.output >= model.window:
        yield "window: at least 1, and more than output; without output, it is the only limit"
    if model.input_price is None or model.output_price is None:
        yield "input_price, output_price: what is listed has both"
    else:
        yield from _of_cache(model.input_price, model.cached_price)
    if model.long is not None:
        yield from _of_long(model.long, model)
    if model.takes != tuple(dict.fromkeys(model.takes)) or "text" not in model.takes:
        yield "takes: each once, text among them"
    if (model.kind == "embedding") != bool(model.dimension):
        yield "dimension: at least 1 of an embedding, none of a chat"
    if model.kind == "embedding" and (
        model.output or model.output_price or model.tools or model.schema or model.thinking
    ):
        yield "an embedding has no answer: no output, no price of it, no tools, no schema, no thinking"
    if not model.records or set(model.records) - records.keys():
        yield f"records: at least one, of those in {PROVIDERS}"
    yield from _of_source(model.source, model.date)


def _beyond(model: Model, provider: Provider | None) -> Iterator[str]:
    """What a row promises must pass through its provider: a router counts on it."""
    quirks = provider.quirks if provider is not None else ()
    if model.schema and "no_json_schema" in quirks:
        yield "schema: its provider takes no JSON Schema"
    if model.tools and "no_tools" in quirks:
        yield "tools: its provider takes none"


def _of_long(long: Long, model: Model) -> Iterator[str]:
    if not 0 < long.above < model.window:
        yield "long: above is at least 1, and less than the window"
    if (long.cached_price is None) != (model.cached_price is None):
        yield "long: what is read from the cache has a price for both lengths, or for none"
    yield from (f"long: {what}" for what in _of_cache(long.input_price, long.cached_price))


def _of_cache(other: Price, cached: Price | None) -> Iterator[str]:
    if cached is not None and cached > other:
        yield "cached_price: what is read from the cache costs no more than other input"


def _of_name(name: str) -> Iterator[str]:
    """A name that cannot be granted is none."""
    try:
        resource.normalise(name)
    except ResourceInvalid as error:
        yield f"{name}: {error}"


def _of_source(source: str, day: str) -> Iterator[str]:
    yield from _of_page(source)
    try:
        date.fromisoformat(day if _DAY.fullmatch(day) else "")
    except ValueError:
        yield f"date: {day} is no day, such as 2026-11-26"


def _of_page(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or re.search(r"[\s|<>()\[\]]", url):
        yield f"{url} is not the https address of a page"


def _disorder(file: str, names: list[str]) -> list[str]:
    return [
        f"{file}: {second} stands after {first}; rows are sorted, each once"
        for first, second in pairwise(names)
        if first >= second
    ]


def _at(file: str, number: int, name: str, what: str) -> str:
    return f"{file}, row {number} ({name}): {what}"
