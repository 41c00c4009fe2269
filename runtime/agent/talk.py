"""A conversation, whole, and as much of it as the model's window takes (pure).

Nothing is ever taken out of it. What is sent is folded where it would be too long: first the results of older turns are left
out, each with the id under which it can be read again; then the oldest turns altogether, for which a digest stands. What that
has in short (what the model said, what people said before this run) has such an id too. It is folded to three fifths of what
fits, so that the next requests begin alike and a provider's cache serves them.

Never folded: the task; what people said since; the last KEEP turns, each with its calls and their results. A call and its
result are always both there or both not. Where even that does not fit, the last turn alone is left, and `view` says that it
does not fit when that is still too long.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

from msgspec.structs import replace

from runtime.agent import digest, pictures
from runtime.agent.marks import Marks
from runtime.agent.mending import named
from runtime.models import counting
from runtime.models.messages import AnyPart, Image, Message, Text, ToolCall, ToolResult

KEEP: Final = 3
"""Turns at the end that stay whole."""

_SAID: Final = 400
_EARLIER: Final = 2_000
_AROUND: Final = 200
_STUB: Final = 80
"""Characters of a result that stays where it is: what would stand for it is as long."""

OWN: Final = "your own words"
BEFORE: Final = "the conversation before"
FOLDED: Final = (
    "Earlier turns are left out here. This is what you did in them; read_result gives you the whole of what stands after"
    " each ->:"
)
CUT: Final = "(The work was cut off here.)"
REFUSALS: Final = 3
"""Requests in a row that are refused with pictures, until the model counts as one that sees none."""

DIGEST_SHARE: Final = 4
"""The digest's lines take at most this part of what fits, and what people said before this run as much; the oldest are

left out beyond it, and counted.
"""


class Talk:
    """One conversation. task: where the message with the task of this run stands."""

    def __init__(
        self, marks: Marks, before: tuple[Message, ...], task: tuple[AnyPart, ...],
        keep: Callable[[str, str, str, tuple[Image, ...]], str], *, sees: bool = True,
    ) -> None:  # fmt: skip
        """before: earlier messages, mended and marked. What they end with that has no answer, the task is put to: in short,

        for it may be what did not fit.

        keep: takes a text, its source, its label and its pictures to be kept whole, and gives the id under which it is
        read again. sees: the model takes pictures.
        """
        self._marks, self._keep, self._sees = marks, keep, sees
        self._room, self._gone, self._refusals = pictures.PICTURES_MOST, 0, 0
        self._refused: set[str] = set()
        self._wholes: dict[tuple[int, int], str] = {}
        self._before = ""
        self.messages: list[Message] = list(before)
        self._full: list[int] = [counting.of_message(one) for one in before]
        self._kept: dict[str, str] = {}
        self._said: dict[int, list[str]] = {}
        for place, one in enumerate(before):
            self._take(place, one)
        self._sizes: dict[tuple[str, int], int] = {}
        self._out: dict[int, int] = {}
        self._folded = self._stubbed = 0
        self._ids = {part.id for one in before for part in one.parts if isinstance(part, ToolCall)}
        if self.messages and any(isinstance(part, ToolResult) for part in self.messages[-1].parts):
            self._add(
                Message(role="assistant", parts=(Text(text=CUT),))
            )  # results stay with their calls, not with the task
        if self.messages and self.messages[-1].role == "user":
            short = iter(self._said.pop(len(self.messages) - 1, ()))
            said = (Text(text=next(short)) if isinstance(part, Text) else part for part in self.messages.pop().parts)
            self._put((*said, *task), replaces=True)
        else:
            self._put(task)
        self.task = len(self.messages) - 1

    def answered(self, parts: tuple[AnyPart, ...]) -> tuple[AnyPart, ...]:
        """What the model said, as any provider takes it back: no text is blank, each call has a name that fits, and an id
        that no other call of the conversation has.
        """
        if self.shows_pictures:
            self._refusals = 0
        full = [part for part in parts if not isinstance(part, Text) or part.text.strip()]
        fit = tuple(self._with_own_id(part) if isinstance(part, ToolCall) else part for part in full)
        self._keep_words(len(self.messages), fit)
        self._add(Message(role="assistant", parts=fit))
        return fit

    def _take(self, at: int, one: Message) -> None:
        """A message of before: what can be left out of it is kept, and what people said in it stays in short."""
        if one.role == "assistant":
            self._keep_words(at, one.parts)
            return
        results = [part for part in one.parts if isinstance(part, ToolResult)]
        for part in results:
            images = tuple(one for one in part.content if isinstance(one, Image))
            if images or _size(part) > _STUB:
                whole = "\n".join(one.text for one in part.content if isinstance(one, Text))
                self._kept[part.id] = self._keep(whole, BEFORE, "earlier", images)
        if not results:
            people = [self._in_short(part.text) for part in one.parts if isinstance(part, Text)]
            self._said[at] = people + [self._picture(part) for part in pictures.beside_results(one)]

    def _picture(self, image: Image) -> str:
        name = self._keep(pictures.words(image.media, len(image.content)), BEFORE, "earlier", (image,))
        return pictures.line(image, pictures.how_to_see(name)).text

    def _in_short(self, text: str) -> str:
        short = self._marks.shortened(text, _EARLIER)
        if len(text) <= _EARLIER:
            return short
        return f'{short}… [read it whole with read_result(id="{self._keep(text, BEFORE, "earlier", ())}")]'

    def _keep_words(self, at: int, parts: Iterable[AnyPart]) -> None:
        """What the model said at more length than a digest has of it."""
        for number, part in enumerate(parts):
            if isinstance(part, Text) and len(digest.flat(part.text)) > _SAID:
                self._wholes[at, number] = self._keep(part.text, OWN, "digest", ())

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        call = named(call)
        if call.id in self._ids:
            names = (f"{call.id}-{number}" for number in count(len(self._ids)))
            call = replace(call, id=next(name for name in names if name not in self._ids))
        self._ids.add(call.id)
        return call

    def add_user(self, parts: tuple[AnyPart, ...], said: tuple[str, ...] = ()) -> None:
        """What the model is told, beside what it was told last if it said nothing to that. said: what of it people said."""
        if self.messages[-1].role == "user":
            self._put(self.messages.pop().parts + parts, replaces=True)
        else:
            self._put(parts)
        if said:
            self._said.setdefault(len(self.messages) - 1, []).extend(said)

    def keep(self, call: str, name: str) -> None:
        """Under which id the result of a call is kept."""
        self._kept[call] = name

    @property
    def folded(self) -> tuple[int, int]:
        """Before which message turns are left out, and before which results; (0, 0) for none."""
        return self._folded, self._stubbed

    def made(self) -> tuple[str, ...]:
        """The calls since the task, a line each."""
        return tuple(line for at in range(self.task, len(self.messages)) for line, _ in self._calls(at))

    # what is sent ----------------------------------------------------------------------------------------------------

    def view(self, most: int) -> tuple[Message, ...] | None:
        """What is sent, of at most so many tokens; None when that cannot be."""
        self._leave_out_pictures(most)
        if self._size(most) > most:
            self._fold(most)
            if self._size(most) > most:
                return None
        digest = self._digest(most)
        kept = [self._shown(at) for at in range(self._folded, len(self.messages))]
        if self._folded > self.task:
            kept.insert(0, self.messages[self.task])
        if digest:
            kept[0] = replace(kept[0], parts=(*digest, *kept[0].parts))
        return tuple(kept)

    @property
    def shows_pictures(self) -> bool:
        """Whether the last view had pictures of results."""
        return self._gone < sum(len(pictures.in_results(one)) for one in self.messages)

    def hide(self, *, passes: bool) -> None:
        """The last view was refused, for its pictures perhaps: those of results give way to words, later ones are shown.

        No more after REFUSALS in a row, but for those that pass.
        """
        self._refused |= pictures.from_on(self.messages, self._gone)
        self._gone = sum(len(pictures.in_results(one)) for one in self.messages)
        self._refusals += not passes
        self._sees = self._refusals < REFUSALS

    def narrow(self) -> None:
        """The last view was too large: from now on pictures have half the room."""
        self._room //= 2

    def _leave_out_pictures(self, most: int) -> None:
        """The oldest pictures of results give way to words, where all are more than their bytes' room, or half of most."""
        inner = {at: found for at, one in enumerate(self.messages) if (found := pictures.in_results(one))}
        sizes = [len(one.content) for found in inner.values() for one in found]
        room = self._room - sum(len(part.content) for one in self.messages for part in pictures.beside_results(one))
        number = most // 2 // counting.IMAGE
        self._gone = pictures.first_shown(sizes, self._gone, room, number) if self._sees else len(sizes)
        before, last = 0, len(self.messages) - 1
        for at, found in inner.items():
            was, self._out[at] = self._out.get(at, 0), min(len(found), max(0, self._gone - before))
            before += len(found)
            self.messages[at] = pictures.let_go(self.messages[at], self._out[at])
            if self._out[at] != was or at == last:  # which may have been put anew
                self._full[at] = counting.of_message(self._seen(at))

    def _seen(self, at: int) -> Message:
        """A message with those of its pictures that are shown."""
        if not self._sees:
            return pictures.left_out(self.messages[at], self._out.get(at, 0), {}, pictures.BLIND)
        why = {call: pictures.how_to_see(name, refused=call in self._refused) for call, name in self._kept.items()}
        return pictures.left_out(self.messages[at], self._out.get(at, 0), why, "left out")

    def _fold(self, most: int) -> None:
        """Leave out as little as is needed: results before turns, and the last turns only if nothing else is left."""
        starts = [at for at in range(len(self.messages)) if self._begins_turn(at)]
        for keep, wanted in ((KEEP, most * 3 // 5), (1, most)):
            places = starts[: len(starts) - keep + 1]
            self._stubbed = _least(places, self._stubbed, wanted, lambda at: self._size(most, stubbed=at))
            self._folded = _least(places, self._folded, wanted, lambda at: self._size(most, folded=at))
            if self._size(most) <= most:
                return

    def _begins_turn(self, at: int) -> bool:
        one = self.messages[at]
        if at > self.task:
            return one.role == "assistant"
        return one.role == "user" and not any(isinstance(part, ToolResult) for part in one.parts)

    def _size(self, most: int, *, stubbed: int = -1, folded: int = -1) -> int:
        """Tokens of what is sent, rather too many. stubbed, folded: if it were so much."""
        stubbed, folded = (self._stubbed if stubbed < 0 else stubbed), (self._folded if folded < 0 else folded)
        total = sum(self._full[at] if at >= stubbed else self._of_stub(at) for at in range(folded, len(self._full)))
        if folded > self.task:
            total += self._full[self.task]
        if not folded:
            return total
        lines = sum(map(self._of_lines, range(folded)))
        before = sum(map(self._of_said, range(min(folded, self.task))))
        meanwhile = sum(map(self._of_said, range(self.task, folded)))
        return total + min(lines, most // DIGEST_SHARE) + min(before, most // DIGEST_SHARE) + meanwhile + _AROUND

    def _of_stub(self, at: int) -> int:
        return self._counted("stub", at, lambda: counting.of_message(self._left_out(at)))

    def _of_lines(self, at: int) -> int:
        return self._counted("lines", at, lambda: sum(counting.of_text(line) + 1 for line, _ in self._lines(at)))

    def _of_said(self, at: int) -> int:
        return self._counted("said", at, lambda: counting.of_text(digest.listed(self._people(at))))

    def _counted(self, what: str, at: int, count: Callable[[], int]) -> int:
        """What is counted of a message, once: it stays as it is when others come after it."""
        found = self._sizes.get((what, at))
        if found is None:
            found = self._sizes[what, at] = count()
        return found

    def _shown(self, at: int) -> Message:
        """A message, its results left out where they are to be."""
        return self._seen(at) if at >= self._stubbed else self._left_out(at)

    def _left_out(self, at: int) -> Message:
        one = self.messages[at]
        if one.role == "assistant" or at == self.task:
            return one
        said = [Text(text=text) for text in self._said.get(at, ())]
        if not any(isinstance(part, ToolResult) for part in one.parts):
            return replace(one, parts=tuple(said)) if said else one
        return replace(one, parts=(*(self._stub(part) for part in one.parts if isinstance(part, ToolResult)), *said))

    def _stub(self, result: ToolResult) -> ToolResult:
        size = _size(result)
        kept = self._kept.get(result.id)
        where = f'; read it with read_result(id="{kept}")' if kept else ""
        seen = pictures.number_of(result.content)
        if size <= _STUB and not seen:
            return result
        what = f"{size:,} characters{f' and {seen}' if seen else ''}"
        return replace(result, content=(Text(text=f"[left out: {what}{where}]"),))

    def _digest(self, most: int) -> tuple[Text, ...]:
        """What stands for the turns that are left out."""
        if not self._folded:
            return ()
        lines = [line for at in range(self._folded) for line in self._lines(at)]
        kept = digest.latest([line for line, _ in lines], most // DIGEST_SHARE)
        if len(kept) < len(lines):
            kept.insert(0, digest.left_out(lines[: len(lines) - len(kept)]))
        own = self._marks.marked("\n".join(kept) or "nothing", "your own earlier turns, shortened", ("digest",))
        found = [Text(text=f"{FOLDED}\n{own}")]
        if people := self._words(most):
            found.append(Text(text=f"What people said meanwhile:\n{digest.listed(people)}"))
        return tuple(found)

    def _words(self, most: int) -> list[str]:
        """What people said in the turns that are left out: since the task all of it, before it as much as has room."""
        earlier = [text for at in range(min(self._folded, self.task)) for text in self._people(at)]
        shown = digest.latest(earlier, most // DIGEST_SHARE, 2)
        if (gone := len(earlier) - len(shown)) > 0:
            if not self._before:
                everything = [text for at in range(self.task) for text in self._people(at)]
                self._before = self._keep(digest.listed(everything), BEFORE, "earlier", ())
            shown.insert(0, digest.earlier(gone, self._before))
        return shown + [text for at in range(self.task, self._folded) for text in self._people(at)]

    def _lines(self, at: int) -> list[tuple[str, str | None]]:
        """What a digest has of a message, each line with the id of what is read for it."""
        one = self.messages[at]
        if one.role != "assistant":
            return []
        said = [
            (f"you said: {digest.short(part.text, _SAID)}{digest.where(name := self._wholes.get((at, number)))}", name)
            for number, part in enumerate(one.parts)
            if isinstance(part, Text)
        ]
        return said + self._calls(at)

    def _people(self, at: int) -> list[str]:
        """What people said in a message, but for the task, which is never left out."""
        return self._said.get(at, []) if at != self.task else []

    def _calls(self, at: int) -> list[tuple[str, str | None]]:
        results = {part.id: part for part in self._after(at) if isinstance(part, ToolResult)}
        found: list[tuple[str, str | None]] = []
        for call in self.messages[at].parts:
            if isinstance(call, ToolCall):
                name = self._kept.get(call.id)
                outcome = digest.outcome_note(results.get(call.id))
                found.append((f"{digest.call(call)}{digest.where(name)}{outcome}", name))
        return found

    def _after(self, at: int) -> tuple[AnyPart, ...]:
        return self.messages[at + 1].parts if at + 1 < len(self.messages) else ()

    # keeping ---------------------------------------------------------------------------------------------------------

    def _put(self, parts: tuple[AnyPart, ...], *, replaces: bool = False) -> None:
        if replaces:
            self._full.pop()
        self._add(Message(role="user", parts=parts))

    def _add(self, message: Message) -> None:
        at = len(self.messages)
        for place in (at - 1, at):  # the calls before have their results now
            for what in ("stub", "lines", "said"):
                self._sizes.pop((what, place), None)
        self.messages.append(message)
        self._full.append(counting.of_message(message))


def _least(places: list[int], now: int, wanted: int, size: Callable[[int], int]) -> int:
    """The least place, from `now` on, at which the size is as wanted, or else the last. Beyond `now` it only shrinks."""
    if size(now) <= wanted:
        return now
    left = [now, *(one for one in places if one > now)]
    low, high = 0, len(left) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if size(left[middle]) <= wanted else (middle + 1, high)
    return left[low]


def _size(result: ToolResult) -> int:
    return sum(len(part.text) for part in result.content if isinstance(part, Text))
