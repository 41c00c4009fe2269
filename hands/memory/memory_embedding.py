"""When vectors are made for the Hand (acts): of questions at once, of stored texts in the background, by a Maker.

A store is answered when it is on the disk, and is found by its words from then on. Its vectors are made afterwards: some
texts of one memory, newest first, then some of the next, so that no long import keeps others waiting. What a memory waits
for stands in its file, so it goes on after any end of this process.
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
"""Seconds that the background lets questions go first."""

AGAIN_S: Final = 60.0
"""Seconds until a maker that could make no vectors is asked again, and until room is looked for again."""

QUESTION_READ: Final = 8_192
"""Characters of a question of which its vector is made; no embedder of this machine reads more."""

PASSED_MOST: Final = 1_000
"""Texts of one memory that its maker refuses while it makes vectors of others; beyond that it is taken to make none."""

GIVEN_UP: Final = 200
"""Vectors of an earlier model that give way in one transaction."""

HELD_MOST: Final = 32
"""Memories of which vectors are held that found no room; for others they are made again."""

_ANY: Final = "word"  # whose vector tells whether any are made

LOOKED_AT: Final = 256
"""Memories that are looked at when the Hand starts, those that changed last; each other one when somebody asks for it."""


class Embedding:
    """`run` is the work in the background."""

    def __init__(self, shelf: Shelf, maker: Maker) -> None:
        self._shelf, self._maker = shelf, maker
        self._owners: OrderedDict[str, None] = OrderedDict()
        self._known: set[str] = set()
        self._passed = defaultdict[str, set[int]](set)  # chunks that were refused
        self._held = OrderedDict[str, "tuple[Made, Sequence[Waiting], Floats]"]()  # vectors that found no room
        self._late = set[str]()
        self._something = asyncio.Event()
        self._followed = asyncio.Event()
        self._asking = 0
        self._nobody_asks = asyncio.Event()
        self._nobody_asks.set()
        self._is_told = False  # that no vectors can be made

    async def follow(self, maker: Maker) -> None:
        """From now on another one makes them: those that there are are made anew, in the background."""
        before, self._maker = self._maker, maker
        await asyncio.to_thread(before.close)
        self._known.clear()
        self._passed.clear()
        self._held.clear()
        self._followed.set()
        await self._look_at_the_latest()

    def look(self, owner: str) -> None:
        """Texts of this memory may wait."""
        self._known.add(owner)
        self._owners[owner] = None
        self._something.set()

    def forget(self, owner: str) -> None:
        """A memory was erased or restored: a chunk's number may be another text's now, so none is passed over."""
        self._passed.pop(owner, None)
        self._held.pop(owner, None)

    def look_once(self, owner: str) -> None:
        """As look(), unless it was looked at before: what comes to wait later is told by who stores it."""
        if owner not in self._known:
            self.look(owner)

    async def meaning(self, question: str) -> "Meaning | None":
        """A question's vector; None when none can be made, and its words must do."""
        from memory.nearness import Meaning

        self._asking += 1
        self._nobody_asks.clear()
        try:
            made, (vector,) = await self._maker.question(question[:QUESTION_READ])
        except NoVectors as error:
            self._tell(error)
            return None
        finally:
            self._asking -= 1
            if not self._asking:
                self._nobody_asks.set()
        return Meaning(model=made.name, vector=vector, reach=made.reach)

    async def run(self) -> None:
        """Make what waits since an earlier life of this Hand, then what comes."""
        await self._look_at_the_latest()
        while True:
            await self._something.wait()
            owner, _ = self._owners.popitem(last=False)
            if not self._owners:
                self._something.clear()
            try:
                if await self._embed_some(owner):
                    self.look(owner)
            except Full:
                self._look_later(owner)  # it waits in its file; there may be room then, on its disk or by its quota
            except NoVectors as error:
                self._tell(error)
                self.look(owner)
                await self._wait_to_retry()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one memory, the others go on
                records.logger().warning("vectors could not be made", memory=owner, why=repr(error))

    @property
    def name(self) -> str:
        """What makes them, told without making it."""
        return self._maker.called

    def close(self) -> None:
        """Wait for what is being computed."""
        self._maker.close()

    async def _look_at_the_latest(self) -> None:
        for owner in await self._shelf.in_thread(lambda: self._shelf.latest(LOOKED_AT)):
            self.look_once(owner)

    async def _wait_to_retry(self) -> None:
        """Wait until it may be tried once more: a while, or until another one makes them."""
        self._followed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                await self._followed.wait()

    def _look_later(self, owner: str) -> None:
        if owner not in self._late:
            self._late.add(owner)
            asyncio.get_running_loop().call_later(AGAIN_S, self._look_late, owner)

    def _look_late(self, owner: str) -> None:
        self._late.discard(owner)
        self.look(owner)

    def _tell(self, error: NoVectors) -> None:
        """Say it once, until vectors were made again."""
        if not self._is_told:
            self._is_told = True
            records.logger().warning("no vectors, words must do", embedder=self._maker.called, why=str(error))

    async def _embed_some(self, owner: str) -> bool:
        """Make some vectors of a memory; whether there may be more to do."""
        if not await self._shelf.read(owner, indexing.waits):
            return await self._changed(owner)
        if (held := self._held.pop(owner, None)) is not None:
            await self._keep(owner, *held)
            return True
        maker, made = self._maker, await self._maker.ready()
        but = self._passed[owner]
        texts = await self._shelf.read(owner, lambda reader: _waiting(reader, made, maker.batch, but))
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
        """Make and keep their vectors, and pass over what is refused. Raises NoVectors where any text would be."""
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
        """Keep vectors; those of earlier models give way where there is no room. Raises Full, and holds them then."""
        try:
            while True:
                try:
                    await self._shelf.write_if_there(owner, lambda store: _keep(store, made, texts, rows))
                    return
                except Full:
                    if not await self._shelf.write_if_there(owner, _give_way, frees=True):
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

    async def _changed(self, owner: str) -> bool:
        """Nothing waits; but vectors may be those of another model than the one that is here now. It is asked once made."""
        made = self._maker.known
        if not await self._shelf.read(owner, indexing.holds):
            self._known.discard(owner)  # it may not even be there, and many may be asked for that are not
        elif made is not None and await self._shelf.read(owner, lambda reader: _is_of_another(reader, made)):
            return await self._register(owner, made)
        return False

    async def _register(self, owner: str, made: Made) -> bool:
        """It frees: what it notes is little, and those of the model before may give way then."""
        await self._shelf.write_if_there(owner, lambda store: _register(store, made), frees=True)
        return True


def _waiting(reader: Reader, made: Made, most: int, but: Collection[int]) -> "list[Waiting] | None":
    """Some texts that wait, but for these; None where they do not wait for this model's vectors."""
    from memory import vectors

    model = vectors.registered(reader, made.name)
    return None if model is None or _is_other(model, made) else vectors.waiting(reader, model, most, but)


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
    """Keep the vectors of what waits still with the same text: meanwhile the file may be another one."""
    from memory import vectors

    model = vectors.registered(store, made.name)
    if model is None or model.dimension != made.dimension:
        return
    same = vectors.still(store, model, texts)
    chunks = [one.chunk for one, is_same in zip(texts, same, strict=True) if is_same]
    vectors.keep(store, model, chunks, rows[same])


def _give_way(store: Store) -> bool:
    """Remove some vectors of models that are no longer current; whether there were any."""
    from memory import vectors

    if there_were := vectors.has_others(store):
        vectors.discard(store, GIVEN_UP)
    return there_were
