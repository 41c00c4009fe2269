"""Consolidation, on call and in the background (acts; thin): memory.consolidate, and what the Hand does when idle.

memory/consolidation.py defines a step. When there was no call for a while, the Hand goes through the memories that were
called for in this process, each at most once a day, and stops as soon as a call comes. Its progress is kept in the state
folder, so a memory that takes longer than one idle period is finished bit by bit. The Hand is not started for this: a
memory that nobody calls for stays as it is until somebody calls memory.consolidate.
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
from wire.canonical import READ_ERRORS

EVERY: Final = 24 * 3_600 * 1_000_000
"""Microseconds between the end of a memory's consolidation and the next one."""

DISCARDED: Final = 200
"""Vectors of an earlier model that are removed in one transaction."""

STATE: Final = "consolidation.json"


class Course(Struct, frozen=True, kw_only=True):
    """A memory's progress. after: the last id looked at, 0 once all were; ended: when that was."""

    after: int = 0
    ended: int = 0


class Counts(Struct, frozen=True, kw_only=True):
    """How many fragments were looked at, merged, promoted and archived."""

    looked: int = 0
    merged: int = 0
    promoted: int = 0
    archived: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """The sum of both."""
        return Counts(
            looked=self.looked + other.looked, merged=self.merged + other.merged, promoted=self.promoted + other.promoted,
            archived=self.archived + other.archived,
        )  # fmt: skip


class Step(Struct, frozen=True, kw_only=True):
    """The result of a step. after: where the next one begins, None after the last."""

    counts: Counts = Counts()
    after: int | None = None


class Consolidating(Desk):
    """Provides memory.consolidate, and consolidates when idle. quiet_s: seconds without a call after which it begins."""

    quiet_s = 20.0

    async def start(self) -> None:
        """Reads the progress and starts the background task."""
        await super().start()
        self._courses = await self.shelf.in_thread(lambda: _read(self.state / STATE))
        self._resting = self.in_background(self._run_when_idle())

    async def stop(self) -> None:
        """Stops the background task."""
        await self.cancel(self._resting)
        await super().stop()

    async def consolidate(self, call: Call) -> Answer:
        """memory.consolidate: all of a memory, in short steps between which others can write."""
        owner, counts = whole(call).owner, Counts()
        after: int | None = 0
        with as_failures():
            while after is not None:
                self.asked = time.monotonic()
                step = await self._step(owner, after)
                counts, after = counts.plus(step.counts), step.after
        await self._note(owner, Course(ended=now()))
        return msgspec.structs.asdict(counts)

    async def _run_when_idle(self) -> None:
        """Consolidates the memories that are due, while there are no calls."""
        while True:
            await asyncio.sleep(self.quiet_s / 4)
            asked = frozenset(self.asked_for)
            existing = await self.shelf.in_thread(partial(self.shelf.existing, asked))
            self.asked_for -= (
                asked - existing
            )  # a caller with a grant on all shared spaces may name many that do not exist
            for owner in sorted(existing):
                if self._is_quiet() and self._is_due(owner):
                    try:
                        await self._go_through(owner)
                    except Exception as error:  # noqa: BLE001 - one memory's error must not stop the others
                        self.log.warning("a memory could not be consolidated", memory=owner, why=repr(error))
                        self.asked_for.discard(owner)  # until somebody asks for it again

    async def _go_through(self, owner: str) -> None:
        """Consolidates a memory from where it was left, until its end or until a call comes."""
        counts = Counts()
        after: int | None = self._courses.get(owner, Course()).after
        while after is not None and self._is_quiet():
            step = await self._step(owner, after)
            counts, after = counts.plus(step.counts), step.after
        await self._note(owner, Course(ended=now()) if after is None else Course(after=after))
        if counts.looked:
            self.log.info("consolidated", memory=owner, is_whole=after is None, **msgspec.structs.asdict(counts))

    async def _step(self, owner: str, after: int) -> Step:
        """Consolidates the next fragments; after the last, discards the vectors of earlier models."""
        if not await self.shelf.read(owner, indexing.has_chunks):
            return Step()
        done = await self.shelf.write_if_there(
            owner, lambda store: _consolidate(store, after), frees=True, is_long=True
        )
        step = done or Step()
        while step.after is None and await self.shelf.write_if_there(owner, _discard_vectors, frees=True, is_long=True):
            continue
        return step

    def _is_quiet(self) -> bool:
        return time.monotonic() - self.asked >= self.quiet_s

    def _is_due(self, owner: str) -> bool:
        course = self._courses.get(owner, Course())
        return course.after > 0 or not 0 <= now() - course.ended < EVERY  # `ended` in the future: the clock was ahead

    async def _note(self, owner: str, course: Course) -> None:
        self._courses[owner] = course
        known = frozenset(self._courses)
        gone = known - await self.shelf.in_thread(partial(self.shelf.existing, known))
        self._courses = {one: how for one, how in self._courses.items() if one not in gone}
        raw = msgspec.json.encode(self._courses)
        await self.shelf.in_thread(lambda: _write(self.state / STATE, raw))


def _consolidate(store: Store, after: int) -> Step:
    from memory import consolidation

    report = consolidation.consolidate(store, after)
    counts = Counts(
        looked=report.looked, merged=len(report.merged), promoted=len(report.promoted), archived=len(report.archived)
    )
    return Step(counts=counts, after=report.after)


def _discard_vectors(store: Store) -> bool:
    """Discards some vectors of earlier models, once the current one's are complete. Returns whether any are left."""
    from memory import vectors

    return not indexing.is_waiting(store) and vectors.discard(store, DISCARDED)


def _read(path: Path) -> dict[str, Course]:
    """The progress of each memory; empty if it cannot be read, so that all start over."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Course])
    except (OSError, *READ_ERRORS):
        return {}


def _write(path: Path, raw: bytes) -> None:
    """Replaces a file's content; keeps the old one if the disk refuses."""
    part = path.with_suffix(".part")
    try:
        part.write_bytes(raw)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
