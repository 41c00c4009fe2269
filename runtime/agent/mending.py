"""A conversation that was cut anywhere, or kept by somebody else, made whole again (pure).

What every provider demands, and `mended` sees to: it begins with the user, user and assistant take turns, each call has
an id, a name that fits, and one result in the message after it, and each result its call; no message is empty, and no text
blank. A call without a result gets one that says that it is not known what came of it. What was whole stays as it was:
mended(mended(x)) == mended(x).
"""

import re
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from runtime.agent.marks import Marks
from runtime.models.messages import TOOL_NAME, AnyPart, Image, Message, Text, Thinking, ToolCall, ToolResult

CUT_OFF: Final = (
    "It was cut off here: whether this was done, and what came of it, is not known. Look before you repeat it."
)
_GONE: Final = re.compile(r'read_result\(id="r\d{1,9}"(?:, start=\d{1,9})?\)')


def mended(messages: Iterable[Message]) -> tuple[Message, ...]:
    """See above."""
    whole = _Whole()
    for message in messages:
        if message.role == "user":
            whole.user(message)
        else:
            whole.assistant(message)
    whole.close()
    return tuple(whole.messages)


class _Whole:
    """What is whole so far. open: calls of the last message that have no result yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._open: list[str] = []
        self._ids: set[str] = set()

    def user(self, message: Message) -> None:
        found = {part.id: part for part in reversed(message.parts) if isinstance(part, ToolResult)}
        results = [found.get(call) or _cut_off(call) for call in self._open]
        self._open = []
        self._add("user", (*results, *(part for part in message.parts if isinstance(part, Image) or _is_text(part))))

    def assistant(self, message: Message) -> None:
        if not self.messages:
            return
        parts: list[AnyPart] = []
        calls: list[str] = []
        for part in message.parts:
            if isinstance(part, ToolCall) and part.id and part.id not in self._ids:
                self._ids.add(part.id)
                calls.append(part.id)
                parts.append(named(part))
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


def named(call: ToolCall) -> ToolCall:
    """A call with a name that every provider takes."""
    if re.match(TOOL_NAME, call.name):
        return call
    return replace(call, name=re.sub("[^a-zA-Z0-9_-]", "_", call.name)[:64] or "_")


def marked_anew(messages: Iterable[Message], marks: Marks) -> tuple[Message, ...]:
    """Messages of an earlier run: what was marked by its boundary is marked by this one's, and what it kept is gone."""

    def text(old: Text) -> Text:
        return Text(text=_GONE.sub("nothing: it is not kept any more", marks.remark(old.text)))

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
