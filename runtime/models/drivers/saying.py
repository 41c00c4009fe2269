"""What both protocols need to understand of an answer: names of models, numbers, arguments, ids, ends (pure)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from runtime.models import catalogue, counting
from runtime.models.failures import ModelFailed
from runtime.models.letters import whole
from runtime.models.messages import AnyPart, Message, Request, Stop, ToolCall, ToolResult, Usage

_MOVING: Final = re.compile(r"(?:^|[-/_:])(?:latest|auto|default)(?:$|[-/_:])")

TOLD_MOST: Final = 1_000_000_000
"""Tokens: no answer takes as many. Who tells more is not believed: they are counted, as where none are told."""
_DIGITS: Final = 20


def count(told: object) -> int | None:
    """A number of tokens, whole however it is written (`7`, `7.0`, `"7"`); None for what is none, which costs no answer."""
    if isinstance(told, float) and told.is_integer():
        return int(told)
    if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < _DIGITS:
        return int(told)
    return told if isinstance(told, int) and not isinstance(told, bool) else None


def is_same_model(provider: str, asked: str, said: str) -> bool:
    """Whether what answered may be what was asked.

    Where the catalogue lists both, they are one row; else the one's name holds the other's, between signs: a provider says a
    model's full name for its short one (`gpt-4o-2024-08-06`), with or without its maker or a tag. A name that is meant to
    move (`…-latest`, `auto`) is answered by any.
    """
    first, second = _bare(asked), _bare(said)
    if not second or _MOVING.search(asked.lower()):
        return True
    rows = [catalogue.find(f"{provider}/{name}") for name in (asked, said)]
    if None not in rows:
        return rows[0] is rows[1]
    return _holds(first, second) or _holds(second, first)


def check_same_model(provider: str, asked: str, said: str) -> None:
    """Raise ModelFailed where another model answered than was asked."""
    if not is_same_model(provider, asked, said):
        why = f"{provider} was asked for {asked}, and {said[:80]} answered"
        raise ModelFailed("unknown_model", why, provider=provider)


def _bare(name: str) -> str:
    last = re.split(r"[/\\]", name.strip().lower())[-1].removesuffix(".gguf")
    return re.sub(r"[._@ ]", "-", last)


def _holds(whole: str, part: str) -> bool:
    return re.search(rf"(?:^|[-:]){re.escape(part)}(?:$|[-:])", whole) is not None


def call_of(call: str, name: str, written: str) -> ToolCall:
    """A tool call whose arguments were written as that text; no text is no arguments."""
    try:
        arguments = msgspec.json.decode(written) if written.strip() else {}
        msgspec.msgpack.encode(arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return ToolCall(id=call, name=name, malformed=written)
    if not isinstance(arguments, dict):
        return ToolCall(id=call, name=name, malformed=written)
    return ToolCall(id=call, name=name, arguments=arguments)


def ids_in(messages: Collection[Message]) -> set[str]:
    """The ids that a conversation has used."""
    return {part.id for message in messages for part in message.parts if isinstance(part, ToolCall | ToolResult)}


def new_id(given: str, used: set[str]) -> str:
    """The id of a new call: as given, or made where none or a used one was. It is used from now on."""
    made, number = whole(given), len(used)
    while not made or made in used:
        made = f"call-{number}"
        number += 1
    used.add(made)
    return made


def stop_of(word: str | None, known: Mapping[str, Stop]) -> tuple[Stop, list[str]]:
    """Why the model said no more, by its provider's word; and what a reader must know of a word that is not known."""
    if (stop := known.get(word or "")) is not None:
        return stop, []
    return Stop.END, [f"the provider stopped for a reason that is not known here: {word}"]


def fitting(stop: Stop, parts: Sequence[AnyPart]) -> Stop:
    """The same where it fits the calls: TOOL exactly when there are some."""
    if any(isinstance(part, ToolCall) for part in parts):
        return Stop.TOOL
    return Stop.END if stop is Stop.TOOL else stop


def left_out(name: str) -> str:
    """What is said of a call that the answer broke off in."""
    return f"the answer reached its longest length within a call of {name}, which is left out"


def estimated(request: Request, parts: Sequence[AnyPart]) -> Usage:
    """The tokens of an answer whose provider tells none."""
    made = counting.of_message(Message(role="assistant", parts=tuple(parts)))
    return Usage(input=counting.of_request(request), output=made, estimated=True)


def malformed(provider: str, what: str) -> ModelFailed:
    """What a provider sent is not what its protocol has."""
    return ModelFailed("malformed", f"{provider} sent what is not its protocol: {what}", provider=provider)


def endless(provider: str, what: str) -> ModelFailed:
    """A provider sends more than anybody takes."""
    return ModelFailed("endless", f"{provider} sent {what}", provider=provider)
