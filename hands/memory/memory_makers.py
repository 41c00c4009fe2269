"""The makers of vectors (acts): the local embedder, in threads, or a model that the Hand `model` reaches.

Both are loaded at the first text or question, so a process that only keeps values by key has no numpy.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from msgspec import Struct

from memory import embedders
from memory.embedders import Embedder
from runtime import CallEnded, KernelHandle, records
from wire.labels import Labels

if TYPE_CHECKING:
    from memory.arrays import Floats

T = TypeVar("T")

QUESTION_S: Final = 10.0
TEXTS_S: Final = 120.0
"""Seconds that a remote model has for a question, after which only words count; and for a batch of texts."""


class Made(Struct, frozen=True, kw_only=True):
    """The model of some vectors: name with version; numbers in each vector; number of words that a vector can represent."""

    name: str
    dimension: int
    reach: float


class NoVectors(Exception):
    """No vectors can be made now; the text says why. They may be later."""


class Maker(Protocol):
    """Makes vectors. batch: texts that it gets at once."""

    batch: int

    @property
    def called(self) -> str:
        """Its name for people, known without loading it."""

    @property
    def known(self) -> Made | None:
        """The model of its vectors; None if that is unknown before loading it."""

    async def ready(self) -> Made:
        """Loads it. Returns the model of its vectors. Raises NoVectors."""

    async def question(self, text: str) -> "tuple[Made, Floats]":
        """(model, the question's vector as one row). Raises NoVectors."""

    async def texts(self, texts: Sequence[str], labels: Labels) -> "tuple[Made, Floats]":
        """(model, one row per text). labels: those of all the texts. Raises NoVectors."""

    def close(self) -> None:
        """Waits for running computations."""


class LocalMaker:
    """The best embedder of this machine, with one thread for questions and one for texts."""

    batch = 4  # small: a question that arrives meanwhile runs beside it, and more slowly

    def __init__(self) -> None:
        self._questions = ThreadPoolExecutor(1, thread_name_prefix="question")
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._making = threading.Lock()
        self._embedder: Embedder | None = None
        self._is_broken = False

    @property
    def called(self) -> str:
        """The embedder's name in the table of embedders."""
        return "grams" if self._is_broken else embedders.best_name()

    @property
    def known(self) -> Made | None:
        """None before the embedder is loaded."""
        return None if self._embedder is None else _made(self._embedder)

    async def ready(self) -> Made:
        """Loads the embedder. Never raises NoVectors."""
        return _made(await _in(self._texts, self._get))

    async def question(self, text: str) -> "tuple[Made, Floats]":
        """Computed in the questions' thread."""
        return await _in(self._questions, lambda: self._vectors([text]))

    async def texts(self, texts: Sequence[str], labels: Labels) -> "tuple[Made, Floats]":
        """Computed in the texts' thread."""
        return await _in(self._texts, lambda: self._vectors(texts))

    def close(self) -> None:
        """Waits for both threads."""
        self._questions.shutdown(wait=True)
        self._texts.shutdown(wait=True)

    def _vectors(self, texts: Sequence[str]) -> "tuple[Made, Floats]":
        embedder = self._get()
        return _made(embedder), embedder.vectors(texts)

    def _get(self) -> Embedder:
        """The embedder; the first thread to need it loads it."""
        with self._making:
            if self._embedder is None:
                self._embedder = self._best()
            return self._embedder

    def _best(self) -> Embedder:
        try:
            return embedders.best()
        except Exception as error:  # noqa: BLE001 - a broken model must not stop memory
            self._is_broken = True
            records.logger().warning("the model cannot be used, and letters are gone by", error=repr(error))
            from memory.embedders.grams import Grams

            return Grams()


class RemoteMaker:
    """A model that the Hand `model` reaches, chosen by the operator. Its vectors have as much weight as minilm's."""

    batch = 64

    def __init__(self, kernel: KernelHandle, model: str) -> None:
        self._kernel, self.called = kernel, model
        self.known: Made | None = None

    async def ready(self) -> Made:
        """Asks once for the vector of one word."""
        if self.known is None:
            await self._vectors(["word"], QUESTION_S)
        assert self.known is not None
        return self.known

    async def question(self, text: str) -> "tuple[Made, Floats]":
        """One call of model.embed."""
        return await self._vectors([text], QUESTION_S)

    async def texts(self, texts: Sequence[str], labels: Labels) -> "tuple[Made, Floats]":
        """One call of model.embed, with the texts' labels: this process may not have received them itself."""
        return await self._vectors(texts, TEXTS_S, tuple(sorted(labels)))

    def close(self) -> None:
        """Nothing to do."""

    async def _vectors(
        self, texts: Sequence[str], seconds: float, labels: tuple[str, ...] = ()
    ) -> "tuple[Made, Floats]":
        try:
            reply = await self._kernel.call(
                "model.embed", self.called, {"texts": list(texts)}, timeout=seconds, labels=labels
            )
        except CallEnded as error:
            raise NoVectors(str(error)) from None
        name, rows = _read(reply.value, len(texts))
        self.known = Made(name=f"{self.called}: {name}", dimension=rows.shape[1], reach=math.inf)
        return self.known, rows


def _read(value: object, count: int) -> "tuple[str, Floats]":
    """(the model's own name, `count` vectors of length 1) from a reply of model.embed. Raises NoVectors."""
    from memory.arrays import np

    told = value if isinstance(value, dict) else {}
    try:
        rows = np.asarray(told.get("vectors"), dtype=np.float32)
    except (TypeError, ValueError):
        raise NoVectors("its vectors are not numbers, or not all of one length") from None
    if rows.ndim != 2 or rows.shape[0] != count or not rows.shape[1]:
        raise NoVectors(f"it was given {count} texts, and its vectors have the shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(rows).all() or not lengths.all():
        raise NoVectors("one of its vectors is zero or not finite")
    return str(told.get("model", "")), rows / lengths


def _made(embedder: Embedder) -> Made:
    return Made(name=embedder.name, dimension=embedder.dimension, reach=embedder.reach)


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.shield(asyncio.wrap_future(threads.submit(work)))
