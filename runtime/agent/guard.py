"""Detects a model that goes round in circles (pure): first the model is warned, then the run ends.

The guard counts each turn that makes calls, over the whole conversation, earlier tasks included:

| what | warned | ended |
|---|---|---|
| the same call with the same outcome | at the 3rd | at the 6th |
| the same two, three or four turns one after the other, whatever their outcomes | 4 times | 8 times |
| turns that bring only outcomes seen before, or only failures | 5 | 10 |

Repeating a call is fine as long as its outcome changes: that is waiting for something. A call that acts (its effect is not
`read`), succeeds, and was not made before is progress, whatever it returns: ten files moved are not a circle, and a check
after each change is not the same check. So it begins the first and the last count anew. A warning names the call and not
its arguments: they may have been copied from content from outside, and nothing marks a warning.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from runtime.agent.marks import remove_marks
from runtime.models.messages import Image, Message, Text, ToolCall, ToolResult

SAME_CALL: Final = (3, 6)
REPEATED_TURNS: Final = (4, 8)
NOTHING_NEW: Final = (5, 10)
"""Each: the count at which the model is warned, and the one at which the run ends."""

LONGEST_ROUND: Final = 4
_READ_ON: Final = re.compile(r"; read on with [^\]\n]{1,80}\]\Z")


class MadeCall(Struct, frozen=True, kw_only=True):
    """A call and its outcome, each as a text that is equal for equal ones."""

    call: str
    outcome: str
    failed: bool = False


class Verdict(Struct, frozen=True, kw_only=True):
    """warning: what to tell the model. end: why the run ends. "" for neither."""

    warning: str = ""
    end: str = ""


class Guard:
    """Counts the turns of one conversation."""

    def __init__(self, acting: Collection[str] = ()) -> None:
        """acting: names of the tools that act."""
        self._acting, self._acts = frozenset(acting), set[str]()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._outcomes: set[str] = set()
        self._turns: list[tuple[str, ...]] = []
        self._stale = 0

    def count_session(self, messages: Iterable[Message]) -> None:
        """Count the turns of an earlier conversation, which is whole."""
        calls: tuple[ToolCall, ...] = ()
        for message in messages:
            results = {part.id: part for part in message.parts if isinstance(part, ToolResult)}
            self.count_turn([comparable(call, results[call.id]) for call in calls if call.id in results])
            calls = tuple(part for part in message.parts if isinstance(part, ToolCall))
        self.restart_turns()

    def restart_turns(self) -> None:
        """Start the counts of turns again, since a person has said something new, and may ask for the same again."""
        self._stale = 0
        self._turns.clear()
        self._pairs = Counter({pair: min(times, SAME_CALL[0] - 1) for pair, times in self._pairs.items()})

    def count_turn(self, made: Sequence[MadeCall]) -> Verdict:
        """Count the calls of one turn, in their order, and judge."""
        if not made:
            return Verdict()
        acts = {one.call for one in made if not one.failed and _name(one.call) in self._acting} - self._acts
        if acts:
            self._acts |= acts
            self._pairs.clear()
        is_new = bool(acts) or any(not one.failed and one.outcome not in self._outcomes for one in made)
        self._stale = 0 if is_new else self._stale + 1
        self._outcomes.update(one.outcome for one in made)
        self._turns.append(tuple(sorted({one.call for one in made})))
        pairs = {(one.call, one.outcome) for one in made}
        self._pairs.update(pairs)
        times, call = max((self._pairs[pair], pair[0]) for pair in pairs)
        rounds, length = self._count_rounds()
        for ends in (True, False):
            if times >= SAME_CALL[ends]:
                return _verdict(
                    f"`{_name(call)}` was called {times} times, each time alike and with the same outcome", ends
                )
            if rounds >= REPEATED_TURNS[ends]:
                return _verdict(f"the same {length} turns were made {rounds} times one after the other", ends)
            if self._stale >= NOTHING_NEW[ends]:
                return _verdict(f"the last {self._stale} turns brought nothing new", ends)
        return Verdict()

    def _count_rounds(self) -> tuple[int, int]:
        """Return how many times the last turns stand one after the other, and how many turns such a round has."""
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


def _name(call: str) -> str:
    return call.partition(" ")[0]


def _verdict(what: str, ends: bool) -> Verdict:
    if ends:
        return Verdict(end=what)
    return Verdict(warning=f"You are going round in circles: {what}. Try something else, or answer with what you have.")


def comparable(call: ToolCall, result: ToolResult) -> MadeCall:
    """Return a call and what the model was shown of its outcome, in a form that is equal for equal ones."""
    asked = f"{call.name} {msgspec.json.encode(call.arguments, order='sorted').decode()}{call.malformed}"
    texts = [part.text for part in result.content if isinstance(part, Text)]
    pictures = [hashlib.sha256(part.content).hexdigest() for part in result.content if isinstance(part, Image)]
    shown = "\n".join((*texts, *pictures))
    return MadeCall(call=asked, outcome=_READ_ON.sub("", remove_marks(shown)), failed=result.failed)
