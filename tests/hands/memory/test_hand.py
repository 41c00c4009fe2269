"""The Hand by itself, given what nobody should send: a clear no or a right answer, and never a broken memory."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import Failure
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.memory.conftest import CHAT, OWN, Desk


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_too_large_or_too_deep_is_refused_with_words(desk: Desk) -> None:
    assert "a value is at most 1040384 bytes" in desk.fails("set", key="k", value="x" * 1_040_400)
    desk.call("set", key="k", value="x" * 1_040_000)
    assert len(desk.call("get", key="k")["value"]) == 1_040_000
    assert "nested more than 32 deep" in desk.fails("set", key="k", value=nested(5_000))
    desk.call("set", key="deep", value=nested(30))
    assert desk.call("get", key="deep")["value"] == nested(30)
    assert "nested more than 32" in desk.fails("graph.put", type="a", name="b", properties={"p": nested(5_000)})
    assert "at most 65536 bytes" in desk.fails("graph.put", type="a", name="b", properties={"p": "x" * 70_000})
    long = [{"role": "user", "text": "x" * 1_100_000}]
    assert "a message takes at most" in desk.fails("session.append", CHAT, messages=long)
    assert desk.is_whole()


def test_a_row_that_cannot_be_read_ends_its_calls_in_damaged_and_verify_names_it(desk: Desk) -> None:
    for text in ("Ada pays by cheque.", "Bob pays in cash."):
        desk.call("store", text=text)
    file = apsw.Connection(str(desk.hand.shelf.path_of(OWN)))
    file.execute("UPDATE fragments SET labels = 'nope' WHERE text LIKE 'Ada%'")
    for method, params in (("recall", {"text": "pays"}), ("fragment", {"fragment": 1}), ("fragments", {})):
        assert desk.fails(method, **params).startswith("damaged: a row cannot be read")
    file.execute("UPDATE fragments SET labels = '[]', text = CAST(x'ff' AS TEXT) WHERE text LIKE 'Ada%'")
    assert desk.fails("fragment", fragment=1).startswith("damaged: a text in the memory file is not Unicode")
    assert desk.call("fragment", fragment=2)["text"] == "Bob pays in cash."
    assert desk.call("verify")["problems"] == ["the fragment 1 cannot be read"]
    file.close()


def test_a_file_that_cannot_be_opened_is_told_as_damage_and_verify_says_so(desk: Desk) -> None:
    desk.hand.shelf.path_of(OWN).mkdir(parents=True)
    told = "damaged: the memory file, or its log, cannot be opened (unable to open database file): "
    assert desk.fails("store", text="x").startswith(told)
    assert desk.fails("recall", text="x").startswith(told)
    assert desk.fails("stats").startswith(told)
    assert desk.call("verify")["problems"][0].startswith(told.removeprefix("damaged: "))


def test_ten_megabytes_in_one_line_are_refused_and_nothing_is_left_of_them(desk: Desk) -> None:
    head = [b'{"format":"maniple-session/1"}\n{"branch":"main","parent":null,"forked":0,"labels":[],"created":1}\n']
    line = [b'{"seq":1,"role":"user","text":"', *[b"x" * 262_144] * 40, b'","extra":{},"labels":[],"at":1}\n']
    assert desk.fails("session.import", CHAT, upload=iter([*head, *line])).startswith("arguments: line 3: ")
    assert "no conversation" in desk.fails("session.read", CHAT)
    assert desk.fails("all.import", upload=iter([b"\xff" * 262_144] * 8)).startswith("arguments: line 1: ")
    assert not [*desk.hand.scratch.iterdir()]
    assert desk.is_whole()


@pytest.mark.parametrize("pieces", [[b"{"], [b"x" * 9_000], [b"x" * 262_144] * 2, [b"{", b"x" * 262_144, b"}"]])
@pytest.mark.parametrize("method", ["all.import", "session.import", "restore"])
def test_what_a_full_disk_does_not_take_in_is_told_as_that(desk: Desk, method: str, pieces: list[bytes]) -> None:
    on, folder = (CHAT, desk.hand.scratch) if method == "session.import" else (OWN, desk.hand.scratch)
    folder, name = (desk.hand.state, "coming") if method == "restore" else (folder, "import")
    call = FakeCall(on, f"memory.{method}", upload=iter(pieces))
    (folder / f"{name}-{call.number}").symlink_to("/dev/full")  # a disk that is full at any time
    with pytest.raises(Failure, match="the disk refuses: No space left on device") as failed:
        desk.loop.run_until_complete(desk.hand.on_call(call, {}))
    assert failed.value.code == "full"
    assert not [*folder.glob(f"{name}-*")]


def test_what_one_memory_is_sent_at_a_time_is_bounded_however_many_send_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("memory", "memory_desk"), "IMPORT_MAX", 1 << 20)
    whole = b'{"format":"maniple-memory/1"}\n{"counter":["key",7]}\n'

    async def work() -> None:
        has_begun, may_end = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"x" * 700_000
            has_begun.set()
            await may_end.wait()

        def asked(on: str, number: int, upload: Any) -> Any:
            call = FakeCall(on, "memory.all.import", upload=upload)
            call.number = number
            return desk.hand.on_call(call, {})

        first = asyncio.create_task(asked(OWN, 2, slowly()))
        await has_begun.wait()
        with pytest.raises(Failure, match="at most 1048576 bytes are accepted at a time"):
            await asked(OWN, 4, iter([b"x" * 700_000]))
        assert await asked("shared/team", 6, iter([whole])) == {"lines": 2}
        may_end.set()
        with pytest.raises(Failure, match="line 1"):
            await first

    desk.loop.run_until_complete(work())
    assert not [*desk.hand.scratch.iterdir()]
    assert desk.call("all.import", upload=iter([whole])) == {"lines": 2}, "there is room again"


def files_of(desk: Desk) -> list[str]:
    return sorted(path.name for path in desk.hand.state.rglob("*") if path.is_file())


def test_an_import_that_fails_leaves_no_file_and_one_that_is_good_comes_in_afterwards(desk: Desk) -> None:
    whole = b'{"format":"maniple-memory/1"}\n{"counter":["key",7]}\n'
    for raw in (b"", b"no lines\n", whole + b"{}\n"):
        assert desk.fails("all.import", upload=iter([raw])).startswith("arguments: line ")
        assert not files_of(desk)
    assert desk.call("owners", "own/operator")["owners"] == []
    assert desk.call("all.import", upload=iter([whole])) == {"lines": 2}
    assert desk.fails("all.import", upload=iter([b"no lines\n"])).startswith("arguments: ")
    assert desk.call("owners", "own/operator")["owners"]
    assert desk.is_whole()


def test_thousands_of_tiny_messages_come_in_and_go_out(desk: Desk) -> None:
    lines = [
        {"format": "maniple-session/2"},
        {"branch": "main", "parent": None, "forked": 0, "labels": [], "created": 1},
    ]
    lines += [
        {"seq": n, "role": "u", "text": f"w{n}", "extra": {}, "labels": [], "at": n} for n in range(1, 6_001)
    ]  # fmt: skip
    lines.append({"end": len(lines)})
    raw = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    assert desk.call("session.import", CHAT, upload=iter([raw])) == {"messages": 6_000}
    sent = FakeCall(CHAT, "memory.session.export")
    desk.loop.run_until_complete(desk.hand.on_call(sent, {}))
    assert sent.body == raw
    (found,) = desk.call("session.search", CHAT, text="w5999")["messages"]
    assert found["seq"] == 5_999
    assert desk.call("session.read", CHAT, most=2)["messages"][-1]["seq"] == 6_000
    assert desk.is_whole()


def test_a_reply_holds_what_fits_and_says_that_there_is_more(desk: Desk) -> None:
    for number in range(30):
        desk.call("graph.put", type="a", name=f"n{number:02}", properties={"p": "x" * 60_000})
        desk.call("session.append", CHAT, messages=[{"role": "u", "text": "x" * 100_000}] * 2)
    listed = desk.call("graph.list")
    assert (len(listed["entities"]), listed["more"]) == (13, True)
    names, after = [], 0
    while True:
        page = desk.call("graph.list", after=after)
        names += [row["name"] for row in page["entities"]]
        after = page["entities"][-1]["entity"]
        if not page["more"]:
            break
    assert names == [f"n{number:02}" for number in range(30)]
    read = desk.call("session.read", CHAT)
    assert (len(read["messages"]), read["messages"][-1]["seq"], read["more"]) == (6, 60, True)
    first = desk.call("session.read", CHAT, after=0)
    assert (len(first["messages"]), first["messages"][0]["seq"], first["more"]) == (6, 1, True)
    assert not desk.call("session.read", CHAT, after=58)["more"]


HOSTILE = st.text(max_size=30) | st.sampled_from(
    ["\0", "'; DROP TABLE keys; --", '"', "%", "*", "NEAR(a b)", "😀", "\u202e", "\ud800", "x" * 600, "a\0b", "\uffff"]
)
THING = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | HOSTILE | st.binary(max_size=5)
ANY = st.recursive(
    THING, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(HOSTILE, inner, max_size=2), max_leaves=4
)
SHAPED = {
    "changes": st.lists(st.fixed_dictionaries({"key": HOSTILE, "value": ANY}), max_size=2),
    "messages": st.lists(st.fixed_dictionaries({"role": HOSTILE, "text": HOSTILE}), max_size=2),
    "pattern": st.lists(st.fixed_dictionaries({"type": HOSTILE, "name": HOSTILE}), max_size=2),
    "entity": st.sampled_from([1, "a"]),
}


@settings(max_examples=60)
@given(st.data())
def test_whatever_a_method_is_given_it_answers_or_says_no(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    desk = _shared(tmp_path_factory)
    provided = {
        name: one
        for name, one in desk.hand._place.manifest.provides.items()
        if name not in ("memory.watch", "memory.restore", "memory.verify", "memory.backup", "memory.erase")
    }
    method = data.draw(st.sampled_from(sorted(provided)))
    params = provided[method].params
    given = {name: data.draw(SHAPED[name] | ANY if name in SHAPED else ANY, label=name) for name in params}
    on = data.draw(st.sampled_from([OWN, CHAT, "shared/team"]))
    upload = iter([b"{}\n"]) if method.endswith("import") else None
    try:
        desk.call(method.removeprefix("memory."), on, upload=upload, **given)
    except Failure as failure:
        if failure.code not in ("arguments", "absent", "conflict"):
            raise


_desks: list[Desk] = []


def _shared(places: pytest.TempPathFactory) -> Desk:
    """One Hand for all examples: what one of them broke, another one would meet."""
    if not _desks:
        _desks.append(Desk(places.mktemp("memory")))
    return _desks[0]


def test_after_all_of_that_every_memory_is_whole() -> None:
    if _desks:
        desk = _desks.pop()
        for owner in (OWN, "shared/team"):
            assert desk.call("verify", owner) == {"ok": True, "problems": [], "mended": []}
        desk.stop()


@pytest.mark.parametrize("part", ["000000", "000499", "000500", "000700", "000999", "123456", "999500", "999999"])
def test_a_time_comes_back_to_the_microsecond(desk: Desk, part: str) -> None:
    time = f"2026-11-21T00:45:10.{part}Z"
    number = desk.call("store", text=f"told at {part}", time=time)["fragment"]
    assert desk.call("fragment", fragment=number)["time"] == time
    found = desk.call("fragments", filters={"since": time, "until": f"2026-11-21T02:45:10.{part}+01:00"})
    assert [one["fragment"] for one in found["fragments"]] == [number]
    assert desk.call("fragments", filters={"until": time})["fragments"] == []


def test_a_text_whose_caller_has_gone_gets_its_vector(desk: Desk) -> None:
    async def work() -> None:
        stored = FakeCall(OWN, "memory.store")
        storing = asyncio.ensure_future(desk.hand.on_call(stored, {"text": "I bought an automobile."}))
        for _ in range(3):
            await asyncio.sleep(0)
        storing.cancel()
        await asyncio.wait([storing])
        assert storing.cancelled()

    desk.loop.run_until_complete(work())
    ends = time.monotonic() + 50
    while (told := desk.call("stats"))["waiting"] or not told["fragments"]:
        assert time.monotonic() < ends, told
        desk.loop.run_until_complete(asyncio.sleep(0.02))


@pytest.mark.wide
def test_recalls_go_on_while_what_they_find_is_forgotten(desk: Desk) -> None:
    async def work() -> None:
        hand, count = desk.hand, 60
        for number in range(count):
            await hand.on_call(FakeCall(OWN, "memory.store"), {"text": f"red house number {number} by the river"})

        async def recall() -> None:
            while True:
                await hand.on_call(FakeCall(OWN, "memory.recall"), {"text": "red house by the river", "most": 50})

        asking = [asyncio.ensure_future(recall()) for _ in range(4)]
        for number in range(1, count + 1):
            await hand.on_call(FakeCall(OWN, "memory.forget"), {"fragment": number})
        for one in asking:
            one.cancel()
        for told in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(told, asyncio.CancelledError), told

    desk.loop.run_until_complete(work())


def test_a_copy_beyond_the_quota_is_not_restored_and_what_was_there_stays(desk: Desk, tmp_path: Path) -> None:
    for number in range(3):
        desk.call("set", key=f"large{number}", value=str(number) * 900_000)
    asked = FakeCall(OWN, "memory.backup")
    desk.loop.run_until_complete(desk.hand.on_call(asked, {}))
    (tmp_path / "small").mkdir()
    small = Desk(tmp_path / "small", quota=1 << 20)
    small.call("set", key="old", value=1)
    told = small.fails("restore", upload=iter(asked.sent))
    assert told.startswith(
        f"too large: at most {5 << 18} bytes are accepted at a time, by the quota: ask the operator for more"
    )
    assert (small.call("get", key="old")["value"], small.is_whole()) == (1, True)
    small.hand.shelf.quota = 4 << 20
    assert small.call("restore", upload=iter(asked.sent)) == {"bytes": len(asked.body)}
    assert small.call("get", key="large2")["value"] == "2" * 900_000
    small.stop()


# where what is told came from -----------------------------------------------------------------------------------------


def marked(desk: Desk, method: str, on: str = OWN, *labels: str, **given: object) -> tuple[Any, set[str]]:
    """The reply to a call that carries these labels, and those that the Hand added to it."""
    made = FakeCall(on, f"memory.{method}", labels=labels)
    return desk.loop.run_until_complete(desk.hand.on_call(made, given)), made.added


def test_a_conversations_key_is_marked_like_what_was_said_there(desk: Desk) -> None:
    """A key is a text like another, chosen by who began the conversation."""
    secret = f"{OWN}/session/bot/mail/-/the-code-is-4711"
    marked(desk, "session.append", secret, "vault", messages=[{"role": "user", "text": "x"}])
    marked(desk, "session.append", CHAT, messages=[{"role": "user", "text": "x"}])
    told, added = marked(desk, "sessions")
    assert [one["session"] for one in told["sessions"]] == [
        "session/bot/mail/-/ada",
        "session/bot/mail/-/the-code-is-4711",
    ]
    assert added == {"vault"}
    assert marked(desk, "sessions", most=1)[1] == set()


def test_how_often_a_conversation_went_on_is_marked_by_who_went_on(desk: Desk) -> None:
    for labels, count in (((), 1), (("vault",), 41)):
        said = [{"role": "user", "text": "x"}] * count
        marked(desk, "session.append", CHAT, *labels, messages=said)
    told, added = marked(desk, "sessions")
    assert (told["sessions"][0]["messages"], added) == (42, {"vault"})


def test_in_how_many_texts_a_word_stands_is_marked_by_all_of_them(desk: Desk) -> None:
    marked(desk, "store", OWN, "vault", text="the code is zebra")
    marked(desk, "store", OWN, "web", text="a horse is none")
    others = {"without": ["vault"]}
    told, added = marked(desk, "recall", text="zebra", filters=others, explain=True)
    assert [(one["term"], one["chunks"]) for one in told["explained"]["terms"]] == [("zebra", 1)]
    assert added == {"vault", "web"}
    assert marked(desk, "recall", text="zebra", filters=others)[1] <= {"web"}


def test_a_copy_that_was_marked_while_it_was_sent_is_not_taken(desk: Desk) -> None:
    """Labels may come with the pieces, once the call has begun: a copy keeps its own and would lose them."""
    desk.call("set", key="k", value="as it was")
    kept = FakeCall(OWN, "memory.backup")
    desk.loop.run_until_complete(desk.hand.on_call(kept, {}))
    desk.call("set", key="k", value="as it is")

    def pieces() -> Iterator[bytes]:
        yield kept.body[:100]
        call.labels = frozenset({"vault"})
        yield kept.body[100:]

    call = FakeCall(OWN, "memory.restore", upload=pieces())
    with pytest.raises(Failure, match="takes no others"):
        desk.loop.run_until_complete(desk.hand.on_call(call, {}))
    assert desk.call("get", key="k")["value"] == "as it is"
    assert not [*desk.hand.state.glob("coming-*")]
