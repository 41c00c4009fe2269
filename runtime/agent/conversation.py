"""A conversation, kept whole, and as much of it as the model's window takes (pure).

Nothing is ever removed from it. A request that would be too long is folded: first the results of older turns are left
out, each with the id under which it can be read again; then the oldest turns, which a digest replaces. What the digest
shortens (what the model said, what people said before this run) has such an id too. It is folded to three fifths of
what fits, so that the next requests begin alike and a provider's cache serves them.

Never folded: the task, what people said since, and the last KEEP turns with their calls and results. A call and its
result are always both there or both not. If even that does not fit, only the last turn is left, then that without its
longer results; if that does not fit, `view` returns None.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Final

from msgspec.structs import replace

from runtime.agent import digest, pictures
from runtime.agent.marks import Marks
from runtime.agent.mending import with_valid_name
from runtime.models import counting
from runtime.models.messages import AnyPart, Image, Message, Text, ToolCall, ToolResult

KEEP: Final = 3
"""Turns at the end that stay whole."""

_SAID: Final = 400
_EARLIER: Final = 2_000
"""Characters that a digest has of what the model said, and of what people said before this run."""

_AROUND: Final = 200
"""Tokens of what stands around the lines of a digest."""

_STUB: Final = 80
"""Characters of a result that is never left out, since the line that would replace it is as long."""

OWN: Final = "your own words"
BEFORE: Final = "the conversation before"
FOLDED: Final = (
    "Earlier turns are left out here. This is what you did in them. Where a line has `-> ID`, read_result with that id "
    "returns the whole:"
)
CUT: Final = "(The work was cut off here.)"
REFUSALS: Final = 3
"""Refused requests with pictures in a row after which the model counts as one that takes none."""

DIGEST_SHARE: Final = 4
"""A quarter of what fits is the most that the digest's lines take, and that what people said before this run takes.

Beyond it the oldest are left out and counted.
"""


class Conversation:
    """One conversation. task: index of the message with the task of this run."""

    def __init__(
        self, marks: Marks, before: tuple[Message, ...], task: tuple[AnyPart, ...],
        keep: Callable[[str, str, str, tuple[Image, ...]], str], *, takes_pictures: bool = True,
    ) -> None:  # fmt: skip
        """before: earlier messages, mended and marked anew.

        If they end with an unanswered one, the task is added to that one, and it is shortened: it may be what did not fit.
        keep: keeps a text, with its source, its label and its pictures; returns the id under which it is read again.
        takes_pictures: the model accepts pictures.
        """
        self._marks, self._keep, self._takes_pictures = marks, keep, takes_pictures
        self._picture_room, self._pictures_out, self._refusals = pictures.PICTURES_MOST, 0, 0
        self._refused: set[str] = set()
        self._word_ids: dict[tuple[int, int], str] = {}
        self._earlier_words_id = ""
        self.messages: list[Message] = list(before)
        self._full_sizes: list[int] = [counting.of_message(one) for one in before]
        self._result_ids: dict[str, str] = {}
        self._people_said: dict[int, list[str]] = {}
        for at, one in enumerate(before):
            self._keep_message(at, one)
        self._sizes: dict[tuple[str, int], int] = {}
        self._out_of: dict[int, int] = {}
        self._folded = self._stubbed = 0
        self._call_ids = {part.id for one in before for part in one.parts if isinstance(part, ToolCall)}
        if self.messages and any(isinstance(part, ToolResult) for part in self.messages[-1].parts):
            # Results stay in a message with their calls, and not with the task.
            self._add(Message(role="assistant", parts=(Text(text=CUT),)))
        if self.messages and self.messages[-1].role == "user":
            short = iter(self._people_said.pop(len(self.messages) - 1, ()))
            said = (Text(text=next(short)) if isinstance(part, Text) else part for part in self.messages.pop().parts)
            self._add_as_user((*said, *task), replaces=True)
        else:
            self._add_as_user(task)
        self.task = len(self.messages) - 1

    def add_answer(self, parts: tuple[AnyPart, ...]) -> tuple[AnyPart, ...]:
        """Add what the model said, as any provider takes it back; return it.

        No text is blank; each call has a valid name, and an id that no other call of the conversation has.
        """
        if self.shows_pictures:
            self._refusals = 0
        full = [part for part in parts if not isinstance(part, Text) or part.text.strip()]
        valid = tuple(self._with_own_id(part) if isinstance(part, ToolCall) else part for part in full)
        self._keep_words(len(self.messages), valid)
        self._add(Message(role="assistant", parts=valid))
        return valid

    def add_user(self, parts: tuple[AnyPart, ...], said: tuple[str, ...] = ()) -> None:
        """Add what the model is told, to the last message if it has not answered that. said: the texts of people among it."""
        if self.messages[-1].role == "user":
            self._add_as_user(self.messages.pop().parts + parts, replaces=True)
        else:
            self._add_as_user(parts)
        if said:
            self._people_said.setdefault(len(self.messages) - 1, []).extend(said)

    def set_result_ids(self, names: Mapping[str, str]) -> None:
        """Record the ids under which the results of calls are kept, by the calls' own."""
        self._result_ids |= names

    @property
    def folded(self) -> tuple[int, int]:
        """The indexes of the messages before which turns, and before which results, are left out; (0, 0) for none."""
        return self._folded, self._stubbed

    def unfold(self) -> None:
        """Begin again with all of it, since the window is larger than was thought."""
        self._folded = self._stubbed = 0

    def call_lines(self) -> tuple[str, ...]:
        """Return the calls since the task, a line each."""
        return tuple(line for at in range(self.task, len(self.messages)) for line, _ in self._lines_of_calls(at))

    # what is kept ----------------------------------------------------------------------------------------------------

    def _keep_message(self, at: int, one: Message) -> None:
        """Keep what may be left out of an earlier message, and shorten what people said in it."""
        if one.role == "assistant":
            self._keep_words(at, one.parts)
            return
        results = [part for part in one.parts if isinstance(part, ToolResult)]
        for part in results:
            images = tuple(one for one in part.content if isinstance(one, Image))
            if images or _characters(part) > _STUB:
                whole = "\n".join(one.text for one in part.content if isinstance(one, Text))
                self._result_ids[part.id] = self._keep(whole, BEFORE, "earlier", images)
        if not results:
            texts = [self._shortened(part.text) for part in one.parts if isinstance(part, Text)]
            self._people_said[at] = texts + [self._keep_picture(part) for part in pictures.beside_results(one)]

    def _keep_picture(self, image: Image) -> str:
        name = self._keep(pictures.describe(image.media, len(image.content)), BEFORE, "earlier", (image,))
        return pictures.placeholder(image, pictures.how_to_see(name)).text

    def _shortened(self, text: str) -> str:
        short = self._marks.shorten(text, _EARLIER)
        if len(text) <= _EARLIER:
            return short
        return f'{short}… [read it whole with read_result(id="{self._keep(text, BEFORE, "earlier", ())}")]'

    def _keep_words(self, at: int, parts: Iterable[AnyPart]) -> None:
        """Keep what the model said at more length than a digest has of it."""
        for number, part in enumerate(parts):
            if isinstance(part, Text) and len(digest.one_line(part.text)) > _SAID:
                self._word_ids[at, number] = self._keep(part.text, OWN, "digest", ())

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        call = with_valid_name(call)
        if call.id in self._call_ids:
            names = (f"{call.id}-{number}" for number in count(len(self._call_ids)))
            call = replace(call, id=next(name for name in names if name not in self._call_ids))
        self._call_ids.add(call.id)
        return call

    # what is sent ----------------------------------------------------------------------------------------------------

    def view(self, most: int, *, is_known: bool = True) -> tuple[Message, ...] | None:
        """Return the messages to send, of at most `most` tokens; None if that is impossible.

        is_known: if False, `most` is a guess, and what cannot be left out is sent even if it is longer.
        """
        self._leave_out_pictures(most)
        if self._size(most) > most:
            self._fold(most, ends_at_turn=not is_known)
            if self._size(most) > most and is_known:
                return None
        digest_texts = self._digest(most)
        sent = [self._shown(at) for at in range(self._folded, len(self.messages))]
        if self._folded > self.task:
            sent.insert(0, self.messages[self.task])
        if digest_texts:
            sent[0] = replace(sent[0], parts=(*digest_texts, *sent[0].parts))
        return tuple(sent)

    @property
    def shows_pictures(self) -> bool:
        """Whether the last view had pictures of results."""
        return self._pictures_out < sum(len(pictures.in_results(one)) for one in self.messages)

    def hide_pictures(self, *, passes: bool) -> None:
        """Replace all pictures of results by lines, since the last view was refused, perhaps for them; later ones are shown.

        After REFUSALS in a row no more are shown. passes: the refusal passes by itself, and so does not count.
        """
        self._refused |= pictures.results_from(self.messages, self._pictures_out)
        self._pictures_out = sum(len(pictures.in_results(one)) for one in self.messages)
        self._refusals += not passes
        self._takes_pictures = self._refusals < REFUSALS

    def halve_picture_room(self) -> None:
        """Halve the bytes that pictures may have from now on, since the last view was too large."""
        self._picture_room //= 2

    def _leave_out_pictures(self, most: int) -> None:
        """Replace the oldest pictures of results by lines, if all exceed the room for their bytes, or half of `most`."""
        inner = {at: found for at, one in enumerate(self.messages) if (found := pictures.in_results(one))}
        sizes = [len(one.content) for found in inner.values() for one in found]
        sent_by_people = [part for one in self.messages for part in pictures.beside_results(one)]
        room = self._picture_room - sum(len(part.content) for part in sent_by_people)
        number = most // 2 // counting.IMAGE
        first = pictures.first_shown(sizes, self._pictures_out, room, number) if self._takes_pictures else len(sizes)
        self._pictures_out = first
        before, last = 0, len(self.messages) - 1
        for at, found in inner.items():
            was, self._out_of[at] = self._out_of.get(at, 0), min(len(found), max(0, first - before))
            before += len(found)
            self.messages[at] = pictures.drop_bytes(self.messages[at], self._out_of[at])
            if self._out_of[at] != was or at == last:  # the last message may have been replaced
                self._full_sizes[at] = counting.of_message(self._with_shown_pictures(at))

    def _with_shown_pictures(self, at: int) -> Message:
        """Return a message with lines in place of the pictures that are not shown."""
        number = self._out_of.get(at, 0)
        if not self._takes_pictures:
            return pictures.with_placeholders(self.messages[at], number, {}, pictures.NOT_TAKEN)
        ids = self._result_ids.items()
        why = {call: pictures.how_to_see(name, refused=call in self._refused) for call, name in ids}
        return pictures.with_placeholders(self.messages[at], number, why, "left out")

    def _fold(self, most: int, *, ends_at_turn: bool) -> None:
        """Leave out as little as needed: results before turns, and the last turns only if nothing else is left.

        ends_at_turn: the last turn's results stay.
        """
        starts = [at for at in range(len(self.messages)) if self._begins_turn(at)]
        for keep, wanted in ((KEEP, most * 3 // 5), (1, most), *([] if ends_at_turn else [(0, most)])):
            places = [*starts, len(self.messages)][: len(starts) - keep + 1]
            self._stubbed = _least(places, self._stubbed, wanted, lambda at: self._size(most, stubbed=at))
            places = places[: len(starts)]
            self._folded = _least(places, self._folded, wanted, lambda at: self._size(most, folded=at))
            if self._size(most) <= most:
                return

    def _begins_turn(self, at: int) -> bool:
        one = self.messages[at]
        if at > self.task:
            return one.role == "assistant"
        return one.role == "user" and not any(isinstance(part, ToolResult) for part in one.parts)

    def _size(self, most: int, *, stubbed: int | None = None, folded: int | None = None) -> int:
        """Return the tokens of what would be sent, rather too many. stubbed, folded: as if they had these values."""
        stubbed = self._stubbed if stubbed is None else stubbed
        folded = self._folded if folded is None else folded
        sizes = self._full_sizes
        total = sum(sizes[at] if at >= stubbed else self._stub_size(at) for at in range(folded, len(sizes)))
        if folded > self.task:
            total += sizes[self.task]
        if not folded:
            return total
        lines = sum(map(self._lines_size, range(folded)))
        before = sum(map(self._said_size, range(min(folded, self.task))))
        since = sum(map(self._said_size, range(self.task, folded)))
        return total + min(lines, most // DIGEST_SHARE) + min(before, most // DIGEST_SHARE) + since + _AROUND

    def _stub_size(self, at: int) -> int:
        return self._cached_size("stub", at, lambda: counting.of_message(self._without_results(at)))

    def _lines_size(self, at: int) -> int:
        return self._cached_size("lines", at, lambda: sum(counting.of_text(line) + 1 for line, _ in self._lines(at)))

    def _said_size(self, at: int) -> int:
        return self._cached_size("said", at, lambda: counting.of_text(digest.bullets(self._said(at))))

    def _cached_size(self, what: str, at: int, measure: Callable[[], int]) -> int:
        """Return what `measure` returns for a message, measured once: a message stays as it is when others follow it."""
        found = self._sizes.get((what, at))
        if found is None:
            found = self._sizes[what, at] = measure()
        return found

    def _shown(self, at: int) -> Message:
        return self._with_shown_pictures(at) if at >= self._stubbed else self._without_results(at)

    def _without_results(self, at: int) -> Message:
        """Return a message with lines in place of its longer results, and with what people said in short; of the last all."""
        one = self.messages[at]
        if one.role == "assistant" or at == self.task:
            return one
        results = [self._stub(part) for part in one.parts if isinstance(part, ToolResult)]
        rest: list[AnyPart] = [Text(text=text) for text in self._people_said.get(at, ())]
        if at == len(self.messages) - 1:
            rest = [part for part in one.parts if not isinstance(part, ToolResult)]
        return replace(one, parts=(*results, *rest)) if results or rest else one

    def _stub(self, result: ToolResult) -> ToolResult:
        size = _characters(result)
        kept = self._result_ids.get(result.id)
        where = f'; read it with read_result(id="{kept}")' if kept else ""
        images = pictures.count_note(result.content)
        if size <= _STUB and not images:
            return result
        what = f"{size:,} characters{f' and {images}' if images else ''}"
        return replace(result, content=(Text(text=f"[left out: {what}{where}]"),))

    # the digest ------------------------------------------------------------------------------------------------------

    def _digest(self, most: int) -> tuple[Text, ...]:
        """Return the texts that stand for the turns left out."""
        if not self._folded:
            return ()
        lines = [line for at in range(self._folded) for line in self._lines(at)]
        kept = digest.last_fitting([line for line, _ in lines], most // DIGEST_SHARE)
        if len(kept) < len(lines):
            kept.insert(0, digest.omitted_lines(lines[: len(lines) - len(kept)]))
        own = self._marks.mark("\n".join(kept) or "nothing", "your own earlier turns, shortened", ("digest",))
        texts = [Text(text=f"{FOLDED}\n{own}")]
        if said := self._words_of_people(most):
            texts.append(Text(text=f"What people said in those turns:\n{digest.bullets(said)}"))
        return tuple(texts)

    def _words_of_people(self, most: int) -> list[str]:
        """Return what people said in the turns left out: since the task all of it, before it as much as fits."""
        earlier = [text for at in range(min(self._folded, self.task)) for text in self._said(at)]
        shown = digest.last_fitting(earlier, most // DIGEST_SHARE, 2)
        if (omitted := len(earlier) - len(shown)) > 0:
            if not self._earlier_words_id:
                everything = [text for at in range(self.task) for text in self._said(at)]
                self._earlier_words_id = self._keep(digest.bullets(everything), BEFORE, "earlier", ())
            shown.insert(0, digest.omitted_words(omitted, self._earlier_words_id))
        return shown + [text for at in range(self.task, self._folded) for text in self._said(at)]

    def _lines(self, at: int) -> list[tuple[str, str | None]]:
        """Return a message's lines of the digest, each with the id that it refers to."""
        one = self.messages[at]
        if one.role != "assistant":
            return []
        lines: list[tuple[str, str | None]] = []
        for number, part in enumerate(one.parts):
            if isinstance(part, Text):
                name = self._word_ids.get((at, number))
                lines.append((f"you said: {digest.shorten(part.text, _SAID)}{digest.arrow(name)}", name))
        return lines + self._lines_of_calls(at)

    def _said(self, at: int) -> list[str]:
        """Return what people said in a message; nothing for the task, which is never left out."""
        return self._people_said.get(at, []) if at != self.task else []

    def _lines_of_calls(self, at: int) -> list[tuple[str, str | None]]:
        following = self.messages[at + 1].parts if at + 1 < len(self.messages) else ()
        results = {part.id: part for part in following if isinstance(part, ToolResult)}
        lines: list[tuple[str, str | None]] = []
        for call in self.messages[at].parts:
            if isinstance(call, ToolCall):
                name = self._result_ids.get(call.id)
                outcome = digest.outcome_note(results.get(call.id))
                lines.append((f"{digest.call_line(call)}{digest.arrow(name)}{outcome}", name))
        return lines

    # adding ----------------------------------------------------------------------------------------------------------

    def _add_as_user(self, parts: tuple[AnyPart, ...], *, replaces: bool = False) -> None:
        """Add a message of the user. replaces: the last message was taken off for it."""
        if replaces:
            self._full_sizes.pop()
        self._add(Message(role="user", parts=parts))

    def _add(self, message: Message) -> None:
        at = len(self.messages)
        for place in (at - 1, at):  # the calls before have their results now
            for what in ("stub", "lines", "said"):
                self._sizes.pop((what, place), None)
        self.messages.append(message)
        self._full_sizes.append(counting.of_message(message))


def _least(places: list[int], now: int, wanted: int, size: Callable[[int], int]) -> int:
    """Return the first place, from `now` on, with at most the wanted size, else the last. Beyond `now` sizes only shrink."""
    if size(now) <= wanted:
        return now
    left = [now, *(one for one in places if one > now)]
    low, high = 0, len(left) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if size(left[middle]) <= wanted else (middle + 1, high)
    return left[low]


def _characters(result: ToolResult) -> int:
    return sum(len(part.text) for part in result.content if isinstance(part, Text))
