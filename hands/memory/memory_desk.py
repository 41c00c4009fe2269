"""`Desk`, the base class of the Hand's parts (acts): a call's owner and space, its work in a thread, labels and errors.

A part is a subclass with one `async def` per method, which passes its work as a function of a Store or Reader and a space;
memory_keys is the smallest one.
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
from memory_makers import LocalMaker, Maker, RemoteMaker
from memory_owner import PLAIN, Place, place_of
from memory_shelf import Shelf
from runtime import Call, Failure, Hand
from wire import codec, limits
from wire.entries import time_text

T = TypeVar("T")
Answer = dict[str, object]
Fitted = tuple[list[Answer], set[str], bool]

REPLY_MOST: Final = 768 * limits.KIB
"""Bytes of rows in one reply; a listing that is longer ends there and says that there is more."""

UNREADABLE: Final = "a row cannot be read: `maniple memory verify` says which"

IMPORT_MAX: Final = 1 << 30
"""Bytes of one import."""

LINE_MAX: Final = 8 << 20
"""Bytes of one line: a message with every character escaped."""

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Desk(Hand):
    """Owns the shelf and the embedding. asked: when the last call came, by time.monotonic(). asked_for: owners called for.

    arrived: bytes of uploads that wait in files, by the owner of the memory.
    """

    async def start(self) -> None:
        """Opens no file; that waits for the first call."""
        self.shelf = Shelf(self.state, now=now, quota=self.settings.of("quota", int))
        self.embedding = Embedding(self.shelf, self._maker())
        self.asked = time.monotonic()
        self.asked_for: set[str] = set()
        self.arrived = Counter[str]()

    async def stop(self) -> None:
        """Closes every file."""
        self.embedding.close()
        await self.shelf.close()

    async def cancel(self, work: "asyncio.Task[None]") -> None:
        """Cancels a background task until it has ended."""
        while not work.done():
            work.cancel()
            await asyncio.wait([work], timeout=1)

    async def on_settings(self, changed: frozenset[str]) -> None:
        """Applies a new quota from the next call on. A new embedder makes every vector anew, in the background."""
        self.shelf.quota = self.settings.of("quota", int)
        if "embedder" in changed:
            await self.embedding.follow(self._maker())

    def _maker(self) -> Maker:
        model = self.settings.of("embedder", str)
        return RemoteMaker(self.kernel, model) if model else LocalMaker()

    async def reading(self, call: Call, work: Callable[[Reader, str], T], *, is_long: bool = False) -> T:
        """Runs read-only work on the call's memory. work: gets a Reader and the space. is_long: see Shelf.read."""
        place = self._note_call(call)
        with as_failures():
            return await self.shelf.read(place.owner, lambda reader: work(reader, place.space), is_long=is_long)

    async def listing(
        self,
        call: Call,
        work: Callable[[Reader, str], Iterable[tuple[Answer, Iterable[str]]]],
        *,
        is_long: bool = False,
    ) -> tuple[list[Answer], bool]:
        """(rows of a listing that one reply holds, whether there are more). Adds their labels to the call.

        Iterates the rows in the reading thread, so that no more are read than shown. work, is_long: as for reading().
        """
        shown, labels, is_cut = await self.reading(
            call, lambda reader, space: take_fitting(work(reader, space)), is_long=is_long
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
        """Runs writing work; returns its result once it is on disk. frees: it makes room. is_long, then: see Shelf.write."""
        place = self._note_call(call)
        with as_failures():
            return await self.shelf.write(
                place.owner, lambda store: work(store, place.space), frees=frees, is_long=is_long, then=then
            )

    def _note_call(self, call: Call) -> Place:
        place = place_of(call.resource)
        self.asked = time.monotonic()
        self.asked_for.add(place.owner)
        return place

    async def send_all(self, call: Call, raw: bytes) -> None:
        """Streams bytes in chunks."""
        for start in range(0, len(raw), limits.CHUNK_SIZE):
            await call.send(raw[start : start + limits.CHUNK_SIZE])

    @asynccontextmanager
    async def uploaded_lines(self, call: Call) -> AsyncIterator[Path]:
        """Stores the caller's upload in a file for the duration of the block. Raises Failure."""
        path = self.scratch / f"import-{call.number}"
        async with self.stored_upload(call, path, IMPORT_MAX):
            yield path

    @asynccontextmanager
    async def stored_upload(self, call: Call, path: Path, most: int, mend: str = "") -> AsyncIterator[None]:
        """Stores the caller's upload in a file for the duration of the block. Raises Failure.

        most: bytes that all calls of one memory may have in such files at a time. mend: how to allow more.
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
        except OSError as error:  # also when closing the file flushes
            raise Failure("full", f"the disk refuses: {error.strerror}") from None
        finally:
            self.arrived -= Counter({owner: size})
            _remove(path)


def now() -> int:
    """The wall clock in microseconds since 1970."""
    return time.time_ns() // 1_000


def moment(micros: int | None) -> str | None:
    """A time as replies show it."""
    return None if micros is None else time_text(micros)


def micros(text: str | None) -> int | None:
    """Parses an RFC 3339 time with a zone to microseconds. Raises Failure for other text or years beyond 1970 to 9999."""
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
    """(rows that one reply holds, whether there are more). Adds their labels to the call."""
    shown, labels, is_cut = take_fitting(rows)
    call.add_labels(*labels)
    return shown, is_cut


def take_fitting(rows: Iterable[tuple[Answer, Iterable[str]]]) -> Fitted:
    """(rows that one reply holds, all their labels, whether there are more)."""
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
    """Yields a file's lines. One longer than LINE_MAX comes in pieces, which fail to parse."""
    with path.open("rb") as file:
        while line := file.readline(LINE_MAX):
            yield line


def at(call: Call) -> Place:
    """The owner and space of a call."""
    return place_of(call.resource)


def whole(call: Call) -> Place:
    """As at(). Raises Failure for a session: who may use one session must learn nothing of the others beside it."""
    place = at(call)
    if place.space != PLAIN:
        raise Failure("arguments", f"{call.method} is about a whole memory: name own or shared/NAME")
    return place


@contextmanager
def as_failures() -> Iterator[None]:
    """Turns errors of a memory into the call's Failed."""
    try:
        yield
    except StoreError as error:
        raise Failure(error.code, str(error)) from None
    except apsw.ConstraintError as error:  # no caller's input can cause one
        why = f"its rows do not fit each other ({error}): `maniple memory verify` says what is damaged"
        raise Failure(Damaged.code, why) from None
    except msgspec.MsgspecError:  # from stored rows: the caller's input was decoded before
        raise Failure(Damaged.code, UNREADABLE) from None
