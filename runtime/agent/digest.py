"""The lines that stand for turns which are left out of a request (pure): each short, with the id under which more is read."""

from collections.abc import Sequence
from typing import Final

import msgspec

from runtime.agent import pictures
from runtime.models import counting
from runtime.models.messages import ToolCall, ToolResult

LINE: Final = 160
"""Characters of a call."""


def latest(lines: Sequence[str], room: int, beside: int = 1) -> list[str]:
    """The last of these lines that so many tokens hold. beside: tokens that each takes besides."""
    begin = len(lines)
    while begin > 0 and (room := room - counting.of_text(lines[begin - 1]) - beside) >= 0:
        begin -= 1
    return list(lines[begin:])


def listed(people: Sequence[str]) -> str:
    """What people said, one after the other."""
    return "".join(f"- {one}\n" for one in people)


def earlier(number: int, name: str) -> str:
    """What is told of so many things that people said before, all of which are kept under an id."""
    return f'({number} earlier things are left out; read_result(id="{name}") gives you all)'


def call(part: ToolCall) -> str:
    """A call."""
    return short(f"{part.name}({msgspec.json.encode(part.arguments).decode()})", LINE)


def outcome_note(result: ToolResult | None) -> str:
    """How it ended, "" where there is no more to tell than that it did."""
    if result is None:
        return " (no result)"
    seen = pictures.number_of(result.content)
    return f"{f' ({seen})' if seen else ''}{' (failed)' if result.failed else ''}"


def where(name: str | None) -> str:
    """Under which id the whole is."""
    return f" -> {name}" if name else ""


def left_out(lines: Sequence[tuple[str, str | None]]) -> str:
    """What is told of lines that there is no room for. What came first, or is read again, has a lower id than others."""
    names = sorted((name for _, name in lines if name), key=lambda name: (len(name), name))
    places = f", of {names[0]} to {names[-1]}" if names else ""
    return f"{len(lines)} earlier lines are left out{places}"


def flat(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())


def short(text: str, most: int) -> str:
    """A text in one line of at most so many characters."""
    one = flat(text)
    return one if len(one) <= most else f"{one[:most]}…"
