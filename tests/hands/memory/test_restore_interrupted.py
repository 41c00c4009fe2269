"""Erasing a memory and restoring another in its place, cut off at each step: one of the two is there, and whole."""

import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from memory import keys
from memory.keys import Change
from memory.store import Store
from tests.hands.doubles import hand_module

memory_file = hand_module("memory", "memory_file")
memory_upkeep = hand_module("memory", "memory_upkeep")
CUT = 9


def opened(path: Path) -> Store:
    return Store(path, now=lambda: 1)


def there(path: Path) -> list[str]:
    """The keys of a memory."""
    store = opened(path)
    found = [one.key for one in keys.listed(store, "")]
    store.close()
    return found


def in_a_child(work: Callable[[], object]) -> int:
    """How a process of its own ended that did this, and then simply ended."""
    child = os.fork()
    if not child:
        try:
            _kept = work()  # what is let go of would close its file
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def left_by_a_killed_hand(path: Path) -> None:
    """A memory whose last write stands in its log alone."""

    def write() -> Store:
        store = opened(path)
        keys.change(store, "", [Change(key="old", value=b"\xc0")])
        return store

    path.parent.mkdir()
    assert in_a_child(write) == 0
    assert Path(f"{path}-wal").stat().st_size


def is_cut(work: Callable[[], object], step: int) -> bool:
    """Whether the work had so many steps; then it ended before the last of them was made."""

    def until() -> None:
        seen = 0

        def look(event: str, _: object) -> None:
            nonlocal seen
            seen += event in ("os.remove", "os.rename")
            if seen == step:
                os._exit(CUT)

        sys.addaudithook(look)
        work()

    status = in_a_child(until)
    assert status in (0, CUT)
    return status == CUT


def test_an_erasure_that_is_cut_off_leaves_all_of_a_memory_or_nothing(tmp_path: Path) -> None:
    for step in count(1):
        path = tmp_path / str(step) / "a.db"
        left_by_a_killed_hand(path)
        if not is_cut(partial(memory_file.remove, path), step):
            assert step > 2
            assert os.listdir(path.parent) == []
            return
        was_there = path.exists()
        assert there(path) == (["old"] if was_there else []), step


def test_a_restore_that_is_cut_off_leaves_what_was_there_or_what_was_to_come(tmp_path: Path) -> None:
    for step in count(1):
        path, coming = tmp_path / str(step) / "a.db", tmp_path / f"coming-{step}"
        left_by_a_killed_hand(path)
        store = opened(coming)
        keys.change(store, "", [Change(key="new", value=b"\xc0")])
        store.close()
        if not is_cut(partial(memory_upkeep._replace, coming, path), step):
            assert step > 1
            assert there(path) == ["new"]
            return
        assert there(path) == ["old"], step


def test_a_damaged_memory_can_be_replaced_and_erased(tmp_path: Path) -> None:
    path, coming = tmp_path / "folder" / "a.db", tmp_path / "coming"
    left_by_a_killed_hand(path)
    path.write_bytes(b"no database at all" * 1_000)
    store = opened(coming)
    store.close()
    memory_upkeep._replace(coming, path)
    assert there(path) == []
    path.write_bytes(b"no database at all" * 1_000)
    memory_file.remove(path)
    assert os.listdir(path.parent) == []
