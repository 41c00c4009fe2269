"""A declared task of tools, step by step, without a language model (pure): what its author wrote, and nothing of its own.

Each Step names a tool and its arguments. Step N is asked for as the ToolCall `step-N`, one at a time, when the result of the
one before is there; so the conversation alone says how far it is, and whoever goes on with it needs no memory. Anywhere in
the arguments a table with "$of" stands for something made of an earlier result:

    {"$of": 2}                            the text of step 2's result
    {"$of": 2, "$do": "describe"}         a table (CSV, TSV, or JSON rows) in words: columns, counts, means, extremes
    {"$of": 2, "$do": "summarise"}        its telling sentences         "$most": how many
    {"$of": 2, "$do": "phrases"}          its key phrases, a line each
    {"$of": 2, "$name": "content"}        a field of a result that is a table; "$do" may do something with it
    {"$join": ["# Weather\\n\\n", {"$of": 2}]}      texts one after the other

Of a result that was too long to be shown there is the first piece, and after it a line that says so. That line stands in the
text, and what is done with the piece begins with it in words.

A step whose result says that it failed ends the task: the answer says which, and what was done before.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from runtime.agent.marks import remove_marks
from runtime.agent.results import split_note
from runtime.models.drivers import offline_tables, offline_texts
from runtime.models.messages import Message, Step, Text, ToolCall, ToolResult

PREFIX: Final = "step-"
DEEPEST: Final = 16


class NotWritten(Exception):
    """You get this one when a step's arguments cannot be made; the text says which and why."""


class Done(Struct, frozen=True, kw_only=True):
    """The task has come to an end. text: what to say of it. whole: all its steps were done."""

    text: str
    whole: bool


def following(steps: Sequence[Step], messages: Sequence[Message]) -> ToolCall | Done:
    """What comes next. NotWritten for arguments that cannot be made."""
    asked = {part.id for message in messages for part in message.parts if isinstance(part, ToolCall)}
    results = {part.id: part for message in messages for part in message.parts if isinstance(part, ToolResult)}
    begun = max((_number(id) for id in asked | results.keys()), default=0)
    for number in range(1, begun + 1):
        result = results.get(f"{PREFIX}{number}")
        if result is not None and result.failed:
            return Done(text=_stopped(steps, number, _text(result)), whole=False)
    if begun < len(steps):
        step = steps[begun]
        arguments = _made(step.arguments, results, begun + 1, 0)
        assert isinstance(arguments, dict)
        return ToolCall(id=f"{PREFIX}{begun + 1}", name=step.tool, arguments=arguments)
    last = results.get(f"{PREFIX}{len(steps)}")
    said = _text(last).strip() if last is not None else ""
    done = ", ".join(step.tool for step in steps)
    return Done(text=f"Done, in {len(steps)} steps: {done}." + (f"\n\n{said}" if said else ""), whole=True)


def _stopped(steps: Sequence[Step], number: int, why: str) -> str:
    tool = steps[number - 1].tool if number <= len(steps) else "?"
    before = ", ".join(step.tool for step in steps[: number - 1])
    return f"Step {number} ({tool}) failed: {why.strip() or 'no reason was given'}\n\nDone before it: {before or 'nothing'}."


def _made(value: object, results: dict[str, ToolResult], number: int, depth: int) -> object:
    if depth > DEEPEST:
        raise NotWritten(f"the arguments of step {number} are nested more than {DEEPEST} deep")
    if isinstance(value, list | tuple):
        return [_made(one, results, number, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    if "$join" in value:
        parts = value["$join"]
        if not isinstance(parts, list | tuple):
            raise NotWritten(f'step {number}: "$join" is not a list')
        return "".join(str(_made(one, results, number, depth + 1)) for one in parts)
    if "$of" in value:
        return _of(value, results, number)
    return {name: _made(one, results, number, depth + 1) for name, one in value.items()}


def _of(value: dict[str, object], results: dict[str, ToolResult], number: int) -> object:
    earlier = value["$of"]
    if not isinstance(earlier, int) or isinstance(earlier, bool) or not 0 < earlier < number:
        raise NotWritten(f'step {number}: "$of" is not the number of a step before it')
    result = results.get(f"{PREFIX}{earlier}")
    if result is None:
        raise NotWritten(f"step {number} needs the result of step {earlier}, which is not in the conversation any more")
    do, most = value.get("$do", "text"), value.get("$most", 0)
    most = most if isinstance(most, int) and not isinstance(most, bool) else 0
    piece, part = (_shown(result), "") if do == "text" else split_note(_shown(result))
    whole = remove_marks(piece)
    found = _field(whole, str(value["$name"]), number, earlier) if "$name" in value else whole
    text = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    match do:
        case "text":
            return found
        case "describe":
            made = offline_tables.described(
                text[: text.rfind("\n") + 1] if part else text
            )  # its last row may be half a one
        case "summarise":
            made = " ".join(offline_texts.summarise(text, most))
        case "phrases":
            made = "\n".join(f"- {one}" for one in offline_texts.phrases(text, most))
        case _:
            raise NotWritten(f'step {number}: there is no "$do" of {do!r}')
    return f"{part}\n\n{made}" if part else made


def _field(text: str, name: str, number: int, earlier: int) -> object:
    """A field of a result that is a JSON table, or a table as agents read it: `name: value`, and the last one in lines."""
    try:
        table: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        table = None
    if isinstance(table, dict) and name in table:
        return table[name]
    written = re.search(rf"^{re.escape(name)}:(?: ([^\n]*)|\n(.*))", text, re.MULTILINE | re.DOTALL)
    if written is None:
        raise NotWritten(f'step {number}: the result of step {earlier} has no field "{name}"')
    return written[1] if written[1] is not None else written[2]


def _text(result: ToolResult) -> str:
    """What a tool returned, without the marks that an agent puts around it: nothing here takes it for more than material."""
    return remove_marks(_shown(result))


def _shown(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, Text))


def _number(id: str) -> int:  # noqa: A002 - it is what a ToolCall has
    rest = id.removeprefix(PREFIX)
    return int(rest) if rest != id and rest.isdecimal() and len(rest) < 6 else 0
