"""What an agent's calls say and what came of them, as values (pure): between the bus and the machine, which knows no bus."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from runtime.agent import letters, pictures, tools
from runtime.agent.actions import Make, Recalled, Result, Returned, Think
from runtime.agent.results import as_text
from runtime.kernel_handle import Budget
from runtime.models.messages import Message
from wire import limits
from wire.entries import Cost
from wire.pictures import media

SESSION_MOST: Final = 600_000
"""Bytes of a conversation that a run returns."""

NOTES_MOST: Final = 32 * 1024
MADE_MOST: Final = 128 * 1024
_BESIDE: Final = 16 * 1024
"""Bytes of its notes, of the lines of its calls, and of what else is told of a run, with what the kernel says of it."""

_UNBOUND: Final = 10**12

USED_MOST: Final = 10**12
"""Tokens, and micro-dollars, that are believed of one run: sums of them can be told in a message."""


def row(told: Mapping[str, object]) -> tools.Row:
    """A method as kernel.describe tells of it."""
    return msgspec.convert(told, tools.Row)


def recalled(told: object, labels: tuple[str, ...]) -> tuple[Recalled, ...]:
    """What memory.recall found. Of a long text it tells the piece that was found alone, else where that stands in it."""
    rows = told.get("results") if isinstance(told, dict) else None
    found = list[Recalled]()
    for row in rows if isinstance(rows, list) else ():
        text = row.get("text") if isinstance(row, dict) else None
        if isinstance(text, str):
            piece = row.get("piece") if row.get("whole") else None
            at = piece[0] if isinstance(piece, list) and piece and isinstance(piece[0], int) else 0
            found.append(Recalled(text=text, labels=labels, at=min(max(0, at), len(text))))
    return tuple(found)


def asked(action: Think) -> dict[str, object]:
    """A request as params; what says nothing is left out."""
    given = msgspec.to_builtins(action.request, builtin_types=(bytes,))
    return {name: value for name, value in given.items() if value not in (None, "", [])}


def with_content(chunks: Sequence[bytes], value: object, *, is_cut: bool = False) -> object:
    """A reply's value with what it streamed, which comes last, since it may be long: a text, or a picture's bytes.

    is_cut: there is more, so it is no whole picture.
    """
    if not chunks:
        return value
    whole = b"".join(chunks)
    about: dict[str, object] = value if isinstance(value, dict) else {} if value is None else {"value": value}
    if not is_cut and media(whole):
        return {**about, "content": whole}
    if (found := letters.read(whole)) is None:
        return {**about, "content": f"({len(whole)} bytes that are no text)"}
    text, known = found
    is_told = known and not (is_cut and known == letters.HALVES)
    return {**about, **({"letters": known} if is_told else {}), "content": text}


def most_of(action: Make, left: Budget) -> Cost:
    """What a run of another Hand may cost: of what budgets leave no more than has room for those begun with it, too.

    It is reserved for as long as that works: of a unit that [agent] does not bound as much stays for whoever else pays out
    of the same budgets.
    """
    tokens, money = (
        min(bound or _UNBOUND, _UNBOUND if there is None else there // (action.among + (not bound)))
        for bound, there in ((action.tokens, left.tokens_left), (action.micro_dollars, left.micro_dollars_left))
    )
    return Cost(tokens=tokens, micro_dollars=money)


def failed(code: str, text: str, cost: Cost | None) -> Returned:
    """A call that came to nothing, with what it has cost all the same."""
    spent = cost or Cost(tokens=0, micro_dollars=0)
    return Returned(code=code, text=text, tokens=spent.tokens, micro_dollars=spent.micro_dollars)


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


def of_result(result: Result, *, wants_session: bool) -> dict[str, object]:
    """What a run comes to, as large as its end may be: of what is less than its answer the oldest is left out."""
    told: dict[str, object] = {
        "answer": result.answer, "steps": result.steps, "tokens": result.tokens,
        "micro_dollars": result.micro_dollars, "usage": msgspec.to_builtins(result.usage),
        "models": list(result.models),
    }  # fmt: skip
    room = limits.BODY_MAX - _BESIDE - _size(told)
    told["notes"] = _latest(result.notes, min(NOTES_MOST, room), "notes")
    room -= _size(told["notes"])
    if result.code:
        told["made"] = _latest(result.made, min(MADE_MOST, room), "calls")
        room -= _size(told["made"])
    if wants_session:
        told["session"] = latest(result.session, room)
    return told


def latest(session: Sequence[Message], most: int = limits.BODY_MAX - _BESIDE) -> list[object]:
    """The messages, the oldest left out where all are more than a reply takes, and words for the pictures of results.

    most: bytes that there are for them; the last one may have them all.
    """
    plain = [pictures.left_out(one, len(pictures.in_results(one)), {}, pictures.NOT_KEPT) for one in session]
    told: list[object] = [msgspec.to_builtins(one, builtin_types=(bytes,)) for one in plain]
    room, begin = min(SESSION_MOST, most), len(told)
    while begin > 0 and (room := room - _size(told[begin - 1])) >= 0:
        begin -= 1
    if begin == len(told) > 0 and _size(told[-1]) <= most:
        begin -= 1
    return told[begin:]


def _latest(lines: Sequence[str], room: int, what: str) -> list[str]:
    """The last of these lines that there is room for; of others how many they were."""
    begin = len(lines)
    while begin > 0 and (room := room - _size(lines[begin - 1])) >= 0:
        begin -= 1
    return [*([f"({begin} earlier {what} are left out)"] if begin else []), *lines[begin:]]


def _size(value: object) -> int:
    return len(msgspec.msgpack.encode(value))
