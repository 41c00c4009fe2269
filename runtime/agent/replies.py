"""Translates between calls on the bus and the values of the machine, which knows no bus (pure)."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from runtime.agent import decoding, pictures, tools
from runtime.agent.actions import AskModel, MakeCall, Outcome, Recalled, Result
from runtime.agent.results import as_text
from runtime.kernel_handle import Budget
from runtime.models.messages import Message
from wire import limits
from wire.amounts import Cost
from wire.pictures import media

SESSION_MOST: Final = 600_000
"""Bytes of the conversation that a run returns, at most."""

NOTES_MOST: Final = 32 * 1024
MADE_MOST: Final = 128 * 1024
"""Bytes of the notes and of the lines for calls that a run returns, at most."""

_RESERVED: Final = 16 * 1024
"""Bytes of a run's end that are left to its reason and to what the kernel adds."""

_UNBOUND: Final = 10**12

USED_MOST: Final = 10**12
"""Tokens, and micro-dollars, that one run is believed to have used, so that sums of them fit into a message."""


def parse_row(row: Mapping[str, object]) -> tools.Row:
    """Return a row of kernel.describe."""
    return msgspec.convert(row, tools.Row)


def parse_recalled(reply: object, labels: tuple[str, ...]) -> tuple[Recalled, ...]:
    """Return what memory.recall found. A row with `whole` has the whole text, and `piece` says where in it the match is."""
    rows = reply.get("results") if isinstance(reply, dict) else None
    found = list[Recalled]()
    for row in rows if isinstance(rows, list) else ():
        text = row.get("text") if isinstance(row, dict) else None
        if isinstance(text, str):
            piece = row.get("piece") if row.get("whole") else None
            at = piece[0] if isinstance(piece, list) and piece and isinstance(piece[0], int) else 0
            found.append(Recalled(text=text, labels=labels, at=min(max(0, at), len(text))))
    return tuple(found)


def model_params(action: AskModel) -> dict[str, object]:
    """Return a request as params of model.complete, without those that are empty."""
    fields = msgspec.to_builtins(action.request, builtin_types=(bytes,))
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def with_content(chunks: Sequence[bytes], value: object, *, is_cut: bool = False) -> object:
    """Return a reply's value with what was streamed as `content`: a text, or the bytes of a picture.

    It comes last, since it may be long. is_cut: the stream had more, so it is not a whole picture.
    """
    if not chunks:
        return value
    whole = b"".join(chunks)
    about: dict[str, object] = value if isinstance(value, dict) else {} if value is None else {"value": value}
    if not is_cut and media(whole):
        return {**about, "content": whole}
    if (decoded := decoding.decode(whole)) is None:
        return {**about, "content": f"({len(whole)} bytes that are not text)"}
    text, encoding = decoded
    is_shown = encoding and not (is_cut and encoding == decoding.CUT)
    return {**about, **({"encoding": encoding} if is_shown else {}), "content": text}


def spawn_limit(action: MakeCall, left: Budget) -> Cost:
    """Return the most that a run of another Hand may cost: its share of what budgets leave, within the bounds of the action.

    It is reserved for as long as that run works. So of a unit that [agent] does not bound, a further share is left to
    whoever else pays out of the same budgets.
    """

    def limit(bound: int, budget: int | None) -> int:
        shares = action.spawned_together + (0 if bound else 1)
        return min(bound or _UNBOUND, _UNBOUND if budget is None else budget // shares)

    tokens = limit(action.tokens, left.tokens_left)
    return Cost(tokens=tokens, micro_dollars=limit(action.micro_dollars, left.micro_dollars_left))


def failure(code: str, text: str, cost: Cost | None) -> Outcome:
    """Return the outcome of a call that failed, with what it cost nevertheless."""
    spent = cost or Cost(tokens=0, micro_dollars=0)
    return Outcome(code=code, text=text, tokens=spent.tokens, micro_dollars=spent.micro_dollars)


def run_outcome(spawned: Outcome) -> Outcome:
    """Return how the run of another Hand ended. spawned: of the call that waited for it.

    If that Hand is an agent, what it says it used counts as used here, and its `answer` is the value.
    """
    reply = spawned.value if isinstance(spawned.value, dict) else {}
    value, outcome = reply.get("value"), str(reply.get("outcome", ""))
    answer: object = value
    if isinstance(value, dict) and "answer" in value:
        tokens, money = (value.get(unit) for unit in ("tokens", "micro_dollars"))
        used = [min(max(0, one), USED_MOST) if isinstance(one, int) else 0 for one in (tokens, money)]
        spawned = replace(spawned, tokens=spawned.tokens + used[0], micro_dollars=spawned.micro_dollars + used[1])
        answer = value["answer"]
    if outcome == "done":
        return replace(spawned, value=answer)
    so_far = f"; its work so far: {as_text(answer)}" if answer else ""
    text = f"{outcome}: {reply.get('text', '')}{so_far}"
    return replace(spawned, value=None, code=str(reply.get("code") or outcome), text=text)


def run_reply(result: Result, *, wants_session: bool) -> dict[str, object]:
    """Return what a run returns, within the size of a body: of notes, calls and session the oldest are left out."""
    reply: dict[str, object] = {
        "answer": result.answer, "steps": result.steps, "tokens": result.tokens,
        "micro_dollars": result.micro_dollars, "usage": msgspec.to_builtins(result.usage),
        "models": list(result.models),
    }  # fmt: skip
    room = limits.BODY_MAX - _RESERVED - _size(reply)
    reply["notes"] = _last_lines(result.notes, min(NOTES_MOST, room), "notes")
    room -= _size(reply["notes"])
    if result.code:
        reply["made"] = _last_lines(result.made, min(MADE_MOST, room), "calls")
        room -= _size(reply["made"])
    if wants_session:
        reply["session"] = last_messages(result.session, room)
    return reply


def last_messages(session: Sequence[Message], most: int = limits.BODY_MAX - _RESERVED) -> list[object]:
    """Return the last messages that fit, as plain values, with words in place of the pictures of results.

    most: bytes of room; together they take SESSION_MOST at most, but the last message alone may take all the room.
    """
    worded = [pictures.with_placeholders(one, len(pictures.in_results(one)), {}, pictures.NOT_KEPT) for one in session]
    plain: list[object] = [msgspec.to_builtins(one, builtin_types=(bytes,)) for one in worded]
    room, begin = min(SESSION_MOST, most), len(plain)
    while begin > 0 and (room := room - _size(plain[begin - 1])) >= 0:
        begin -= 1
    if begin == len(plain) > 0 and _size(plain[-1]) <= most:
        begin -= 1
    return plain[begin:]


def _last_lines(lines: Sequence[str], room: int, what: str) -> list[str]:
    """Return the last lines that fit into `room` bytes, after a line that counts those left out."""
    begin = len(lines)
    while begin > 0 and (room := room - _size(lines[begin - 1])) >= 0:
        begin -= 1
    return [*([f"({begin} earlier {what} are left out)"] if begin else []), *lines[begin:]]


def _size(value: object) -> int:
    return len(msgspec.msgpack.encode(value))
