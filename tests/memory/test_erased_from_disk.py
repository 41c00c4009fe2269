"""What is forgotten, deleted or erased is gone from the disk as well: from the file, and from the log beside it."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from memory import fragments, keys, sessions, upkeep
from memory.fragments import New
from memory.keys import Change
from memory.sessions import Said
from memory.store import Store

SECRET = b"zanzibarquux"
TEXT = f"The word that opens the vault is {SECRET.decode()}; tell nobody"
LONG = f"{TEXT}. " * 1_500
"""Of many pages, which come free as a whole."""


def _text(store: Store) -> Callable[[], None]:
    number = fragments.add(store, "", New(text=LONG, source=TEXT, metadata={"of": TEXT})).number
    return lambda: fragments.forget(store, "", number)


def _key(store: Store) -> Callable[[], None]:
    keys.change(store, "", [Change(key=SECRET.decode(), value=LONG.encode())])

    def delete() -> None:
        keys.change(store, "", [Change(key=SECRET.decode(), value=None)])

    return delete


def _session(store: Store) -> Callable[[], None]:
    sessions.append(store, "s", [Said(role="user", text=LONG)])
    return lambda: upkeep.erase(store, "s")


def _on_disk(store: Store, what: bytes) -> list[str]:
    return sorted(one.name for one in store.path.parent.iterdir() if what in one.read_bytes())


@pytest.mark.parametrize("put", [_text, _key, _session])
def test_nothing_of_what_is_forgotten_lies_on_the_disk_any_more(
    put: Callable[[Store], Callable[[], None]], store: Store
) -> None:
    for number in range(50):
        fragments.add(store, "", New(text=f"Another text, number {number}, of the vault and of nobody."))
    forget = put(store)
    assert _on_disk(store, TEXT.encode()) == ["one.db-wal"]
    store.connection.wal_checkpoint()
    forget()
    assert _on_disk(store, TEXT.encode()) == []
    upkeep.reindex(store)
    store.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    assert _on_disk(store, SECRET) == [], "nor in an index of words, where its terms may lie until then"


def test_what_is_forgotten_while_somebody_reads_is_gone_with_the_first_write_after_that(store: Store) -> None:
    forget, reader = _text(store), store.reader()
    with reader.moment():
        reader.rows("SELECT count(*) FROM fragments")
        forget()
        assert _on_disk(store, TEXT.encode())
    reader.close()
    fragments.add(store, "", New(text="One more."))
    assert _on_disk(store, TEXT.encode()) == []


def test_what_is_forgotten_while_its_writer_reads_is_gone_with_the_next_write(store: Store) -> None:
    forget = _text(store)
    rows = store.each("SELECT name FROM sqlite_schema")
    next(rows)
    forget()
    assert list(rows)
    assert _on_disk(store, TEXT.encode())
    fragments.add(store, "", New(text="One more."))
    assert _on_disk(store, TEXT.encode()) == []


def test_what_was_forgotten_when_its_process_was_killed_is_gone_with_the_first_write_of_the_next(
    store: Store, tmp_path: Path
) -> None:
    forget, reader = _text(store), store.reader()
    with reader.moment():
        reader.rows("SELECT count(*) FROM fragments")
        forget()
        left = shutil.copytree(store.path.parent, tmp_path / "left")
    reader.close()
    (left / "one.db-shm").unlink()
    after = Store(left / "one.db", now=store.now)
    try:
        assert _on_disk(after, TEXT.encode()) == ["one.db-wal"]
        fragments.add(after, "", New(text="One more."))
        assert _on_disk(after, TEXT.encode()) == []
    finally:
        after.close()


@pytest.mark.parametrize("others", [1, 400], ids=["much of what was said", "little of it"])
def test_the_terms_of_a_conversation_that_is_erased_go_with_it(others: int, store: Store) -> None:
    sessions.append(store, "s", [Said(role="user", text=TEXT)])
    sessions.append(store, "t", [Said(role="user", text=f"What is number {number}?") for number in range(others)])
    sessions.append(store, "t", [Said(role="user", text="What opens the vault?")])
    upkeep.erase(store, "s")
    assert _on_disk(store, SECRET) == []
    assert [one.text for one in sessions.search(store, "t", "vault")] == ["What opens the vault?"]


def test_a_long_conversation_is_erased_in_little_time(store: Store) -> None:
    words = [f"word{number}" for number in range(20_000)]
    told = random.Random(1)
    texts = [" ".join(told.choices(words, k=1_000)) for _ in range(200)]
    for start in range(0, 200, 50):
        sessions.append(store, "s", [Said(role="user", text=text) for text in texts[start : start + 50]])
    before = time.process_time()
    upkeep.erase(store, "s")
    assert time.process_time() - before < 2, "each of its words was looked for by itself"


def test_a_conversation_is_erased_also_where_the_quota_has_no_room_for_a_second_index(store: Store) -> None:
    for name, count in (("t", 1_000), ("s", 50)):
        texts = [" ".join(f"{name}{number}x{word}" for word in range(30)) for number in range(count)]
        sessions.append(store, name, [Said(role="user", text=text) for text in texts])
    store.connection.pragma("max_page_count", store.connection.pragma("page_count"))
    upkeep.erase(store, "s")
    assert _on_disk(store, b"s49x2") == []
    assert [one.text[:6] for one in sessions.search(store, "t", "t999x29")] == ["t999x0"]
