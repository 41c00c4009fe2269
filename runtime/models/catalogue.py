"""The catalogue of providers and models: tables beside this module, read whole and strictly (acts: reads those files).

`providers.toml` has a row for each service that a driver can speak to, and `listed/NAME.toml` one for each model of the
provider NAME; rows.py explains their keys. Each row cites a public page (`source`) and the day it was read (`date`); what has
none is not listed. A model's row was read from public price lists (`records`), which name that page for it and agree on its
prices. A model that is not listed can still be asked if its provider is; its window and prices are unknown then.

Prices are those of text, at the hour that costs most. Fees per request (searches), rates of their own for sound or pictures,
and discounts for batches are not included.

`parse` is pure: it takes the files' texts. The other functions read the files, once per process.
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
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})

Row = TypeVar("Row", Provider, Model)


class CatalogueInvalid(ManipleError):
    """You get this one when the tables have problems; it has all of them, each with its file and row."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables, sorted. providers, records: by name. models: by PROVIDER/MODEL. named: models by their aliases too."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    named: Mapping[str, Model]
    records: Mapping[str, str]

    def find(self, name: str) -> Model | None:
        """Return the row that PROVIDER/MODEL means, None if it is not listed.

        That is the row with this id or alias; else, if the id ends in a date (`-20251001`, `-2025-10-01`, `@20251001`), the
        row without the date: a dated snapshot without a row of its own counts as its undated model.
        """
        if (exact := self.named.get(name)) is not None:
            return exact
        return self.named.get(_DATED.sub("", name))


@cache
def catalogue() -> Catalogue:
    """Return the tables that Maniple ships. Raises CatalogueInvalid."""
    files = [FOLDER / PROVIDERS, *(FOLDER / LISTED).glob("*.toml")]
    return parse({file.relative_to(FOLDER).as_posix(): file.read_text(encoding="utf-8") for file in files})


def providers() -> Mapping[str, Provider]:
    """Return the listed providers, by name."""
    return catalogue().providers


def models() -> Mapping[str, Model]:
    """Return the listed models, by PROVIDER/MODEL."""
    return catalogue().models


def find(name: str) -> Model | None:
    """Return the row that PROVIDER/MODEL means in the tables that Maniple ships, None if it is not listed."""
    return catalogue().find(name)


def parse(texts: Mapping[str, str]) -> Catalogue:
    """Return the tables from their files' texts, by name (`providers.toml`, `listed/NAME.toml`). Raises CatalogueInvalid."""
    problems: list[str] = []
    head = _parse_table(PROVIDERS, texts.get(PROVIDERS, ""), ("records", "providers"), problems)
    records = _parse_records(head.get("records", {}), problems)
    services = _parse_rows(PROVIDERS, head.get("providers", []), "name", Provider, {}, problems)
    for number, provider in services:
        problems += (_at(PROVIDERS, number, provider.name, what) for what in _check_provider(provider))
    problems += _check_order(PROVIDERS, [provider.name for _, provider in services])
    known = {provider.name: provider for _, provider in services}
    listed: list[Model] = []
    for file in sorted(texts.keys() - {PROVIDERS}):
        name = file.removeprefix(f"{LISTED}/").removesuffix(".toml")
        if name not in known or known[name].local:
            problems.append(
                f"{file}: {PROVIDERS} has no provider {name}, or it is a local one, whose models are not listed but asked for"
            )
        rows = _parse_table(file, texts[file], ("models",), problems).get("models", [])
        found = _parse_rows(file, rows, "id", Model, {"provider": name}, problems)
        for number, model in found:
            whats = (*_check_model(model, records), *_check_quirks(model, known.get(name)))
            problems += (_at(file, number, model.id, what) for what in whats)
        problems += _check_order(file, [model.id for _, model in found])
        listed += (model for _, model in found)
    named = _by_alias(listed, problems)
    if problems:
        raise CatalogueInvalid(problems)
    return Catalogue(
        providers=MappingProxyType(known),
        models=MappingProxyType({model.name: model for model in listed}),
        named=MappingProxyType(named),
        records=MappingProxyType(records),
    )


def _parse_table(file: str, text: str, keys: tuple[str, ...], problems: list[str]) -> dict[str, object]:
    try:
        table: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: {error}")
        return {}
    problems += (
        f"{file}: {key} is not a key of this file; its keys are {', '.join(keys)}" for key in table if key not in keys
    )
    problems += (f"{file}: {key} is missing" for key in keys if key not in table)
    return table


def _parse_records(table: object, problems: list[str]) -> dict[str, str]:
    try:
        records = msgspec.convert(table, dict[str, str])
    except msgspec.ValidationError as error:
        problems.append(f"{PROVIDERS}, records: {error}")
        return {}
    problems += (f"{PROVIDERS}, records: {what}" for url in records.values() for what in _check_page(url))
    return records


def _parse_rows(
    file: str, rows: object, key: str, kind: type[Row], more: Mapping[str, object], problems: list[str]
) -> list[tuple[int, Row]]:
    """Return the valid rows, each with its number; add a problem for each other one. more: fields set by the file's name."""
    if not isinstance(rows, list):
        problems.append(f"{file}: rows must be an array of tables, each under a [[…]] header")
        return []
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            problems.append(_at(file, number, "?", "it is not a table"))
            continue
        if given := sorted(row.keys() & more.keys()):
            problems.append(_at(file, number, str(row.get(key, "?")), f"{', '.join(given)}: the file's name says that"))
        try:
            found.append((number, msgspec.convert({**row, **more}, kind)))
        except msgspec.ValidationError as error:
            problems.append(_at(file, number, str(row.get(key, "?")), str(error)))
    return found


def _by_alias(listed: Iterable[Model], problems: list[str]) -> dict[str, Model]:
    named: dict[str, Model] = {}
    for model in listed:
        for name in (model.id, *model.aliases):
            whole = f"{model.provider}/{name}"
            if whole in named:
                problems.append(f"{LISTED}/{model.provider}.toml: {name} names {named[whole].id} and {model.id}")
            named[whole] = model
    return named


def _check_provider(provider: Provider) -> Iterator[str]:
    yield from _check_name(f"{provider.name}/any")
    for url in (provider.base_url, *provider.also):
        parts = urlsplit(url)
        is_local = parts.hostname in _LOOPBACK
        scheme = "http" if is_local else "https"
        if is_local != provider.local or parts.scheme != scheme or url.endswith("/"):
            yield f"{url}: must be https, or for a local provider http on 127.0.0.1 or ::1; without a slash at its end"
    if provider.also and not provider.local:
        yield "also: only a local provider may have several addresses"
    if not (_KEY.fullmatch(provider.key) or (provider.local and not provider.key)):
        yield "key: must be the name of an environment variable; only a local provider may have none"
    if provider.quirks != tuple(sorted(set(provider.quirks))):
        yield "quirks: must be sorted, each once"
    if bool(provider.quirks) != bool(provider.quirk_sources):
        yield "quirk_sources: must name the pages that document its quirks, if and only if it has any"
    if provider.quirks and provider.driver != "openai":
        yield "quirks: only the openai driver acts on them"
    yield from (what for url in provider.quirk_sources for what in _check_page(url))
    yield from _check_source(provider.source, provider.date)


def _check_model(model: Model, records: Mapping[str, str]) -> Iterator[str]:
    yield from (what for name in (model.id, *model.aliases) for what in _check_name(f"{model.provider}/{name}"))
    if not model.window or model.output >= model.window:
        yield "window: must be at least 1, and more than output; without output, it is the only limit"
    if model.input_price is None or model.output_price is None:
        yield "input_price, output_price: a listed model must have both"
    else:
        yield from _check_cache(model.input_price, model.cached_price)
    if model.long is not None:
        yield from _check_long(model.long, model)
    if model.takes != tuple(dict.fromkeys(model.takes)) or "text" not in model.takes:
        yield "takes: must have each once, text among them"
    if (model.kind == "embedding") != bool(model.dimension):
        yield "dimension: must be at least 1 for an embedding model, and absent for a chat model"
    if model.kind == "embedding" and (
        model.output or model.output_price or model.tools or model.schema or model.thinking
    ):
        yield "an embedding model has no answer: no output, output_price, tools, schema or thinking"
    if not model.records or set(model.records) - records.keys():
        yield f"records: must have at least one, of those in {PROVIDERS}"
    yield from _check_source(model.source, model.date)


def _check_quirks(model: Model, provider: Provider | None) -> Iterator[str]:
    """Check that its provider's quirks allow what a model's row promises: a router relies on it."""
    quirks = provider.quirks if provider is not None else ()
    if model.schema and "no_json_schema" in quirks:
        yield "schema: its provider takes no JSON Schema (quirk no_json_schema)"
    if model.tools and "no_tools" in quirks:
        yield "tools: its provider takes no tools (quirk no_tools)"


def _check_long(long: Long, model: Model) -> Iterator[str]:
    if not 0 < long.above < model.window:
        yield "long: above must be at least 1, and less than the window"
    if (long.cached_price is None) != (model.cached_price is None):
        yield "long: cached_price must be given for both lengths, or for neither"
    yield from (f"long: {what}" for what in _check_cache(long.input_price, long.cached_price))


def _check_cache(other: Price, cached: Price | None) -> Iterator[str]:
    if cached is not None and cached > other:
        yield "cached_price: must not be more than input_price"


def _check_name(name: str) -> Iterator[str]:
    """Check that a name can be granted."""
    try:
        resource.normalise(name)
    except ResourceInvalid as error:
        yield f"{name}: {error}"


def _check_source(source: str, day: str) -> Iterator[str]:
    yield from _check_page(source)
    try:
        date.fromisoformat(day if _DAY.fullmatch(day) else "")
    except ValueError:
        yield f"date: {day} is not a day such as 2026-11-26"


def _check_page(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or re.search(r"[\s|<>()\[\]]", url):
        yield f"{url} is not the https address of a page"


def _check_order(file: str, names: list[str]) -> list[str]:
    return [
        f"{file}: {second} stands after {first}; rows must be sorted, each once"
        for first, second in pairwise(names)
        if first >= second
    ]


def _at(file: str, number: int, name: str, what: str) -> str:
    return f"{file}, row {number} ({name}): {what}"
