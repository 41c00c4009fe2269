"""What is forgotten, deleted or erased is gone from the disk as well: from the file, and from the log beside it."""

from collections.abc import Callable

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


def test_the_terms_of_a_conversation_that_is_erased_go_with_it(store: Store) -> None:
    erase = _session(store)
    sessions.append(store, "t", [Said(role="user", text="What opens the vault?")])
    erase()
    assert _on_disk(store, SECRET) == []
    assert [one.text for one in sessions.search(store, "t", "vault")] == ["What opens the vault?"]
