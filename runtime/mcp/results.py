"""Turns what a server answers into values of ours (pure): texts, structures and other parts, within the size of a reply.

A text that is too long is cut, and anything else that is too large left out; `cut` says so, so that nobody takes a part for
the whole. The text of a server's error is its own, cut to the length of an error.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    GetPromptResult,
    ImageContent,
    ReadResourceResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import ValidationError

from manifests.mcp.tools import Tool
from runtime.errors import Failure

_PARSER: Final = re.compile(r": \d+ validation errors? for .*", re.DOTALL)

ROOM: Final = 900_000
"""Most bytes of one reply: what a body can carry, less some for its frame."""

_ERROR: Final = 1_000  # characters of an error's text
_DEEPEST: Final = 32
_AROUND: Final = 64  # bytes of a part without its content


class _Room:
    """The bytes left for a reply."""

    def __init__(self) -> None:
        self.left = ROOM
        self.is_cut = False

    def text(self, text: str) -> str:
        """Takes room for a text. Returns as much of it as fits."""
        clean = text.encode("utf-8", "replace")
        kept = clean[: self.left]
        self.left -= len(kept)
        if len(kept) == len(clean):
            return clean.decode()
        self.is_cut = True
        return kept.decode("utf-8", "ignore")

    def has(self, size: int) -> bool:
        """Takes room for so many bytes. Returns whether there was enough."""
        if size > self.left:
            self.is_cut = True
            return False
        self.left -= size
        return True


def of_tool(result: CallToolResult) -> dict[str, object]:
    """The value of a tool's result. Raises Failure if the tool failed."""
    room = _Room()
    texts, parts = _content(result.content, room)
    if result.is_error:
        raise Failure("tool", one_text("\n".join(texts)) or "the tool failed, and did not say why")
    value: dict[str, object] = {"text": "\n".join(texts)} if texts else {}
    if result.structured_content is not None and room.has(_size(result.structured_content)):
        value["structured"] = result.structured_content
    return _with_parts(value, parts, room)


def of_resource(result: ReadResourceResult) -> dict[str, object]:
    """The value of a resource: its parts, and its text if it is a single text."""
    room = _Room()
    parts = [_resource(one, room) for one in result.contents if room.has(_AROUND)]
    texts = [str(part["text"]) for part in parts if "text" in part]
    return {**({"cut": True} if room.is_cut else {}), "parts": parts} | (
        {"text": texts[0]} if len(texts) == len(parts) == 1 and room.has(len(texts[0].encode())) else {}
    )


def of_prompt(result: GetPromptResult) -> dict[str, object]:
    """The value of a filled prompt: each message's role, and its text or part."""
    room, messages = _Room(), []
    for message in result.messages:
        texts, parts = _content((message.content,), room)
        if not texts and not parts:
            break
        messages.append({"role": message.role, "text": texts[0]} if texts else {"role": message.role, "part": parts[0]})
    value: dict[str, object] = {"messages": messages}
    if result.description:
        value["description"] = room.text(result.description)
    return value | ({"cut": True} if room.is_cut else {})


def of_list(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """The value of a list. Raises Failure if it is too large for a reply: nobody could ask for the rest."""
    found = list(rows)
    if _size(found) > ROOM:
        raise Failure("too-large", f"the server lists {len(found)} things, which do not fit into one reply")
    return found


def listed_tool(row: Mapping[str, object]) -> Tool:
    """A tool as the server lists it."""
    return Tool(
        name=str(row["name"]),
        description=str(row.get("description") or ""),
        input_schema=_table(row.get("inputSchema")),
        output_schema=_table(row["outputSchema"]) if row.get("outputSchema") else None,
        hints=_table(row.get("annotations")),
        is_task_only=_table(row.get("execution")).get("taskSupport") == "required",
    )


def reason(error: BaseException) -> str:
    """An error's text, without what the package's parser says, which quotes bytes of the server."""
    return _PARSER.sub("", str(error))


def faults(error: ValidationError) -> str:
    """Where an answer does not follow the protocol, for an error."""
    many = f"{error.error_count()} fault{'s, the first' if error.error_count() > 1 else ','}"
    place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
    return one_text(f"the server's answer does not follow the protocol: {many} in {place or 'its whole'}")


def misfit(error: Exception) -> str:
    """Why a result does not fit its tool's output schema, or could not be checked by it, for an error."""
    if type(error) is RuntimeError:  # the package's own
        return one_text(str(error))
    return f"the answer could not be checked by the tool's own output schema: {type(error).__name__}"


def one_text(text: str) -> str:
    """A server's text, cut to the length of an error."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _ERROR else f"{text[: _ERROR - 1]}…"


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _with_parts(value: dict[str, object], parts: list[dict[str, object]], room: _Room) -> dict[str, object]:
    return value | ({"parts": parts} if parts else {}) | ({"cut": True} if room.is_cut else {})


def _content(content: Sequence[ContentBlock], room: _Room) -> tuple[list[str], list[dict[str, object]]]:
    texts: list[str] = []
    parts: list[dict[str, object]] = []
    for one in content:
        if not room.has(_AROUND):
            break
        match one:
            case TextContent():
                texts.append(room.text(one.text))
            case ImageContent() | AudioContent():
                parts.append({"type": one.type, "mime": room.text(one.mime_type), **_bytes(one.data, room)})
            case ResourceLink():
                parts.append({"type": "link", "uri": room.text(str(one.uri)), "name": room.text(one.name)})
            case EmbeddedResource():
                parts.append({"type": "resource", **_resource(one.resource, room)})
    return texts, parts


def _resource(one: TextResourceContents | BlobResourceContents, room: _Room) -> dict[str, object]:
    about: dict[str, object] = {"uri": room.text(str(one.uri))}
    if one.mime_type:
        about["mime"] = room.text(one.mime_type)
    return about | ({"text": room.text(one.text)} if isinstance(one, TextResourceContents) else _bytes(one.blob, room))


def _bytes(encoded: str, room: _Room) -> dict[str, object]:
    """Bytes from base64, or their size if there is no room."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Failure("malformed", "the server sent bytes that are not base64") from None
    return {"data": raw} if room.has(len(raw)) else {"size": len(raw)}


def _size(value: object) -> int:
    """Bytes of an encoded value. Raises Failure for one that is nested too deeply."""
    try:
        if _depth(value, 0) <= _DEEPEST:
            return len(msgspec.msgpack.encode(value))
    except (RecursionError, OverflowError, TypeError, UnicodeEncodeError):
        pass
    raise Failure("malformed", "the server's answer holds values that no call can carry")


def _depth(value: object, depth: int) -> int:
    if depth > _DEEPEST or not isinstance(value, dict | list):
        return depth
    rows = value.values() if isinstance(value, dict) else value
    return max((_depth(one, depth + 1) for one in rows), default=depth)
