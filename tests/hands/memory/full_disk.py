"""A memory whose disk runs full and empties again; run by test_full_disk.py as a process, in a mount namespace of its own.

`python -m tests.hands.memory.full_disk DISK`; ends with 0 when all held.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from memory import keys, sessions, upkeep
from memory.errors import Full
from memory.keys import Change
from memory.sessions import Said
from memory.store import Store
from tests.hands.doubles import hand_module
from tests.small_disk import fill

OWN, TEAM, NEW = "own/h-4kz8w1m3q0v7x2ab", "shared/team", "shared/new"
CHAT = "session/bot/mail/-/ada"


def put(store: Store, key: str, size: int) -> object:
    """Set a key to so many bytes."""
    return keys.change(store, "", [Change(key=key, value=b"\xc6" + size.to_bytes(4, "big") + bytes(size))])


def say(store: Store, text: str) -> int:
    """Add a message."""
    return sessions.append(store, CHAT, [Said(role="user", text=text)])


async def main(disk: Path) -> None:
    """Room, none, room again; and a start while there is none."""
    shelf: Any = hand_module("memory", "memory_shelf").Shelf(disk, now=lambda: 1, quota=1 << 30)
    for owner in (OWN, TEAM):
        await shelf.write(owner, lambda store: put(store, "first", 10_000))
        await shelf.write(owner, lambda store: say(store, "hello"))
    bare = disk / "bare"
    bare.mkdir()
    filler = fill(disk)
    first: Any = hand_module("memory", "memory_shelf").Shelf(bare, now=lambda: 1, quota=1 << 30)
    none = await asyncio.gather(first.write(OWN, lambda store: put(store, "a", 10)), return_exceptions=True)
    assert isinstance(none[0], Full), none  # there is no folder yet
    await first.close()
    told: list[object] = []
    for turn in range(40):
        told += await asyncio.gather(
            *(shelf.write(OWN, lambda store, n=n: put(store, f"{turn} {n}", 50_000)) for n in range(3)),
            shelf.write(TEAM, lambda store: say(store, f"{turn} " * 1_000)),
            return_exceptions=True,
        )
    refused = [one for one in told if isinstance(one, BaseException)]
    assert refused, "the disk was not full"
    assert {type(one) for one in refused} == {Full}, {type(one) for one in refused}
    assert all("free some space" in str(one) or "the disk refuses" in str(one) for one in refused), refused[-1]
    kept = len(told) - len(refused)
    made = await shelf.read(OWN, lambda reader: upkeep.totals(reader, "")["keys"])
    said = await shelf.read(TEAM, lambda reader: upkeep.totals(reader, CHAT)["messages"])
    assert made + said == kept + 2, (made, said, kept)
    new = await asyncio.gather(shelf.write(NEW, lambda store: put(store, "a", 10)), return_exceptions=True)
    assert isinstance(new[0], Full), new

    filler.unlink()
    assert await shelf.write(TEAM, lambda store: say(store, "room again")) == said + 1
    await shelf.write(NEW, lambda store: put(store, "a", 10))
    for owner in (OWN, TEAM, NEW):
        found = await shelf.write(owner, upkeep.check)
        assert (found.problems, found.mended) == ((), ()), found
    await shelf.close()

    fill(disk)
    shelf = hand_module("memory", "memory_shelf").Shelf(disk, now=lambda: 1, quota=1 << 30)
    assert len((await shelf.read(OWN, lambda reader: keys.get(reader, "", "first"))).value) == 10_005
    new = await asyncio.gather(shelf.write(OWN, lambda store: put(store, "late", 100_000)), return_exceptions=True)
    assert isinstance(new[0], Full), new
    assert await shelf.read(TEAM, lambda reader: sessions.last_number(reader, CHAT)) == said + 1
    await shelf.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
