"""What ends no schedule: an event too large to begin a run with, and a kernel that can write nothing down for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from runtime import CallRefused, Failure
from runtime.calls import Reply
from runtime.hand import Event
from runtime.kernel_handle import KernelHandle
from tests.hands.doubles import hand_module, seated
from wire import codec, headers, limits
from wire.codec import Value

main: Any = hand_module("scheduling", "main")
store: Any = hand_module("scheduling", "scheduling_store")
waiting: Any = hand_module("scheduling", "scheduling_waiting")


class Bus:
    """Stands in for the kernel behind the real KernelHandle: it knows one scheduled Hand, and notes what it is asked.

    fired: keys of the runs that were begun. is_full: its log cannot grow, so that it refuses everything.
    refused: what it was asked meanwhile. heard: events that were subscribed to. meanwhile: what happens, once each, before
    it tells what is scheduled.
    """

    def __init__(self, **schedule: Value) -> None:
        self.schedule = schedule
        self.fired: list[str] = []
        self.refused: list[str] = []
        self.heard: list[str] = []
        self.is_full = False
        self.meanwhile: list[Callable[[], Awaitable[None]]] = []

    async def call(self, method: str, resource: str, arguments: dict[str, Any], *_: object) -> Reply:
        codec.encode_body(arguments)
        self._see_to(method)
        if method == "kernel.fire":
            self.fired.append(arguments["key"])
            return Reply(value={"run": f"r{len(self.fired)}"})
        while self.meanwhile:
            await self.meanwhile.pop()()
        known: Value = {"name": "tick", "hand": "h1", "since": 1, "schedule": self.schedule}
        return Reply(value={"hands": [known] if method == "kernel.schedules" else [], "more": False})

    async def ask(self, header: headers.Publish | headers.Subscribe, body: bytes = codec.NIL) -> None:
        self._see_to(header.event)
        self.heard.append(header.event)

    def _see_to(self, what: str) -> None:
        if self.is_full:
            self.refused.append(what)
            raise CallRefused("log", "the log cannot grow")


async def until(found: Callable[[], object]) -> None:
    while not found():  # noqa: ASYNC110  whatever it is that changes
        await asyncio.sleep(0)


def with_scheduling(folder: Path, bus: Bus, work: Callable[[Any], Awaitable[None]]) -> None:
    async def whole() -> None:
        hand = seated(main.Scheduling, "scheduling", folder, {})
        hand.kernel = KernelHandle(bus)  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            await hand.start()
            await work(hand)
            assert not any(task.done() for task in hand.tasks)
            await hand.stop()

    asyncio.run(whole())


def test_an_event_that_is_too_large_for_a_start_is_refused_and_the_next_one_begins(tmp_path: Path) -> None:
    bus = Bus(on="web.seen", overlap="queue")

    async def work(hand: Any) -> None:
        await hand.on_event(Event(publisher="web", name="seen", body="x" * (limits.BODY_MAX - 5)))
        await hand.on_event(Event(publisher="web", name="seen", body="short"))
        await until(lambda: bus.fired)
        first, second = (await hand.history(None))["history"]
        assert (first["what"], second["what"]) == ("refused", "fired")
        assert "web.seen says too much to begin a run with" in first["why"]

    with_scheduling(tmp_path, bus, work)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGAIN_S", "RECHECK_S"):
        monkeypatch.setattr(main, name, 0.001)


@pytest.mark.usefixtures("impatient")
def test_a_start_that_finds_the_log_full_follows_when_there_is_room(tmp_path: Path) -> None:
    bus = Bus(every_ms=10)
    bus.is_full = True

    async def work(hand: Any) -> None:
        await until(lambda: bus.refused[3:])
        assert "the log cannot grow" in str((await hand.next(None))["problems"])
        bus.is_full = False
        await until(lambda: bus.fired)
        assert (await hand.next(None))["problems"] == []

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
def test_an_event_whose_stored_text_is_damaged_is_refused_and_the_next_one_begins(tmp_path: Path) -> None:
    bus = Bus(on="web.seen", overlap="queue")

    async def wait_for_room(hand: Any) -> None:
        bus.is_full = True
        await seen(hand, "a")
        await until(lambda: bus.refused)
        hand.store._connection.execute("UPDATE pending SET body = x'c1'")  # no MessagePack begins so

    async def go_on(hand: Any) -> None:
        await seen(hand, "b")
        await until(lambda: bus.fired)
        first, second = (await hand.history(None))["history"]
        assert (first["what"], second["what"]) == ("refused", "fired")
        assert "what was kept of web.seen is damaged" in first["why"]

    with_scheduling(tmp_path, bus, wait_for_room)
    bus.is_full = False
    with_scheduling(tmp_path, bus, go_on)


@pytest.mark.usefixtures("impatient")
def test_a_log_that_is_full_while_a_run_works_is_waited_out(tmp_path: Path) -> None:
    bus = Bus(every_ms=10, overlap="replace")

    async def work(hand: Any) -> None:
        await until(lambda: bus.fired)
        bus.is_full = True
        await until(lambda: "kernel.schedules" in bus.refused)
        begun = len(bus.fired)
        bus.is_full = False
        await until(lambda: len(bus.fired) > begun)

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
def test_a_change_that_is_told_while_the_log_is_full_is_followed_later(tmp_path: Path) -> None:
    bus = Bus(on="web.seen")

    async def work(hand: Any) -> None:
        bus.schedule, bus.is_full = {"on": "web.gone"}, True
        await hand.on_event(Event(publisher="kernel", name="schedules", body={"hand": "tick"}))
        bus.is_full = False
        await until(lambda: "web.gone" in bus.heard)

    with_scheduling(tmp_path, bus, work)


async def seen(hand: Any, *bodies: str) -> None:
    for body in bodies:
        await hand.on_event(Event(publisher="web", name="seen", body=body))


@pytest.mark.usefixtures("impatient")
def test_events_that_come_before_there_is_room_for_a_file_begin_their_runs_when_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, is_full = store._open_file, True

    def full(path: Path | str, now: int) -> object:
        if is_full and path != ":memory:":
            raise apsw.FullError("the disk is full")
        return opened(path, now)

    monkeypatch.setattr(store, "_open_file", full)
    bus = Bus(on="web.seen", overlap="queue")

    async def work(hand: Any) -> None:
        nonlocal is_full
        await seen(hand, "a", "b")
        assert not bus.fired
        is_full = False
        await until(lambda: bus.fired)
        assert [row["what"] for row in (await hand.history(None))["history"]] == ["fired"]
        assert len(hand.book.entries["h1"].pending) == 1

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
def test_events_that_come_while_the_disk_is_full_begin_their_runs_when_there_is_room(tmp_path: Path) -> None:
    bus = Bus(on="web.seen", overlap="queue")

    async def work(hand: Any) -> None:
        pages = hand.store._connection.pragma("max_page_count")
        hand.store._connection.pragma("max_page_count", 8)  # SQLite's own words for a full disk
        await seen(hand, "x" * 50_000)
        assert hand.is_behind
        hand.store._connection.pragma("max_page_count", pages)
        await until(lambda: bus.fired)

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
def test_events_beyond_what_may_wait_for_room_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BYTES_MOST", 70_000)
    bus = Bus(on="web.seen", overlap="queue")

    async def work(hand: Any) -> None:
        pages = hand.store._connection.pragma("max_page_count")
        hand.store._connection.pragma("max_page_count", 8)
        await seen(hand, "x" * 50_000, "y" * 50_000)
        hand.store._connection.pragma("max_page_count", pages)
        await until(lambda: bus.fired)
        (told,) = (await hand.next(None))["problems"]
        assert "1 began nothing" in told, told

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("why", [apsw.FullError("the disk is full"), CallRefused("log", "the log cannot grow")])
def test_an_event_that_comes_while_it_learns_anew_who_is_scheduled_costs_none_its_run(
    tmp_path: Path, why: Exception
) -> None:
    bus = Bus(on="web.seen", overlap="queue")

    async def work(hand: Any) -> None:
        hand._fall_behind(why)
        came = ["a", "b"] if isinstance(why, apsw.Error) else []
        await seen(hand, *came)
        bus.meanwhile.append(lambda: seen(hand, "c"))
        await until(lambda: bus.fired)
        bodies = [codec.decode_body(one.body) for one in hand.book.entries["h1"].pending]
        assert bodies == [*came, "c"][1:]

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
def test_a_file_that_is_damaged_while_it_is_used_is_replaced_and_schedules_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Bus(every_ms=10, overlap="replace")

    async def work(hand: Any) -> None:
        await until(lambda: bus.fired)
        set_cursor, is_damaged = hand.store.set_cursor, True

        def damaged(*given: object) -> None:
            nonlocal is_damaged
            if is_damaged:
                is_damaged = False
                raise apsw.CorruptError("a page is wrong")
            set_cursor(*given)

        monkeypatch.setattr(hand.store, "set_cursor", damaged)  # SQLite would not see a wrong page behind its cache
        await until(lambda: list(tmp_path.rglob("schedules.db.damaged-*")))
        begun = len(bus.fired)
        await until(lambda: len(bus.fired) > begun)
        (problem,) = (await hand.next(None))["problems"]
        assert "schedules.db.damaged-" in problem

    with_scheduling(tmp_path, bus, work)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("column", ["why", "name"])
def test_a_text_of_the_history_with_a_wrong_byte_is_damage(tmp_path: Path, column: str) -> None:
    bus = Bus(every_ms=10, overlap="replace")

    async def work(hand: Any) -> None:
        await until(lambda: hand.store.history("", 1))
        hand.store._connection.execute(f"UPDATE history SET {column} = CAST(x'ff' AS TEXT)")
        with pytest.raises(Failure, match="set aside as .*; ask again") as failed:
            await hand.history(None)
        assert failed.value.code == "damaged"
        begun = len(bus.fired)
        await until(lambda: len(bus.fired) > begun)
        await until(lambda: not hand.is_behind)
        assert {row["what"] for row in (await hand.history(None))["history"]} <= {"fired", "skipped", "missed"}

    with_scheduling(tmp_path, bus, work)


class Pages(Bus):
    """Tells of one scheduled Hand in each page, in alphabetical order. What happens `meanwhile` does so between two."""

    names: tuple[str, ...] = ("b", "c")

    async def call(self, method: str, resource: str, arguments: dict[str, Any], *_: object) -> Reply:
        if method != "kernel.schedules":
            return Reply(value={})
        after, only = arguments["after"], arguments["only"]
        while after and self.meanwhile:
            await self.meanwhile.pop()()
        found = [name for name in self.names if name > after and only in ("", name)]
        rows: Value = [{"name": one, "hand": f"h-{one}", "since": 1, "schedule": self.schedule} for one in found[:1]]
        return Reply(value={"hands": rows, "more": len(found) > 1})


def test_a_hand_that_is_installed_between_two_pages_of_schedules_is_not_forgotten(tmp_path: Path) -> None:
    bus = Pages(on="web.seen")

    async def work(hand: Any) -> None:
        async def install() -> None:
            bus.names = ("a", "b", "c")
            await hand.on_event(Event(publisher="kernel", name="schedules", body={"hand": "a"}))

        bus.meanwhile.append(install)
        await hand._follow("")
        assert {one.name for one in hand.book.entries.values()} == {"a", "b", "c"}
        bus.names = ("b", "c")
        await hand._follow("")
        assert {one.name for one in hand.book.entries.values()} == {"b", "c"}

    with_scheduling(tmp_path, bus, work)
