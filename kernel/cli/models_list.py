"""`maniple models list` (acts)."""

import re
from typing import Final

import click
from msgspec import Struct

from kernel.cli import replies, screen
from kernel.cli.frame import Session, command
from kernel.cli.progress import waiting

SHOWN: Final = 6
"""Models that are shown of each provider."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/@+-]+")
"""A model's name that needs no quoting in a shell; servers choose these names."""


class _Provider(Struct, frozen=True, kw_only=True):
    """A row of model.list."""

    name: str
    title: str
    ready: bool
    why: str
    local: bool
    paused: bool
    models: tuple[str, ...] | None
    trouble: str


class _Model(Struct, frozen=True, kw_only=True):
    """A row of model.list. Prices are micro-dollars per million tokens."""

    name: str
    window: int
    input_price: int | None
    output_price: int | None
    tools: bool
    images: bool
    ready: bool


class _Listed(Struct, frozen=True, kw_only=True):
    """The reply of model.list."""

    routes: dict[str, tuple[str, ...]]
    providers: tuple[_Provider, ...]
    models: tuple[_Model, ...]


@command()
@click.option("--all", "every", is_flag=True, help="Also list what is not set up.")
@click.option("--ask", is_flag=True, help="Ask local servers, and providers with a key, which models they have.")
def models_list(session: Session, every: bool, ask: bool) -> None:
    """List routes, the providers that are set up, and their known models. Prices are dollars per million tokens.

    To set up a provider, give its key. To set up a route, give its list:

        maniple settings model --secret anthropic_key
        maniple settings model 'routes={"default": ["anthropic/claude-sonnet-4-5"]}'

    Until the route default is set, it is offline: no language model is used.
    """
    with session.client() as client, waiting(session, "servers to tell what they have") as tick:
        reply = client.call("model.list", "", {"ask": ask}, seconds=90, tick=tick if ask else None).value
    found = replies.read(reply, _Listed)
    session.result(reply, lambda: session.hinted(_drawn(found, every=every)))


def _drawn(found: _Listed, *, every: bool) -> str:
    parts = [screen.table(("ROUTE", "MODELS"), ((name, ", ".join(row)) for name, row in sorted(found.routes.items())))]
    needed = {name.partition("/")[0] for row in found.routes.values() for name in row}
    providers = [
        one
        for one in found.providers
        if every or (one.ready and not one.local) or one.models is not None or one.name in needed
    ]
    if providers:
        parts.append(
            screen.table(
                ("PROVIDER", "STATE", "MODELS"),
                ((one.name, _state(one), _first(one.models or ()) or one.trouble) for one in providers),
            )
        )
    models = [one for one in found.models if every or one.ready]
    if models:
        parts.append(
            screen.table(
                ("MODEL", "WINDOW", "IN", "OUT", "TOOLS", "IMAGES"),
                (
                    (
                        one.name, str(one.window), _price(one.input_price), _price(one.output_price),
                        "yes" if one.tools else "", "yes" if one.images else "",
                    )
                    for one in models
                ),
                right=("WINDOW", "IN", "OUT"),
            )
        )  # fmt: skip
    parts.append(_next_hint(found))
    return "\n\n".join(filter(None, parts))


def _first(models: tuple[str, ...]) -> str:
    """The first models, and how many more there are."""
    more = f" and {len(models) - SHOWN} more" if len(models) > SHOWN else ""
    return ", ".join(models[:SHOWN]) + more


def _next_hint(found: _Listed) -> str:
    """What to type if no route leads to a language model yet; "" if one does."""
    named = {name for row in found.routes.values() for name in row}
    if any(not name.startswith("offline/") for name in named):
        return ""
    local_models = [f"{one.name}/{model}" for one in found.providers if one.local for model in one.models or ()]
    local = next(filter(_PLAIN.fullmatch, local_models), "")
    if local:
        return f'To use it: `maniple settings model \'routes={{"default": ["{local}"]}}\'`'
    if any(one.ready and not one.local for one in found.providers):
        return ""
    return "No provider is set up: `maniple models list --all` lists them."


def _state(one: _Provider) -> str:
    if one.paused:
        return "paused after failures"
    return "local" if one.local else "ready" if one.ready else "no key"


def _price(price: int | None) -> str:
    return "?" if price is None else f"{price / 1_000_000:g}"
