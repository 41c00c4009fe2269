"""A memory's schema: what its migrations make, files of every earlier version, and openings that fail whole."""

import re
from pathlib import Path

import apsw
import pytest

import memory.store
from memory import keys, sessions, upkeep
from memory.errors import Damaged, StoreError
from memory.keys import Change
from memory.parts import Findings
from memory.schema import FOLDER, migrations
from memory.sessions import Said
from memory.store import APPLICATION, Store

SCHEMA = FOLDER.parent / "sql" / "schema.sql"


def made_by(*scripts: str) -> set[tuple[str, str, str]]:
    """Everything a script makes, without comments and spaces."""
    connection = apsw.Connection(":memory:")
    for script in scripts:
        connection.execute(script)
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema").fetchall()
    return {(str(kind), str(name), re.sub(r"--[^\n]*|\s+", "", str(sql))) for kind, name, sql in rows}


def test_the_schema_is_what_the_migrations_make() -> None:
    assert made_by(*migrations()) == made_by(SCHEMA.read_text())


@pytest.mark.parametrize("version", range(len(migrations()) + 1))
def test_a_file_of_every_earlier_version_opens_as_todays(tmp_path: Path, version: int) -> None:
    path = tmp_path / "old.db"
    with apsw.Connection(str(path)) as connection:
        for step in migrations()[:version]:
            connection.execute(step)
        if version:
            connection.pragma("application_id", APPLICATION)
        connection.pragma("user_version", version)
    connection.close()
    store = Store(path, now=lambda: 1)
    assert store.connection.pragma("user_version") == len(migrations())
    assert {row[0] for row in store.rows("SELECT name FROM sqlite_schema")} == {
        name for _, name, _ in made_by(*migrations())
    }
    store.close()


@pytest.mark.parametrize(
    "more",
    [
        "CREATE TRIGGER spy BEFORE UPDATE ON messages BEGIN DELETE FROM keys; END",
        "CREATE VIEW spies AS WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up) SELECT n FROM up",
        "CREATE INDEX spy ON messages (text) WHERE length(hex(text)) > 9",
        "ALTER TABLE messages ADD COLUMN spy TEXT GENERATED ALWAYS AS (hex(text))",
        "PRAGMA user_version = -1",
        "PRAGMA user_version = 99",
    ],
)
def test_nothing_of_a_copy_with_another_schema_is_run_not_even_a_migration(tmp_path: Path, more: str) -> None:
    path = tmp_path / "old.db"
    for extra in ("", more):
        path.unlink(missing_ok=True)
        with apsw.Connection(str(path)) as connection:
            for step in migrations()[:7]:
                connection.execute(step)
            connection.execute("INSERT INTO keys VALUES ('', 'kept', x'c0', '[]', 3, 1, 1, NULL)")
            connection.execute("INSERT INTO sessions (space, created) VALUES ('chat', 1)")
            connection.execute("INSERT INTO branches VALUES (1, 'main', NULL, 0, 1, '[]', 1, 1)")
            connection.execute("INSERT INTO messages VALUES (1, 1, 'main', 1, 'user', 'Hello', '{}', '[]', 1)")
            connection.pragma("application_id", APPLICATION)
            connection.pragma("user_version", 7)
            connection.execute(extra)
        connection.close()
        before = path.read_bytes()
        if not extra:
            upkeep.check_copy(path, lambda: 1)
            continue
        with pytest.raises(Damaged):
            upkeep.check_copy(path, lambda: 1)
        assert path.read_bytes() == before


def test_no_key_of_an_earlier_file_gets_a_version_that_it_may_have_had(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with apsw.Connection(str(path)) as connection:
        for step in migrations()[:4]:
            connection.execute(step)
        connection.execute("INSERT INTO keys VALUES ('chat', 'kept', x'c0', '[]', 3, 1, 1, NULL)")
        connection.pragma("application_id", APPLICATION)
        connection.pragma("user_version", 4)
    connection.close()
    store = Store(path, now=lambda: 1)
    kept, gone = keys.change(store, "chat", [Change(key=key, value=b"\xc0") for key in ("kept", "gone")])
    assert kept == 4
    assert gone > 1 << 32
    assert keys.change(store, "new", [Change(key="a", value=b"\xc0")]) == (1,)
    store.close()


def test_conversations_of_an_earlier_file_are_found_each_by_itself_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with apsw.Connection(str(path)) as connection:
        for step in migrations()[:7]:
            connection.execute(step)
        for session, name in enumerate(("ada", "bob"), 1):
            connection.execute("INSERT INTO sessions VALUES (?, ?, 1)", (session, name))
            connection.execute("INSERT INTO branches VALUES (?, 'main', NULL, 0, 2, '[]', 1, 0)", (session,))
        for row, (session, seq) in enumerate([(1, 1), (2, 1), (2, 2), (1, 2)], 1):
            said = (row, session, seq, f"word {session} {seq}")
            connection.execute("INSERT INTO messages VALUES (?, ?, 'main', ?, 'user', ?, '{}', '[]', 1)", said)
        connection.pragma("application_id", APPLICATION)
        connection.pragma("user_version", 7)
    connection.close()
    store = Store(path, now=lambda: 1)
    assert sessions.append(store, "ada", [Said(role="user", text="word, the last")]) == 3
    assert [one.text for one in sessions.search(store, "ada", "word")] == ["word, the last", "word 1 2", "word 1 1"]
    assert [one.text for one in sessions.search(store, "bob", "word")] == ["word 2 2", "word 2 1"]
    assert upkeep.check(store) == Findings()
    upkeep.erase(store, "ada")
    assert [one.seq for one in sessions.search(store, "bob", "word")] == [2, 1]
    assert upkeep.check(store) == Findings()
    store.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    Store(path, now=lambda: 1).close()
    broken = (*migrations(), "CREATE TABLE late (a TEXT) STRICT; INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(memory.store, "migrations", lambda: broken)  # the next version's, which nobody has written yet
    with pytest.raises(Damaged, match="nowhere"):
        Store(path, now=lambda: 1)
    monkeypatch.undo()
    store = Store(path, now=lambda: 1)
    assert store.connection.pragma("user_version") == len(migrations())
    assert not store.rows("SELECT 1 FROM sqlite_schema WHERE name = 'late'")
    store.close()


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    store = Store(path, now=lambda: 1)
    store.connection.pragma("user_version", 9_999)
    store.close()
    before = path.read_bytes()
    with pytest.raises(Damaged, match="install a newer one"):
        Store(path, now=lambda: 1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 100, b"\0" * 4096])
def test_what_is_no_memory_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.db"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        Store(path, now=lambda: 1)
    assert path.read_bytes() == content


def test_every_commit_is_synced_and_readers_write_nothing(tmp_path: Path) -> None:
    """A kill leaves what the system holds, so only the setting itself tells what a power cut would."""
    store = Store(tmp_path / "one.db", now=lambda: 1)
    reader = store.reader()
    for connection in (store.connection, reader.connection):
        assert (connection.pragma("synchronous"), connection.pragma("journal_mode")) == (2, "wal")
    with pytest.raises(apsw.ReadOnlyError):
        reader.connection.execute("DELETE FROM keys")
    reader.close()
    store.close()


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with pytest.raises(Damaged, match="some other program's"):
        Store(path, now=lambda: 1)
    assert apsw.Connection(str(path)).execute("SELECT name FROM sqlite_schema").get == "theirs"
