"""The whole Hand, with its real settings, manifest and history: its loop, its methods, its events, its end."""

import asyncio
from pathlib import Path

import apsw
import pytest

from runtime import CallFailed, CallRefused, Failure
from tests.hands.doubles import FakeCall
from tests.hands.monitoring.running import Running, main, running
from tests.hands.monitoring.world import START, World, stats

CPU = ("machine", "", "cpu_percent")


def test_at_its_first_start_it_watches_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds(3)
            report = await it.ask("report")
        assert [one["target"] for one in report["targets"]] == ["machine"]
        assert (report["state"], report["problems"]) == ("ok", [])
        assert "machine: ok" in str(report["text"])
        assert world.now - START == 4 * 30_000
        assert {method for method, _ in world.calls} == {"machine.stats"}

    asyncio.run(scene())


def test_alerts_and_recoveries_are_published_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        targets = {"db": {"process": "pg"}}
        count = 0
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": count}}
        async with running(world, tmp_path, monkeypatch, targets=targets) as it:
            await it.rounds(3)
            count = 1
            await it.rounds(3)
            past = (await it.ask("alerts"))["past"]
        (alert, recovered) = world.published
        assert alert[0] == "alert"
        assert alert[1]["target"] == "db"
        assert alert[1]["level"] == "critical"
        assert "no such process is running" in alert[1]["text"]
        assert recovered[0] == "recovered"
        assert recovered[1]["recovered"] == ["up critical < 1"]
        assert [one["kind"] for one in past] == ["over", "fired"]

    asyncio.run(scene())


def test_what_changed_since_the_last_report_is_told_also_when_that_was_by_a_clock_that_was_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        count = 1
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": count}}
        async with running(world, tmp_path, monkeypatch, targets={"db": {"process": "pg"}}) as it:
            await it.rounds(2)
            await it.ask("report")
            world.now -= 6 * 3_600_000
            count = 0
            await it.rounds(3)
            report = await it.ask("report")
            assert [one["kind"] for one in report["changes"]] == ["fired"]
            assert (await it.ask("report"))["changes"] == []

    asyncio.run(scene())


def test_a_clock_that_leaps_ahead_drops_no_history_until_it_has_stood_so_for_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world, leapt, year = World(), 0, 365 * 86_400_000
        monkeypatch.setattr(main, "monotonic", lambda: (world.now - leapt) / 1000)
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds(3)
        leapt = year
        world.now += leapt
        for _ in range(3):
            async with running(world, tmp_path, monkeypatch) as it:
                await it.rounds(1)
                assert it.hand.store.values(CPU, START, START + 86_400_000), "a start soon after believes no more"
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds(100)
            assert it.hand.store.values(CPU, START, START + 86_400_000)
            await it.rounds(45)
            assert not it.hand.store.values(CPU, START, START + 86_400_000)

    asyncio.run(scene())


def test_an_event_that_cannot_be_published_is_published_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.processes"] = lambda _, __: {"total": {"count": 0}}
        world.publish_ends_in = CallRefused("rate", "too many")
        targets = {"db": {"process": "pg"}, "web": {"process": "nginx"}}
        async with running(world, tmp_path, monkeypatch, targets=targets) as it:
            await it.rounds(2)
            assert world.published == []
            world.publish_ends_in = None
            await it.rounds(2)
        assert [(name, body["target"]) for name, body in world.published] == [("alert", "db"), ("alert", "web")]

    asyncio.run(scene())


def test_changed_settings_take_effect_at_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["files.stat"] = lambda _, __: {"kind": "file", "size": 1, "modified": "2024-10-04T03:00:00Z"}
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            it.settings.change({"targets": {"f": {"file": "etc/hosts"}, "wrong": {}}, "interval": "5s"})
            await it.rounds(2)
            report = await it.ask("report", since="1h")
            assert [one["target"] for one in report["targets"]] == ["machine", "f"]
            assert "`wrong`" in report["problems"][0]
            before = world.now
            await it.rounds(2)
            assert world.now - before == 10_000

    asyncio.run(scene())


def test_a_check_looks_now_and_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            world.answers["machine.stats"] = lambda _, __: CallRefused("capability", "the caller may not")
            refused = await it.ask("check", "machine")
            assert (refused["state"], refused["metrics"]) == ("cannot be checked", {})
            world.answers["machine.stats"] = lambda _, __: stats(memory={"percent": 99.0})
            bad = await it.ask("check", "machine")
            assert bad["state"] == "bad"
            assert "99.0 %" in str(bad["why"])
            report = await it.ask("report", since="1h")
            assert report["state"] == "ok"
            assert report["changes"] == []

    asyncio.run(scene())


def test_a_check_says_what_it_does_not_know_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds()
            told = {one["check"]: one["text"] for one in (await it.ask("check", "machine"))["checks"]}
            assert told["reachable"] == "can be checked"
            assert told["memory_percent unusual"].endswith("%; what is usual is not known yet")
            assert told["memory_percent drifts"] == "the last 7 days have too few values"

    asyncio.run(scene())


def test_a_check_leaves_the_rates_of_the_next_look_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.stats"] = lambda _, __: stats(uptime=(world.now - START) // 1_000)
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            world.now += 29_999
            world.answers["machine.stats"] = lambda _, __: stats(uptime=0)
            await it.ask("check", "machine")
            world.now += 1
            world.answers["machine.stats"] = lambda _, __: stats(uptime=(world.now - START) // 1_000)
            await it.rounds()
            (machine,) = (await it.ask("report"))["targets"]
            assert machine["metrics"]["received_per_second"] == 5_000.0

    asyncio.run(scene())


def test_wrong_questions_are_answered_with_what_to_ask_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds()
            for method, resource, arguments, wanted in (
                ("check", "nothing", {}, "there are machine"),
                ("history", "nothing", {"metric": "up"}, "there are machine"),
                ("history", "machine", {"since": "yesterday"}, "2h"),
                ("report", "", {"since": "soon"}, "2h"),
                ("report", "", {"since": "4000d"}, "is more than ten years: write at most"),
                ("silence", "nothing", {}, "there are machine"),
                ("silence", "machine", {"lasts": "31d"}, "30d"),
                ("alerts", "", {"past": "many"}, "past"),
            ):
                with pytest.raises(Failure, match=wanted):
                    await it.ask(method, resource, **arguments)

    asyncio.run(scene())


def test_a_silence_is_shown_and_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds()
            made = await it.ask("silence", "all", lasts="2h", reason="moving house")
            assert made["lifted"] == 0
            (shown,) = (await it.ask("alerts"))["silences"]
            assert (shown["target"], shown["reason"], shown["until"]) == ("all", "moving house", made["until"])
            assert (await it.ask("silence", "all", lift=True))["lifted"] == 1
            assert (await it.ask("alerts"))["silences"] == []

    asyncio.run(scene())


def test_a_silences_reason_comes_back_with_the_labels_of_who_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told(it: Running) -> set[str]:
        asked = FakeCall("", "monitoring.alerts")
        await it.hand.on_call(asked, {})
        return asked.added

    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            made = FakeCall("machine", "monitoring.silence", labels=("mail",))
            await it.hand.on_call(made, {"reason": "the code is 4711"})
            assert await told(it) == {"mail"}
        async with running(World(), tmp_path, monkeypatch) as it:  # another process knows it from the file
            assert await told(it) == {"mail"}

    asyncio.run(scene())


def test_silences_are_bounded_in_size_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            for number in range(500):
                await it.ask("silence", "all", check=f"{number}")
            for name, why in (("x" * 201, "200 characters"), ("one more", "500 silences")):
                with pytest.raises(Failure, match=why):
                    await it.ask("silence", "all", check=name)
            await it.ask("silence", "all", check="7")

    asyncio.run(scene())


def test_history_tells_its_metrics_and_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds(5)
            metrics = (await it.ask("history", "machine"))["metrics"]
            assert "disk_percent:/" in metrics
            answer = await it.ask("history", "machine", metric="cpu_percent", since="1h", points=500)
            assert (answer["unit"], answer["source"]) == ("percent", "values")
            assert [point["mean"] for point in answer["points"]] == [7.0] * 6

    asyncio.run(scene())


def test_a_damaged_history_is_said_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "history.db").write_bytes(b"nonsense" * 1000)

    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds()
            report = await it.ask("report")
            assert "set aside as history.db.damaged-" in report["problems"][0]
            assert report["changes"][0]["kind"] == "note"

    asyncio.run(scene())


def test_a_full_disk_is_said_and_watching_goes_on_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            disk = it.hand.store._connection
            room = disk.execute("PRAGMA max_page_count = 1").fetchone()[0]  # as large as it is now, and no larger
            world.answers["machine.stats"] = lambda _, __: stats(
                disks=[{"mount": f"/mnt/{number}", "percent": 50.0} for number in range(2000)]
            )
            await it.rounds()
            report = await it.ask("report")
            assert "cannot be written" in report["problems"][0]
            disk.execute(f"PRAGMA max_page_count = {room * 1000}")
            await it.rounds()
            assert (await it.ask("report"))["problems"] == []
            assert len((await it.ask("history", "machine"))["metrics"]) > 2000

    asyncio.run(scene())


def test_a_history_that_is_damaged_while_it_runs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds(2)

            def damaged(*_: object, **__: object) -> None:
                raise apsw.CorruptError("a page is wrong")

            monkeypatch.setattr(it.hand.watcher, "take", damaged)  # SQLite would not see a wrong page behind its cache
            await it.rounds(3)
            report = await it.ask("report", since="1h")
            assert "set aside" in report["problems"][0]
            assert report["state"] == "ok"

    asyncio.run(scene())


def test_a_provider_that_is_not_there_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World()
        world.answers["machine.stats"] = lambda _, __: CallFailed("ended", "run ended")
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds(5)
            report = await it.ask("report")
        assert report["state"] == "cannot be checked"
        assert [name for name, _ in world.published] == ["alert"]

    asyncio.run(scene())


def test_something_unforeseen_ends_the_run_so_that_it_is_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World()
        async with running(world, tmp_path, monkeypatch) as it:
            await it.rounds()
            world.answers["machine.stats"] = lambda _, __: ZeroDivisionError("a mistake of ours")
            await it.rounds(2)

    with pytest.raises(ExceptionGroup, match="TaskGroup") as ended:
        asyncio.run(asyncio.wait_for(scene(), 20))
    assert ended.group_contains(ZeroDivisionError)


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_the_calendar_is_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: str) -> None:
    async def scene() -> None:
        async with running(World(), tmp_path, monkeypatch) as it:
            await it.rounds()
            for method, resource in (("report", ""), ("history", "machine")):
                with pytest.raises(Failure, match="is not a time"):
                    await it.ask(method, resource, since=since)

    asyncio.run(scene())
