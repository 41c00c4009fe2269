"""Verify and mend: every kind of fault is found, mended from the rows, and none is found where there is none."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

import apsw
import msgspec
import pytest

from memory import upkeep, vectors
from memory.arrays import np
from memory.checking import mend, reindex, verify
from memory.consolidation import consolidate
from memory.errors import Damaged, StoreError
from memory.fragments import New, add, listed
from memory.nearness import Meaning
from memory.recall import Question, recall
from memory.store import Store
from tests.memory.clock import Clock
from tests.spread import spread

SQLITE_PAGE: Final = 4_096


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "one.db", now=Clock())
    model = vectors.register(opened, "m/1", 8)
    for number in range(6):
        add(opened, "s" if number % 2 else "", New(text=f"tea number {number}"))
    waiting = vectors.waiting(opened, model, 4)
    rows = np.random.default_rng(1).standard_normal((len(waiting), 8)).astype(np.float32)
    vectors.keep(opened, model, [one.chunk for one in waiting], rows)
    yield opened
    opened.close()


DAMAGE = {
    "live fragments that no index has": "DELETE FROM chunks WHERE id = (SELECT min(id) FROM chunks)",
    "fragments in the indexes that are not live": "UPDATE fragments SET state = 'archived' WHERE text LIKE '%5'",
    "the index has in another space": "UPDATE chunks SET id = id + 4294967296 WHERE id = (SELECT max(id) FROM chunks)",
    "the index has another number": "DELETE FROM words WHERE rowid = (SELECT max(id) FROM chunks)",
    "words in the index that are no chunk's": "INSERT INTO words (rowid, terms) VALUES (99, '1xtea')",
    "whose counts are not": "UPDATE spaces SET indexed = indexed + 1 WHERE name = 's'",
    "no vector and wait for none": "DELETE FROM unembedded",
    "vectors that are no chunk's": "UPDATE vectors SET chunk = 77 WHERE chunk = (SELECT max(chunk) FROM vectors)",
    "whose length is not": "UPDATE vectors SET vector = x'00' WHERE chunk = (SELECT max(chunk) FROM vectors)",
    "not of length 1": "UPDATE vectors SET vector = zeroblob(length(vector)) WHERE chunk = (SELECT max(chunk) FROM vectors)",
    "no chunk can lie in": "INSERT INTO blocks VALUES (1, 9223372036854775807, x'', x'')",
    "give a number again": "UPDATE spaces SET fragments = 0, chunks = 0",
    "blocks of signs": "UPDATE blocks SET signs = zeroblob(length(signs))",
}


def test_a_whole_store_has_no_faults(store: Store) -> None:
    assert verify(store) == ()
    assert mend(store) == ()


@pytest.mark.parametrize("what", DAMAGE)
def test_each_fault_is_found_and_mended(store: Store, what: str) -> None:
    store.connection.execute("PRAGMA foreign_keys = OFF")
    store.rows(DAMAGE[what])
    assert any(what in fault.what for fault in verify(store))
    assert any(what in fault.what for fault in mend(store))
    assert verify(store) == ()
    for space, most in (("", 3), ("s", 3)):
        live = [one.number for one in listed(store, space)]
        found = [one.fragment.number for one in recall(store, space, Question(text="tea")).found]
        assert sorted(found) == live
        assert len(live) <= most


def steps_of_a_check(path: Path, texts: int) -> int:
    """How many hundreds of SQLite's steps it takes to check so many texts."""
    opened = Store(path, now=Clock())
    with opened.write():
        for number in range(texts):
            add(opened, "", New(text=f"tea number {number}"))
    steps = count()
    opened.connection.set_progress_handler(lambda: next(steps) < 0, 100)
    assert mend(opened) == ()
    opened.connection.set_progress_handler(None)
    opened.close()
    return next(steps)


def test_four_times_as_many_texts_take_four_times_the_work(tmp_path: Path) -> None:
    few, many = (steps_of_a_check(tmp_path / f"{texts}.db", texts) for texts in (500, 2_000))
    assert many < 6 * few, (few, many)


def test_a_missing_block_is_made_again(store: Store) -> None:
    store.rows("DELETE FROM blocks")
    assert [fault.what for fault in mend(store)] == ["blocks of signs that are not those of their vectors"]
    assert verify(store) == ()


def test_indexing_anew_finds_the_same_and_waits_for_vectors(store: Store) -> None:
    before = recall(store, "", Question(text="tea number 2"))
    assert reindex(store) == 6
    assert verify(store) == ()
    after = recall(store, "", Question(text="tea number 2"))
    assert [one.fragment for one in after.found] == [one.fragment for one in before.found]
    assert len(vectors.waiting(store, vectors.register(store, "m/1", 8), 1_000)) == 6


def test_a_torn_file_is_told(store: Store, tmp_path: Path) -> None:
    with store.write():
        for number in range(500):
            add(store, "", New(text=f"more {number} " + "word " * 50))
    store.close()
    path = tmp_path / "one.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = bytes(8192)
    path.write_bytes(content)
    torn = Store(path, now=Clock())
    assert any(not fault.mendable for fault in verify(torn))
    torn.close()


def damaged(content: bytes, random: Random) -> bytes:
    """The bytes of a file with some of them changed, in one of the ways in which a disk changes them."""
    changed = bytearray(content)
    at = random.randrange(16, len(content) - 512)
    match random.choice(("bit", "bytes", "sector", "page's head")):
        case "bit":
            changed[at] ^= 1 << random.randrange(8)
        case "bytes":
            changed[at : at + 16] = random.randbytes(16)
        case "sector":
            changed[at : at + 512] = bytes(512)
        case _:
            changed[at // SQLITE_PAGE * SQLITE_PAGE + random.randrange(60)] ^= random.randrange(1, 256)
    return bytes(changed)


@pytest.mark.wide
@pytest.mark.parametrize(("seed", "files"), spread([(43, 120), (22, 320)], 1))
def test_a_file_with_other_bytes_in_it_is_answered_from_or_is_damaged(
    store: Store, tmp_path: Path, seed: int, files: int
) -> None:
    """A reader meets there one of a memory's own errors, or what the Hand turns into one (memory_desk.as_failures)."""
    with store.write():
        for number in range(300):
            add(store, "", New(text=f"tea of {number % 7} leaves, cup {number}"))
    model = vectors.register(store, "m/1", 8)
    waiting = vectors.waiting(store, model, 1_000)
    rows = np.random.default_rng(2).standard_normal((len(waiting), 8)).astype(np.float32)
    vectors.keep(store, model, [one.chunk for one in waiting], rows)
    store.close()
    content = (tmp_path / "one.db").read_bytes()
    meaning = Meaning(model="m/1", vector=np.eye(8, dtype=np.float32)[0])
    random, told = Random(seed), Counter[str]()
    for number in range(files):
        path = tmp_path / f"{number}.db"
        path.write_bytes(damaged(content, random))
        try:
            with closing(Store(path, now=Clock())) as opened, closing(opened.reader()) as reader, reader.moment():
                recall(reader, "", Question(text="tea leaves 3 cup"), meaning)
                listed(reader, "", most=1_000)
            told["answered"] += 1
        except (StoreError, msgspec.MsgspecError) as error:
            told[type(error).__name__] += 1
        path.unlink()
    assert told["answered"] > files / 4, told
    assert told["Damaged"] > files / 20, told


@pytest.mark.parametrize(
    "damage",
    [
        DAMAGE["words in the index that are no chunk's"],
        DAMAGE["whose length is not"],
        "UPDATE vectors SET vector = CAST(substr(vector, 1, 4) || x'ffff7f7f' || substr(vector, 9) AS BLOB)",
        "UPDATE blocks SET signs = substr(signs, 4)",
        "UPDATE blocks SET signs = substr(signs, 9)",
        "UPDATE blocks SET chunks = substr(chunks, 3)",
        "UPDATE vectors SET vector = CAST(x'0000007f' || substr(vector, 5) AS BLOB)",
        "DELETE FROM fragments WHERE id = (SELECT max(id) FROM fragments WHERE id < 2 * 4294967296)",
    ],
)
def test_what_no_index_can_say_is_no_answer_and_is_mended(store: Store, damage: str) -> None:
    store.connection.execute("PRAGMA foreign_keys = OFF")
    store.rows(damage)
    question, asked = Question(text="tea number", recency=0), np.eye(8, dtype=np.float32)[0]
    told = []
    for space in ("", "s"):
        try:
            recall(store, space, question, Meaning(model="m/1", vector=asked))
        except Damaged as damaged:
            told.append(str(damaged))
    assert any("maniple memory verify" in one for one in told), told
    assert mend(store)
    for space in ("", "s"):
        recall(store, space, question, Meaning(model="m/1", vector=asked))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE words_config SET v = 99 WHERE k = 'version'",
        "DROP TABLE words_data",
        "UPDATE sqlite_schema SET sql = replace(sql, 'fts5 (terms', 'fts9 (terms') WHERE name = 'words'",
        "UPDATE sqlite_schema SET sql = replace(sql, 'instance', 'instants') WHERE name = 'words_found'",
        "UPDATE sqlite_schema SET sql = replace(sql, 'importance', 'importants') WHERE name = 'fragments'",
        "PRAGMA user_version = 3",
    ],
)
def test_a_schema_that_is_no_longer_what_was_made_is_damage(store: Store, tmp_path: Path, damage: str) -> None:
    store.connection.execute("PRAGMA writable_schema = ON")
    store.connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    store.rows(damage)
    store.close()
    with (
        pytest.raises(Damaged, match="maniple memory verify"),
        closing(Store(tmp_path / "one.db", now=Clock())) as again,
    ):
        recall(again.reader(), "", Question(text="tea"))


def test_consolidation_of_a_fragment_in_a_space_that_is_gone_is_damage(store: Store) -> None:
    store.connection.execute("PRAGMA foreign_keys = OFF")
    store.rows("DELETE FROM spaces WHERE name = 's'")
    with pytest.raises(Damaged, match="maniple memory verify"):
        consolidate(store)


def test_what_refers_to_a_row_from_elsewhere_is_damage_to_whoever_erases_that_row(store: Store) -> None:
    store.connection.execute("PRAGMA foreign_keys = OFF")
    store.rows("INSERT INTO chunks SELECT 77 * 4294967296, max(id), 1, 0, 0 FROM fragments")
    store.connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(Damaged, match="maniple memory verify"):
        for space in ("", "s"):
            upkeep.erase(store, space)
    assert not upkeep.check(store).problems
    for space in ("", "s"):
        upkeep.erase(store, space)
