"""Vectors where a memory has no room for them: those of an earlier model give way, and what was made is not made again."""

import time
from pathlib import Path
from typing import Any

import pytest

from memory import fragments, keys, vectors
from memory.arrays import np
from memory.embedders import best
from memory.errors import Full
from memory.fragments import New
from memory.keys import Change
from memory.store import Store
from tests.hands.doubles import hand_module
from tests.hands.memory.conftest import OWN, Desk
from tests.hands.memory.test_recall import _vectors

TEXTS = 60
WIDE = 4_096
"""Numbers of a vector of the earlier model: 16 KiB each."""

ROOM = 48 << 10
"""Bytes below the quota that are left, which some vectors of today's model fill."""

TODAY = best().name


def filled(folder: Path, earlier: str = "", *, size: int = 0) -> int:
    """Make a memory of texts, with vectors of an earlier model if one is named, and about so large: its size."""
    path = folder / "state" / f"{OWN}.db"
    path.parent.mkdir(parents=True)
    store = Store(path, now=lambda: time.time_ns() // 1_000)
    for number in range(TEXTS):
        fragments.add(store, "", New(text=f"The bakery opens at eight, and number {number} is next."))
    if earlier:
        model = vectors.register(store, earlier, WIDE)
        waiting = [one.chunk for one in vectors.waiting(store, model, TEXTS)]
        vectors.keep(store, model, waiting, np.eye(WIDE, dtype=np.float32)[:TEXTS])
    if size:
        store.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        keys.change(store, "", [Change(key="large", value=bytes(size - path.stat().st_size))])
    store.close()
    return path.stat().st_size


def noted_full(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[Full]:
    """Each time that a write in the background finds no room."""
    write, found = desk.hand.shelf.write_if_there, list[Full]()

    async def noted(*given: Any, **more: Any) -> object:
        try:
            return await write(*given, **more)
        except Full as full:
            found.append(full)
            raise

    monkeypatch.setattr(desk.hand.shelf, "write_if_there", noted)
    return found


@pytest.mark.wide
def test_vectors_of_an_earlier_model_give_way_where_the_quota_has_no_room_for_todays(tmp_path: Path) -> None:
    desk = Desk(tmp_path, quota=filled(tmp_path, "another/1") + ROOM)
    desk.call("recall", text="bakery")
    desk.until(lambda: _vectors(tmp_path, TODAY) == TEXTS, "the vectors of today's model")
    assert _vectors(tmp_path, "another/1") < TEXTS
    assert desk.call("store", text="There is room for another one.")
    assert desk.is_whole()
    desk.stop()


@pytest.mark.wide
def test_where_there_is_room_those_of_an_earlier_model_stay_for_a_way_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path, quota=4 * filled(tmp_path, "another/1"))
    desk.call("recall", text="bakery")
    desk.until(lambda: _vectors(tmp_path, TODAY) == TEXTS, "the vectors of today's model")
    assert _vectors(tmp_path, "another/1") == TEXTS
    desk.stop()


@pytest.mark.wide
def test_vectors_for_which_there_is_no_room_are_kept_when_there_is_and_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("memory", "memory_embedding"), "AGAIN_S", 0.05)
    here, made = hand_module("memory", "memory_makers").LocalMaker, list[str]()
    texts = here.texts

    async def noted(this: Any, asked: list[str], labels: frozenset[str]) -> object:
        made.extend(asked)
        return await texts(this, asked, labels)

    monkeypatch.setattr(here, "texts", noted)
    desk = Desk(tmp_path, quota=filled(tmp_path, size=1 << 20) + ROOM)
    full = noted_full(desk, monkeypatch)
    desk.until(lambda: len(full) > 2, "no room for some, again and again")
    assert 0 < desk.call("stats")["waiting"] < TEXTS
    desk.hand.shelf.quota = 64 << 20
    desk.until(lambda: desk.call("stats")["waiting"] == 0, "the others, though nobody asks for anything")
    assert len(made) == len(set(made)) == TEXTS, "some were made twice"
    desk.stop()
