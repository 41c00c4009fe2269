"""Decides when vectors are made (acts): of questions at once, of stored texts in the background, by a Maker.

A store call ends when the text is on disk, from when on it is found by its words. Vectors are made afterwards: for some
texts of one memory, newest first, then for some of the next, so that a long import holds up nobody. What waits for a vector
is noted in each memory's file, so the work goes on after any end of this process.
"""

import asyncio
import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from memory import indexing
from memory.errors import Full
from memory.store import Reader, Store
from memory_makers import Made, Maker, NoVectors
from memory_shelf import Shelf
from runtime import records
from wire.labels import join

if TYPE_CHECKING:
    from memory.arrays import Floats
    from memory.nearness import Meaning
    from memory.vectors import Model, Waiting

AWAY_S: Final = 0.25
"""Seconds for which background work yields to questions."""

AGAIN_S: Final = 60.0
"""Seconds until a maker that failed is asked again, and until a full memory is tried again."""

QUESTION_READ: Final = 8_192
"""Characters of a question that its vector covers; no local embedder reads more."""

PASSED_MOST: Final = 1_000
"""Texts of one memory that the maker may refuse; beyond that the memory's vectors are given up for now."""

GIVEN_UP: Final = 200
"""Vectors of an earlier model that are discarded in one transaction to make room."""

HELD_MOST: Final = 32
"""Memories whose vectors are held while there is no room for them; those of others are made again."""

_ANY: Final = "word"  # a text for testing whether the maker makes vectors at all

LOOKED_AT: Final = 256
"""Memories that are checked when the Hand starts, last changed first; every other one is checked when it is called for."""


class Embedding:
    """Makes vectors. `run` is the background task."""

    def __init__(self, shelf: Shelf, maker: Maker) -> None:
        self._shelf, self._maker = shelf, maker
        self._owners: OrderedDict[str, None] = OrderedDict()
        self._known: set[str] = set()
        self._passed = defaultdict[str, set[int]](set)  # chunks whose text the maker refused
        self._held = OrderedDict[str, "tuple[Made, Sequence[Waiting], Floats]"]()  # vectors for which there was no room
        self._late = set[str]()
        self._something = asyncio.Event()
        self._followed = asyncio.Event()
        self._asking = 0
        self._nobody_asks = asyncio.Event()
        self._nobody_asks.set()
        self._is_told = False  # whether it was logged that no vectors can be made

    async def follow(self, maker: Maker) -> None:
        """Switches to another maker; all vectors are made anew, in the background."""
        before, self._maker = self._maker, maker
        await asyncio.to_thread(before.close)
        self._known.clear()
        self._passed.clear()
        self._held.clear()
        self._followed.set()
        await self._check_latest()

    def check(self, owner: str) -> None:
        """Queues a memory whose texts may wait for vectors."""
        self._known.add(owner)
        self._owners[owner] = None
        self._something.set()

    def forget(self, owner: str) -> None:
        """Drops what is known of a memory that was erased or restored: its chunk numbers may now be other texts'."""
        self._passed.pop(owner, None)
        self._held.pop(owner, None)

    def check_once(self, owner: str) -> None:
        """As check(), unless it was checked before: later texts are queued when they are stored."""
        if owner not in self._known:
            self.check(owner)

    async def meaning(self, question: str) -> "Meaning | None":
        """A question's vector; None if none can be made, so that only its words count."""
        from memory.nearness import Meaning

        self._asking += 1
        self._nobody_asks.clear()
        try:
            made, (vector,) = await self._maker.question(question[:QUESTION_READ])
        except NoVectors as error:
            self._log_once(error)
            return None
        finally:
            self._asking -= 1
            if not self._asking:
                self._nobody_asks.set()
        return Meaning(model=made.name, vector=vector, reach=made.reach)

    async def run(self) -> None:
        """Makes vectors for ever: first those left waiting by earlier processes, then new ones."""
        await self._check_latest()
        while True:
            await self._something.wait()
            owner, _ = self._owners.popitem(last=False)
            if not self._owners:
                self._something.clear()
            try:
                if await self._embed_some(owner):
                    self.check(owner)
            except Full:
                self._check_later(owner)  # the texts wait in its file, until disk and quota have room
            except NoVectors as error:
                self._log_once(error)
                self.check(owner)
                await self._wait_to_retry()
            except Exception as error:  # noqa: BLE001 - one memory's error must not stop the others
                records.logger().warning("vectors could not be made", memory=owner, why=repr(error))

    @property
    def name(self) -> str:
        """The maker's name, known without loading it."""
        return self._maker.called

    def close(self) -> None:
        """Waits for running computations."""
        self._maker.close()

    async def _check_latest(self) -> None:
        for owner in await self._shelf.in_thread(lambda: self._shelf.last_changed(LOOKED_AT)):
            self.check_once(owner)

    async def _wait_to_retry(self) -> None:
        """Waits AGAIN_S, or until there is another maker."""
        self._followed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                await self._followed.wait()

    def _check_later(self, owner: str) -> None:
        if owner not in self._late:
            self._late.add(owner)
            asyncio.get_running_loop().call_later(AGAIN_S, self._check_now, owner)

    def _check_now(self, owner: str) -> None:
        self._late.discard(owner)
        self.check(owner)

    def _log_once(self, error: NoVectors) -> None:
        """Logs that no vectors can be made; once, until some were made again."""
        if not self._is_told:
            self._is_told = True
            records.logger().warning("no vectors, words must do", embedder=self._maker.called, why=str(error))

    async def _embed_some(self, owner: str) -> bool:
        """Makes some vectors of a memory. Returns whether there may be more to do."""
        if not await self._shelf.read(owner, indexing.is_waiting):
            return await self._check_model(owner)
        if (held := self._held.pop(owner, None)) is not None:
            await self._keep(owner, *held)
            return True
        maker, made = self._maker, await self._maker.ready()
        refused = self._passed[owner]
        texts = await self._shelf.read(owner, lambda reader: _waiting(reader, made, maker.batch, refused))
        if texts is None:
            return await self._register(owner, made)
        if not texts:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AWAY_S):  # and not wait_for, which until Python 3.12 may swallow a cancellation
                await self._nobody_asks.wait()
        if maker is not self._maker:
            return True
        await self._make(owner, maker, texts)
        self._is_told = False
        return True

    async def _make(self, owner: str, maker: Maker, texts: "Sequence[Waiting]") -> None:
        """Makes and stores vectors, skipping texts that the maker refuses. Raises NoVectors if it refuses any text at all."""
        try:
            made, vectors = await maker.texts([one.text for one in texts], join(*(one.labels for one in texts)))
        except NoVectors as error:
            await maker.question(_ANY)
            if len(texts) == 1:
                if maker is self._maker:
                    self._pass_over(owner, texts[0], error)
                return
            half = len(texts) // 2
            for part in (texts[:half], texts[half:]):
                await self._make(owner, maker, part)
            return
        await self._keep(owner, made, texts, vectors)

    async def _keep(self, owner: str, made: Made, texts: "Sequence[Waiting]", rows: "Floats") -> None:
        """Stores vectors; discards those of earlier models if there is no room. If that fails, holds them and raises Full."""
        try:
            while True:
                try:
                    await self._shelf.write_if_there(owner, lambda store: _keep(store, made, texts, rows))
                    return
                except Full:
                    if not await self._shelf.write_if_there(owner, _discard_some, frees=True):
                        raise
        except Full:
            self._held[owner] = (made, texts, rows)
            if len(self._held) > HELD_MOST:
                self._held.popitem(last=False)
            raise

    def _pass_over(self, owner: str, text: "Waiting", error: NoVectors) -> None:
        if len(self._passed[owner]) == PASSED_MOST:
            raise error
        self._passed[owner].add(text.chunk)
        records.logger().warning(
            "a text has no vector, its words must do", memory=owner, chunk=text.chunk, why=str(error)
        )

    async def _check_model(self, owner: str) -> bool:
        """With no text waiting: if the vectors are another model's than the loaded maker's, registers the new one."""
        made = self._maker.known
        if not await self._shelf.read(owner, indexing.has_chunks):
            self._known.discard(owner)  # it may not exist, and callers may name many that do not
        elif made is not None and await self._shelf.read(owner, lambda reader: _is_of_another(reader, made)):
            return await self._register(owner, made)
        return False

    async def _register(self, owner: str, made: Made) -> bool:
        """Registers the model, for which all texts then wait. frees: it writes little, and lets old vectors be discarded."""
        await self._shelf.write_if_there(owner, lambda store: _register(store, made), frees=True)
        return True


def _waiting(reader: Reader, made: Made, most: int, refused: Collection[int]) -> "list[Waiting] | None":
    """Some waiting texts except the refused ones; None if the file's current model is another."""
    from memory import vectors

    model = vectors.registered(reader, made.name)
    return None if model is None or _is_other(model, made) else vectors.waiting(reader, model, most, refused)


def _is_of_another(reader: Reader, made: Made) -> bool:
    from memory import vectors

    model = vectors.registered(reader, made.name)
    return model is None or _is_other(model, made)


def _is_other(model: "Model", made: Made) -> bool:
    """Whether what a file knows by a name is not what texts wait for, or has vectors of another length."""
    return not model.current or model.dimension != made.dimension


def _register(store: Store, made: Made) -> None:
    from memory import vectors

    vectors.register(store, made.name, made.dimension)


def _keep(store: Store, made: Made, texts: "Sequence[Waiting]", rows: "Floats") -> None:
    """Stores the vectors of texts that still wait unchanged: the file may have been replaced meanwhile."""
    from memory import vectors

    model = vectors.registered(store, made.name)
    if model is None or model.dimension != made.dimension:
        return
    same = vectors.still_waiting(store, model, texts)
    chunks = [one.chunk for one, is_same in zip(texts, same, strict=True) if is_same]
    vectors.keep(store, model, chunks, rows[same])


def _discard_some(store: Store) -> bool:
    """Discards some vectors of models that are no longer current. Returns whether there were any."""
    from memory import vectors

    if had_others := vectors.has_others(store):
        vectors.discard(store, GIVEN_UP)
    return had_others
