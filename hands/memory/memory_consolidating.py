"""Consolidation, as a call and by itself (acts; thin): memory.consolidate, and what the Hand does while nobody asks it.

What a step does is in memory/consolidation.py. While the Hand is up and nobody has asked for anything for a while, it goes
through the memories that were asked for in this life, each at most once a day, and stops as soon as somebody asks. How far
it came stands in a file of the state folder, so a memory that takes longer than one such while is gone through by and by.
The Hand is not started for it: a memory that nobody asks for stays as it is until somebody calls memory.consolidate.
"""

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from memory import indexing
from memory.store import Store
from memory_desk import Answer, Desk, as_failures, now, whole
from runtime import Call

EVERY: Final = 24 * 3_600 * 1_000_000
"""Microseconds from the end of one going through a memory to the next."""

DISCARDED: Final = 200
"""Vectors of an earlier model that are removed in one transaction."""

STATE: Final = "consolidation.json"


class Course(Struct, frozen=True, kw_only=True):
    """How far a memory was gone through. after: the last id looked at, 0 when all were; ended: when that was."""

    after: int = 0
    ended: int = 0


class Counts(Struct, frozen=True, kw_only=True):
    """How many fragments were looked at, and what became of them."""

    looked: int = 0
    merged: int = 0
    promoted: int = 0
    archived: int = 0

    def and_then(self, other: "Counts") -> "Counts":
        """Both."""
        return Counts(
            looked=self.looked + other.looked, merged=self.merged + other.merged, promoted=self.promoted + other.promoted,
            archived=self.archived + other.archived,
        )  # fmt: skip


class Step(Struct, frozen=True, kw_only=True):
    """What a step did. after: where the next one begins, None after the last."""

    counts: Counts = Counts()
    after: int | None = None


class Consolidating(Desk):
    """memory.consolidate, and the background. quiet_s: seconds without a call after which it begins."""

    quiet_s = 20.0

    async def start(self) -> None:
        """It waits until nobody asks."""
        await super().start()
        self._courses = await self.shelf.in_thread(lambda: _read(self.state / STATE))
        self._resting = self.in_background(self._rest())

    async def stop(self) -> None:
        """What it is at ends with its step."""
        await self.ended(self._resting)
        await super().stop()

    async def consolidate(self, call: Call) -> Answer:
        """Answer memory.consolidate: all of a memory, in short steps between which others write."""
        owner, counts = whole(call).owner, Counts()
        after: int | None = 0
        with as_failures():
            while after is not None:
                self.asked = time.monotonic()
                step = await self._step(owner, after)
                counts, after = counts.and_then(step.counts), step.after
        await self._note(owner, Course(ended=now()))
        return msgspec.structs.asdict(counts)

    async def _rest(self) -> None:
        """Go through what is due while nobody asks."""
        while True:
            await asyncio.sleep(self.quiet_s / 4)
            asked = frozenset(self.asked_for)
            there = await self.shelf.in_thread(partial(self.shelf.there, asked))
            self.asked_for -= asked - there  # whoever may ask for any shared space may ask for many
            for owner in sorted(there):
                if self._is_quiet() and self._is_due(owner):
                    try:
                        await self._go_through(owner)
                    except Exception as error:  # noqa: BLE001 - whatever is wrong with one memory, the others go on
                        self.log.warning("a memory could not be consolidated", memory=owner, why=repr(error))
                        self.asked_for.discard(owner)  # until somebody asks for it again

    async def _go_through(self, owner: str) -> None:
        """A memory from where it was left, until all is looked at or somebody asks."""
        counts = Counts()
        after: int | None = self._courses.get(owner, Course()).after
        while after is not None and self._is_quiet():
            step = await self._step(owner, after)
            counts, after = counts.and_then(step.counts), step.after
        await self._note(owner, Course(ended=now()) if after is None else Course(after=after))
        if counts.looked:
            self.log.info("consolidated", memory=owner, is_whole=after is None, **msgspec.structs.asdict(counts))

    async def _step(self, owner: str, after: int) -> Step:
        """Look at the next fragments; after the last, let go of the vectors of earlier models."""
        if not await self.shelf.read(owner, indexing.holds):
            return Step()
        done = await self.shelf.write_if_there(
            owner, lambda store: _consolidated(store, after), frees=True, is_long=True
        )
        step = done or Step()
        while step.after is None and await self.shelf.write_if_there(owner, _discarded, frees=True, is_long=True):
            continue
        return step

    def _is_quiet(self) -> bool:
        return time.monotonic() - self.asked >= self.quiet_s

    def _is_due(self, owner: str) -> bool:
        course = self._courses.get(owner, Course())
        return course.after > 0 or not 0 <= now() - course.ended < EVERY  # a clock that was ahead is no reason to wait

    async def _note(self, owner: str, course: Course) -> None:
        self._courses[owner] = course
        known = frozenset(self._courses)
        gone = known - await self.shelf.in_thread(partial(self.shelf.there, known))
        self._courses = {one: how for one, how in self._courses.items() if one not in gone}
        raw = msgspec.json.encode(self._courses)
        await self.shelf.in_thread(lambda: _write(self.state / STATE, raw))


def _consolidated(store: Store, after: int) -> Step:
    from memory import consolidation

    report = consolidation.consolidate(store, after)
    counts = Counts(
        looked=report.looked, merged=len(report.merged), promoted=len(report.promoted), archived=len(report.archived)
    )
    return Step(counts=counts, after=report.after)


def _discarded(store: Store) -> bool:
    """Remove some vectors of models that are no longer used, once all is there of the one that is; whether any are left."""
    from memory import vectors

    return not indexing.waits(store) and vectors.discard(store, DISCARDED)


def _read(path: Path) -> dict[str, Course]:
    """How far each memory was gone through; nothing, when that cannot be read: then it is gone through again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Course])
    except (OSError, msgspec.MsgspecError):
        return {}


def _write(path: Path, raw: bytes) -> None:
    """Let a file hold this; where the disk refuses, what it held."""
    part = path.with_suffix(".part")
    try:
        part.write_bytes(raw)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
