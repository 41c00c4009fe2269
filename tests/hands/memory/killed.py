"""A shelf that is killed at instants chosen by a seed, again and again; run by test_killed.py as a process of its own.

`python -m tests.hands.memory.killed FOLDER SEED TIMES`: forks a child that writes into three memories and tells each write
when it has returned, kills it, and looks at the files: what was told is there, indexes agree with rows, no number is missing.
Ends with 0 when all held, and says how many writes were told of.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from memory import graph, keys, sessions, upkeep
from memory.graph import Ref
from memory.keys import Change
from memory.sessions import Said
from memory.store import Store
from tests.hands.doubles import hand_module

OWNERS = ("own/h-4kz8w1m3q0v7x2ab", "shared/team", "shared/other")
CHAT = "session/bot/mail/-/ada"
PARTS = ("key", "said", "entity")


def count(store: Store, part: str) -> int:
    """How often a part was written."""
    if part == "key":
        found = keys.listed(store, "", "n")
        return found[0].version if found else 0
    if part == "said":
        return sessions.last_number(store, CHAT) if upkeep.totals(store, CHAT)["branches"] else 0
    return upkeep.totals(store, "")["entities"]


def write(store: Store, part: str) -> int:
    """Write a part once more; how often it was then."""
    number = count(store, part) + 1
    if part == "key":
        keys.change(store, "", [Change(key="n", value=b"\xcd" + number.to_bytes(2, "big"), version=number - 1)])
        keys.change(store, "", [Change(key=f"once {number}", value=b"\xc4\xff" + bytes(255))])
    elif part == "said":
        sessions.append(store, CHAT, [Said(role="user", text=f"word{number} said")], expect=number - 1)
    else:
        graph.put(store, "", "person", f"name {number}")
        graph.relate(store, "", Ref(number=number), "follows", Ref(name=f"name {max(1, number - 1)}"), said="test")
    return number


async def work(folder: Path, tell: int) -> None:
    """Write for ever, and tell of each write that has returned."""
    shelf: Any = hand_module("memory", "memory_shelf").Shelf(folder, now=lambda: 1, quota=1 << 30, open_most=2)

    async def one(owner: str, part: str) -> None:
        while True:
            number = await shelf.write(owner, lambda store: write(store, part))
            os.write(tell, f"{OWNERS.index(owner)} {part} {number}\n".encode())

    async with asyncio.TaskGroup() as group:
        for owner in OWNERS:
            for part in PARTS:
                group.create_task(one(owner, part))


def look(folder: Path, told: dict[tuple[str, str], int]) -> None:
    """Everything that was told of is there, and everything fits."""
    for owner in OWNERS:
        path = folder / f"{owner}.db"
        if not path.exists():
            assert not any(number for (of, _), number in told.items() if of == owner), owner
            continue
        store = Store(path, now=lambda: 1)
        found = upkeep.check(store)
        assert (found.problems, found.mended) == ((), ()), (owner, found)
        for part in PARTS:
            number = count(store, part)
            assert told.get((owner, part), 0) <= number, (owner, part)
        last = count(store, "key")
        assert len(keys.listed(store, "", "once ", most=1_000)) == min(last, 1_000)
        if said := count(store, "said"):
            assert [one.text for one in sessions.read(store, CHAT, most=50)][-1] == f"word{said} said"
            assert [one.seq for one in sessions.search(store, CHAT, f"word{said}")] == [said]
        store.close()


def kill_once(folder: Path, chance: random.Random, told: dict[tuple[str, str], int]) -> None:
    """One life of the writer, and its end."""
    hear, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(hear)
        try:
            asyncio.run(work(folder, tell))
        finally:
            os._exit(1)
    os.close(tell)
    heard = os.read(hear, 1 << 16)
    assert heard, "the writer ended by itself"
    time.sleep(chance.uniform(0, 0.04))
    os.kill(child, signal.SIGKILL)
    while piece := os.read(hear, 1 << 16):
        heard += piece
    os.close(hear)
    os.waitpid(child, 0)
    for line in heard.decode().splitlines():
        owner, part, number = line.split()
        told[OWNERS[int(owner)], part] = int(number)


def main(folder: Path, seed: int, times: int) -> None:
    """Kill it so many times."""
    chance = random.Random(seed)
    told: dict[tuple[str, str], int] = {}
    for number in range(1, times + 1):
        kill_once(folder, chance, told)
        if number % 5 == 0:  # between two looks the next writer opens what the last one left
            look(folder, told)
    print(f"{times} kills, {sum(told.values())} writes told of")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
