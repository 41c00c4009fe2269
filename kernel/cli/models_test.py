"""`maniple models test` (acts)."""

import time
from typing import Final

import click
from msgspec import Struct

from kernel.cli import asking, replies, screen, spending
from kernel.cli.frame import Session, command
from kernel.cli.progress import waiting
from wire.amounts import Cost

QUESTION: Final = "Answer with the one word: ready"
MOST: Final = 1_024
"""Tokens that the answer may have: a model that thinks needs some hundred before the word."""


class _Part(Struct, frozen=True, kw_only=True):
    """One part of an answer: text, or a thought, or a call."""

    type: str
    text: str = ""


class _Answer(Struct, frozen=True, kw_only=True):
    """The reply of model.complete."""

    parts: tuple[_Part, ...]
    model: str
    notes: tuple[str, ...]
    tried: tuple[str, ...]
    micro_dollars: int
    usage: dict[str, int | bool]


@command()
@click.argument("model", metavar="[MODEL]", default="default")
def models_test(session: Session, model: str) -> None:
    """Ask MODEL, a route or PROVIDER/MODEL, one small question; by default, the route default.

    Prints who answered, what, how long it took and what it cost; or what is wrong, and the command that fixes it. The
    call is charged and logged like any other.
    """
    asked = {"messages": [{"role": "user", "parts": [{"type": "text", "text": QUESTION}]}], "most": MOST}
    began = time.monotonic()
    with session.client() as client, waiting(session, f"{model} to answer") as tick:
        reply = client.call("model.complete", model, asked, seconds=120, tick=tick).value
    seconds = time.monotonic() - began
    found = replies.read(reply, _Answer)
    session.result({"answer": reply, "seconds": round(seconds, 3)}, lambda: _drawn(found, seconds))


def _drawn(found: _Answer, seconds: float) -> str:
    tokens = sum(int(found.usage.get(name, 0)) for name in ("input", "cached", "cache_written", "output"))
    is_free = found.model.startswith("offline/")
    cost = "" if is_free else spending.cost_text(Cost(tokens=tokens, micro_dollars=found.micro_dollars))
    lines = [f"{found.model} answered in {screen.duration(seconds)}, for {cost or 'nothing'}:", ""]
    said = "".join(part.text for part in found.parts if part.type == "text")
    lines.append(
        asking.text_of(said) if said else f"it gave no text; if it thinks, {MOST} tokens may be too few for it"
    )
    lines += [f"\n{screen.visible(note)}" for note in found.notes]
    lines += [f"\ntried before it: {one}" for one in found.tried]
    return "\n".join(lines)
