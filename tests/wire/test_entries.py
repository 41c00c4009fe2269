"""Entries: one spelling, one table of kinds, a chain that resumes, digests that cannot be guessed, and time as text."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import canonical, entries
from wire.amounts import Cost, Used
from wire.entries import Body, Chain, Entry, body_digest, time_micros, time_text
from wire.errors import CodecError, Unencodable
from wire.merkle import Frontier, leaf_hash, root_of

TIME = "2026-11-21T00:45:10.123456Z"
FULL = Entry(
    arguments=Body(digest="a" * 64, size=12),
    call=8,
    cost=Cost(tokens=100, micro_dollars=2500),
    detail={"z": [1, None, True], "a": {"b": "ü\n"}},
    kind="end",
    labels=("web", "mail"),
    method="web.fetch",
    parent=4,
    prev="0" * 64,
    principal="r-4kz8w1m3q0v7x2ab",
    reply=Body(digest="b" * 64, size=0),
    resource="https://example.org/",
    run="r-4kz8w1m3q0v7x2ab",
    seq=0,
    time=TIME,
    verdict="done",
    why="because",
)

text = st.text(st.characters(codec="utf-8"), max_size=12)
number = st.integers(0, 2**53 - 1)
body = st.builds(Body, digest=st.text("0123456789abcdef", min_size=64, max_size=64), size=number)
entry_fields = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(sorted(entries.KINDS)),
        "principal": text.filter(bool),
        "time": st.integers(0, 253_402_300_799_999_999).map(time_text),
    },
    optional={
        "arguments": body,
        "call": number,
        "cost": st.builds(Cost, tokens=number, micro_dollars=number),
        "detail": st.dictionaries(
            st.text(st.characters(codec="ascii"), max_size=5), text | number | st.none(), max_size=3
        ),
        "labels": st.lists(text, max_size=3).map(tuple),
        "method": text,
        "parent": number,
        "reply": body,
        "resource": text,
        "run": text,
        "verdict": text,
        "why": text,
    },
)


def append_notes(chain: Chain, count: int) -> list[bytes]:
    return [
        chain.append(kind="note", principal="operator", time=time_text(step), why=f"{step}") for step in range(count)
    ]


def test_a_full_entry_has_this_spelling() -> None:
    assert entries.encode(FULL).decode() == (
        '{"arguments":{"digest":"' + "a" * 64 + '","size":12},"call":8,"cost":{"micro_dollars":2500,"tokens":100},'
        '"detail":{"a":{"b":"ü\\n"},"z":[1,null,true]},"kind":"end","labels":["web","mail"],"method":"web.fetch",'
        '"parent":4,"prev":"' + "0" * 64 + '","principal":"r-4kz8w1m3q0v7x2ab",'
        '"reply":{"digest":"' + "b" * 64 + '","size":0},"resource":"https://example.org/",'
        '"run":"r-4kz8w1m3q0v7x2ab","seq":0,"time":"2026-11-21T00:45:10.123456Z","verdict":"done","why":"because"}'
    )


def test_fields_at_their_default_are_left_out() -> None:
    line = Chain().append(kind="kernel.start", principal="kernel", time=TIME)
    assert line.decode() == (
        '{"kind":"kernel.start","prev":"' + "0" * 64 + '","principal":"kernel","seq":0,"time":"' + TIME + '"}'
    )


@given(entry_fields)
def test_every_entry_is_canonical_json_and_comes_back(fields: entries.Fields) -> None:
    line = Chain().append(**fields)
    entry = entries.decode(line)
    assert entries.encode(entry) == line
    assert canonical.encode(canonical.decode(line)) == line
    assert entry.kind == fields["kind"]
    assert b"\n" not in line


def test_every_kind_says_when_it_is_written() -> None:
    for kind, when in entries.KINDS.items():
        assert kind == kind.lower()
        assert len(when) > 10
        entries.encode(Entry(kind=kind, prev="0" * 64, principal="kernel", seq=0, time=TIME))


def test_a_kind_that_is_not_in_the_table_is_not_appended_but_is_read() -> None:
    chain = Chain()
    with pytest.raises(Unencodable, match=r"hand\.dance"):
        chain.append(kind="hand.dance", principal="kernel", time=TIME)
    line = Chain().append(kind="note", principal="kernel", time=TIME).replace(b'"note"', b'"hand.dance"')
    assert entries.decode(line).kind == "hand.dance"


@pytest.mark.parametrize(
    "fields",
    [
        {"detail": {"share": 0.5}},
        {"detail": {"blob": b"x"}},
        {"detail": {"é": 1}},
        {"detail": {"n": 2**53}},
        {"detail": {1: "one"}},
        {"call": -1},
        {"call": 2**53},
        {"call": "8"},
        {"call": 1.0},
        {"why": None},
        {"why": "\ud800"},
        {"labels": ("web", 7)},
        {"labels": "web"},
        {"principal": ""},
        {"time": "2026-11-21T00:45:10Z"},
        {"time": "2026-13-21T00:45:10.123456Z"},
        {"time": TIME + "\n"},
        {"arguments": Body(digest="xyz", size=1)},
        {"arguments": Body(digest="a" * 64 + "\n", size=1)},
        {"arguments": {"digest": "a" * 64, "size": 1}},
        {"cost": Cost(tokens=-1, micro_dollars=0)},
        {"cost": 12},
        {"why": "x" * entries.LINE_MAX},
    ],
    ids=lambda fields: repr(fields)[:40],
)
def test_a_refused_entry_leaves_the_chain_as_it_was(fields: dict[str, object]) -> None:
    chain = Chain()
    append_notes(chain, 3)
    before = (chain.seq, chain.prev, chain.frontier.size, chain.frontier.root())
    append: Callable[..., bytes] = chain.append
    with pytest.raises(Unencodable):
        append(**{"kind": "call", "principal": "operator", "time": TIME} | fields)
    assert (chain.seq, chain.prev, chain.frontier.size, chain.frontier.root()) == before


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'"seq":0', b'"seq": 0'),
        (b'"seq":0', b'"seq":0.0'),
        (b'"seq":0', b'"seq":-0'),
        (b'"seq":0', b'"seq":"0"'),
        (b'"seq":0', b'"seq":0,"seq":0'),
        (b'"seq":0', b'"seq":0,"strange":1'),
        (b'"call":8,', b'"call":0,'),
        (b'"call":8,', b'"call":9007199254740992,'),
        (b'"kind":"end"', b'"kind":"\\u0065nd"'),
        (b'"why":"because"', b'"why":"because","verdict":"done"'),
        (b'"why":"because"', b'"why":null'),
        (b'"why":"because"', b'"why":"\xff"'),
        (b'"why":"because"', b'"why":"\\ud800"'),
        (b'"z":[1,', b'"z":[1.0,'),
        (b'"z":[1,', b'"z":[9007199254740992,'),
        (b'"z":[1,', b'"z":[' + b"[" * 40 + b"]" * 40 + b","),
        (b'"z":[1,', b'"z":[' + b"[" * 100_000),
        (b'"z":[', b'"\xc3\xbc":['),
        (b'{"b":', b'{"b":1,"b":'),
        (b'"prev":"0', b'"prev":"A'),
        (b'"prev":"0', b'"prev":"'),
        (b"}", b"}\n"),
        (b"}", b"} "),
        (b"T00:45", b"T24:45"),
        (b".123456Z", b".x23456Z"),
        (b".123456Z", b".12345xZ"),
        (b".123456Z", b".123456z"),
    ],
    ids=lambda part: repr(part[:24]),
)
def test_another_spelling_or_hostile_bytes_are_a_codec_error(good: bytes, bad: bytes) -> None:
    line = entries.encode(FULL)
    head, found, tail = line.rpartition(good)
    assert found
    with pytest.raises(CodecError):
        entries.decode(head + bad + tail)


@pytest.mark.parametrize("line", [b"", b"\n", b"null", b"[]", b"{}", b"\x00", b"{" * 100_000, b" " * 300_000])
def test_what_is_no_entry_at_all_is_a_codec_error(line: bytes) -> None:
    with pytest.raises(CodecError):
        entries.decode(line)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_entry_or_a_codec_error(line: bytes) -> None:
    with pytest.raises(CodecError):
        entries.decode(line)


def test_each_entry_names_the_leaf_before_it_and_the_tree_is_over_the_lines() -> None:
    chain = Chain()
    lines = append_notes(chain, 20)
    read = [entries.decode(line) for line in lines]
    assert [entry.seq for entry in read] == list(range(20))
    assert read[0].prev == entries.NO_PREV
    assert [entry.prev for entry in read[1:]] == [leaf_hash(line).hex() for line in lines[:-1]]
    assert chain.prev == leaf_hash(lines[-1]).hex()
    assert chain.frontier.root() == root_of(leaf_hash(line) for line in lines)


@pytest.mark.parametrize("stop", [0, 1, 2, 7, 8])
def test_a_chain_resumed_from_its_written_state_goes_on_the_same(stop: int) -> None:
    whole, first = Chain(), Chain()
    lines = append_notes(whole, stop) + append_notes(whole, 5)
    begun = append_notes(first, stop)
    frontier = Frontier.from_list(first.seq, first.frontier.to_list())
    resumed = Chain(seq=first.seq, prev=first.prev, frontier=frontier)
    assert begun + append_notes(resumed, 5) == lines
    assert (resumed.prev, resumed.frontier.root()) == (whole.prev, whole.frontier.root())


def test_a_chain_is_not_resumed_from_parts_that_do_not_belong_together() -> None:
    chain = Chain()
    append_notes(chain, 3)
    for seq, prev, frontier in (
        (2, chain.prev, chain.frontier),
        (3, entries.NO_PREV, chain.frontier),
        (0, chain.prev, None),
        (3, chain.prev, None),
    ):
        with pytest.raises(Unencodable):
            Chain(seq=seq, prev=prev, frontier=frontier)


def test_a_body_is_known_by_a_keyed_digest_and_its_size() -> None:
    # RFC 4231, test case 2.
    known = body_digest(b"Jefe", b"what do ya want for nothing?")
    assert known.digest == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert known.size == 28
    for size in (32, 64, 65, 131):
        assert body_digest(b"k" * size, b"yes").digest == hmac.new(b"k" * size, b"yes", hashlib.sha256).hexdigest()
    assert body_digest(b"k" * 32, b"yes") != body_digest(b"l" * 32, b"yes")


def test_times_are_rfc_3339_with_microseconds() -> None:
    assert time_text(0) == "1970-01-01T00:00:00.000000Z"
    assert time_text(1_795_221_910_123_456) == TIME
    assert time_text(951_782_399_999_999) == "2000-02-28T23:59:59.999999Z"
    assert time_text(951_782_400_000_000) == "2000-02-29T00:00:00.000000Z"


@given(st.integers(0, 253_402_300_799_999_999))
def test_times_come_back_and_sort_as_text(micros: int) -> None:
    written = time_text(micros)
    assert time_micros(written) == micros
    assert datetime.fromisoformat(written) == datetime.fromtimestamp(micros // 10**6, UTC).replace(
        microsecond=micros % 10**6
    )
    if micros:
        assert time_text(micros - 1) < written


@pytest.mark.parametrize("micros", [-1, -(10**18), 253_402_300_800_000_000, 10**30])
def test_a_time_outside_of_the_calendar_is_refused(micros: int) -> None:
    with pytest.raises(Unencodable):
        time_text(micros)


@pytest.mark.parametrize(
    "written",
    ["", "now", "2026-11-21T00:45:10Z", "2026-11-21T00:45:10.1Z", "2026-02-30T00:00:00.000000Z", TIME[:-1] + "+00:00"],
)
def test_a_time_in_another_spelling_is_refused(written: str) -> None:
    with pytest.raises(CodecError):
        time_micros(written)


def test_what_was_used_adds_up_and_stays_a_number_that_the_log_takes() -> None:
    both = Used(fuel=3, wall=5, memory=7).and_then(Used(fuel=1, wall=1, memory=2))
    assert both == Used(fuel=4, wall=6, memory=7)
    most = canonical.INT_LIMIT - 1
    assert Used(fuel=most, wall=most).and_then(Used(fuel=most, wall=1)) == Used(fuel=most, wall=most)
