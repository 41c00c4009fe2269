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
        session_lines.take_in(store, CHAT, [HEAD, *lines])
    with pytest.raises(Absent):
        sessions.read(store, CHAT)


def test_a_conversation_of_many_summaries_is_read_in_little_time(store: Store) -> None:
    many = 20_000
    lines = [HEAD, branch_line("main", None), *(MESSAGE % (n + 1) for n in range(many))]
    session_lines.take_in(store, CHAT, [*lines, *(summary_line(n + 1, n + 1, f"s{n}") for n in range(many))])
    began = time.monotonic()
    found, cut = compacting.compacted(store, CHAT, room=10_000)
    assert time.monotonic() - began < 2
    assert cut
    assert [one.text for one in found][-2:] == [f"s{many - 2}", f"s{many - 1}"]


def test_messages_between_summaries_are_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [HEAD, branch_line("main", None), *(MESSAGE % (n + 1) for n in range(1_000))]
    session_lines.take_in(store, CHAT, [*lines, *(summary_line(n + 1, n + 1, "s") for n in range(0, 1_000, 2))])
    read, made = list[object](), sessions.message_of

    def counted(row: Row) -> Message:
        read.append(row)
        return made(row)

    monkeypatch.setattr(sessions, "message_of", counted)
    found, cut = compacting.compacted(store, CHAT, most=600)
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
