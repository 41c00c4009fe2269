"""Sees that a model goes round in circles (pure): first it is told, then the run ends.

Each turn that makes calls is told with what came of them, and counts over the whole conversation, earlier tasks of it too:

| what | told | ended |
|---|---|---|
| the same call with the same outcome | at the 3rd | at the 6th |
| the same two, three or four turns one after the other, whatever comes of them | 4 times | 8 times |
| turns that bring nothing that was not there before, or only failures | 5 | 10 |

Asking for the same thing again is fine as long as something else comes back: that is waiting for something.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from runtime.agent.marks import unmarked
from runtime.models.messages import Image, Message, Text, ToolCall, ToolResult

SAME: Final = (3, 6)
ROUND: Final = (4, 8)
STALE: Final = (5, 10)
LONGEST_ROUND: Final = 4
_SHOWN: Final = 120
_ON: Final = re.compile(r"; read on with [^\]\n]{1,80}\]\Z")


class Made(Struct, frozen=True, kw_only=True):
    """A call and what came of it, each as one text that is equal when they are."""

    call: str
    outcome: str
    failed: bool = False


class Seen(Struct, frozen=True, kw_only=True):
    """warn: what the model is to be told; stop: why it ends. "" for neither."""

    warn: str = ""
    stop: str = ""


class Guard:
    """Counts the turns of one conversation."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._outcomes: set[str] = set()
        self._turns: list[tuple[str, ...]] = []
        self._stale = 0

    def remember(self, messages: Iterable[Message]) -> None:
        """Count the turns of an earlier conversation, which is whole."""
        calls: tuple[ToolCall, ...] = ()
        for message in messages:
            results = {part.id: part for part in message.parts if isinstance(part, ToolResult)}
            self.turn([made(call, results[call.id]) for call in calls if call.id in results])
            calls = tuple(part for part in message.parts if isinstance(part, ToolCall))
        self.steered()

    def steered(self) -> None:
        """A person has said something new: what comes now is no going on as before."""
        self._stale = 0
        self._turns.clear()

    def turn(self, made: Sequence[Made]) -> Seen:
        """One turn's calls, in their order."""
        if not made:
            return Seen()
        is_new = any(not one.failed and one.outcome not in self._outcomes for one in made)
        self._stale = 0 if is_new else self._stale + 1
        self._outcomes.update(one.outcome for one in made)
        self._turns.append(tuple(sorted({one.call for one in made})))
        pairs = {(one.call, one.outcome) for one in made}
        self._pairs.update(pairs)
        often, call = max((self._pairs[pair], pair[0]) for pair in pairs)
        rounds, length = self._rounds()
        for stop in (True, False):
            if often >= SAME[stop]:
                return _seen(f"the call {_short(call)} was made {often} times, and the same came of it each time", stop)
            if rounds >= ROUND[stop]:
                return _seen(f"the same {length} turns were made {rounds} times one after the other", stop)
            if self._stale >= STALE[stop]:
                return _seen(f"the last {self._stale} turns brought nothing new", stop)
        return Seen()

    def _rounds(self) -> tuple[int, int]:
        """How often the last turns repeat those before them, and how many turns that are."""
        best = (0, 0)
        for length in range(2, LONGEST_ROUND + 1):
            last = self._turns[-length:]
            if len(last) < length or len(set(last)) == 1:
                continue
            times, at = 1, len(self._turns) - 2 * length
            while at >= 0 and self._turns[at : at + length] == last:
                times, at = times + 1, at - length
            best = max(best, (times, length))
        return best


def _seen(what: str, stop: bool) -> Seen:
    if stop:
        return Seen(stop=what)
    return Seen(warn=f"You are going round in circles: {what}. Do something else, or answer with what you have.")


def made(call: ToolCall, result: ToolResult) -> Made:
    """A call and what came of it: equal when the same was asked, and the same was shown of what came."""
    asked = f"{call.name} {msgspec.json.encode(call.arguments, order='sorted').decode()}{call.malformed}"
    texts = [part.text for part in result.content if isinstance(part, Text)]
    seen = [hashlib.sha256(part.content).hexdigest() for part in result.content if isinstance(part, Image)]
    shown = "\n".join((*texts, *seen))
    return Made(call=asked, outcome=_ON.sub("", unmarked(shown)), failed=result.failed)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
