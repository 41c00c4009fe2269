"""docs/providers.md: who answers for models, and which models are known with their windows and prices (reads the tables)."""

from collections.abc import Iterator
from typing import Final

from docs.drawn import table
from runtime.models.catalogue import Catalogue, catalogue
from runtime.models.rows import Model, Price, Provider

HEAD: Final = """\
# Providers and models

{providers} services that answer for models, and {models} models of theirs. Both tables are files that can be added to: a
service is a row of `runtime/models/providers.toml`, a model a row of the file in `runtime/models/listed/` that is named
after its provider. `runtime/models/rows.py` says what each key means, and `runtime/models/catalogue.py` refuses what is not
in order. Then `./just docs` writes this page.

A model is asked for as PROVIDER/ID, such as `{example}`. One that is not listed can be asked as well, if its
provider is here; nothing is known then of its window and price. An id that ends in a date means the row without it, unless
the date has a row of its own.

Prices are dollars for a million tokens of text, at the rate of the hour that costs most. What a service bills by the request
(searches), for sound or pictures at a rate of its own, or less by the batch, is not in these rows. Above the length of a
prompt that a row names, every token of the request costs what is said there.

Each row cites a page and the day of the reading. A model's row was read in public lists of prices, which name that page for
it; the last column counts those that agree on its price, of these:

"""

QUIRKS: Final = """
## Providers

Where a service differs from OpenAI's own chat API, pages were found that tell so: `max_tokens` is the name by which the
longest answer is asked for, `no_forced_choice` leaves a model free to call a tool or not, `thinking_back` sends the thinking
of an earlier answer back with it, and the others are not sent. Local servers are found by asking them, and so is what they
serve.

"""


def page() -> str:
    """The whole page."""
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
    told = " ".join(_link(url, str(number)) for number, url in enumerate(provider.quirk_sources, 1))
    return [
        f"`{provider.name}`",
        provider.title,
        provider.driver,
        f"{addresses}, local" if provider.local else addresses,
        f"`{provider.key}`" if provider.key else "",
        f"{quirks} {told}".strip(),
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
        _both(model.output_price, long.output_price if long else None),
        _both(model.cached_price, long.cached_price if long else None),
        _both(model.cache_written_price, long.cache_written_price if long else None),
        ", ".join(model.takes),
        ", ".join(can),
        _link(model.source),
        model.date,
        str(len(model.records)),
    ]


def _both(usual: Price | None, long: Price | None) -> str:
    return _dollars(usual) if long is None else f"{_dollars(usual)}; {_dollars(long)}"


def _dollars(micro: Price | None) -> str:
    if micro is None:
        return ""
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def _link(url: str, name: str = "page") -> str:
    return f"[{name}]({url})"
