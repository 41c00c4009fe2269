"""The whole Hand while something does not answer, or takes nothing: it goes on looking, judging and telling."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from runtime import CallFailed, Failure
from tests.hands.doubles import hand_module
from tests.hands.monitoring.running import Running, main, running
from tests.hands.monitoring.world import World, stats

STALLING = {"site": {"url": "https://example.org/", "timeout": "60s", "follow": 0}}


def _stall(it: Running, answered: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no look at an endpoint end before it is answered."""
    usual = it.hand.prober.look

    async def look(target: SimpleNamespace, *, counts: bool = True) -> object:
        if target.kind == "http":
            await answered.wait()
        return await usual(target, counts=counts)

    monkeypatch.setattr(it.hand.prober, "look", look)


def test_an_endpoint_that_stalls_keeps_no_alarm_from_firing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.stats"] = lambda _, __: stats(memory={"percent": 99.0})

        def stall(*_: object) -> CallFailed:
            world.now += 60_000
            return CallFailed("deadline", "no answer")

        world.answers["web.fetch"] = stall
        async with running(world, tmp_path, monkeypatch, targets=STALLING, interval="15s") as it:
            await it.rounds(2)
        assert {(body["target"], body["level"]) for _, body in world.published} == {
            ("machine", "critical"), ("site", "critical"),
        }  # fmt: skip

    asyncio.run(scene())


@pytest.mark.parametrize("within_a_look", [True, False])
def test_a_machine_that_slept_was_not_watched_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, within_a_look: bool
) -> None:
    async def scene() -> None:
        world = World()
        asleep = 0

        def measured(*_: object) -> dict[str, object]:
            world.now += asleep
            return stats(memory={"percent": 99.0})

        world.answers["machine.stats"] = measured
        async with running(world, tmp_path, monkeypatch, interval="15s") as it:
            await it.rounds(2)
            asleep = 8 * 3_600_000 if within_a_look else 0
            world.now += 8 * 3_600_000 - asleep
            await it.rounds()
            asleep = 0
            await it.rounds(3)
            assert world.published == []
            await it.rounds()
            assert [body["level"] for _, body in world.published] == ["critical"]

    asyncio.run(scene())


def test_a_look_that_stalls_holds_up_no_other_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.stats"] = lambda _, __: stats(memory={"percent": 99.0})
        world.answers["files.stat"] = lambda _, __: CallFailed("not found", "gone")
        targets = {f"site{number}": {"url": f"https://example.org/{number}"} for number in range(40)}
        monkeypatch.setattr(main, "PATIENCE", 0.01)
        answered = asyncio.Event()

        async with running(world, tmp_path, monkeypatch, targets={**targets, "f": {"file": "a/b"}}) as it:
            _stall(it, answered, monkeypatch)
            await it.rounds(8)
            assert {body["target"] for _, body in world.published} == {"machine", "f"}
            assert len([one for one in world.calls if one[0] == "machine.stats"]) == 9
            world.answers["web.fetch"] = lambda _, __: ([b""], {"status": 200, "elapsed_us": 1})
            answered.set()
            await it.rounds(3)
            report = await it.ask("report", since="1h")
            assert {one["state"] for one in report["targets"] if one["kind"] == "http"} == {"ok"}

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_what_a_look_finds_of_a_target_that_is_no_more_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        world.answers["web.fetch"] = lambda _, __: CallFailed("unreachable", "no")
        monkeypatch.setattr(main, "PATIENCE", 0.01)
        answered = asyncio.Event()
        async with running(world, tmp_path, monkeypatch, targets=STALLING) as it:
            _stall(it, answered, monkeypatch)
            await it.rounds(2)
            it.settings.change({"targets": {"site": {"url": "https://example.net/", "up": "critical < 1"}}})
            answered.set()
            await it.rounds(1)
            assert "example.org" not in str(world.published)
            await it.rounds(3)
            assert {body["subject"] for _, body in world.published} == {"https://example.net/"}
            it.settings.change({"targets": {}})
            await it.rounds(3)

    asyncio.run(asyncio.wait_for(scene(), 60))


@pytest.mark.parametrize("from_the_start", [False, True])
def test_what_is_wrong_is_told_while_the_history_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, from_the_start: bool
) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": 1}}
        if from_the_start:
            monkeypatch.setattr(history_of, "_connect", no_room)
        async with running(world, tmp_path, monkeypatch, targets={"db": {"process": "pg"}}) as it:
            if not from_the_start:
                await it.rounds()
                it.hand.store._connection.execute("PRAGMA query_only = 1")
                monkeypatch.setattr(it.hand.store, "round", no_room)
            world.answers["machine.processes"] = lambda _, __: {"total": {"count": 0}}
            await it.rounds(3)
            report = await it.ask("report")
            assert "cannot be written" in report["problems"][0]
            assert (report["state"], [one["target"] for one in report["alerts"]]) == ("critical", ["db"])
            assert [(name, body["target"]) for name, body in world.published] == [("alert", "db")]
            it.hand.store._connection.execute("PRAGMA query_only = 0")
            monkeypatch.undo()
            monkeypatch.setattr(main, "now_ms", world.clock)
            await it.rounds(2)
            assert (await it.ask("report"))["problems"] == []
            world.answers["machine.processes"] = lambda _, __: {"total": {"count": 1}}
            await it.rounds(3)
            assert [name for name, _ in world.published] == ["alert", "recovered"]  # told once, here and there

    def no_room(path: object = None) -> object:
        if path == ":memory:":
            return connect(path)
        raise apsw.FullError("database or disk is full")

    history_of = hand_module("monitoring", "monitor_history")
    connect = history_of._connect
    asyncio.run(asyncio.wait_for(scene(), 60))


@pytest.mark.parametrize("method", ["report", "history", "alerts"])
def test_damage_that_only_reading_meets_is_set_aside_and_alarms_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": 0}}
        async with running(world, tmp_path, monkeypatch, targets={"db": {"process": "pg"}}) as it:
            await it.rounds(2)

            def damaged(*_: object, **__: object) -> None:
                raise apsw.CorruptError("a page is wrong")

            for part in ("changes", "values", "past_alerts"):
                monkeypatch.setattr(it.hand.store, part, damaged)
            arguments = {"metric": "up"} if method == "history" else {}
            with pytest.raises(Failure, match="set aside") as failed:
                await it.ask(method, "db" if method == "history" else "", **arguments)
            assert failed.value.code == "damaged"
            for part in ("changes", "values", "past_alerts"):
                monkeypatch.delattr(it.hand.store, part)
            await it.ask(method, "db" if method == "history" else "", **arguments)
            assert (await it.ask("report"))["state"] == "critical"
            await it.rounds(3)
            assert [name for name, _ in world.published] == ["alert"]

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_look_that_was_asked_for_and_meets_damage_sets_it_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds(2)

            def damaged(*_: object) -> None:
                raise apsw.CorruptError("a page is wrong")

            it.hand.watcher._normal.clear()
            monkeypatch.setattr(it.hand.store, "hours", damaged)
            with pytest.raises(Failure, match="set aside") as failed:
                await it.ask("check", "machine")
            assert failed.value.code == "damaged"
            monkeypatch.delattr(it.hand.store, "hours")
            assert (await it.ask("check", "machine"))["state"] == "ok"

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_text_of_the_history_that_is_none_any_more_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": 0}}
        async with running(world, tmp_path, monkeypatch, targets={"db": {"process": "pg"}}) as it:
            await it.rounds(2)
            it.hand.store._connection.execute("UPDATE change SET text = CAST(x'66ff' AS TEXT)")
            with pytest.raises(Failure, match="set aside") as failed:
                await it.ask("report", since="1h")
            assert failed.value.code == "damaged"
            assert (await it.ask("report", since="1h"))["state"] == "critical"

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_silences_outlive_damage_for_which_there_is_no_new_file_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            await it.ask("silence", "machine")
            monkeypatch.setattr(history_of, "_connect", no_room)
            it.hand._set_aside(apsw.CorruptError("a page is wrong"))
            assert [one.target for one in it.hand.watcher.silences] == ["machine"]
            monkeypatch.setattr(history_of, "_connect", connect)
            await it.rounds()
            assert it.hand.store.no_room == ""
            assert [one.target for one in it.hand.watcher.silences] == ["machine"]
        async with running(world, tmp_path, monkeypatch) as it:
            assert [one.target for one in it.hand.watcher.silences] == ["machine"]

    def no_room(path: object) -> object:
        if path == ":memory:":
            return connect(path)
        raise apsw.FullError("database or disk is full")

    history_of = hand_module("monitoring", "monitor_history")
    connect = history_of._connect
    asyncio.run(asyncio.wait_for(scene(), 60))


@pytest.mark.parametrize(
    "damage",
    ["UPDATE state SET value = CAST(x'66ff' AS TEXT)", "UPDATE series SET metric = CAST(x'66ff' || metric AS TEXT)"],
)
def test_a_start_with_a_text_that_is_none_any_more_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds(2)
            it.hand.store._connection.execute(damage)
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            assert "set aside as history.db.damaged-" in (await it.ask("report"))["problems"][0]

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_an_event_that_could_not_be_published_before_the_hand_ended_is_published_once_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its texts may come from files and pages, of which the next run has seen none yet."""

    async def scene() -> None:
        world = World()
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": 0}}
        world.publish_ends_in = CallFailed("log", "the disk is full")
        targets = {"db": {"process": "pg"}}
        async with running(world, tmp_path, monkeypatch, targets=targets) as it:
            await it.rounds(2)
            assert world.published == []
        world.publish_ends_in = None
        for _ in range(2):
            async with running(world, tmp_path, monkeypatch, targets=targets) as it:
                await it.rounds(1)
        assert [(name, body["target"]) for name, body in world.published] == [("alert", "db")]
        assert world.published_labels == [("files", "web")]

    asyncio.run(scene())
