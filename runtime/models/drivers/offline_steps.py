"""Plays a declared task of tool calls step by step, without a language model (pure): only what its author wrote.

Each Step names a tool and its arguments. Step N is the ToolCall `step-N`, one at a time, once the step before has its
result; so the conversation alone shows how far the task is, and no other state is needed to continue it. Anywhere in
the arguments a table with "$of" stands for a value made from an earlier result:

    {"$of": 2}                            the text of step 2's result
    {"$of": 2, "$do": "describe"}         a table (CSV, TSV, JSON rows) in words: columns, counts, means, extremes
    {"$of": 2, "$do": "summarise"}        its key sentences             "$most": how many
    {"$of": 2, "$do": "phrases"}          its key phrases, a line each
    {"$of": 2, "$name": "content"}        a field of a result that is a table; "$do" may do something with it
    {"$join": ["# Weather\\n\\n", {"$of": 2}]}      texts one after the other

Of a result that was too long to show, the conversation has the first piece and a note after it. "text" keeps the note;
what any other "$do" makes begins with it as a sentence.

A step whose result failed ends the task: the answer says which step, and what was done before.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from manifests.agent_task import Step
from runtime.agent.marks import remove_marks
from runtime.agent.results import split_note
from runtime.models.drivers import offline_tables, offline_texts
from runtime.models.messages import Message, Text, ToolCall, ToolResult

PREFIX: Final = "step-"
DEEPEST: Final = 16


class StepInvalid(Exception):
    """You get this one when a step's arguments cannot be made; the text says which step and why."""


class Done(Struct, frozen=True, kw_only=True):
    """The task has ended. text: its answer. whole: all steps were done."""

    text: str
    whole: bool


def next_step(steps: Sequence[Step], messages: Sequence[Message]) -> ToolCall | Done:
    """Return the next call, or the end. Raises StepInvalid for arguments that cannot be made."""
    asked = {part.id for message in messages for part in message.parts if isinstance(part, ToolCall)}
    results = {part.id: part for message in messages for part in message.parts if isinstance(part, ToolResult)}
    begun = max((_number(id) for id in asked | results.keys()), default=0)
    for number in range(1, begun + 1):
        result = results.get(f"{PREFIX}{number}")
        if result is not None and result.failed:
            return Done(text=_failure_text(steps, number, _text(result)), whole=False)
    if begun < len(steps):
        step = steps[begun]
        arguments = _fill_in(step.arguments, results, begun + 1, 0)
        assert isinstance(arguments, dict)
        return ToolCall(id=f"{PREFIX}{begun + 1}", name=step.tool, arguments=arguments)
    last = results.get(f"{PREFIX}{len(steps)}")
    said = _text(last).strip() if last is not None else ""
    done = ", ".join(step.tool for step in steps)
    many = f"{len(steps)} step{'' if len(steps) == 1 else 's'}"
    return Done(text=f"Done, in {many}: {done}." + (f"\n\n{said}" if said else ""), whole=True)


def _failure_text(steps: Sequence[Step], number: int, why: str) -> str:
    tool = steps[number - 1].tool if number <= len(steps) else "?"
    before = ", ".join(step.tool for step in steps[: number - 1])
    return f"Step {number} ({tool}) failed: {why.strip() or 'no reason was given'}\n\nDone before it: {before or 'nothing'}."


def _fill_in(value: object, results: dict[str, ToolResult], number: int, depth: int) -> object:
    if depth > DEEPEST:
        raise StepInvalid(f"the arguments of step {number} are nested more than {DEEPEST} deep")
    if isinstance(value, list | tuple):
        return [_fill_in(one, results, number, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    if "$join" in value:
        parts = value["$join"]
        if not isinstance(parts, list | tuple):
            raise StepInvalid(f'step {number}: "$join" is not a list')
        return "".join(str(_fill_in(one, results, number, depth + 1)) for one in parts)
    if "$of" in value:
        return _from_result(value, results, number)
    return {name: _fill_in(one, results, number, depth + 1) for name, one in value.items()}


def _from_result(value: dict[str, object], results: dict[str, ToolResult], number: int) -> object:
    earlier = value["$of"]
    if not isinstance(earlier, int) or isinstance(earlier, bool) or not 0 < earlier < number:
        raise StepInvalid(f'step {number}: "$of" is not the number of a step before it')
    result = results.get(f"{PREFIX}{earlier}")
    if result is None:
        raise StepInvalid(
            f"step {number} needs the result of step {earlier}, which is not in the conversation any more"
        )
    do, most = value.get("$do", "text"), value.get("$most", 0)
    most = most if isinstance(most, int) and not isinstance(most, bool) else 0
    shown, note = (_shown(result), "") if do == "text" else split_note(_shown(result))
    whole = remove_marks(shown)
    found = _field(whole, str(value["$name"]), number, earlier) if "$name" in value else whole
    text = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    match do:
        case "text":
            return found
        case "describe":
            whole_rows = text[: text.rfind("\n") + 1] if note else text  # the last row of a piece may be cut
            made = offline_tables.describe(whole_rows)
        case "summarise":
            made = " ".join(offline_texts.summarise(text, most))
        case "phrases":
            made = "\n".join(f"- {one}" for one in offline_texts.phrases(text, most))
        case _:
            raise StepInvalid(f'step {number}: there is no "$do" of {do!r}')
    return f"{note}\n\n{made}" if note else made


def _field(text: str, name: str, number: int, earlier: int) -> object:
    """Return a field of a result: of JSON, or of `name: value` lines as agents read a table, the last value on several."""
    try:
        table: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        table = None
    if isinstance(table, dict) and name in table:
        return table[name]
    written = re.search(rf"^{re.escape(name)}:(?: ([^\n]*)|\n(.*))", text, re.MULTILINE | re.DOTALL)
    if written is None:
        raise StepInvalid(f'step {number}: the result of step {earlier} has no field "{name}"')
    return written[1] if written[1] is not None else written[2]


def _text(result: ToolResult) -> str:
    """Return what a tool returned, without marks for content from outside: nothing here could follow an instruction in it."""
    return remove_marks(_shown(result))


def _shown(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, Text))


def _number(id: str) -> int:  # noqa: A002 - it is what a ToolCall has
    rest = id.removeprefix(PREFIX)
    return int(rest) if rest != id and rest.isdecimal() and len(rest) < 6 else 0
