"""Mends a conversation that was cut anywhere, or kept by somebody else (pure).

`mend` establishes what every provider demands: the conversation begins with the user; user and assistant take turns;
each call has an id, a valid name, and one result in the next message; each result has its call; no message is empty and
no text blank. A call without a result gets one that says that its outcome is unknown. What is whole stays as it is:
mend(mend(x)) == mend(x).
"""

import re
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from manifests.agent_task import TOOL_NAME
from runtime.agent.marks import Marks
from runtime.models.messages import AnyPart, Image, Message, Text, Thinking, ToolCall, ToolResult

CUT_OFF: Final = (
    "The conversation was cut off here: it is not known whether this call was carried out, or with what outcome. Check "
    "before you repeat it."
)
DROPPED: Final = "read_result (not possible: the result is no longer kept)"
_REFERENCE: Final = re.compile(r'read_result\(id="r\d{1,9}"(?:, start=\d{1,9})?\)')


def mend(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return the messages as every provider takes them."""
    mended = _Mended()
    for message in messages:
        if message.role == "user":
            mended.add_user(message)
        else:
            mended.add_assistant(message)
    mended.close()
    return tuple(mended.messages)


class _Mended:
    """The messages so far. _open: ids of the last message's calls, which have no result yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._open: list[str] = []
        self._ids: set[str] = set()

    def add_user(self, message: Message) -> None:
        found = {part.id: part for part in reversed(message.parts) if isinstance(part, ToolResult)}
        results = [found.get(call) or _cut_off(call) for call in self._open]
        self._open = []
        self._add("user", (*results, *(part for part in message.parts if isinstance(part, Image) or _is_text(part))))

    def add_assistant(self, message: Message) -> None:
        if not self.messages:
            return
        parts: list[AnyPart] = []
        calls: list[str] = []
        for part in message.parts:
            if isinstance(part, ToolCall) and part.id and part.id not in self._ids:
                self._ids.add(part.id)
                calls.append(part.id)
                parts.append(with_valid_name(part))
            elif isinstance(part, Thinking) or _is_text(part):
                parts.append(part)
        if any(not isinstance(part, Thinking) for part in parts):
            self.close()
            self._add("assistant", tuple(parts))
            self._open = calls

    def close(self) -> None:
        """Give each open call a result."""
        if self._open:
            self._add("user", tuple(map(_cut_off, self._open)))
            self._open = []

    def _add(self, role: str, parts: tuple[AnyPart, ...]) -> None:
        if not parts:
            return
        if self.messages and self.messages[-1].role == role:
            last = self.messages.pop()
            self.messages.append(replace(last, parts=(*last.parts, *parts)))
        else:
            self.messages.append(Message(role="user" if role == "user" else "assistant", parts=parts))


def _is_text(part: AnyPart) -> bool:
    return isinstance(part, Text) and bool(part.text.strip())


def _cut_off(call: str) -> ToolResult:
    return ToolResult(id=call, content=(Text(text=CUT_OFF),), failed=True)


def with_valid_name(call: ToolCall) -> ToolCall:
    """Return the call with a name that every provider takes."""
    if re.match(TOOL_NAME, call.name):
        return call
    return replace(call, name=re.sub("[^a-zA-Z0-9_-]", "_", call.name)[:64] or "_")


def mark_anew(messages: Iterable[Message], marks: Marks) -> tuple[Message, ...]:
    """Return messages of an earlier run with this run's boundary, and without references to results that it kept."""

    def text(old: Text) -> Text:
        return Text(text=_REFERENCE.sub(DROPPED, marks.mark_anew(old.text)))

    def part(old: AnyPart) -> AnyPart:
        match old:
            case Text():
                return text(old)
            case ToolResult():
                return replace(old, content=tuple(text(one) if isinstance(one, Text) else one for one in old.content))
            case _:
                return old

    return tuple(
        replace(one, parts=tuple(map(part, one.parts))) if one.role == "user" else one for one in messages
    )  # fmt: skip
