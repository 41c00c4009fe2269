"""Everything of a space as JSON Lines: what comes back is what was there, and what is no export changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import compacting, consolidation, fragments, graph, keys, lines, merging, recall, sessions, upkeep
from memory.errors import Conflict, Full, Invalid
from memory.fragments import New
from memory.graph import Ref
from memory.keys import Change
from memory.parts import Findings
from memory.recall import Question
from memory.sessions import Said
from memory.store import Store

FRAGMENT = (
    b'{"fragment":{"number":1,"text":"x","kind":"note","time":%d,"importance":0.5,"labels":[],"metadata":{},"state":"live",'
    b'"successor":null,"seen":1,"uses":0,"used":1,"counted":0,"created":1,"changed":1,'
    b'"origins":[{"source":"","run":"","entry":%s,"time":1}]}}'
)
ENTITY = (
    b'{"entity":{"number":%d,"type":"a","name":"b","names":[],"properties":{"json":{}},"labels":[],"created":1,"changed":1,'
    b'"merged":[{"number":%d,"type":"a","name":"c","created":1,"changed":%d}]}}'
)
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
    for _ in range(3):
        keys.change(opened, CHAT, [Change(key="gone", value=b"\xc3")])
    keys.change(opened, CHAT, [Change(key="gone", value=None)])
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
    fill_fragments(opened)
    yield opened
    opened.close()


def fill_fragments(store: Store) -> None:
    """One that was merged, one that was superseded twice, one that was forgotten, one that consolidation archived."""
    first, _ = (
        fragments.add(
            store,
            CHAT,
            New(text="Ada lives in Paris.\n\0😀", source=one, labels=(one,), run="r1", entry=3, call=8, importance=0.7),
        )
        for one in ("mail", "web")
    )
    second = fragments.add(
        store, CHAT, New(text="In Rome.", metadata={"b": [1.5, None], "a": {}}), supersedes=first.number
    )
    fragments.add(store, CHAT, New(text="In Oslo.", kind="fact", time=0), supersedes=second.number)
    gone = fragments.add(store, CHAT, New(text="Forgotten"))
    fragments.forget(store, CHAT, gone.number)
    fragments.add(store, CHAT, New(text="They pay bills, twice."))
    kept = fragments.add(store, CHAT, New(text="They pay the bill twice."))
    fragments.use(store, CHAT, (kept.number,))
    assert len(consolidation.consolidate(store).merged) == 1
    fragments.forget(store, CHAT, fragments.add(store, CHAT, New(text="The last one")).number)


def written(store: Store, space: str = CHAT) -> tuple[list[bytes], set[str]]:
    out: list[bytes] = []
    labels = lines.export_space(store, space, out.append)
    return out, labels


def test_what_is_written_out_is_read_in_and_written_out_the_same(store: Store) -> None:
    out, labels = written(store)
    assert labels == {"web", "mail", "chat"}
    other = Store(Path(":memory:"), now=lambda: 6)
    assert lines.import_space(other, OTHER, out) == len(out)
    assert written(other, OTHER)[0] == out
    assert upkeep.check(other) == Findings()
    states = [(one.number, one.state) for one in fragments.listed(other, OTHER, history=True)]
    assert states == [(1, "superseded"), (2, "superseded"), (3, "live"), (5, "live"), (6, "archived")]
    assert [one.source for one in fragments.get(other, OTHER, 1).origins] == ["mail", "web"]
    assert fragments.add(other, OTHER, New(text="New")).number == 8
    assert recall.recall(other, OTHER, Question(text="oslo")).found[0].fragment.number == 3
    assert graph.find(other, OTHER, Ref(number=2)).name == "Ada"
    assert graph.put(other, OTHER, "person", "New").number == 6
    for number, value in enumerate(VALUES[1:], 1):
        assert keys.get(other, OTHER, f"{number}").value == msgspec.msgpack.encode(value)
    assert keys.get(other, OTHER, "0").version == 2
    assert keys.change(other, OTHER, [Change(key="gone", value=b"\xc0")]) == (4,)
    with pytest.raises(Conflict):
        lines.import_space(other, OTHER, out)
    assert upkeep.totals(other, CHAT) == dict.fromkeys(upkeep.totals(other, CHAT), 0)
    other.close()


def test_what_an_import_is_marked_with_marks_all_of_it(store: Store) -> None:
    out: list[bytes] = []
    lines.export_space(store, CHAT, out.append)
    other = Store(Path(":memory:"), now=lambda: 5)
    lines.import_space(other, OTHER, out, ("import",))
    told: list[bytes] = []
    assert "import" in lines.export_space(other, OTHER, told.append)
    marked = [
        row
        for row in map(msgspec.json.decode, told)
        if isinstance(row.get("key") or row.get("fragment") or row.get("entity"), dict)
    ]
    assert len(marked) > 5
    for row in marked:
        (one,) = row.values()
        assert "import" in one["labels"], row
    other.close()


def test_another_space_is_not_in_it(store: Store) -> None:
    keys.change(store, OTHER, [Change(key="secret", value=b"\xc0", labels=("secret",))])
    graph.put(store, OTHER, "person", "Secret")
    fragments.add(store, OTHER, New(text="Secret", labels=("secret",)))
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

    lines.export_space(store.reader(), CHAT, take)
    assert not [line for line in out if b"later" in line]
    store.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"counter":["session",5]}',
        b'{"key":{"key":"","value":{"json":1},"version":1,"created":1,"changed":1,"expires":null,"labels":[]}}',
        b'{"key":{"key":"a","value":{"msgpack":"wQ=="},"version":1,"created":1,"changed":1,"expires":null,"labels":[]}}',
        b'{"single":"a","counter":["entity",1]}',
        b'{"counter":["key",0]}',
        b'{"counter":["entity",9007199254740992]}',
        b'{"key":{"key":"a","value":{"json":1},"version":0,"created":1,"changed":1,"expires":null,"labels":[]}}',
        b'{"key":{"key":"a","value":{"json":1},"version":9223372036854775807,"created":1,"changed":1,"expires":null,"labels":[]}}',
        b'{"key":{"key":"a","value":{"json":1},"version":1,"created":-1,"changed":1,"expires":null,"labels":[]}}',
        b'{"key":{"key":"a","value":{"json":1},"version":1,"created":1,"changed":1,"expires":253402300800000000,"labels":[]}}',
        ENTITY % (-5, 1, 1),
        ENTITY % (5, -5, 1),
        ENTITY % (5, 4, -1),
        FRAGMENT % (-1, b"null"),
        FRAGMENT % (253402300800000000, b"null"),
        FRAGMENT % (1, b"-1"),
        b'{"format":"maniple-memory/1"}',
        b"{}",
    ],
)
def test_a_line_that_no_export_has_is_refused_by_its_number(line: bytes) -> None:
    store = Store(Path(":memory:"), now=lambda: 5)
    with pytest.raises(Invalid, match="line 2: "):
        lines.import_space(store, CHAT, [b'{"format":"maniple-memory/1"}', line])
    store.close()


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_an_export_of_which_the_last_lines_are_missing_is_refused(store: Store, lost: int) -> None:
    out, _ = written(store)
    other = Store(Path(":memory:"), now=lambda: 6)
    with pytest.raises(Invalid, match="the last line is missing, which says how many there are: the file is not whole"):
        lines.import_space(other, OTHER, out[:-lost])
    assert not any(upkeep.totals(other, OTHER).values())
    lines.import_space(other, OTHER, out)
    other.close()


def test_an_export_says_how_many_lines_it_has_and_ends_there(store: Store) -> None:
    out, _ = written(store)
    other = Store(Path(":memory:"), now=lambda: 6)
    assert out[-1] == b'{"end":%d}\n' % (len(out) - 1)
    with pytest.raises(Invalid, match=rf"line {len(out) - 1}: {len(out) - 2} lines came before it"):
        lines.import_space(other, OTHER, [*out[:-2], out[-1]])
    with pytest.raises(Invalid, match=rf"line {len(out) + 1}: nothing follows the last line"):
        lines.import_space(other, OTHER, [*out, b'{"counter":["key",7]}'])
    other.close()


def test_an_export_that_was_made_before_it_said_how_many_lines_it_has_is_read(store: Store) -> None:
    out, _ = written(store)
    other = Store(Path(":memory:"), now=lambda: 6)
    lines.import_space(other, CHAT, [b'{"format":"maniple-memory/1"}', *out[1:-1]])
    assert written(other)[0] == out
    other.close()


def test_a_fragment_whose_successor_is_missing_is_refused(store: Store) -> None:
    out = [line for line in written(store)[0][:-1] if not line.startswith(b'{"fragment":{"number":2,')]
    out.append(b'{"end":%d}' % len(out))
    other = Store(Path(":memory:"), now=lambda: 6)
    with pytest.raises(Invalid, match="a successor is missing: fragment 2"):
        lines.import_space(other, OTHER, out)
    assert not any(upkeep.totals(other, OTHER).values())
    other.close()


@pytest.mark.wide
@given(st.data())
def test_lines_that_are_changed_are_refused_or_read_and_never_half(data: st.DataObject) -> None:
    source = Store(Path(":memory:"), now=lambda: 5)
    keys.change(source, CHAT, [Change(key="a", value=b"\xc0")])
    graph.put(source, CHAT, "person", "Ada")
    graph.relate(source, CHAT, Ref(name="Ada"), "is", Ref(name="Ada"), said="x")
    sessions.append(source, CHAT, [Said(role="user", text="x")])
    older = fragments.add(source, CHAT, New(text="x", source="a"))
    fragments.add(source, CHAT, New(text="y"), supersedes=older.number)
    out, _ = written(source)
    place = data.draw(st.integers(0, len(out) - 1))
    changed = data.draw(
        st.sampled_from([out[:place] + out[place + 1 :], [*out[:place], out[place], *out[place:]], out[: place + 1]])
        | st.binary(max_size=40).map(lambda raw: [*out[:place], raw, *out[place + 1 :]])
        | st.integers(0, len(out[place]) - 1).map(lambda at: [*out[:place], out[place][:at], *out[place + 1 :]])
    )
    other = Store(Path(":memory:"), now=lambda: 6)
    try:
        lines.import_space(other, CHAT, changed)
    except Invalid:
        assert not any(upkeep.totals(other, CHAT).values())
    else:
        assert written(other)[0] == changed or changed != out
    assert upkeep.check(other).problems == ()
    source.close()
    other.close()


@pytest.mark.parametrize("last", [4_294_967_293, 4_294_967_294])
def test_numbers_that_an_import_used_up_lead_into_no_other_space(store: Store, last: int) -> None:
    for space in (CHAT, OTHER):
        upkeep.erase(store, space)
    head = b'{"format":"maniple-memory/1"}'
    lines.import_space(store, CHAT, [head, b'{"counter":["fragment",%d]}' % last])
    fragments.add(store, OTHER, New(text="Bob's"))
    left = 4_294_967_294 - last
    for number in range(left):
        assert fragments.add(store, CHAT, New(text=f"Ada's {number}")).number == last + 1
    for _ in range(3):
        with pytest.raises(Full, match="used up"):
            fragments.add(store, CHAT, New(text="Ada's"))
    assert [len(fragments.listed(store, space)) for space in (CHAT, OTHER)] == [left, 1]
    assert upkeep.check(store) == Findings()


def test_an_entity_or_version_beyond_what_can_be_told_is_not_made(store: Store) -> None:
    upkeep.erase(store, CHAT)
    head, most = b'{"format":"maniple-memory/1"}', 9_007_199_254_740_991
    counters = [b'{"counter":["%s",%d]}' % (what, most) for what in (b"entity", b"key", b"relation")]
    lines.import_space(store, CHAT, [head, *counters])
    with pytest.raises(Full, match="used up"):
        graph.put(store, CHAT, "person", "Ada")
    with pytest.raises(Full, match="used up"):
        keys.change(store, CHAT, [Change(key="k", value=b"\xc0")])
    assert upkeep.check(store) == Findings()
