"""What makes vectors for the Hand (acts): of questions at once, of stored texts in the background, both off the loop.

A store is answered when it is on the disk, and is found by its words from then on. Its vectors are made afterwards: some
texts of one memory, newest first, then some of the next, so that no long import keeps others waiting. What a memory waits
for stands in its file, so it goes on after any end of this process. The embedder is the best that the machine has, and is
made when the first text or question comes: whoever keeps values by key alone has no numpy in the process.
"""

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from memory import embedders, indexing
from memory.embedders import Embedder
from memory.errors import StoreError
from memory.store import Reader, Store
from memory_shelf import Shelf
from runtime import records

if TYPE_CHECKING:
    from memory.arrays import Floats
    from memory.nearness import Meaning
    from memory.vectors import Waiting

T = TypeVar("T")

BATCH: Final = 4
"""Texts whose vectors are made and kept together: a question that comes meanwhile is read beside them, and more slowly."""

AWAY_S: Final = 0.25
"""Seconds that the background lets questions go first."""

QUESTION_READ: Final = 8_192
"""Characters of a question of which its vector is made; no embedder reads more."""

LOOKED_AT: Final = 256
"""Memories that are looked at when the Hand starts, those that changed last; each other one when somebody asks for it."""


class Embedding:
    """A thread for questions and one for texts. `run` is the work in the background."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._questions = ThreadPoolExecutor(1, thread_name_prefix="question")
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._making = threading.Lock()
        self._made: Embedder | None = None
        self._is_broken = False
        self._owners: OrderedDict[str, None] = OrderedDict()
        self._known: set[str] = set()
        self._something = asyncio.Event()
        self._asking = 0
        self._nobody_asks = asyncio.Event()
        self._nobody_asks.set()

    def look(self, owner: str) -> None:
        """Texts of this memory may wait."""
        self._known.add(owner)
        self._owners[owner] = None
        self._something.set()

    def look_once(self, owner: str) -> None:
        """As look(), unless it was looked at before: what comes to wait later is told by who stores it."""
        if owner not in self._known:
            self.look(owner)

    async def meaning(self, question: str) -> "Meaning":
        """A question's vector."""
        self._asking += 1
        self._nobody_asks.clear()
        try:
            return await _in(self._questions, lambda: self._meaning(question))
        finally:
            self._asking -= 1
            if not self._asking:
                self._nobody_asks.set()

    async def run(self) -> None:
        """Make what waits since an earlier life of this Hand, then what comes."""
        for owner in await self._shelf.aside(lambda: self._shelf.latest(LOOKED_AT)):
            self.look_once(owner)
        while True:
            await self._something.wait()
            owner, _ = self._owners.popitem(last=False)
            if not self._owners:
                self._something.clear()
            try:
                if await self._some(owner):
                    self.look(owner)
            except StoreError:
                continue  # such as a full disk: it waits in its file, and is tried again when something is stored there
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one memory, the others go on
                records.logger().warning("vectors could not be made", memory=owner, why=repr(error))

    def name(self) -> str:
        """Which embedder it is, told without making it."""
        return "grams" if self._is_broken else embedders.chosen()

    def close(self) -> None:
        """Wait for what is being computed."""
        self._questions.shutdown(wait=True)
        self._texts.shutdown(wait=True)

    async def _some(self, owner: str) -> bool:
        """Make some vectors of a memory; whether there may be more to do."""
        if not await self._shelf.read(owner, indexing.waits):
            return await self._changed(owner)
        embedder = await _in(self._texts, self._embedder)
        texts = await self._shelf.read(owner, lambda reader: _waiting(reader, embedder))
        if texts is None:
            return await self._register(owner, embedder)
        if not texts:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AWAY_S):  # and not wait_for, which until Python 3.12 may swallow a cancellation
                await self._nobody_asks.wait()
        vectors = await _in(self._texts, lambda: embedder.vectors([one.text for one in texts]))
        await self._shelf.write_if_there(owner, lambda store: _keep(store, embedder, texts, vectors))
        return True

    async def _changed(self, owner: str) -> bool:
        """Nothing waits; but vectors may be those of another model than the one that is here now. It is asked once made."""
        embedder = self._made
        if embedder is not None and await self._shelf.read(owner, lambda reader: _is_of_another(reader, embedder)):
            return await self._register(owner, embedder)
        return False

    async def _register(self, owner: str, embedder: Embedder) -> bool:
        await self._shelf.write_if_there(owner, lambda store: _register(store, embedder))
        return True

    def _embedder(self) -> Embedder:
        """The embedder, made by whichever thread comes first."""
        with self._making:
            if self._made is None:
                self._made = self._best()
            return self._made

    def _best(self) -> Embedder:
        try:
            return embedders.best()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a model's files, texts are found without it
            self._is_broken = True
            records.logger().warning("the model cannot be used, and letters are gone by", error=repr(error))
            from memory.embedders.grams import Grams

            return Grams()

    def _meaning(self, question: str) -> "Meaning":
        from memory.nearness import Meaning

        embedder = self._embedder()
        (vector,) = embedder.vectors([question[:QUESTION_READ]])
        return Meaning(model=embedder.name, vector=vector, trust=embedder.trust)


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.shield(asyncio.wrap_future(threads.submit(work)))


def _waiting(reader: Reader | Store, embedder: Embedder) -> "list[Waiting] | None":
    """Some texts that wait; None where they do not wait for this embedder."""
    from memory import vectors

    model = vectors.registered(reader, embedder.name)
    return None if model is None or not model.current else vectors.waiting(reader, model, BATCH)


def _is_of_another(reader: Reader | Store, embedder: Embedder) -> bool:
    from memory import vectors

    model = vectors.registered(reader, embedder.name)
    return (model is None or not model.current) and indexing.holds(reader)


def _register(store: Store, embedder: Embedder) -> None:
    from memory import vectors

    vectors.register(store, embedder.name, embedder.dimension)


def _keep(store: Store, embedder: Embedder, texts: "Sequence[Waiting]", made: "Floats") -> None:
    """Keep the vectors of what waits still with the same text: meanwhile the file may be another one."""
    from memory import vectors

    model = vectors.registered(store, embedder.name)
    if model is None:
        return
    same = vectors.still(store, model, texts)
    chunks = [one.chunk for one, is_same in zip(texts, same, strict=True) if is_same]
    vectors.keep(store, model, chunks, made[same])
