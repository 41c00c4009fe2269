"""What every part of the Hand stands on (acts): the place of a call, its work in a thread, labels and errors.

A part is a class on top of Desk with an `async def` for each of its methods, which says what to do as a function of a Store
or Reader and a space; see memory_keys for the smallest one.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from memory.errors import StoreError
from memory.store import Reader, Store
from memory_owner import Place, place_of
from memory_shelf import Shelf
from runtime import Call, Failure, Hand
from wire.entries import time_text

T = TypeVar("T")


class Desk(Hand):
    """Opens the shelf, and closes it."""

    async def start(self) -> None:
        """Nothing is opened before it is asked for."""
        self.shelf = Shelf(self.state, now=now, quota=self.settings.of("quota", int))

    async def stop(self) -> None:
        """Close every file."""
        await self.shelf.close()

    async def on_settings(self, changed: frozenset[str]) -> None:
        """A new quota holds from the next call on."""
        self.shelf.quota = self.settings.of("quota", int)

    async def reading(self, call: Call, work: Callable[[Reader | Store, str], T]) -> T:
        """What the work answers of the call's memory. work: given what reads, and the space within."""
        place = place_of(call.resource)
        with told():
            return await self.shelf.read(place.owner, lambda reader: work(reader, place.space))

    async def writing(self, call: Call, work: Callable[[Store, str], T], *, frees: bool = False) -> T:
        """What the work answers, once it is on the disk. frees: it makes room."""
        place = place_of(call.resource)
        with told():
            return await self.shelf.write(place.owner, lambda store: work(store, place.space), frees=frees)


def now() -> int:
    """The wall clock, in microseconds since 1970."""
    return time.time_ns() // 1_000


def marked(call: Call, labels: Iterable[Iterable[str]]) -> None:
    """Mark a reply with the labels of everything that is in it."""
    call.add_labels(*{label for one in labels for label in one})


def moment(micros: int | None) -> str | None:
    """A time as replies have it."""
    return None if micros is None else time_text(micros)


def at(call: Call) -> Place:
    """Where a call reads and writes."""
    return place_of(call.resource)


@contextmanager
def told() -> Iterator[None]:
    """A memory's no becomes the call's Failed."""
    try:
        yield
    except StoreError as error:
        raise Failure(error.code, str(error)) from None
