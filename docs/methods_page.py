"""Draws docs/methods.md: every method of the bundled Hands, from their HAND.toml."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from manifests.check import check
from manifests.schema import Provided
from wire.amounts import Cost

HANDS: Final = Path(__file__).resolve().parent.parent / "hands"

HEAD: Final = """\
# Methods

This page lists every method of the bundled Hands, as its row in `[provides]` declares it. Calls are checked against that row,
`maniple methods METHOD` shows it, and a Hand that thinks gets it as a [tool](agents.md#tools). Each Hand's own page explains
the arguments. A `?` marks an optional one; [types](hand-toml.md#providesname).

`maniple methods` lists all methods of a home, also those of your own Hands and of MCP servers. The kernel's own are listed
in [capabilities](capabilities.md#the-kernels-own-methods).
"""


def page() -> str:
    """Draw the whole page."""
    parts = [HEAD]
    for file in sorted(HANDS.glob("*/HAND.toml")):
        manifest = check(file.read_text(encoding="utf-8"))
        if manifest.provides:
            name = manifest.hand.name
            parts.append(f"## {name}\n\n{manifest.hand.description} More: [{name}](../hands/{name}/README.md).\n")
            parts += map(section, manifest.provides.values())
    return "\n".join(parts)


def section(one: Provided) -> str:
    """Draw the section of one method."""
    return f"### `{one.method}`\n\n{one.summary}.\n\n" + "\n".join(_lines(one)) + "\n"


def _lines(one: Provided) -> Iterator[str]:
    yield f"- acts on: {'nothing' if one.resource == 'none' else f'a {one.resource}'}"
    yield f"- effect: {one.effect}{', may be made again' if one.idempotent else ''}"
    if one.asks:
        yield "- waits for you each time, whatever is granted"
    if one.labels:
        yield f"- marks its replies: {_names(one.labels)}"
    if one.most is not None:
        yield f"- costs at most: {_cost(one.most)}"
    yield f"- takes: {_typed(one.params)}"
    yield f"- returns: {_typed(one.returns)}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _typed(types: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in types.items()) or "nothing"


def _cost(most: Cost) -> str:
    return f"{most.tokens} tokens, {most.micro_dollars} micro-dollars"
