"""What an agent's calls say and what came of them, as values (pure): between the bus and the machine, which knows no bus."""

import codecs
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from runtime.agent import pictures, tools
from runtime.agent.actions import Returned, Think
from runtime.agent.results import as_text
from runtime.models.messages import Message
from wire.pictures import media

SESSION_MOST: Final = 600_000
"""Bytes of a conversation that a run returns."""

USED_MOST: Final = 10**12
"""Tokens, and micro-dollars, that are believed of one run: sums of them can be told in a message."""


def row(told: Mapping[str, object]) -> tools.Row:
    """A method as kernel.describe tells of it."""
    return msgspec.convert(told, tools.Row)


def asked(action: Think) -> dict[str, object]:
    """A request as params; what says nothing is left out."""
    given = msgspec.to_builtins(action.request, builtin_types=(bytes,))
    return {name: value for name, value in given.items() if value not in (None, "", [])}


def with_content(chunks: Sequence[bytes], value: object, *, is_cut: bool = False) -> object:
    """A reply's value with what it streamed, which comes last, since it may be long: a text, or a picture's bytes.

    is_cut: its last letter may be half.
    """
    if not chunks:
        return value
    whole = b"".join(chunks)
    content: str | bytes
    try:
        is_picture = not is_cut and media(whole)
        content = whole if is_picture else codecs.getincrementaldecoder("utf-8")().decode(whole, final=not is_cut)
    except UnicodeDecodeError:
        content = f"({len(whole)} bytes that are no text)"
    return {**(value if isinstance(value, dict) else {} if value is None else {"value": value}), "content": content}


def of_run(came: Returned) -> Returned:
    """How the run of another Hand ended. What it says that it has used, if it is an agent, counts as used here."""
    told = came.value if isinstance(came.value, dict) else {}
    value, outcome = told.get("value"), str(told.get("outcome", ""))
    answer: object = value
    if isinstance(value, dict) and "answer" in value:
        tokens, money = (value.get(unit) for unit in ("tokens", "micro_dollars"))
        used = [min(max(0, one), USED_MOST) if isinstance(one, int) else 0 for one in (tokens, money)]
        came = replace(came, tokens=came.tokens + used[0], micro_dollars=came.micro_dollars + used[1])
        answer = value["answer"]
    if outcome == "done":
        return replace(came, value=answer)
    so_far = f"; what it had: {as_text(answer)}" if answer else ""
    return replace(
        came, value=None, code=str(told.get("code") or outcome), text=f"{outcome}: {told.get('text', '')}{so_far}"
    )


def latest(session: Sequence[Message]) -> list[object]:
    """The messages, the oldest left out where all are more than a reply takes, and words for the pictures of results."""
    plain = [pictures.left_out(one, len(pictures.in_results(one)), {}, pictures.NOT_KEPT) for one in session]
    told: list[object] = [msgspec.to_builtins(one, builtin_types=(bytes,)) for one in plain]
    room, begin = SESSION_MOST, len(told)
    while begin > 0 and (room := room - len(msgspec.msgpack.encode(told[begin - 1]))) >= 0:
        begin -= 1
    return told[min(begin, max(0, len(told) - 1)) :]
