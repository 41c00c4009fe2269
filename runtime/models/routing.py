"""Which models of a route are asked, and in which order (pure): rules, and a reason for each model left out.

1. A model whose provider is not set up is left out.
2. One that cannot do what the request needs is left out: tools, images, and room for the prompt and the answer. Of a model
   that the catalogue does not list nothing is known, and it is not left out for these.
3. One whose provider's breaker is open is left out.
4. The others stand as `prefer` says: `listed`, as the operator listed them; `price`, the least that this request may cost
   first, a server of one's own for nothing, unknown prices last; `latency`, the shortest time to a first byte lately first,
   those never measured before all, so that they come to be measured, and one that did not begin by what was waited for it;
   of those never measured one that has just failed after all, or it would fail first in each call;
   `window`, the largest first, unknown ones last. What is equal stays as it was listed.

A request with a schema needs nothing of a model: one that has no such mode is told the schema in words.
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
"""Tokens of an answer, where the request does not say how many it wants at most."""


class Needs(Struct, frozen=True, kw_only=True):
    """What a request asks of a model. prompt, answer: tokens, about."""

    tools: bool = False
    images: bool = False
    prompt: int = 0
    answer: int = ANSWER


class Candidate(Struct, frozen=True, kw_only=True):
    """A model of a route. row: what the catalogue knows; first_byte: seconds, None where never measured.

    missing: how its provider is to be set up, "" where it is. paused: why its breaker is open, "" where it is not. aside: it
    has just failed. free: it is of a server of one's own, which bills nobody.
    """

    name: str
    row: Model | None = None
    missing: str = ""
    paused: str = ""
    first_byte: float | None = None
    aside: bool = False
    free: bool = False


class Plan(Struct, frozen=True, kw_only=True):
    """names: to be asked, one after the other. left_out: the others, and why; paused: some of them only for a while."""

    names: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    paused: bool = False


def needs_of(request: Request) -> Needs:
    """What a request needs."""
    parts = [part for message in request.messages for part in message.parts]
    inner = [one for part in parts if isinstance(part, ToolResult) for one in part.content]
    return Needs(
        tools=bool(request.tools) and request.choice != "none",
        images=any(isinstance(part, Image) for part in (*parts, *inner)),
        prompt=counting.of_request(request),
        answer=request.most or ANSWER,
    )


def plan(candidates: Sequence[Candidate], needs: Needs, prefer: Prefer = "listed") -> Plan:
    """The order in which the candidates are asked."""
    fit: list[Candidate] = []
    left_out: list[tuple[str, str]] = []
    for one in candidates:
        if why := one.missing or unfit(one.row, needs) or one.paused:
            left_out.append((one.name, why))
        elif one.name not in [other.name for other in fit]:
            fit.append(one)
    fit.sort(key=lambda one: _rank(one, needs, prefer))
    is_paused = any(one.paused and not one.missing and not unfit(one.row, needs) for one in candidates)
    return Plan(names=tuple(one.name for one in fit), left_out=tuple(left_out), paused=is_paused)


def unfit(row: Model | None, needs: Needs) -> str:
    """Why a model cannot do what is needed, "" where it can or nothing is known of it."""
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
