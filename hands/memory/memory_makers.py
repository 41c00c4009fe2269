"""Who makes vectors for the Hand (acts): the embedder of this machine, in threads, or a model that the Hand `model` reaches.

Both are made when the first text or question comes: whoever keeps values by key alone has no numpy in the process.
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
"""Seconds that a model elsewhere has for a question, after which words alone must do, and for a batch of texts."""


class Made(Struct, frozen=True, kw_only=True):
    """What vectors are of: a model's name and version, how many numbers each has, and of how many words one can tell."""

    name: str
    dimension: int
    reach: float


class NoVectors(Exception):
    """None can be made now, and why; later they may be."""


class Maker(Protocol):
    """batch: texts that it is given at once."""

    batch: int

    @property
    def called(self) -> str:
        """What people call it, told without making it."""

    @property
    def known(self) -> Made | None:
        """What its vectors are of, as far as that is known without making it."""

    async def ready(self) -> Made:
        """What its vectors are of. Raises NoVectors."""

    async def question(self, text: str) -> "tuple[Made, Floats]":
        """A question's vector. Raises NoVectors."""

    async def texts(self, texts: Sequence[str], labels: Labels) -> "tuple[Made, Floats]":
        """The texts' vectors, a row each. labels: of any of them. Raises NoVectors."""

    def close(self) -> None:
        """Wait for what is being computed."""


class Here:
    """The best embedder of this machine: a thread for questions and one for texts."""

    batch = 4  # a question that comes meanwhile is read beside them, and more slowly

    def __init__(self) -> None:
        self._questions = ThreadPoolExecutor(1, thread_name_prefix="question")
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._making = threading.Lock()
        self._embedder: Embedder | None = None
        self._is_broken = False

    @property
    def called(self) -> str:
        """Its name in the table of embedders."""
        return "grams" if self._is_broken else embedders.chosen()

    @property
    def known(self) -> Made | None:
        """None before it is made."""
        return None if self._embedder is None else _made(self._embedder)

    async def ready(self) -> Made:
        """It can always be made."""
        return _made(await _in(self._texts, self._get))

    async def question(self, text: str) -> "tuple[Made, Floats]":
        """In the thread of questions."""
        return await _in(self._questions, lambda: self._vectors([text]))

    async def texts(self, texts: Sequence[str], labels: Labels) -> "tuple[Made, Floats]":
        """In the thread of texts."""
        return await _in(self._texts, lambda: self._vectors(texts))

    def close(self) -> None:
        """Wait for both threads."""
        self._questions.shutdown(wait=True)
        self._texts.shutdown(wait=True)

    def _vectors(self, texts: Sequence[str]) -> "tuple[Made, Floats]":
        embedder = self._get()
        return _made(embedder), embedder.vectors(texts)

    def _get(self) -> Embedder:
        """The embedder, made by whichever thread comes first."""
        with self._making:
            if self._embedder is None:
                self._embedder = self._best()
            return self._embedder

    def _best(self) -> Embedder:
        try:
            return embedders.best()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a model's files, texts are found without it
            self._is_broken = True
            records.logger().warning("the model cannot be used, and letters are gone by", error=repr(error))
            from memory.embedders.grams import Grams

            return Grams()


class There:
    """A model that the Hand `model` reaches, by the operator's wish. Its vectors count as much as minilm's."""

    batch = 64

    def __init__(self, kernel: KernelHandle, model: str) -> None:
        self._kernel, self.called = kernel, model
        self.known: Made | None = None

    async def ready(self) -> Made:
        """It is asked once, for the vector of one word."""
        if self.known is None:
            await self._vectors(["word"], QUESTION_S)
        assert self.known is not None
        return self.known

    async def question(self, text: str) -> "tuple[Made, Floats]":
        """One call."""
        return await self._vectors([text], QUESTION_S)

    async def texts(self, texts: Sequence[str], labels: Labels) -> "tuple[Made, Floats]":
        """One call, which carries their labels: it is made in the Hand's own name, and its process may have heard none."""
        return await self._vectors(texts, TEXTS_S, tuple(sorted(labels)))

    def close(self) -> None:
        """Nothing is kept open."""

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
    """The model's own name and so many vectors of length 1, from a reply of model.embed. Raises NoVectors."""
    from memory.arrays import np

    told = value if isinstance(value, dict) else {}
    try:
        rows = np.asarray(told.get("vectors"), dtype=np.float32)
    except (TypeError, ValueError):
        raise NoVectors("its vectors are no numbers, or not of one length") from None
    if rows.ndim != 2 or rows.shape[0] != count or not rows.shape[1]:
        raise NoVectors(f"it was given {count} texts, and its vectors have the shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(rows).all() or not lengths.all():
        raise NoVectors("a vector of it has no direction")
    return str(told.get("model", "")), rows / lengths


def _made(embedder: Embedder) -> Made:
    return Made(name=embedder.name, dimension=embedder.dimension, reach=embedder.reach)


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.shield(asyncio.wrap_future(threads.submit(work)))
