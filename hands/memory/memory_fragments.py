"""Fragments, texts that are found again, as calls (acts; thin): memory.store, recall, fragment(s), update, used, forget.

memory/fragments.py, memory/recall.py and docs/memory.md say what a fragment is and how it is found.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from memory import fragments, spaces
from memory.errors import Invalid
from memory.filters import Filters, Scalar
from memory.fragments import Changes, Fragment, New, Origin
from memory.ranking import DIVERSITY, RECENCY
from memory.store import Reader, Store
from memory_desk import REPLY_MOST, Answer, Desk, as_failures, at, fitting, micros, moment
from runtime import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory.nearness import Meaning
    from memory.recall import Found, Place, Question, Recalled

SHOWN_WHOLE: Final = 16 << 10
"""A recall shows texts up to so many characters whole, and of longer ones the piece that was found."""

READ_TOGETHER: Final = 16

LONG: Final = 32 << 10
"""Characters of a text above which indexing takes long."""


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `filters` of a call: memory.filters.Filters, with times as calls have them."""

    kind: str | None = None
    source: str | None = None
    since: str | None = None
    until: str | None = None
    labels: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    metadata: dict[str, Scalar] = {}


class Fragments(Desk):
    """Provides memory.store, memory.recall and the other methods above."""

    async def start(self) -> None:
        """Starts making vectors in the background."""
        await super().start()
        self._making = self.in_background(self.embedding.run())

    async def stop(self) -> None:
        """Stops making vectors; waiting texts stay noted in their files."""
        await self.cancel(self._making)
        await super().stop()

    async def store(
        self, call: Call, text: str, kind: str = "note", source: str = "", time: str | None = None,
        importance: float = 0.5, metadata: dict[str, object] | None = None, run: str = "", entry: int | None = None,
        supersedes: int | None = None,
    ) -> Answer:  # fmt: skip
        """memory.store: stores a text, or merges it into an equal one."""
        new = New(
            text=text, kind=kind, source=source, time=micros(time), importance=importance, labels=tuple(call.labels),
            metadata=metadata or {}, run=run, entry=entry, call=call.number,
        )  # fmt: skip
        made = await self.writing(
            call,
            lambda store, space: fragments.add(store, space, new, supersedes=supersedes),
            is_long=len(text) > LONG,
            then=self._check_after(call),
        )
        call.add_labels(*made.labels)
        return {"fragment": made.number, "merged": made.merged}

    async def recall(
        self, call: Call, text: str, most: int = 10, filters: dict[str, object] | None = None,
        recency: float = RECENCY, diversity: float = DIVERSITY, explain: bool = False,
    ) -> Answer:  # fmt: skip
        """memory.recall: the fragments nearest to a text, by words and by meaning."""
        wanted = _filters(filters)
        ask = partial(_question, text, most, wanted, recency, diversity)
        self.embedding.check_once(at(call).owner)
        has_texts = await self.reading(call, lambda reader, space: spaces.find(reader, space).indexed > 0)
        meaning = await self.embedding.meaning(text) if has_texts else None
        found, is_current, marks = await self.reading(
            call, lambda reader, space: _recall(reader, space, ask, meaning, explain=explain)
        )
        if not is_current:
            self.embedding.check(at(call).owner)
        rows = ((_result(one), one.fragment.labels) for one in found.found)
        shown, more = fitting(call, rows)
        call.add_labels(*marks)
        explained = {"explained": _explained(found)} if explain else {}
        return {"results": shown, "more": more, **explained}

    async def fragment(self, call: Call, fragment: int) -> Answer:
        """memory.fragment: one fragment by its number."""
        found = await self.reading(call, lambda reader, space: fragments.get(reader, space, fragment))
        call.add_labels(*found.labels)
        return _row(found)

    async def fragments(
        self, call: Call, filters: dict[str, object] | None = None, after: int = 0, most: int = 100,
        history: bool = False,
    ) -> Answer:  # fmt: skip
        """memory.fragments: lists fragments."""
        wanted = _filters(filters)
        rows, more = await self.reading(
            call, lambda reader, space: _page(reader, space, wanted, after, most, history=history)
        )
        shown, is_cut = fitting(call, ((_row(one), one.labels) for one in rows))
        return {"fragments": shown, "more": is_cut or more}

    async def update(
        self, call: Call, fragment: int, text: str | None = None, kind: str | None = None, time: str | None = None,
        importance: float | None = None, metadata: dict[str, object] | None = None,
    ) -> Answer:  # fmt: skip
        """memory.update: changes a fragment."""
        changes = Changes(
            text=text, kind=kind, time=micros(time), importance=importance, labels=tuple(call.labels), metadata=metadata
        )
        made = await self.writing(
            call,
            lambda store, space: fragments.update(store, space, fragment, changes),
            is_long=len(text or "") > LONG,
            then=self._check_after(call),
        )
        call.add_labels(*made.labels)
        return _row(made)

    async def used(self, call: Call, fragments: list[object]) -> None:
        """memory.used: counts a use of each fragment."""
        with as_failures():
            try:
                numbers = msgspec.convert(fragments, tuple[int, ...])
            except (msgspec.ValidationError, RecursionError) as error:
                raise Invalid(f"fragments is a list of numbers: {error}") from None
        await self.writing(call, lambda store, space: _use(store, space, numbers))

    async def forget(self, call: Call, fragment: int) -> None:
        """memory.forget: deletes a fragment."""
        await self.writing(call, lambda store, space: fragments.forget(store, space, fragment), frees=True)

    def _check_after(self, call: Call) -> "Callable[[object], None]":
        """A callback that queues the memory for vectors after a write, even if its caller has gone."""
        owner = at(call).owner
        return lambda _: self.embedding.check(owner)


def _recall(
    reader: Reader, space: str, ask: "Callable[[], Question]", meaning: "Meaning | None", *, explain: bool
) -> "tuple[Recalled, bool, set[str]]":
    """(result, whether the file's vectors are of the question's model, labels of an explanation, which counts every text).

    A remote model may have changed its vectors' dimension: then the question is compared by words only.
    """
    from memory import recall, vectors

    model = None if meaning is None else vectors.registered(reader, meaning.model)
    fits = meaning is not None and model is not None and len(meaning.vector) == model.dimension
    with reader.moment():
        found = recall.recall(reader, space, ask(), meaning if fits else None)
        marks = fragments.all_labels(reader, space) if explain else set[str]()
    return found, meaning is None or (model is not None and model.current), marks


def _question(text: str, most: int, filters: Filters, recency: float, diversity: float) -> "Question":
    """The Question. Made in the reading thread, since importing it imports numpy."""
    from memory import recall

    return recall.Question(
        text=text, most=most, filters=filters, recency=recency, diversity=diversity, whole=SHOWN_WHOLE
    )


def _page(
    reader: Reader, space: str, wanted: Filters, after: int, most: int, *, history: bool
) -> tuple[list[Fragment], bool]:  # fmt: skip
    """(fragments for one reply, whether there may be more). Reads a few at a time, since each may be large."""
    if not 0 < most <= fragments.LIST_MAX:
        raise Invalid(f"a listing is of 1 to {fragments.LIST_MAX} fragments, not {most}")
    found: list[Fragment] = []
    size = 0
    while len(found) < most and size < REPLY_MOST:
        together, last = min(most - len(found), READ_TOGETHER), found[-1].number if found else after
        further = fragments.listed(reader, space, wanted, after=last, most=together, history=history)
        found += further
        size += sum(len(one.text) for one in further)
        if len(further) < together:
            return found, False
    return found, True


def _use(store: Store, space: str, numbers: tuple[int, ...]) -> None:
    fragments.use(store, space, numbers)


def _filters(given: dict[str, object] | None) -> Filters:
    """Converts the table `filters` of a call. Raises Failure."""
    with as_failures():
        try:
            asked = msgspec.convert(given or {}, Wanted)
        except (msgspec.ValidationError, RecursionError) as error:
            raise Invalid(
                f"filters is a table of kind, source, since, until, labels, without and metadata: {error}"
            ) from None
    return Filters(
        kind=asked.kind, source=asked.source, since=micros(asked.since), until=micros(asked.until), labels=asked.labels,
        without=asked.without, metadata=asked.metadata,
    )  # fmt: skip


def _row(one: Fragment) -> Answer:
    return {
        "fragment": one.number, "text": one.text, "kind": one.kind, "time": moment(one.time), "importance": one.importance,
        "labels": list(one.labels), "metadata": one.metadata, "state": one.state, "successor": one.successor,
        "seen": one.seen, "uses": one.uses, "used": moment(one.used), "created": moment(one.created),
        "changed": moment(one.changed), "origins": [_origin(each) for each in one.origins],
    }  # fmt: skip


def _origin(one: Origin) -> Answer:
    return {
        "source": one.source, "run": one.run, "entry": one.entry, "time": moment(one.time), "call": one.call or None,
    }  # fmt: skip


def _result(one: "Found") -> Answer:
    """A result of a recall: the fragment, and why it was found."""
    return {
        **_row(one.fragment), "whole": not one.cut, "piece": [one.start, one.finish], "score": one.score,
        "fused": one.fused, "freshness": one.freshness,
        "words": None if one.words is None else _why(one.words) | {"matched": one.words.matched},
        "meaning": None if one.meaning is None else _why(one.meaning),
    }  # fmt: skip


def _why(place: "Place") -> Answer:
    return {"rank": place.rank, "score": place.score}


def _explained(found: "Recalled") -> Answer:
    terms = [{"term": one.term, "chunks": one.chunks, "places": one.places, "used": one.used} for one in found.terms]
    return {"terms": terms, "words": found.words, "meaning": found.meaning, "chunks": found.chunks}
