"""The driver `offline`: answers without a language model when no provider is set up (pure; async only by interface).

It does the tasks that requests declare (`task`), and requests with a schema, by classical methods: offline_texts.py,
offline_fill.py, offline_steps.py. Every answer says so in its notes. To anything else it answers what it can do and how
to set up a provider. It is deterministic: the same request gets the same answer. It costs nothing; its usage is an
estimate.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec

from manifests.agent_task import Task
from runtime.models import counting
from runtime.models.drivers import Endpoint, bounding, offline_fill, offline_schemas, offline_steps, offline_texts
from runtime.models.failures import ModelFailed
from runtime.models.messages import (  # fmt: skip
    Answer,
    AnyPiece,
    Embedded,
    Listed,
    Message,
    Request,
    Stop,
    Text,
    TextPiece,
    ToolCall,
    ToolPiece,
    ToolResult,
    Usage,
)

MODEL: Final = "classical"
SHOWN_MOST: Final = 50
"""Names of missing values that a note lists, at most."""

NOTE: Final = "No language model was used: this was made by classical methods, and says only what they can."
HOW: Final = """\
No language model is set up, so I cannot hold a conversation. To set one up, give this home a key, for instance
`maniple settings model --secret anthropic_key`, or start a local server such as Ollama. Then say which model answers:
`maniple settings model 'routes={"default": ["anthropic/claude-sonnet-4-5"]}'`. `maniple models` shows what is there, and
`maniple models test` tries it.

Without one I can only do what a request declares as its task: summarise a text, extract its key phrases or what
concerns a question, choose one of given labels for it, rank texts by a question, fill a JSON Schema with what a text
says explicitly, and call tools step by step as their author wrote them down.\
"""

Outcome = tuple[str, object, tuple[str, ...]]
"""The text of an answer, its value, and further notes."""


class Offline:
    """See drivers/__init__.py for the interface."""

    counts = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._provider = endpoint.provider

    async def stream(self, model: str, request: Request) -> AsyncIterator[AnyPiece | Answer]:
        """Yield the text line by line, or one tool call, then the answer."""
        answer = await asyncio.to_thread(self._work_out, request)
        for part in answer.parts:
            if isinstance(part, Text):
                for line in re.findall(r"[^\n]*\n+|[^\n]+", part.text):
                    yield TextPiece(text=line)
            elif isinstance(part, ToolCall):
                yield ToolPiece(id=part.id, name=part.name)
                yield ToolPiece(id=part.id, arguments=msgspec.json.encode(part.arguments).decode())
        yield answer

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """Raise ModelFailed: the Hand makes vectors, by the embedder of requirements/embed.txt, if that is installed."""
        raise ModelFailed("unfit", "the offline driver makes no vectors itself", provider=self._provider)

    async def list_models(self) -> tuple[Listed, ...]:
        """Return its one model."""
        return (Listed(id=MODEL),)

    async def count(self, model: str, request: Request) -> int | None:
        """Return None: it has no tokens of its own."""
        return None

    async def close(self) -> None:
        """Do nothing: no connection is open."""

    def _work_out(self, request: Request) -> Answer:
        task = request.task
        if task is not None and task.kind == "steps":
            return self._step(request, task)
        if task is None and request.schema is None:
            return self._answer(request, (Text(text=HOW),), Stop.END, None, ())
        kind = "fill" if task is None else task.kind
        text = (task.text if task is not None else "") or _last_user_text(request)
        said, value, notes = _TASKS[kind](request, task or Task(kind="fill"), text)
        if request.schema is not None and kind != "fill":
            said = msgspec.json.encode(value).decode()
        return self._answer(request, (Text(text=said),) if said else (), Stop.END, value, notes)

    def _step(self, request: Request, task: Task) -> Answer:
        try:
            found = offline_steps.next_step(task.steps, request.messages)
        except offline_steps.StepInvalid as error:
            raise ModelFailed("request", str(error), provider=self._provider) from None
        if isinstance(found, offline_steps.Done):
            return self._answer(request, (Text(text=found.text),), Stop.END, None, ())
        if found.name not in {tool.name for tool in request.tools}:
            why = f"the next step needs the tool {found.name}, which is not offered"
            raise ModelFailed("unfit", why, provider=self._provider)
        return self._answer(request, (found,), Stop.TOOL, None, ())

    def _answer(
        self, request: Request, parts: tuple[Text | ToolCall, ...], stop: Stop, value: object, notes: tuple[str, ...]
    ) -> Answer:
        output = counting.of_message(Message(role="assistant", parts=parts))
        return Answer(
            parts=parts,
            stop=stop,
            usage=Usage(input=counting.of_request(request), output=output, estimated=True),
            model=f"{self._provider}/{MODEL}",
            said=MODEL,
            value=value,
            notes=(NOTE, *notes),
        )


def _summarise(request: Request, task: Task, text: str) -> Outcome:
    found = offline_texts.summarise(text, task.most)
    return " ".join(found), {"summary": " ".join(found)}, _cut_short(text)


def _extract(request: Request, task: Task, text: str) -> Outcome:
    if not task.query:
        found = offline_texts.phrases(text, task.most)
    else:
        sentences = offline_texts.sentences(text)[: offline_texts.SENTENCES_MOST]
        best = offline_texts.rank(task.query, sentences)[: task.most or 5]
        found = [sentences[place] for place, score in best if score > 0]
    notes = _cut_short(text) if found else ("Nothing in the text has a word of the query.",)
    return "\n".join(f"- {one}" for one in found), {"found": found}, notes


def _classify(request: Request, task: Task, text: str) -> Outcome:
    if not task.among:
        raise ModelFailed("request", "a task `classify` needs its labels in `among`")
    scores = offline_texts.classify(text, task.among)
    label, score = scores[0]
    value = {"label": label if score else None, "scores": dict(scores)}
    return (label, value, ()) if score else ("", value, ("The text has no word of any label.",))


def _rank(request: Request, task: Task, text: str) -> Outcome:
    if not task.among:
        raise ModelFailed("request", "a task `rank` needs its texts in `among`")
    found = offline_texts.rank(task.query or text, task.among)
    left = len(task.among) - len(found)
    notes = (f"{left} texts beyond the first {len(found)} were not ranked.",) if left else ()
    value = {"order": [place for place, _ in found], "scores": [score for _, score in found]}
    return "\n".join(f"{place + 1}. {task.among[place][:200]}" for place, _ in found), value, notes


def _fill(request: Request, task: Task, text: str) -> Outcome:
    if request.schema is None:
        raise ModelFailed("request", "a task `fill` needs a schema")
    schema = offline_schemas.write_out(request.schema)
    characters = offline_fill.characters_read(schema)
    if not characters:
        raise ModelFailed(
            "unfit", f"the schema has more than {offline_fill.NAMES_MOST:,} names and choices to look for"
        )
    value, missing = offline_fill.fill(schema, text)
    notes: tuple[str, ...] = (f"The text does not say: {_listed(missing)}.",) if missing else ()
    if missing and len(text) > characters:
        notes += (f"Only its first {characters:,} characters were read.",)
    said = msgspec.json.encode(value).decode()
    if len(said) > bounding.ANSWER:
        raise ModelFailed("unfit", f"the values that the text has for the schema are {bounding.TOO_MUCH}")
    return said, value, notes


_TASKS: Final[dict[str, Callable[[Request, Task, str], Outcome]]] = {
    "summarise": _summarise, "extract": _extract, "classify": _classify, "rank": _rank, "fill": _fill
}  # fmt: skip


def _last_user_text(request: Request) -> str:
    """Return the text of the last user message, with that of its tool results."""
    found: list[str] = []
    for message in reversed(request.messages):
        if message.role == "user":
            for part in message.parts:
                if isinstance(part, Text):
                    found.append(part.text)
                elif isinstance(part, ToolResult):
                    found += [one.text for one in part.content if isinstance(one, Text)]
            break
    return "\n\n".join(found)


def _cut_short(text: str) -> tuple[str, ...]:
    more = len(offline_texts.sentences(text)) - offline_texts.SENTENCES_MOST
    return (f"The last {more} sentences were not read.",) if more > 0 else ()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_MOST
    return ", ".join(names[:SHOWN_MOST]) + (f" and {more} more" if more > 0 else "")
