"""What every part of the Hand stands on (acts): the place of a call, its work in a thread, labels and errors.

A part is a class on top of Desk with an `async def` for each of its methods, which says what to do as a function of a Store
or Reader and a space; see memory_keys for the smallest one.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec

from memory.errors import Damaged, StoreError
from memory.store import Reader, Store
from memory.times import LAST
from memory_embedding import Embedding
from memory_makers import Here, Maker, There
from memory_owner import PLAIN, Place, place_of
from memory_shelf import Shelf
from runtime import Call, Failure, Hand
from wire import codec, limits
from wire.entries import time_text

T = TypeVar("T")
Answer = dict[str, object]
Fitted = tuple[list[Answer], set[str], bool]

REPLY_MOST: Final = 768 * limits.KIB
"""Bytes after which a listing ends, and says that there is more."""

UNREADABLE: Final = "a row cannot be read: `maniple memory verify` says which"

IMPORT_MAX: Final = 1 << 30
"""Bytes of one import."""

LINE_MAX: Final = 8 << 20
"""Bytes of one line: a message with every character escaped."""

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Desk(Hand):
    """Opens the shelf, and closes it. asked: when somebody last asked for something, by time.monotonic().

    arrived: bytes that wait in files to be taken in, by the owner of the memory.
    """

    async def start(self) -> None:
        """Nothing is opened before it is asked for."""
        self.shelf = Shelf(self.state, now=now, quota=self.settings.of("quota", int))
        self.embedding = Embedding(self.shelf, self._maker())
        self.asked = time.monotonic()
        self.asked_for: set[str] = set()
        self.arrived = Counter[str]()

    async def stop(self) -> None:
        """Close every file."""
        self.embedding.close()
        await self.shelf.close()

    async def ended(self, work: "asyncio.Task[None]") -> None:
        """Cancel what goes on in the background, until it has ended."""
        while not work.done():
            work.cancel()
            await asyncio.wait([work], timeout=1)

    async def on_settings(self, changed: frozenset[str]) -> None:
        """A new quota holds from the next call on; another embedder makes every vector anew, in the background."""
        self.shelf.quota = self.settings.of("quota", int)
        if "embedder" in changed:
            await self.embedding.follow(self._maker())

    def _maker(self) -> Maker:
        model = self.settings.of("embedder", str)
        return There(self.kernel, model) if model else Here()

    async def reading(self, call: Call, work: Callable[[Reader, str], T], *, is_long: bool = False) -> T:
        """What the work answers of the call's memory. work: given what reads, and the space within.

        is_long: see Shelf.read.
        """
        place = self._asked(call)
        with as_failures():
            return await self.shelf.read(place.owner, lambda reader: work(reader, place.space), is_long=is_long)

    async def listing(
        self,
        call: Call,
        work: Callable[[Reader, str], Iterable[tuple[Answer, Iterable[str]]]],
        *,
        is_long: bool = False,
    ) -> tuple[list[Answer], bool]:
        """The rows of a listing that one reply holds, and whether there are more; as fitting(). The rest: as for reading().

        What it answers is gone through in the thread that reads, so that no more of it is read than is told.
        """
        shown, labels, is_cut = await self.reading(
            call, lambda reader, space: fitted(work(reader, space)), is_long=is_long
        )
        call.add_labels(*labels)
        return shown, is_cut

    async def writing(
        self,
        call: Call,
        work: Callable[[Store, str], T],
        *,
        frees: bool = False,
        is_long: bool = False,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """What the work answers, once it is on the disk. frees: it makes room; is_long, then: see Shelf.write."""
        place = self._asked(call)
        with as_failures():
            return await self.shelf.write(
                place.owner, lambda store: work(store, place.space), frees=frees, is_long=is_long, then=then
            )

    def _asked(self, call: Call) -> Place:
        place = place_of(call.resource)
        self.asked = time.monotonic()
        self.asked_for.add(place.owner)
        return place

    async def streamed(self, call: Call, raw: bytes) -> None:
        """Send bytes, however many they are."""
        for start in range(0, len(raw), limits.CHUNK_SIZE):
            await call.send(raw[start : start + limits.CHUNK_SIZE])

    @asynccontextmanager
    async def lines_sent(self, call: Call) -> AsyncIterator[Path]:
        """The lines that the caller sends, in a file that is gone when the block is left. Raises Failure."""
        path = self.scratch / f"import-{call.number}"
        async with self.received(call, path, IMPORT_MAX):
            yield path

    @asynccontextmanager
    async def received(self, call: Call, path: Path, most: int, mend: str = "") -> AsyncIterator[None]:
        """Within the block, what the caller sends lies in a file. Raises Failure.

        most: bytes that all calls of one memory may have in such files at a time. mend: how more could be.
        """
        if not call.uploads:
            raise Failure("arguments", "no stream came with the call: send one (`--upload FILE`)")
        owner, size = at(call).owner, 0
        try:
            with path.open("wb") as file:
                async for chunk in call.upload:
                    if self.arrived[owner] + len(chunk) > most:
                        raise Failure("too large", f"at most {most} bytes are accepted at a time{mend}")
                    size += len(chunk)
                    self.arrived[owner] += len(chunk)
                    await self.shelf.in_thread(partial(file.write, chunk))
                await self.shelf.in_thread(file.flush)
            yield
        except OSError as error:  # also of what was left to be written when it was closed
            raise Failure("full", f"the disk refuses: {error.strerror}") from None
        finally:
            self.arrived -= Counter({owner: size})
            _remove(path)


def now() -> int:
    """The wall clock, in microseconds since 1970."""
    return time.time_ns() // 1_000


def moment(micros: int | None) -> str | None:
    """A time as replies have it."""
    return None if micros is None else time_text(micros)


def micros(text: str | None) -> int | None:
    """A time as calls have it, RFC 3339 with its zone, in microseconds. Failure for any other text, or a year beyond."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise Failure("arguments", f"{text!r} is not a time such as 2026-11-21T00:45:10Z")
    found = (read - _BEGINNING) // timedelta(microseconds=1)
    if not 0 <= found <= LAST:
        raise Failure("arguments", f"{text!r} lies outside of the years 1970 to 9999, in UTC")
    return found


def fitting(call: Call, rows: Iterable[tuple[Answer, Iterable[str]]]) -> tuple[list[Answer], bool]:
    """The rows that one reply holds, which is marked with their labels; and whether there are more."""
    shown, labels, is_cut = fitted(rows)
    call.add_labels(*labels)
    return shown, is_cut


def fitted(rows: Iterable[tuple[Answer, Iterable[str]]]) -> Fitted:
    """The rows that one reply holds, all labels of them, and whether there are more."""
    shown: list[Answer] = []
    marks: set[str] = set()
    size = 0
    for row, labels in rows:
        size += len(codec.encode_body(row))
        if shown and size > REPLY_MOST:
            return shown, marks, True
        shown.append(row)
        marks.update(labels)
    return shown, marks, False


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file; one that is longer than LINE_MAX comes in pieces, which are none."""
    with path.open("rb") as file:
        while line := file.readline(LINE_MAX):
            yield line


def at(call: Call) -> Place:
    """Where a call reads and writes."""
    return place_of(call.resource)


def whole(call: Call) -> Place:
    """As at(), for what is about a whole memory: who may ask about one conversation learns nothing of others beside it."""
    place = at(call)
    if place.space != PLAIN:
        raise Failure("arguments", f"{call.method} is about a whole memory: name own or shared/NAME")
    return place


@contextmanager
def as_failures() -> Iterator[None]:
    """A memory's no becomes the call's Failed."""
    try:
        yield
    except StoreError as error:
        raise Failure(error.code, str(error)) from None
    except apsw.ConstraintError as error:  # what a caller gives breaks none
        why = f"its rows do not fit each other ({error}): `maniple memory verify` says what is damaged"
        raise Failure(Damaged.code, why) from None
    except msgspec.MsgspecError:  # of what is stored: what a caller gives is read before
        raise Failure(Damaged.code, UNREADABLE) from None
