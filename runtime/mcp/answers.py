"""Turns ends of calls into results of tools for an MCP client (pure).

As the protocol requires, a table is sent twice: as structured content, and as JSON text. Bytes travel as base64. A result of
an MCP server's tool is passed on as that server sent it. A call that did not end in Done is a result too, with isError and
the reason, so that the caller, most likely a model, reads it. What only we know has names that begin with META: where the
result came from, what it cost, how the call ended.
"""

import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from runtime.calls import Reply
from runtime.errors import CallCancelled, CallEnded, CallFailed, CallRefused
from runtime.kernel_handle import Outcome
from runtime.mcp.returned import misfit
from wire import codec

META: Final = "maniple/"
"""Prefix of our own names in `_meta`: labels, cost, end, code, cut."""

_SERVERS: Final = frozenset({"text", "structured", "parts", "cut"})
"""The names in a reply of an MCP server's Hand (results.py)."""

_OWN: Final = "mcp-"
_ENDS: Final[Mapping[type[CallEnded], str]] = {CallRefused: "refused", CallFailed: "failed", CallCancelled: "cancelled"}


def of_reply(
    method: str, resource: str, reply: Reply, streamed: bytes, returns: Mapping[str, str] | None = None
) -> CallToolResult:
    """The result of a call that is done. streamed: the bytes of its chunks. returns: the method's, from HAND.toml."""
    value, cut = reply.value, False
    content: list[ContentBlock] = []
    structured: dict[str, object] | None = None
    if streamed:
        content.append(_stream(method, resource, streamed, is_cut=False))
    if isinstance(value, dict) and method.startswith(_OWN) and value.keys() <= _SERVERS:
        content += _of_server(value)
        cut = bool(value.get("cut"))
        given = value.get("structured")
        structured = _plain(given) if isinstance(given, dict) else None
    elif isinstance(value, str):
        content.append(_text(value))
    elif isinstance(value, dict):
        structured = _plain(value)
        content.append(_text(_json(structured)))
    elif value is not None:
        content.append(_text(_json(value)))
    meta = _meta(reply) | ({f"{META}cut": True} if cut else {})
    if returns and (why := misfit(returns, structured)):
        note = _text(f"{method} is done, but its answer does not match its output schema: {why}. The answer:")
        meta |= {f"{META}end": "done", f"{META}code": "returns"}
        return CallToolResult(content=[note, *content], is_error=True, _meta=meta)
    return CallToolResult(content=content, structured_content=structured, _meta=meta)


def of_run(reply: Reply) -> CallToolResult:
    """The result of a run that was started and awaited, from the reply of `kernel.wait`."""
    ended = msgspec.convert(reply.value, Outcome)
    if ended.outcome == "done":
        found = of_reply("", "", msgspec.structs.replace(reply, value=ended.value), b"")
    else:
        found = of_error(f"{ended.outcome}: {ended.text} ({ended.code})", end=ended.outcome, code=ended.code)
    return found.model_copy(update={"meta": {**(found.meta or {}), **_meta(reply), f"{META}run": ended.run}})


def of_cut(method: str, resource: str, streamed: bytes) -> CallToolResult:
    """The result of a call that was cancelled since it streamed too much. streamed: its first bytes, all that is kept."""
    content = [_stream(method, resource, streamed, is_cut=True), _text(f"(cut here, after {len(streamed)} bytes)")]
    return CallToolResult(content=content, is_error=True, _meta={f"{META}cut": True})


def of_end(ended: CallEnded) -> CallToolResult:
    """The result of a call that was refused, failed, or was cancelled by somebody else."""
    end = _ENDS.get(type(ended), "failed")
    match ended:
        case CallRefused():
            mend = f"; a grant that would allow it: {ended.grant}" if ended.grant else ""
            return of_error(f"refused: {ended.why}{mend}", end=end, code=ended.code)
        case CallFailed():
            return of_error(str(ended), end=end, code=ended.code)
    return of_error(f"cancelled: {ended}", end=end, code=end)


def of_error(text: str, *, end: str, code: str) -> CallToolResult:
    """The result of a tool that did not do what it was asked to."""
    text = text.encode("utf-8", "replace").decode()
    return CallToolResult(
        content=[_text(text)], is_error=True, _meta={f"{META}end": end, f"{META}code": code}
    )  # fmt: skip


def _meta(reply: Reply) -> dict[str, object]:
    """The `_meta` of every reply: where it came from, and what it cost."""
    cost = reply.cost
    spent = {} if cost is None else {f"{META}cost": {"tokens": cost.tokens, "micro_dollars": cost.micro_dollars}}
    return {f"{META}labels": list(reply.labels), **spent}


def _of_server(value: Mapping[str, object]) -> list[ContentBlock]:
    """The content that results.py turned into these values."""
    content: list[ContentBlock] = [_text(str(value["text"]))] if "text" in value else []
    parts = value.get("parts")
    content += [_part(part) for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return content


def _part(part: Mapping[str, object]) -> ContentBlock:
    raw, mime = part.get("data"), str(part.get("mime") or "application/octet-stream")
    match part.get("type"):
        case "image" if isinstance(raw, bytes):
            return ImageContent(type="image", data=_base64(raw), mime_type=mime)
        case "audio" if isinstance(raw, bytes):
            return AudioContent(type="audio", data=_base64(raw), mime_type=mime)
        case "link":
            return ResourceLink(type="resource_link", uri=str(part.get("uri")), name=str(part.get("name")))
        case "resource" if isinstance(raw, bytes):
            return _resource(BlobResourceContents(uri=str(part.get("uri")), mime_type=mime, blob=_base64(raw)))
        case "resource" if "text" in part:
            of_text = part.get("mime")
            return _resource(
                TextResourceContents(
                    uri=str(part.get("uri")), mime_type=str(of_text) if of_text else None, text=str(part["text"])
                )
            )
    return _text(_json(part))


def _stream(method: str, resource: str, streamed: bytes, *, is_cut: bool) -> ContentBlock:
    """Streamed bytes as text if they are UTF-8, else as an embedded resource. is_cut: they may end within a character."""
    try:
        return _text(streamed.decode())
    except UnicodeDecodeError as error:
        if is_cut and error.reason == "unexpected end of data" and error.start > 0:
            return _text(streamed[: error.start].decode())
    uri = f"maniple:{method}/{quote(resource)}"
    return _resource(BlobResourceContents(uri=uri, mime_type="application/octet-stream", blob=_base64(streamed)))


def _resource(contents: TextResourceContents | BlobResourceContents) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=contents)


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _json(value: object) -> str:
    return codec.as_json(value).decode()


def _plain(value: Mapping[str, object]) -> dict[str, object]:
    """The table with values of JSON's types."""
    found: dict[str, object] = msgspec.json.decode(codec.as_json(value))
    return found
