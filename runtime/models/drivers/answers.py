"""What both protocols need to read an answer: model names, token counts, arguments, ids, stop reasons, failures (pure)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from runtime.models import catalogue, counting
from runtime.models.failures import ModelFailed
from runtime.models.messages import AnyPart, Message, Request, Stop, ToolCall, ToolResult, Usage
from runtime.models.surrogates import well_formed

_MOVING: Final = re.compile(r"(?:^|[-/_:])(?:latest|auto|default)(?:$|[-/_:])")

TOKENS_MOST: Final = 1_000_000_000
"""Tokens that no answer takes. A provider that reports more is not believed: they are estimated, as if it reported none."""

_DIGITS: Final = 20


def parse_count(value: object) -> int | None:
    """Return a number of tokens, written as `7`, `7.0` or `"7"`; None for anything else, which does not spoil the answer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_same_model(provider: str, asked: str, said: str) -> bool:
    """Return whether the model that answered (`said`) may be the one that was asked.

    If the catalogue lists both names, they must be of one row; else one name must contain the other, between separators: a
    provider answers with a model's full name for its short one (`gpt-4o-2024-08-06`), with or without its maker or a tag. Any
    model may answer for a name that is meant to move (`…-latest`, `auto`).
    """
    first, second = _bare(asked), _bare(said)
    if not second or _MOVING.search(asked.lower()):
        return True
    rows = [catalogue.find(f"{provider}/{name}") for name in (asked, said)]
    if None not in rows:
        return rows[0] is rows[1]
    return _contains(first, second) or _contains(second, first)


def check_same_model(provider: str, asked: str, said: str) -> None:
    """Raise ModelFailed if another model answered than was asked."""
    if not is_same_model(provider, asked, said):
        why = f"{provider} was asked for {asked}, and {said[:80]} answered"
        raise ModelFailed("unknown_model", why, provider=provider)


def _bare(name: str) -> str:
    last = re.split(r"[/\\]", name.strip().lower())[-1].removesuffix(".gguf")
    return re.sub(r"[._@ ]", "-", last)


def _contains(whole: str, part: str) -> bool:
    return re.search(rf"(?:^|[-:]){re.escape(part)}(?:$|[-:])", whole) is not None


def parse_call(call: str, name: str, written: str) -> ToolCall:
    """Return a tool call with the id `call`. written: its arguments as JSON; blank for none. If malformed, it says so."""
    try:
        arguments = msgspec.json.decode(written) if written.strip() else {}
        msgspec.msgpack.encode(arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return ToolCall(id=call, name=name, malformed=written)
    if not isinstance(arguments, dict):
        return ToolCall(id=call, name=name, malformed=written)
    return ToolCall(id=call, name=name, arguments=arguments)


def ids_in(messages: Collection[Message]) -> set[str]:
    """Return the ids of calls that a conversation has."""
    return {part.id for message in messages for part in message.parts if isinstance(part, ToolCall | ToolResult)}


def new_id(given: str, used: set[str]) -> str:
    """Return an id for a new call, and add it to `used`: the one given, or a made one if that is empty or used."""
    made, number = well_formed(given), len(used)
    while not made or made in used:
        made = f"call-{number}"
        number += 1
    used.add(made)
    return made


def parse_stop(word: str | None, known: Mapping[str, Stop]) -> tuple[Stop, list[str]]:
    """Return the stop reason for a provider's word, and notes: an unknown word counts as END, with a note."""
    if (stop := known.get(word or "")) is not None:
        return stop, []
    return Stop.END, [f"the provider stopped for an unknown reason: {word}"]


def consistent_stop(stop: Stop, parts: Sequence[AnyPart]) -> Stop:
    """Return the stop reason, corrected so that it is TOOL exactly if there are calls."""
    if any(isinstance(part, ToolCall) for part in parts):
        return Stop.TOOL
    return Stop.END if stop is Stop.TOOL else stop


def left_out_note(stop: Stop, call: ToolCall, arguments: str) -> str:
    """Return the note on a call that is left out of an answer that ended so, "" for one to make. arguments: as written.

    At its greatest length an answer may end before a call's arguments: those of a call without any are `{}`. A refused
    answer is not whole, wherever it ends.
    """
    if stop is Stop.REFUSED:
        return f"the provider refused the answer, and its call of {call.name} is left out"
    if stop is Stop.LENGTH and (call.malformed or not arguments.strip()):
        return f"the answer reached its greatest length within a call of {call.name}, which is left out"
    return ""


def estimate_usage(request: Request, parts: Sequence[AnyPart]) -> Usage:
    """Return the estimated tokens of an answer whose provider reports none."""
    made = counting.of_message(Message(role="assistant", parts=tuple(parts)))
    return Usage(input=counting.of_request(request), output=made, estimated=True)


def malformed(provider: str, what: str) -> ModelFailed:
    """Return the failure of a provider that broke its protocol."""
    return ModelFailed("malformed", f"{provider} broke its protocol: {what}", provider=provider)


def endless(provider: str, what: str) -> ModelFailed:
    """Return the failure of a provider that sent too much."""
    return ModelFailed("endless", f"{provider} sent {what}", provider=provider)
