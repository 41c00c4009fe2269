"""Conversations: numbers without holes on each branch, search in one of them, summaries beside the originals, round trips."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import compacting, session_lines, sessions
from memory.compacting import Summary
from memory.errors import Absent, Conflict, Invalid
from memory.sessions import Said, Span
from memory.store import Reader, Store

NOW = 1_764_000_000_000_000
CHAT = "session/bot/mail/-/ada"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "one.db", now=lambda: NOW)
    yield opened
    opened.close()


def say(store: Store, *texts: str, space: str = CHAT, branch: str = "main", labels: Sequence[str] = ()) -> int:
    return sessions.append(
        store, space, [Said(role="user", text=text) for text in texts], branch=branch, labels=labels
    )  # fmt: skip


def texts(store: Store, branch: str = "main", space: str = CHAT, **more: int) -> list[str]:
    return [one.text for one in sessions.read(store, space, branch=branch, **more)]


def exported(store: Store, space: str = CHAT) -> bytes:
    """As the Hand does it, page by page."""
    found, last = session_lines.outline(store, space)
    out = [session_lines.head()]
    for one in found:
        out.append(session_lines.branch_line(one))
        after = one.forked
        while after < one.last:
            lines, after, _ = session_lines.message_lines(store, space, Span(one.name, after, one.last))
            out.append(lines)
    after = 0
    while after < last:
        lines, after, _ = session_lines.summary_lines(store, space, after, last)
        out.append(lines)
    raw = b"".join(out)
    return raw + session_lines.end_line(raw.count(b"\n"))


# messages and branches -----------------------------------------------------------------------------------------------


def test_messages_are_numbered_from_one_without_a_hole(store: Store) -> None:
    assert say(store, "a", "b") == 2
    assert say(store, "c", labels=("web",)) == 3
    found = sessions.read(store, CHAT)
    assert [(one.seq, one.text, one.at) for one in found] == [(1, "a", NOW), (2, "b", NOW), (3, "c", NOW)]
    assert found[2].labels == ("web",)


def test_who_answers_what_is_no_longer_the_last_is_told(store: Store) -> None:
    say(store, "a")
    sessions.append(store, CHAT, [Said(role="bot", text="b")], expect=1)
    with pytest.raises(Conflict, match="the last message of 'main' is 2, not 1"):
        sessions.append(store, CHAT, [Said(role="bot", text="c")], expect=1)
    with pytest.raises(Invalid):
        sessions.append(store, CHAT, [Said(role="bot", text="c"), Said(role="", text="d")])
    assert texts(store) == ["a", "b"]


def test_the_last_ones_are_read_or_those_beyond_a_number(store: Store) -> None:
    say(store, *"abcdefg")
    assert texts(store, most=3) == ["e", "f", "g"]
    assert texts(store, after=2, most=3) == ["c", "d", "e"]
    assert texts(store, after=0, until=2) == ["a", "b"]
    assert texts(store, until=4, most=2) == ["c", "d"]
    assert texts(store, after=7) == []
    assert texts(store, room=600) == ["f", "g"]
    assert texts(store, after=0, room=600) == ["a", "b"]
    assert texts(store, room=1) == ["g"]


def test_a_branch_has_what_was_said_before_it_and_goes_its_own_way(store: Store) -> None:
    say(store, *"abcd")
    sessions.fork(store, CHAT, "other", at=2)
    assert say(store, "x", "y", branch="other") == 4
    sessions.fork(store, CHAT, "deep", parent="other", at=3)
    sessions.fork(store, CHAT, "early", parent="deep", at=1)
    say(store, "z", branch="deep")
    say(store, "e")
    say(store, "q", branch="early")
    assert texts(store) == [*"abcde"]
    assert texts(store, "other") == [*"abxy"]
    assert texts(store, "deep") == [*"abxz"]
    assert texts(store, "early") == [*"aq"]
    assert texts(store, "deep", after=1, most=2) == ["b", "x"]
    assert [one.seq for one in sessions.read(store, CHAT, branch="deep", most=3)] == [2, 3, 4]
    for name, at in (("other", 1), ("new", 6), ("new", -1), ("New", 1)):
        with pytest.raises((Conflict, Invalid)):
            sessions.fork(store, CHAT, name, at=at)
    with pytest.raises(Absent):
        say(store, "x", branch="nowhere")


def test_two_conversations_have_nothing_of_each_other(store: Store) -> None:
    say(store, "secret word")
    say(store, "word", space="session/bot/mail/-/bob")
    assert [one.text for one in sessions.search(store, "session/bot/mail/-/bob", "word")] == ["word"]
    with pytest.raises(Absent) as never:
        sessions.read(store, "session/bot/mail/-/eve")
    with pytest.raises(Absent) as search:
        sessions.search(store, "session/bot/mail/-/eve", "word")
    assert str(never.value) == str(search.value)


@pytest.mark.parametrize("extra", [{"a": b"bytes"}, {"a": float("nan")}, {"a": {1: 2}}, {"a": object()}])
def test_what_json_could_not_bring_back_is_refused(store: Store, extra: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        sessions.append(store, CHAT, [Said(role="user", text="", extra=extra)])


HOSTILE = ["a\0b", "😀" * 3, "\u202eevil", "'; DROP TABLE messages; --", '"', "%_", "\ufffe", "e\u0301", "x" * 100_000]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_comes_back_as_it_was(store: Store, text: str) -> None:
    say(store, text)
    assert texts(store) == [text]
    store.rows("INSERT INTO messages_words (messages_words, rank) VALUES ('integrity-check', 1)")


# search --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Haus", ["Das Haus am See"]),
        ("see HAUS", ["Das Haus am See"]),
        ("cafe", ["Un café noir"]),
        ("haus _ see __", ["Das Haus am See"]),
        ("_", []),
        ("東京", ["東京都に住む"]),
        ("😀", ["so 😀 it is"]),
        ("haus OR noir", []),
        ('" OR 1 --', ["1 OR 2"]),
        ('" OR 1=1 or 3 --', []),
        ("NEAR(haus, 9)", []),
        ("text:haus", []),
        ("ha*", []),
        ("place s1", []),
        ("^ { } ( ) [ ] + - : \\ \0".replace("\0", ""), []),
    ],
)
def test_words_are_looked_for_and_nothing_in_them_is_a_query(store: Store, query: str, found: list[str]) -> None:
    say(store, "Das Haus am See", "Un café noir", "東京都に住む", "so 😀 it is", "1 OR 2")
    assert [one.text for one in sessions.search(store, CHAT, query)] == found


@given(st.text(min_size=1, max_size=30))
def test_no_search_is_an_error_of_the_index(text: str) -> None:
    store = Store(Path(":memory:"), now=lambda: NOW)
    say(store, "some words")
    try:
        sessions.search(store, CHAT, text)
    except Invalid:
        pass
    store.close()


@pytest.mark.parametrize(("said", "asked"), [("アメリカ人です", "メリカ"), ("ｱﾒﾘｶｼﾞﾝ", "ｱﾒﾘｶ"), ("〇〇さん", "〇さ")])
def test_what_is_written_without_spaces_is_found_as_it_stands(store: Store, said: str, asked: str) -> None:
    say(store, said, "tea")
    assert [one.text for one in sessions.search(store, CHAT, asked)] == [said]


def test_the_newest_is_found_first_whatever_stands_elsewhere(store: Store) -> None:
    say(store, "rare word here", "common word", "word")
    say(store, *["word"] * 50, space="session/bot/mail/-/bob")
    assert [one.seq for one in sessions.search(store, CHAT, "word", most=2)] == [3, 2]


def pages_of_a_search(path: Path, others: int) -> int:
    """How many pages a search looks at where so many other conversations have its words, before and after each message."""
    store = Store(path, now=lambda: NOW)
    with store.write():
        for number in range(others):
            say(store, *[f"common word {number}"] * 20, space=f"session/bot/mail/-/user{number}")
            if number % (others // 20) == 0:
                say(store, "word", "common")
    store.rows("INSERT INTO messages_words (messages_words) VALUES ('optimize')")  # so that it is one run of words
    reader = store.reader()
    reader.connection.pragma("mmap_size", 0)  # pages that are mapped are not counted
    before = pages(reader)
    assert sessions.search(reader, CHAT, "common word") == []
    assert len(sessions.search(reader, CHAT, "word")) == 20
    seen = pages(reader) - before
    reader.close()
    store.close()
    return seen


def pages(reader: Reader) -> int:
    asked = (apsw.SQLITE_DBSTATUS_CACHE_HIT, apsw.SQLITE_DBSTATUS_CACHE_MISS)
    return sum(reader.connection.status(one)[0] for one in asked)


@pytest.mark.wide
def test_a_search_looks_at_no_more_where_other_conversations_have_fifty_times_as_many_words(tmp_path: Path) -> None:
    few, many = (pages_of_a_search(tmp_path / f"{others}.db", others) for others in (20, 1_000))
    assert many <= few + 40, (few, many)


# summaries -----------------------------------------------------------------------------------------------------------


def shown(store: Store, branch: str = "main", **more: int) -> list[str]:
    found, _ = compacting.read_compacted(store, CHAT, branch=branch, **more)
    return [one.text for one in found]


def test_a_summary_stands_for_messages_that_are_still_there(store: Store) -> None:
    say(store, *"ab", labels=("web",))
    say(store, *"cdef")
    made = compacting.compact(store, CHAT, 2, 4, "b to d", labels=("model",))
    assert made.labels == ("model", "web")
    assert shown(store) == ["a", "b to d", "e", "f"]
    assert texts(store) == [*"abcdef"]
    compacting.compact(store, CHAT, 2, 3, "narrower")
    assert shown(store) == ["a", "b to d", "e", "f"]
    compacting.compact(store, CHAT, 1, 5, "wider")
    compacting.compact(store, CHAT, 1, 5, "wider, better")
    assert shown(store) == ["wider, better", "f"]
    for first, last in ((5, 6), (0, 1), (6, 7), (3, 2)):
        with pytest.raises(Invalid):
            compacting.compact(store, CHAT, first, last, "half")


def test_what_is_left_out_before_the_last_messages_is_said(store: Store) -> None:
    say(store, *"abcdefgh")
    compacting.compact(store, CHAT, 4, 5, "d and e")
    assert compacting.read_compacted(store, CHAT, most=4)[1]
    assert shown(store, most=4) == ["c", "d and e", "f", "g", "h"]
    assert shown(store, most=2) == ["g", "h"]
    assert not compacting.read_compacted(store, CHAT, most=6)[1]


def test_a_branch_has_the_summaries_of_what_it_has(store: Store) -> None:
    say(store, *"abcd")
    sessions.fork(store, CHAT, "other", at=2)
    say(store, "x", branch="other")
    compacting.compact(store, CHAT, 1, 2, "both")
    compacting.compact(store, CHAT, 3, 4, "main only")
    assert shown(store) == ["both", "main only"]
    assert shown(store, "other") == ["both", "x"]


# export and import ---------------------------------------------------------------------------------------------------


def _filled(store: Store) -> None:
    say(store, *HOSTILE, labels=("web",))
    sessions.append(store, CHAT, [Said(role="tool", text="", extra={"n": 1.0, "deep": [[{}]], "ü": None})])
    sessions.fork(store, CHAT, "other", at=2)
    say(store, "x", branch="other")
    sessions.fork(store, CHAT, "bare", parent="other")
    compacting.compact(store, CHAT, 1, 2, "all of it")
    compacting.compact(store, CHAT, 3, 3, "x", branch="other")


def test_what_is_exported_is_imported_and_exported_the_same(store: Store, tmp_path: Path) -> None:
    _filled(store)
    lines = exported(store)
    other = Store(tmp_path / "two.db", now=lambda: NOW + 1)
    assert session_lines.import_session(other, "session/a/b/c/d", lines.splitlines(keepends=True)) == len(HOSTILE) + 2
    assert exported(other, "session/a/b/c/d") == lines
    assert say(other, "goes on", space="session/a/b/c/d") == len(HOSTILE) + 2
    assert say(other, "goes on", space="session/a/b/c/d", branch="bare") == 4
    with pytest.raises(Conflict):
        session_lines.import_session(other, "session/a/b/c/d", lines.splitlines())
    other.close()


def test_an_import_that_is_no_export_changes_nothing(store: Store, tmp_path: Path) -> None:
    _filled(store)
    good = exported(store).splitlines(keepends=True)
    other = Store(tmp_path / "two.db", now=lambda: NOW)
    bad: list[tuple[list[bytes], str]] = [
        ([], "the branch 'main' is missing"),
        (good[1:], "line 1"),
        ([*good[:3], *good[4:]], "line 4: message 3 follows message 1"),
        ([*good[:3], good[2]], "line 4: message 1 follows message 1"),
        ([*good[:-1], good[2]], "cannot stand here"),
        ([*good[:2], good[-2]], "there are no messages"),
        (good[:-1], "the last line is missing"),
        (good[:4], "the last line is missing"),
        ([*good[:5], good[-1]], "5 lines came before it, where it says"),
        ([*good, good[2]], "nothing follows the last line"),
        ([b'{"format":"maniple-session/1"}\n', *good[1:]], "cannot stand here"),
        ([*good[:3], b"{}\n"], "line 4: it is none of"),
        ([*good[:3], b'{"seq":2,"role":"a","text":"\\ud800","extra":{},"labels":[],"at":1}'], "line 4"),
        ([*good[:3], b"[" * 5_000], "line 4"),
        ([b'{"format":"maniple-session/3"}\n'], "line 1"),
    ]
    for lines, why in bad:
        with pytest.raises(Invalid, match=why):
            session_lines.import_session(other, CHAT, lines)
        with pytest.raises(Absent):
            sessions.read(other, CHAT)
    assert other.rows("SELECT count(*) FROM messages") == [(0,)]
    other.close()


def test_an_export_from_before_there_was_a_last_line_is_imported(store: Store, tmp_path: Path) -> None:
    say(store, "a", "b")
    good = exported(store).splitlines()
    other = Store(tmp_path / "two.db", now=lambda: NOW)
    assert session_lines.import_session(other, CHAT, [b'{"format":"maniple-session/1"}', *good[1:-1]]) == 2
    other.close()


def test_labels_of_an_import_are_added_to_its_own(store: Store, tmp_path: Path) -> None:
    say(store, "a", labels=("web",))
    other = Store(tmp_path / "two.db", now=lambda: NOW)
    session_lines.import_session(other, CHAT, exported(store).splitlines(), labels=("files",))
    assert sessions.read(other, CHAT)[0].labels == ("files", "web")
    other.close()


@given(
    st.lists(st.tuples(st.sampled_from("sfc"), st.integers(0, 3), st.integers(0, 6), st.text(max_size=5)), max_size=25)
)
def test_conversations_and_plain_lists_agree(steps: list[tuple[str, int, int, str]]) -> None:
    store = Store(Path(":memory:"), now=lambda: NOW)
    model: dict[str, list[str]] = {}
    for what, which, number, text in steps:
        names = [*model] or ["main"]
        branch = names[which % len(names)]
        if what == "s":
            try:
                text.encode()
            except UnicodeEncodeError:
                continue
            model.setdefault(branch, []).append(text)
            assert say(store, text, branch=branch) == len(model[branch])
        elif what == "f" and model:
            at = min(number, len(model[branch]))
            sessions.fork(store, CHAT, f"b{len(model)}", parent=branch, at=at)
            model[f"b{len(model)}"] = model[branch][:at]
        elif model and model[branch]:
            first = 1 + number % len(model[branch])
            try:
                compacting.compact(store, CHAT, first, len(model[branch]), "sum", branch=branch)
            except Invalid:
                pass
    for branch, said in model.items():
        assert texts(store, branch) == said
        found, cut = compacting.read_compacted(store, CHAT, branch=branch)
        covered = [
            range(one.first, one.last + 1) if isinstance(one, Summary) else range(one.seq, one.seq + 1) for one in found
        ]
        assert [number for part in covered for number in part] == [*range(1, len(said) + 1)]
        assert not cut
    store.close()


def test_a_word_is_found_in_whatever_form_its_accents_are_written(store: Store) -> None:
    forms = ["\u00e9cole", "e\u0301cole", "x\u030acole"]
    say(store, *forms)
    found = [[one.seq for one in sessions.search(store, CHAT, form)] for form in forms]
    assert found == [[2, 1], [2, 1], [3]]
