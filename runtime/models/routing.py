"""Decides which models of a route are asked, and in which order (pure), with a reason for each model left out.

1. A model whose provider is not set up is left out.
2. A model that cannot do what the request needs is left out: tools, images, room for prompt and answer. A model that the
   catalogue does not list is not left out for these, since nothing is known of it.
3. A model whose provider's breaker is open is left out.
4. The others are ordered by `prefer`; equal ones stay as listed:
   - `listed`: as the operator listed them.
   - `price`: by what this request may cost; a server of one's own costs nothing; unknown prices come last.
   - `latency`: by the last time to a first byte. One that sent none in time has the time it was waited for. Those never
     measured come first, so that they get measured; but one of them that has just failed comes last, since it would
     otherwise fail first in each call.
   - `window`: by the window, largest first, unknown ones last.

A request with a schema needs no ability of a model: one without such a mode is told the schema in words.
"""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from runtime.models import counting
from runtime.models.messages import Image, Request, ToolResult, Usage
from runtime.models.pricing import cost
from runtime.models.rows import Model

Prefer = Literal["listed", "price", "latency", "window"]
ANSWER: Final = 1_024
"""Tokens that an answer is taken to need, if the request does not bound them."""


class Needs(Struct, frozen=True, kw_only=True):
    """What a request needs of a model. prompt, answer: tokens, estimated."""

    tools: bool = False
    images: bool = False
    prompt: int = 0
    answer: int = ANSWER


class Candidate(Struct, frozen=True, kw_only=True):
    """A model of a route. row: of the catalogue, None if not listed. first_byte: seconds, None if never measured.

    missing: how to set up its provider, "" if it is set up. paused: why its breaker is open, "" if it is not. aside: it has
    just failed. free: it runs on a server of one's own, which bills nobody.
    """

    name: str
    row: Model | None = None
    missing: str = ""
    paused: str = ""
    first_byte: float | None = None
    aside: bool = False
    free: bool = False


class Plan(Struct, frozen=True, kw_only=True):
    """names: models to ask, in order. left_out: the others, and why. paused: some are left out by a breaker only."""

    names: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    paused: bool = False


def needs_of(request: Request) -> Needs:
    """Return what a request needs."""
    parts = [part for message in request.messages for part in message.parts]
    inner = [one for part in parts if isinstance(part, ToolResult) for one in part.content]
    return Needs(
        tools=bool(request.tools) and request.choice != "none",
        images=any(isinstance(part, Image) for part in (*parts, *inner)),
        prompt=counting.of_request(request),
        answer=request.most or ANSWER,
    )


def plan(candidates: Sequence[Candidate], needs: Needs, prefer: Prefer = "listed") -> Plan:
    """Return the candidates in the order in which they are asked, and those left out."""
    fit: list[Candidate] = []
    left_out: list[tuple[str, str]] = []
    for one in candidates:
        if why := one.missing or why_unfit(one.row, needs) or one.paused:
            left_out.append((one.name, why))
        elif one.name not in [other.name for other in fit]:
            fit.append(one)
    fit.sort(key=lambda one: _rank(one, needs, prefer))
    is_paused = any(one.paused and not one.missing and not why_unfit(one.row, needs) for one in candidates)
    return Plan(names=tuple(one.name for one in fit), left_out=tuple(left_out), paused=is_paused)


def why_unfit(row: Model | None, needs: Needs) -> str:
    """Return why a model cannot do what is needed, "" if it can or is not listed."""
    if row is None:
        return ""
    if row.kind != "chat":
        return "it makes vectors, not answers"
    if needs.tools and not row.tools:
        return "it calls no tools"
    if needs.images and "image" not in row.takes:
        return "it sees no images"
    if row.window and needs.prompt + needs.answer > row.window:
        return f"about {needs.prompt + needs.answer} tokens are needed, and its window has {row.window}"
    return ""


def _rank(one: Candidate, needs: Needs, prefer: Prefer) -> tuple[bool, float]:
    match prefer:
        case "listed":
            return False, 0.0
        case "price":
            price = 0 if one.free else cost(Usage(input=needs.prompt, output=needs.answer), one.row)
            return price is None, float(price or 0)
        case "latency":
            return (False, one.first_byte) if one.first_byte is not None else (one.aside, -1.0)
        case "window":
            window = one.row.window if one.row is not None else 0
            return not window, -float(window)
