"""Everything of a space as JSON Lines: what comes back is what was there, and what is no export changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import compacting, graph, keys, lines, merging, sessions, upkeep
from memory.errors import Conflict, Invalid
from memory.graph import Ref
from memory.keys import Change
from memory.sessions import Said
from memory.store import Store

CHAT, OTHER = "session/bot/mail/-/ada", "session/bot/mail/-/bob"
VALUES: list[object] = [None, 1, -(2**63), 2**64 - 1, 1.0, float("inf"), b"\0\xff"]
VALUES += [{"a": [b"x"]}, "\0\u202e😀", {1: 2}, [[[]]], 10**15]


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(Path(":memory:"), now=lambda: 5)
    for number, value in enumerate(VALUES):
        change = Change(key=f"{number}", value=msgspec.msgpack.encode(value), labels=("web",), expires=10 + number)
        keys.change(opened, CHAT, [change])
    keys.change(opened, CHAT, [Change(key="0", value=b"\xc3")])
    for name in ("Ada", "Countess", "Bob", "Gone"):
        graph.put(opened, CHAT, "person", name, aliases=(f"{name} alias",), properties={name: 1, "raw": b"x"})
    graph.put(opened, CHAT, "ship", "Beagle")
    graph.relate(opened, CHAT, Ref(name="Ada"), "knows", Ref(name="Bob"), said="a", since=1, single=True)
    graph.relate(opened, CHAT, Ref(name="Ada"), "knows", Ref(name="Beagle"), said="b", labels=("mail",), confidence=0.3)
    merging.merge(opened, CHAT, Ref(name="Ada"), Ref(name="Countess"))
    merging.merge(opened, CHAT, Ref(name="Ada"), Ref(name="Beagle"))
    graph.forget(opened, CHAT, Ref(name="Gone"))
    sessions.append(opened, CHAT, [Said(role="user", text="a\nb\0")] * 3, labels=("chat",))
    sessions.fork(opened, CHAT, "other", at=1)
    compacting.compact(opened, CHAT, 1, 2, "both")
    yield opened
    opened.close()


def written(store: Store, space: str = CHAT) -> tuple[list[bytes], set[str]]:
    out: list[bytes] = []
    labels = lines.write_out(store, space, out.append)
    return out, labels


def test_what_is_written_out_is_read_in_and_written_out_the_same(store: Store) -> None:
    out, labels = written(store)
    assert labels == {"web", "mail", "chat"}
    other = Store(Path(":memory:"), now=lambda: 6)
    assert lines.take_in(other, OTHER, out) == len(out)
    assert written(other, OTHER)[0] == out
    assert upkeep.check(other).problems == ()
    assert graph.find(other, OTHER, Ref(number=2)).name == "Ada"
    assert graph.put(other, OTHER, "person", "New").number == 6
    for number, value in enumerate(VALUES[1:], 1):
        assert keys.get(other, OTHER, f"{number}").value == msgspec.msgpack.encode(value)
    assert keys.get(other, OTHER, "0").version == 2
    with pytest.raises(Conflict):
        lines.take_in(other, OTHER, out)
    assert upkeep.totals(other, CHAT) == dict.fromkeys(upkeep.totals(other, CHAT), 0)
    other.close()


def test_another_space_is_not_in_it(store: Store) -> None:
    keys.change(store, OTHER, [Change(key="secret", value=b"\xc0", labels=("secret",))])
    graph.put(store, OTHER, "person", "Secret")
    out, labels = written(store)
    assert not [line for line in out if b"ecret" in line]
    assert "secret" not in labels


def test_all_lines_are_as_of_one_moment(tmp_path: Path) -> None:
    store = Store(tmp_path / "one.db", now=lambda: 5)
    keys.change(store, CHAT, [Change(key="a", value=b"\xc0")])
    graph.put(store, CHAT, "person", "Ada")
    out: list[bytes] = []

    def take(line: bytes) -> None:
        if out:  # the moment is that of the first line about something
            graph.put(store, CHAT, "person", f"later {len(out)}")
        out.append(line)

    lines.write_out(store.reader(), CHAT, take)
    assert not [line for line in out if b"later" in line]
    store.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"counter":["session",5]}',
        b'{"key":{"key":"","value":{"json":1},"version":1,"created":1,"changed":1,"expires":null,"labels":[]}}',
        b'{"key":{"key":"a","value":{"msgpack":"wQ=="},"version":1,"created":1,"changed":1,"expires":null,"labels":[]}}',
        b'{"single":"a","counter":["entity",1]}',
        b'{"format":"maniple-memory/1"}',
        b"{}",
    ],
)
def test_a_line_that_no_export_has_is_refused_by_its_number(line: bytes) -> None:
    store = Store(Path(":memory:"), now=lambda: 5)
    with pytest.raises(Invalid, match="line 2: "):
        lines.take_in(store, CHAT, [b'{"format":"maniple-memory/1"}', line])
    store.close()


@given(st.data())
def test_lines_that_are_changed_are_refused_or_read_and_never_half(data: st.DataObject) -> None:
    source = Store(Path(":memory:"), now=lambda: 5)
    keys.change(source, CHAT, [Change(key="a", value=b"\xc0")])
    graph.put(source, CHAT, "person", "Ada")
    graph.relate(source, CHAT, Ref(name="Ada"), "is", Ref(name="Ada"), said="x")
    sessions.append(source, CHAT, [Said(role="user", text="x")])
    out, _ = written(source)
    place = data.draw(st.integers(0, len(out) - 1))
    changed = data.draw(
        st.sampled_from([out[:place] + out[place + 1 :], [*out[:place], out[place], *out[place:]], out[: place + 1]])
        | st.binary(max_size=40).map(lambda raw: [*out[:place], raw, *out[place + 1 :]])
        | st.integers(0, len(out[place]) - 1).map(lambda at: [*out[:place], out[place][:at], *out[place + 1 :]])
    )
    other = Store(Path(":memory:"), now=lambda: 6)
    try:
        lines.take_in(other, CHAT, changed)
    except Invalid:
        assert not any(upkeep.totals(other, CHAT).values())
    else:
        assert written(other)[0] == changed or changed != out
    assert upkeep.check(other).problems == ()
    source.close()
    other.close()
