"""Looking after a file: what is torn is found, a copy is whole, erasing takes one space and no other."""

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from memory import compacting, fragments, graph, keys, sessions, upkeep, vectors
from memory.errors import Absent, Damaged, StoreError
from memory.fragments import New
from memory.graph import Ref
from memory.keys import Change
from memory.sessions import Said
from memory.store import Store
from tests.spread import spread

CHAT, OTHER = "session/bot/mail/-/ada", "session/bot/mail/-/bob"
PAGE = 4096
UNHEARD = """
DROP TRIGGER messages_said;
INSERT INTO messages (id, session, branch, seq, role, text, extra, labels, at)
VALUES (2 * 4294967296 - 51, 1, 'main', 51, 'user', 'unheard', '{}', '[]', 1);
UPDATE branches SET last = 51 WHERE session = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = filled(path)
    yield opened
    opened.close()


def filled(path: Path) -> Store:
    """Of three spaces that are filled alike."""
    path.write_bytes(_bytes_of_a_filled_one())
    return Store(path, now=lambda: 1)


@cache
def _bytes_of_a_filled_one() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "one.db")
        with closing(Store(path, now=lambda: 1)) as store, store.write():
            for space in ("", CHAT, OTHER):
                fill(store, space)
        return path.read_bytes()


def fill(store: Store, space: str) -> None:
    for number in range(50):
        keys.change(store, space, [Change(key=f"key {number}", value=b"\xc4\xc8" + bytes([65 + number]) * 200)])
        graph.put(store, space, "person", f"name {number}", properties={"n": number})
        sessions.append(store, space, [Said(role="user", text=f"word{number} " * 40)])
        fragments.add(store, space, New(text=f"fragment{number} " * 40, source="test"))
    model = vectors.register(store, "m/1", 8)
    waiting = vectors.waiting(store, model, 30)
    rows = np.eye(8, dtype=np.float32)[[one.chunk % 8 for one in waiting]]
    vectors.keep(store, model, [one.chunk for one in waiting], rows)
    graph.relate(store, space, Ref(name="name 1"), "knows", Ref(name="name 2"), said="test")


def test_a_whole_file_has_no_problem(store: Store) -> None:
    found = upkeep.check(store)
    assert (found.problems, found.mended) == ((), ())


def test_erasing_a_space_takes_all_of_it_and_nothing_of_another(store: Store, tmp_path: Path) -> None:
    before = upkeep.totals(store, OTHER)
    assert before == {
        "keys": 50, "value_bytes": 50 * 202, "entities": 50, "relations": 1, "messages": 50, "branches": 1,
        "fragments": 50, "characters": sum(len(f"fragment{number} " * 40) for number in range(50)),
        "history": 0, "waiting": 20,
    }  # fmt: skip
    upkeep.erase(store, CHAT)
    assert set(upkeep.totals(store, CHAT).values()) == {0}
    assert upkeep.totals(store, OTHER) == before == upkeep.totals(store, "")
    fresh = filled(tmp_path / "fresh.db")
    upkeep.erase(fresh, "")
    assert graph.put(fresh, "", "person", "new").number == 1
    assert upkeep.check(store).problems == ()
    fresh.close()


def test_no_row_of_an_erased_space_is_left_in_any_table(store: Store) -> None:
    for space in ("", CHAT, OTHER):
        upkeep.erase(store, space)
    tables = [
        str(row[0])
        for row in store.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'messages_words*'"
            " AND name NOT GLOB 'words_*' AND name <> 'models'"
        )
    ]
    assert "fragments" in tables
    assert all(store.rows(f"SELECT count(*) FROM {table}") == [(0,)] for table in tables)
    assert store.rows("SELECT count(*) FROM messages_words WHERE messages_words MATCH 'word1'") == [(0,)]


def test_a_copy_is_whole_and_has_what_was_there(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.touch()
    upkeep.copy(store.reader(), copy)
    keys.change(store, "", [Change(key="later", value=b"\xc0")])
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("copy")] == ["copy.db"]
    other = Store(copy, now=lambda: 1)
    assert upkeep.check(other).problems == ()
    assert upkeep.totals(other, CHAT) == upkeep.totals(store, CHAT)
    with pytest.raises(Absent):
        keys.get(other, "", "later")
    other.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM messages WHERE seq = 25 AND branch = 'main'",
        "DELETE FROM messages WHERE seq = 50",
        "UPDATE messages SET seq = 51 WHERE seq = 50",
        "UPDATE branches SET last = 60",
        "UPDATE messages SET id = seq WHERE session = 2",
        "INSERT INTO sessions VALUES (2147483647, 'far', 1)",
        "DELETE FROM branches",
        "DELETE FROM names WHERE folded = 'name 7'",
        "DELETE FROM evidence",
        "UPDATE keys SET value = x'c1' WHERE key = 'key 3'",
        "UPDATE entities SET properties = x'' WHERE number = 3",
        "PRAGMA foreign_keys = OFF; DELETE FROM sessions WHERE id = 1",
        "UPDATE entities SET space = 'elsewhere' WHERE name = 'name 1' AND space = ''",
    ],
)
def test_rows_that_do_not_fit_each_other_are_found(store: Store, damage: str) -> None:
    store.connection.execute(damage)
    assert upkeep.check(store).problems


NO_JSON = ("'nope'", "'{'", "'[1]'", "''", "CAST(x'edb3bf' AS TEXT)")
NO_TIME = ("-1", "253402300800000000", "-9223372036854775808")
NO_TEXT = ("CAST(x'edb3bf' AS TEXT)", "CAST(x'ff' AS TEXT)")
NO_NUMBER = ("-1", "9223372036854775807")
UNREADABLE = {
    NO_JSON: "keys.labels entities.labels evidence.labels branches.labels messages.labels messages.extra summaries.labels"
    " spaces.languages fragments.labels fragments.metadata",
    NO_TIME: "keys.created keys.changed keys.expires entities.created entities.changed relations.since relations.until"
    " relations.created relations.changed evidence.at sessions.created branches.created messages.at summaries.at"
    " fragments.time fragments.used fragments.created fragments.changed origins.time",
    NO_TEXT: "keys.key entities.type entities.name names.name names.type relations.kind evidence.said singles.kind"
    " sessions.space branches.name branches.parent messages.branch messages.role messages.text summaries.branch"
    " summaries.text fragments.kind fragments.text fragments.language origins.source origins.run models.name spaces.name",
    NO_NUMBER: "keys.version counters.last entities.number relations.number messages.seq spaces.fragments spaces.chunks"
    " chunks.terms chunks.start",
}


@pytest.mark.parametrize(
    ("column", "value"),
    spread([(one, bad) for bads, told in UNREADABLE.items() for one in told.split() for bad in bads], 57),
)
def test_a_row_that_nobody_could_read_is_found(small: Store, column: str, value: str) -> None:
    table, _, name = column.partition(".")
    small.connection.pragma("foreign_keys", False)
    rows = small.rows(f"SELECT count(*) FROM {table}")[0][0]
    assert rows, "there is none to be damaged"
    small.connection.execute(f"UPDATE OR IGNORE {table} SET {name} = {value}")
    assert upkeep.check(small).problems


@pytest.fixture
def small() -> Iterator[Store]:
    store = Store(Path(":memory:"), now=lambda: 1)
    keys.change(store, CHAT, [Change(key="a", value=b"\xc0", expires=9)])
    for name in ("Ada", "Bob"):
        graph.put(store, CHAT, "person", name)
    graph.relate(store, CHAT, Ref(name="Ada"), "knows", Ref(name="Bob"), said="x", since=1, until=2, single=True)
    sessions.append(store, CHAT, [Said(role="user", text="Hello")] * 2)
    sessions.fork(store, CHAT, "other", at=1)
    compacting.compact(store, CHAT, 1, 2, "Both.")
    fragments.add(store, CHAT, New(text="Hello", source="x", run="r", entry=1))
    vectors.register(store, "m/1", 8)
    yield store
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO messages_words (messages_words) VALUES ('delete-all')",
        "INSERT INTO messages_words (rowid, text) VALUES (9999, 'ghost')",
        "DELETE FROM counters",
        UNHEARD,
    ],
)
def test_an_index_that_disagrees_with_its_rows_is_made_anew(store: Store, damage: str) -> None:
    store.connection.execute(damage)
    found = upkeep.check(store)
    assert found.problems == ()
    assert len(found.mended) in (1, 6)
    assert upkeep.check(store).mended == ()
    assert [one.seq for one in sessions.search(store, CHAT, "word7")] == [8]
    assert graph.put(store, CHAT, "person", "new").number == 51


def test_torn_and_cut_files_are_found_at_whatever_page_they_are_torn(path: Path) -> None:
    """Every fourth page in one of three ways, and one after the other in all of them."""
    assert _missed(path, ways=1, step=4) == []


@pytest.mark.soak
def test_torn_and_cut_files_are_found_at_whatever_page_and_however_they_are_torn(path: Path) -> None:
    assert _missed(path, ways=3) == []


def _missed(path: Path, ways: int, step: int = 1) -> list[tuple[int, int]]:
    """Pages at which a tear was not found, and the sizes of their files; each is torn in so many of three ways."""
    filled(path).close()
    whole = path.read_bytes()
    pages = len(whole) // PAGE
    missed = []
    for number in range(0, pages, step):
        tears = (
            whole[: number * PAGE] + bytes(PAGE) + whole[(number + 1) * PAGE :],
            whole[: number * PAGE + 512] + bytes(PAGE - 512) + whole[(number + 1) * PAGE :],
            whole[: number * PAGE + 512],
        )
        for torn in [tears[(number + way) % 3] for way in range(ways)]:
            path.write_bytes(torn)
            try:
                store = Store(path, now=lambda: 1)
            except StoreError:
                continue
            found = upkeep.check(store)
            if not found.problems and not found.mended and torn != whole:
                missed.append((number, len(torn)))
            store.close()
    return missed


@pytest.mark.parametrize("raw", [b"", b"SQLite format 3\0" + bytes(84), b"x" * 5_000])
def test_a_file_that_does_not_begin_as_a_memory_is_not_opened_as_one(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    with pytest.raises(Damaged):
        upkeep.check_head(path)
    assert path.read_bytes() == raw
    path.unlink()
    filled(path).close()
    upkeep.check_head(path)


@pytest.mark.parametrize("missing", [1, 100, PAGE - 1, PAGE, 3 * PAGE + 7])
def test_a_file_that_ends_before_its_last_page_does_is_not_opened_as_a_memory(path: Path, missing: int) -> None:
    filled(path).close()
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(Damaged, match=f"it is cut off, {missing} bytes before its end"):
        upkeep.check_head(path)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM evidence",
        "CREATE TRIGGER spy AFTER INSERT ON keys BEGIN DELETE FROM entities; END",
        "CREATE VIEW more AS SELECT 1",
        "DROP INDEX relations_in",
        "DROP TRIGGER messages_gone; CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN SELECT 1; END",
    ],
)
def test_a_copy_that_is_not_whole_or_holds_more_is_not_taken_for_one(path: Path, change: str) -> None:
    store = filled(path)
    copy = path.with_name("copy.db")
    copy.touch()
    upkeep.copy(store, copy)
    upkeep.check_copy(copy, lambda: 1)
    store.connection.execute(change)
    copy.unlink()
    copy.touch()
    upkeep.copy(store, copy)
    store.close()
    with pytest.raises(Damaged):
        upkeep.check_copy(copy, lambda: 1)
