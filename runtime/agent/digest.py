"""Lines that stand for turns left out of a request (pure): each short, with the id by which read_result returns the whole."""

from collections.abc import Sequence
from typing import Final

import msgspec

from runtime.agent import pictures
from runtime.models import counting
from runtime.models.messages import ToolCall, ToolResult

LINE: Final = 160
"""Characters shown of a call."""


def last_fitting(lines: Sequence[str], room: int, overhead: int = 1) -> list[str]:
    """Return the last lines that fit into `room` tokens. overhead: tokens that each line takes beside its text."""
    begin = len(lines)
    while begin > 0 and (room := room - counting.of_text(lines[begin - 1]) - overhead) >= 0:
        begin -= 1
    return list(lines[begin:])


def bullets(texts: Sequence[str]) -> str:
    """Return the texts as a list, one item each."""
    return "".join(f"- {one}\n" for one in texts)


def omitted_words(number: int, name: str) -> str:
    """Return the note on what people said earlier and is left out. name: the id under which all of it is kept."""
    return f'({number} earlier messages are left out; read all of them with read_result(id="{name}"))'


def call_line(part: ToolCall) -> str:
    """Return a call in one line of bounded length."""
    return shorten(f"{part.name}({msgspec.json.encode(part.arguments).decode()})", LINE)


def outcome_note(result: ToolResult | None) -> str:
    """Return how a call ended, "" for an ordinary success."""
    if result is None:
        return " (no result)"
    seen = pictures.count_note(result.content)
    return f"{f' ({seen})' if seen else ''}{' (failed)' if result.failed else ''}"


def arrow(name: str | None) -> str:
    """Return the reference to the id under which the whole is kept, "" without one."""
    return f" -> {name}" if name else ""


def omitted_lines(lines: Sequence[tuple[str, str | None]]) -> str:
    """Return the note on lines that have no room, with their lowest and highest id; a result read again has a low one."""
    names = sorted((name for _, name in lines if name), key=lambda name: (len(name), name))
    ids = f", with the ids {names[0]} to {names[-1]}" if names else ""
    return f"{len(lines)} earlier lines are left out{ids}"


def one_line(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return " ".join(text.split())


def shorten(text: str, most: int) -> str:
    """Return the text in one line, cut after `most` characters."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[:most]}…"
