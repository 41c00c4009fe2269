"""What bounds a conversation: of branches, summaries and messages no more than a call could make, or a reply can hold."""

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import compacting, session_lines, sessions
from memory.errors import Absent, Invalid
from memory.sessions import Message
from memory.store import Row, Store
from tests.memory.test_sessions import CHAT, NOW, say


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "one.db", now=lambda: NOW)
    yield opened
    opened.close()


def branch_line(name: str, parent: str | None, at: int = 0) -> bytes:
    told = f'"{parent}"' if parent else "null"
    return f'{{"branch":"{name}","parent":{told},"forked":{at},"labels":[],"created":1}}'.encode()


def summary_line(first: int, last: int, text: str) -> bytes:
    return f'{{"branch":"main","first":{first},"last":{last},"text":"{text}","labels":[],"at":1}}'.encode()


HEAD, MESSAGE = b'{"format":"maniple-session/1"}', b'{"seq":%d,"role":"user","text":"x","extra":{},"labels":[],"at":1}'


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([branch_line("main", None), branch_line("Not a name", "main")], "line 3: a branch's name is"),
        (
            [branch_line("main", None), *(branch_line(f"b{n}", "main") for n in range(1_000))],
            "line 1002: .*1000 branch",
        ),
        (
            [branch_line("main", None), *(branch_line(f"b{n}", f"b{n - 1}" if n else "main") for n in range(40))],
            "line 34: .*32 out of each other",
        ),
        ([branch_line("main", None), MESSAGE % 1, summary_line(1, 1, "x" * 300_000)], "line 4: a summary is"),
    ],
)
def test_an_import_makes_nothing_that_no_call_could_make(store: Store, lines: list[bytes], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        session_lines.import_session(store, CHAT, [HEAD, *lines])
    with pytest.raises(Absent):
        sessions.read(store, CHAT)


@pytest.mark.wide
def test_a_conversation_of_many_summaries_is_read_in_little_time(store: Store) -> None:
    many = 20_000
    lines = [HEAD, branch_line("main", None), *(MESSAGE % (n + 1) for n in range(many))]
    session_lines.import_session(store, CHAT, [*lines, *(summary_line(n + 1, n + 1, f"s{n}") for n in range(many))])
    began = time.monotonic()
    found, cut = compacting.read_compacted(store, CHAT, room=10_000)
    assert time.monotonic() - began < 2
    assert cut
    assert [one.text for one in found][-2:] == [f"s{many - 2}", f"s{many - 1}"]


@pytest.mark.parametrize(("said", "letters"), [("a b " * 225_000, "ab"), ("的" * 300_000 + "日 本", "日本")])
def test_a_word_that_is_searched_for_many_times_is_looked_for_once(store: Store, said: str, letters: str) -> None:
    for _ in range(8):
        say(store, said)
    many = " ".join(letters[number % 2] for number in range(500))
    began = time.thread_time()
    found = sessions.search(store, CHAT, many)
    assert time.thread_time() - began < 0.15
    assert found == sessions.search(store, CHAT, f"{letters[1]} {letters[0]}")


def test_words_that_the_index_takes_for_the_same_are_one(store: Store) -> None:
    say(store, "É e")
    assert len(sessions.search(store, CHAT, "e E é e\u0301 è " * 80)) == 1
    say(store, "日 A")
    assert [len(sessions.search(store, CHAT, text)) for text in ("日 A A", "日 A a", "日 a")] == [1, 0, 0]


@pytest.mark.parametrize(("one", "other"), [("мои", "мой"), ("еж", "ёж"), ("η", "ή"), ("ᲐᲑ", "აბ")])
def test_words_that_the_index_tells_apart_are_two(store: Store, one: str, other: str) -> None:
    say(store, one)
    say(store, other)
    assert [sessions.search(store, CHAT, text) for text in (f"{one} {other}", f"{other} {one}")] == [[], []]
    say(store, f"{one} {other}")
    assert len(sessions.search(store, CHAT, f"{one} {other}")) == 1


@pytest.mark.parametrize("first", [ord("a"), 0x4E00])
def test_a_search_is_of_so_many_words(store: Store, first: int) -> None:
    words = [chr(first) + chr(first + number % 20) * (1 + number // 20) for number in range(sessions.WORDS_MAX + 1)]
    say(store, " ".join(words))
    assert len(sessions.search(store, CHAT, " ".join(words[1:]))) == 1
    with pytest.raises(Invalid, match="at most 64 different words"):
        sessions.search(store, CHAT, " ".join(words))


def test_messages_between_summaries_are_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [HEAD, branch_line("main", None), *(MESSAGE % (n + 1) for n in range(1_000))]
    session_lines.import_session(store, CHAT, [*lines, *(summary_line(n + 1, n + 1, "s") for n in range(0, 1_000, 2))])
    read, made = list[object](), sessions.message_of

    def counted(row: Row) -> Message:
        read.append(row)
        return made(row)

    monkeypatch.setattr(sessions, "message_of", counted)
    found, cut = compacting.read_compacted(store, CHAT, most=600)
    assert ([len(found), len(read)], cut) == ([1_000, 500], False)
    assert [getattr(one, "seq", None) or one.first for one in found] == [*range(1, 1_001)]  # type: ignore[union-attr]  # a summary


def test_of_messages_that_fill_a_reply_no_more_are_read_than_it_holds(store: Store) -> None:
    count, size = 60, 1_000_000
    for number in range(count):
        say(store, f"word {number} " + "x" * size)
    tracemalloc.start()
    for found in (
        sessions.read(store, CHAT, after=0, most=1_000),
        sessions.search(store, CHAT, "word", most=1_000),
        sessions.search(store, CHAT, "😀 ", most=1_000) or sessions.search(store, CHAT, "_", most=1_000),
        sessions.read(store, CHAT, most=1_000),
    ):
        assert len(found) <= 2
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12 * size
    assert [one.seq for one in sessions.search(store, CHAT, "word", most=1_000)] == [count, count - 1]
