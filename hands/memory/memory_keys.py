"""Values by key, as calls (acts; thin): memory.get, set, delete, change, list and watch.

memory/keys.py defines keys, values and versions. Changes go to the watchers of that namespace, who need a grant on it; no
event on the bus tells others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from manifests.errors import ValueInvalid
from manifests.values import parse_duration
from memory import keys
from memory.errors import Damaged, Full, Invalid
from memory.keys import Change
from memory_desk import UNREADABLE, Answer, Desk, as_failures, at, fitting, moment, now
from memory_owner import Place
from runtime import Call, Failure
from runtime.undisturbed import undisturbed
from wire import codec
from wire.errors import CodecError

WAITING_MOST: Final = 1_024
"""Changes queued for a slow watcher; beyond that the oldest are dropped, and it gets their number."""

WATCHES_MOST: Final = (16, 8)
"""Watches open at once, and those of one memory. Each holds one of the Hand's places for days; there are twice as many
places, so the rest stay free for calls that end."""


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of memory.change: value or delete. version: change only if the key is at it.

    ttl: in milliseconds, or a duration such as "30d".
    """

    key: str
    value: object = msgspec.UNSET
    delete: bool = False
    version: int | None = None
    ttl: int | str | None = None


class Watcher:
    """One open memory.watch."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.waiting: deque[tuple[str, int, tuple[str, ...]]] = deque()
        self.missed = 0
        self.something = asyncio.Event()

    def tell(self, key: str, version: int, labels: tuple[str, ...]) -> None:
        """Queues a change of a key, if it has the prefix."""
        if key.startswith(self.prefix):
            if len(self.waiting) == WAITING_MOST:
                self.waiting.popleft()
                self.missed += 1
            self.waiting.append((key, version, labels))
            self.something.set()


class Keys(Desk):
    """Provides memory.get and the other methods above."""

    async def start(self) -> None:
        """Adds to Desk's the table of watchers."""
        await super().start()
        self.watchers: dict[Place, list[Watcher]] = {}

    async def get(self, call: Call, key: str) -> Answer:
        """memory.get: a key's value."""
        found = await self.reading(call, lambda reader, space: keys.get(reader, space, key))
        call.add_labels(*found.labels)
        try:
            with undisturbed():
                value = codec.decode_body(found.value)
        except CodecError:
            raise Failure(Damaged.code, UNREADABLE) from None
        return {
            "value": value,
            "version": found.version,
            "created": moment(found.created),
            "changed": moment(found.changed),
            "expires": moment(found.expires),
        }

    async def set(
        self, call: Call, key: str, value: object, version: int | None = None, ttl: float | None = None
    ) -> Answer:
        """memory.set: sets one key. ttl: in seconds."""
        milliseconds = None if ttl is None else round(ttl * 1_000)
        (made,) = await self._change(call, [Asked(key=key, value=value, version=version, ttl=milliseconds)])
        return {"version": made}

    async def delete(self, call: Call, key: str, version: int | None = None) -> None:
        """memory.delete: deletes one key."""
        await self._change(call, [Asked(key=key, delete=True, version=version)])

    async def change(self, call: Call, changes: Sequence[object]) -> Answer:
        """memory.change: sets and deletes several keys, all or none."""
        with as_failures():
            try:
                asked = msgspec.convert(changes, list[Asked])
            except (msgspec.ValidationError, RecursionError) as error:
                raise Invalid(
                    f"changes is a list of tables of key, value or delete, version and ttl: {error}"
                ) from None
        return {"versions": list(await self._change(call, asked))}

    async def list(self, call: Call, prefix: str = "", after: str = "", most: int = 100) -> Answer:
        """memory.list: keys, without their values."""
        rows = await self.reading(call, lambda reader, space: keys.listed(reader, space, prefix, after, most))
        shown, is_cut = fitting(call, ((_row(row), row.labels) for row in rows))
        return {"keys": shown, "more": is_cut or len(rows) == most}

    async def watch(self, call: Call, prefix: str = "") -> None:
        """memory.watch: streams changes. Its first line says that it has begun, so a caller who then lists misses nothing."""
        place, watcher = at(call), Watcher(prefix)
        self._check_watches(place)
        self.watchers.setdefault(place, []).append(watcher)
        try:
            await call.send(_line({"watching": prefix}))
            while True:
                await watcher.something.wait()
                watcher.something.clear()
                while watcher.waiting:
                    key, version, labels = watcher.waiting.popleft()
                    missed, watcher.missed = watcher.missed, 0
                    call.add_labels(*labels)
                    await call.send(_line({"key": key, "version": version, "missed": missed}))
        finally:
            self.watchers[place].remove(watcher)
            if not self.watchers[place]:
                del self.watchers[place]

    def _check_watches(self, place: Place) -> None:
        """Raises Failure if one more watch would be too many."""
        owners = [one.owner for one, watchers in self.watchers.items() for _ in watchers]
        most, of_one = WATCHES_MOST
        if len(owners) >= most or owners.count(place.owner) >= of_one:
            raise Failure(
                Full.code,
                f"at most {most} watches are open at once, {of_one} of one memory: end one, or call memory.list regularly",
            )

    async def _change(self, call: Call, asked: Sequence[Asked]) -> tuple[int, ...]:
        labels = tuple(sorted(call.labels))
        with as_failures():
            changes = [_read(one, labels) for one in asked]
        frees = all(one.value is None for one in changes)

        def tell(made: tuple[int, ...]) -> None:
            for one, version in zip(changes, made, strict=True):
                for watcher in self.watchers.get(at(call), ()):
                    watcher.tell(one.key, version, labels)

        return await self.writing(
            call, lambda store, space: keys.change(store, space, changes), frees=frees, then=tell
        )  # watchers get the change even if its caller has gone


def _row(row: keys.Listed) -> Answer:
    return {
        "key": row.key, "version": row.version, "changed": moment(row.changed), "expires": moment(row.expires),
        "size": row.size,
    }  # fmt: skip


def _read(one: Asked, labels: tuple[str, ...]) -> Change:
    """Converts a row of a change for memory/keys.py. Raises Invalid."""
    if one.delete:
        if one.value is not msgspec.UNSET or one.ttl is not None:
            raise Invalid(f"{one.key!r} is to be set and to be deleted: give one of value and delete")
        return Change(key=one.key, value=None, version=one.version)
    if one.value is msgspec.UNSET:
        raise Invalid(f"{one.key!r} has neither value nor delete")
    try:
        value = codec.encode_body(one.value)
        with undisturbed():
            codec.decode_body(value)
    except CodecError as error:
        raise Invalid(f"{one.key!r}: {error}") from None
    expires = None if one.ttl is None else now() + _milliseconds(one.key, one.ttl) * 1_000
    return Change(key=one.key, value=value, version=one.version, expires=expires, labels=labels)


def _milliseconds(key: str, ttl: int | str) -> int:
    """Converts the `ttl` of a change of this key. Raises Invalid."""
    try:
        found = parse_duration(ttl) if isinstance(ttl, str) else ttl
    except ValueInvalid as error:
        raise Invalid(f"{key!r}: ttl: {error}") from None
    if found < 1:
        raise Invalid(f"{key!r}: ttl must be at least a millisecond")
    return found


def _line(value: Answer) -> bytes:
    return msgspec.json.encode(value) + b"\n"
