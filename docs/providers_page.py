"""Draws docs/providers.md: the providers of models, and all known models with windows and prices (reads the tables)."""

from collections.abc import Iterator
from typing import Final

from docs.drawn import table
from runtime.models.catalogue import Catalogue, catalogue
from runtime.models.rows import Model, Price, Provider

HEAD: Final = """\
# Providers and models

{providers} providers, and {models} of their models. To add a provider, add a row to `runtime/models/providers.toml`; to add a
model, add a row to its provider's file in `runtime/models/listed/`. `runtime/models/rows.py` says what each key means, and
`runtime/models/catalogue.py` refuses rows that are wrong. Then `./just docs` writes this page.

A model is asked for as PROVIDER/ID, such as `{example}`. A model that is not listed can be asked too, if its provider is
here; its window and price are then unknown. An id that ends in a date means the row without the date, unless the date has a
row of its own.

Prices are dollars per million tokens of text, at the rate of the most expensive hour. Not included are what a service bills
per request (searches), other rates for sound or pictures, and discounts for batches. If a row names a length of prompt, every
token of a longer request costs the price given there.

Each row cites a page, and the day on which it was read. A model's row comes from public lists of prices, which name that page
as the source. The last column counts how many of these lists agree on the price:

"""

QUIRKS: Final = """
## Providers

Some services differ from OpenAI's own chat API, as the pages that are cited say: with `max_tokens`, that is the name of the
limit of an answer; with `no_forced_choice`, a model cannot be forced to call a tool; with `thinking_back`, the thinking of an
earlier answer is sent back with it; what the others name is not sent. Local servers, and the models they serve, are found by
asking them.

"""


def page() -> str:
    """Draw the whole page."""
    known = catalogue()
    example = next(iter(known.models))
    head = ["name", "who", "driver", "address", "key", "differs in", "source", "date"]
    parts = [
        HEAD.format(providers=len(known.providers), models=len(known.models), example=example),
        table(["list", "where"], ([name, f"<{url}>"] for name, url in known.records.items())),
        QUIRKS,
        table(head, (_provider(provider) for provider in known.providers.values())),
        *_models(known),
    ]
    return "".join(parts)


def _models(known: Catalogue) -> Iterator[str]:
    head = ["id", "window", "answer", "in", "out", "cached", "written", "takes", "can", "source", "date", "lists"]
    for provider in known.providers.values():
        rows = [model for model in known.models.values() if model.provider == provider.name]
        if rows:
            yield f"\n## Models of {provider.title}\n\n"
            yield table(head, (_model(model) for model in rows))


def _provider(provider: Provider) -> list[str]:
    addresses = " ".join(f"`{url}`" for url in (provider.base_url, *provider.also))
    quirks = " ".join(f"`{quirk}`" for quirk in provider.quirks)
    links = " ".join(_link(url, str(number)) for number, url in enumerate(provider.quirk_sources, 1))
    return [
        f"`{provider.name}`",
        provider.title,
        provider.driver,
        f"{addresses}, local" if provider.local else addresses,
        f"`{provider.key}`" if provider.key else "",
        f"{quirks} {links}".strip(),
        _link(provider.source),
        provider.date,
    ]


def _model(model: Model) -> list[str]:
    can = [name for name in ("tools", "schema", "thinking", "caching") if getattr(model, name)]
    if model.kind == "embedding":
        can.append(f"embedding, {model.dimension:,} numbers")
    long = model.long
    above = f"; above {long.above:,} tokens {_dollars(long.input_price)}" if long else ""
    return [
        " ".join(f"`{name}`" for name in (model.id, *model.aliases)),
        f"{model.window:,}",
        f"{model.output:,}" if model.output else "",
        _dollars(model.input_price) + above,
        _two_prices(model.output_price, long.output_price if long else None),
        _two_prices(model.cached_price, long.cached_price if long else None),
        _two_prices(model.cache_written_price, long.cache_written_price if long else None),
        ", ".join(model.takes),
        ", ".join(can),
        _link(model.source),
        model.date,
        str(len(model.records)),
    ]


def _two_prices(usual: Price | None, long: Price | None) -> str:
    return _dollars(usual) if long is None else f"{_dollars(usual)}; {_dollars(long)}"


def _dollars(micro: Price | None) -> str:
    if micro is None:
        return ""
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def _link(url: str, name: str = "page") -> str:
    return f"[{name}]({url})"
