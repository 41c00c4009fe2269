"""What an agent does without a language model (pure): the types of the file that [agent] task names, and its faults.

Requests to a model carry the same Task (runtime/models/messages.py), and runtime/models/drivers/offline.py carries it out.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from manifests.suggestions import suggestion

TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}\Z"
"""Tool names that every provider takes. Whoever offers methods as tools makes such names for them (`web_fetch`)."""

ToolName = Annotated[str, Meta(pattern=TOOL_NAME)]


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step of a task of the kind `steps`: a tool and its arguments, filled in as drivers/offline_steps.py says."""

    tool: ToolName
    arguments: dict[str, object] = {}


TaskKind = Literal["summarise", "extract", "classify", "rank", "fill", "steps"]


class Task(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request as a task for a driver without a language model; other drivers ignore it and go by the messages.

    text: to work on, "" for the text of the last user message. query: what `extract` and `rank` look for. among: the labels
    of `classify`, the texts of `rank`. most: sentences of `summarise` and `extract`, 0 for the driver's default. steps: of
    `steps`. `fill` fills the request's schema.
    """

    kind: TaskKind
    text: str = ""
    query: str = ""
    among: tuple[str, ...] = ()
    most: Annotated[int, Meta(ge=0, le=1000)] = 0
    steps: tuple[Step, ...] = ()


MADE: Final = ("text", "describe", "summarise", "phrases")
"""What the "$do" of an argument may make of an earlier result."""


def find_fault(raw: bytes, *, has_schema: bool) -> str:
    """Return the first thing that is wrong with such a file; "" if nothing is. has_schema: [agent] names a schema, too."""
    try:
        task = msgspec.json.decode(raw, type=Task)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        dotted = '; a tool is called like its method, with "_" for each "."' if "regex" in str(error) else ""
        return f"{error}{dotted}"
    return next(_faults(task, has_schema=has_schema), "")


def _faults(task: Task, *, has_schema: bool) -> Iterator[str]:
    if task.kind in ("classify", "rank") and not task.among:
        yield f"{task.kind} needs what it chooses from, in `among`"
    if task.kind == "fill" and not has_schema:
        yield "fill needs a schema: name one in [agent] schema"
    if task.kind == "steps" and not task.steps:
        yield "there is no step in `steps`"
    for number, step in enumerate(task.steps, 1):
        yield from (f"step {number}: {why}" for why in _faults_within(step.arguments, number))


def _faults_within(value: object, number: int) -> Iterator[str]:
    """Yield what is wrong with the results that an argument of step `number` is made from."""
    if isinstance(value, list):
        for one in value:
            yield from _faults_within(one, number)
    if not isinstance(value, Mapping):
        return
    if not isinstance(value.get("$join", []), list):
        yield '"$join" is not a list'
    if "$of" in value:
        of, do = value["$of"], value.get("$do", "text")
        if not isinstance(of, int) or isinstance(of, bool) or not 0 < of < number:
            yield '"$of" is not the number of a step before it'
        if do not in MADE:
            yield f'there is no "$do" of {do!r}; {suggestion(str(do), MADE)}'
        return
    for one in value.values():
        yield from _faults_within(one, number)
