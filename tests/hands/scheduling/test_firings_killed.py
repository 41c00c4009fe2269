"""Every firing begins one run, whatever is killed meanwhile; runs that are in the way are dealt with as the schedule says."""

import tracemalloc
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.schedules import DEPTH_MOST
from manifests.schema import Overlap, Schedule
from tests.hands.scheduling.clockwork import SECOND, START, World, booking, storing
from wire import codec

HOUR = 3_600 * SECOND
DAY = 24 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.up()
    return made


def test_it_fires_when_it_is_due_and_not_before(world: World) -> None:
    world.schedule("a", Schedule(every_ms=10_000))
    world.schedule("b", Schedule(at="2025-11-26T00:00:25"))
    world.schedule("c", Schedule(cron="1 0 * * *"))
    world.go(70 * SECOND)
    assert (world.planned("a"), world.planned("b"), world.planned("c")) == ([10, 20, 30, 40, 50, 60, 70], [25], [60])
    assert all(0 <= at - int(key[3:]) <= 250 for (_, key), at in world.begun.items())


@pytest.mark.parametrize(
    ("overlap", "fired", "skipped"),
    [("skip", [10, 40, 70], 4), ("queue", [10, 20, 30], 0), ("replace", [10, 20, 30, 40, 50, 60, 70], 0)],
)
def test_while_the_run_before_works(world: World, overlap: Overlap, fired: list[int], skipped: int) -> None:
    world.lasts = 25 * SECOND
    world.schedule("a", Schedule(every_ms=10_000, overlap=overlap))
    world.go(75 * SECOND)
    assert world.planned("a") == fired
    assert sum(count for what, count in world.told() if what == "skipped") == skipped


def test_one_slow_run_delays_nobody(world: World) -> None:
    world.schedule("quick", Schedule(every_ms=10_000))
    world.schedule("slow", Schedule(every_ms=1_000, overlap="queue"))
    world.lasts = HOUR
    world.go(2 * SECOND)
    world.lasts = 0
    world.go(58 * SECOND)
    assert world.planned("quick") == [10, 20, 30, 40, 50, 60]
    assert world.planned("slow") == [1]


def test_a_queue_ends(world: World) -> None:
    world.lasts = DAY
    world.schedule("a", Schedule(every_ms=1_000, overlap="queue"))
    world.go(150 * SECOND)
    assert len(world.book.entries["h-a"].pending) == booking.QUEUE_MOST
    assert sum(count for what, count in world.told() if what == "skipped") == 150 - 1 - booking.QUEUE_MOST


def test_a_held_hand_starts_nothing_and_goes_on_as_missed_says(world: World) -> None:
    for name, missed in (("skip", "skip"), ("latest", "latest"), ("all", "all")):
        world.schedule(name, Schedule(every_ms=60_000, missed=missed, overlap="queue"))  # type: ignore[arg-type]
        world.held[name] = "paused"
        world.tell(name)
    world.go(5 * 60 * SECOND + 30 * SECOND)
    assert world.begun == {}
    world.held.clear()
    for name in world.hands:
        world.tell(name)
    world.go(3 * SECOND)
    assert (world.planned("skip"), world.planned("latest")) == ([], [300])
    assert world.planned("all") == [60, 120, 180, 240, 300]
    assert ("missed", 5) in world.told("skip")
    assert ("missed", 4) in world.told("latest")


def test_what_missed_makes_up_waits_for_each_run(world: World) -> None:
    world.schedule("a", Schedule(every_ms=60_000, missed="all"))
    world.down()
    world.now += 195 * SECOND
    world.lasts = 20 * SECOND
    world.up()
    world.go(50 * SECOND)
    assert world.planned("a")[:3] == [60, 120, 180]
    assert [(at - START) // SECOND for at in sorted(world.begun.values())][:3] == [195, 215, 235]


def test_another_schedule_counts_from_when_it_came(world: World) -> None:
    world.schedule("a", Schedule(every_ms=60_000, overlap="queue"))
    world.lasts = DAY
    world.go(150 * SECOND)
    world.runs.clear()
    world.schedule("a", Schedule(every_ms=100_000))
    world.go(110 * SECOND)
    assert world.planned("a") == [60, 250]


def test_the_end_of_a_run_that_began_instead_of_another_is_the_firings_end(world: World) -> None:
    """After an upgrade the kernel tells of the run that went on; the key of the firing is the same."""
    world.lasts = DAY
    world.schedule("a", Schedule(every_ms=10_000, overlap="queue"))
    world.go(25 * SECOND)
    key, run = next(iter(world.book.entries["h-a"].running.items()))
    del world.runs[run]
    world.book.ended("h-a", "a", key, "r-instead", "done", world.now)
    assert not world.book.entries["h-a"].running
    world.turn()
    assert world.planned("a") == [10, 20]
    first = world.store.history("a", 10)[0]
    assert (first.run, first.outcome) == ("r-instead", "done")


def test_a_hand_that_is_removed_starts_no_more_and_its_past_stays(world: World) -> None:
    world.schedule("a", Schedule(every_ms=10_000))
    world.go(15 * SECOND)
    del world.hands["a"]
    world.book.drop("h-a")
    world.go(60 * SECOND)
    assert world.planned("a") == [10]
    assert world.told("a") == [("fired", 1)]
    world.down()
    world.up()
    assert world.store.cursors() == {}


def test_a_clock_set_back_starts_nothing_twice(world: World) -> None:
    world.schedule("a", Schedule(every_ms=10_000))
    world.go(60 * SECOND)
    world.now -= 40 * SECOND
    world.go(60 * SECOND)
    assert world.planned("a") == [10, 20, 30, 40, 50, 60, 70, 80]


def test_a_clock_that_was_days_ahead_loses_nothing_and_starts_nothing_twice(world: World) -> None:
    world.schedule("a", Schedule(every_ms=HOUR))
    world.go(HOUR + SECOND)
    world.now += 3 * DAY
    world.go(HOUR, step=60 * SECOND)
    world.turn()  # its last run ends by the clock that it began by
    ahead = world.planned("a")
    assert ahead[0] == 3_600
    assert len(ahead) == 3
    world.now -= 3 * DAY
    world.go(4 * HOUR, step=60 * SECOND)
    assert [at // 3_600 for at in world.planned("a")][3:] == [3, 4, 5, 6]
    world.go(3 * DAY, step=60 * SECOND)
    assert len(world.planned("a")) == len(set(world.planned("a"))) == (world.now - START) // HOUR - 1


@pytest.mark.parametrize("is_down", [False, True])
def test_what_waits_by_a_clock_that_was_years_ahead_holds_up_nothing(world: World, *, is_down: bool) -> None:
    world.schedule("event", Schedule(on="web.seen", quiet=("00:00-07:00",)))
    world.schedule("clock", Schedule(every_ms=HOUR))
    world.now += 365 * DAY
    world.book.turn(world.now)  # and is killed before it asks for a run
    world.book.take_event("web.seen", {}, world.now, "first", 0)
    assert [len(one.pending) for one in world.book.entries.values()] == [1, 1]
    if is_down:
        world.down()
    world.now -= 365 * DAY - 8 * HOUR
    if is_down:
        world.up()
    world.go(SECOND)
    assert ("h-event", "first") in world.begun
    world.book.take_event("web.seen", {}, world.now, "second", 0)
    world.go(2 * HOUR, step=60 * SECOND)
    assert ("h-event", "second") in world.begun
    assert [at // 3_600 for at in world.planned("clock") if at < DAY // SECOND][-2:] == [9, 10]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 3, 9, 45]), st.sampled_from([0, 0, -5, -30])), max_size=8
    ),
    st.sampled_from([0, 1_500]),
)
@settings(max_examples=settings().max_examples // 4)  # each goes on for minutes of a clock, on a real file
def test_killed_anywhere_each_firing_begins_exactly_one_run(
    tmp_path_factory: pytest.TempPathFactory, deaths: list[tuple[int, int, int]], lasts: int
) -> None:
    world = World(tmp_path_factory.mktemp("book"), lasts=lasts)
    world.schedule("all", Schedule(every_ms=5_000, missed="all", overlap="queue"))
    world.schedule("skip", Schedule(every_ms=7_000, missed="skip", overlap="replace"))
    world.schedule("latest", Schedule(every_ms=6_000, missed="latest", overlap="queue"))
    world.up()
    latest = world.now
    for steps, sleep, jump in deaths:
        world.killed_at = steps
        world.go(4 * SECOND)
        world.killed_at = None
        world.down()
        world.now += (sleep + jump) * SECOND
        world.up()
        latest = max(latest, world.now)
    world.now = max(world.now, latest)
    world.go(200 * SECOND, step=500)
    ended = world.now
    for name in world.hands:
        assert world.planned(name) == sorted(world.planned(name)), name
    everything = list(range(5, (ended - START) // SECOND - 20, 5))
    assert world.planned("all")[: len(everything)] == everything
    newest = {name: world.planned(name)[-1] for name in world.hands}
    assert all((ended - START) // SECOND - at < 30 for at in newest.values())
    world.down()


def test_events_begin_runs_with_what_they_say(world: World) -> None:
    world.schedule("a", Schedule(on="b.loaded", where={"rows": {"above": 10}}, overlap="queue"))
    assert world.book.events() == {"b.loaded"}
    for number, rows in enumerate((5, 20, 30)):
        assert world.book.take_event("b.loaded", {"rows": rows}, world.now, f"on {number}", 0) == []
    pending = world.book.entries["h-a"].pending
    assert [(one.key, one.event, one.depth) for one in pending] == [("on 1", "b.loaded", 1), ("on 2", "b.loaded", 1)]
    world.down()
    world.up()
    world.go(SECOND)
    assert sorted(key for _, key in world.begun) == ["on 1", "on 2"]


def test_large_events_that_wait_do_not_fill_the_memory_of_who_keeps_time(world: World) -> None:
    world.lasts = DAY
    for name in ("a", "b", "c", "d", "e", "f"):
        world.schedule(name, Schedule(on="b.loaded", overlap="queue"))
    body, larger = "x" * (60 << 10), "x" * (64 << 10)
    for number in range(110):
        world.book.take_event("b.loaded", larger if number == 0 else body, world.now, f"on {number}", 0)
        world.turn()
    kept = [one.body for entry in world.book.entries.values() for one in entry.pending]
    assert 31 << 20 < sum(map(len, kept)) <= 32 << 20
    assert {(row.what, row.why) for row in world.store.history("", 99) if row.what != "fired"} == {
        ("refused", "b.loaded says too much to begin a run with: 65541 bytes of 65536"),
        ("skipped", "events of 32 MiB wait already"),
    }


def test_large_events_that_wait_since_a_version_before_are_let_go_unread(world: World) -> None:
    world.schedule("a", Schedule(on="b.loaded", overlap="queue"))
    for number, body in enumerate((b"x" * (8 << 20), b"x" * (8 << 20), codec.encode_body("small"))):
        world.store.add(
            storing.Pending(hand="h-a", name="a", key=f"on {number}", planned=1, due=1, event="b.loaded", body=body)
        )
    world.down()
    tracemalloc.start()
    world.up()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    world.turn()
    assert [key for _, key in world.begun] == ["on 2"]
    assert [(row.what, row.why) for row in world.store.history("a", 9)] == [
        ("refused", "b.loaded says too much to begin a run with: 8388608 bytes of 65536"),
        ("refused", "b.loaded says too much to begin a run with: 8388608 bytes of 65536"),
        ("fired", "on b.loaded"),
    ]


def test_events_in_quiet_hours_wait_for_their_end(world: World) -> None:
    world.schedule("a", Schedule(on="b.loaded", quiet=("23:00-00:05",), overlap="queue"))
    world.book.take_event("b.loaded", None, world.now, "on 1", 0)
    world.go(299 * SECOND)
    assert world.begun == {}
    world.go(2 * SECOND)
    assert len(world.begun) == 1


def test_schedules_that_start_each_other_end(world: World) -> None:
    world.schedule("a", Schedule(on="b.done", overlap="queue"))
    world.schedule("b", Schedule(on="a.done", overlap="queue"))
    world.lasts = SECOND
    loops: list[tuple[str, str]] = []
    depth = 0
    for number in range(1, 60):
        name = "ba"[depth % 2]
        loops += world.book.take_event(f"{name}.done", None, world.now, f"on {number}", depth)
        depth = max([depth, *(one.depth for entry in world.book.entries.values() for one in entry.pending)])
        world.turn()
        world.now += SECOND
    assert len(world.begun) == DEPTH_MOST
    assert loops == [("a", f"a loop: b.done came of {DEPTH_MOST} runs, each begun by an event of the one before")]
    assert [what for what, _ in world.told()].count("skipped") == 1


def test_a_storm_of_events_begins_so_many_runs_and_is_told_once(world: World) -> None:
    world.schedule("a", Schedule(on="b.loaded", overlap="queue"))
    loops: list[tuple[str, str]] = []
    for number in range(booking.EVENTS_MOST + 30):
        loops += world.book.take_event("b.loaded", None, world.now, f"on {number}", 0)
        world.turn()
        world.now += 10
    assert len(world.begun) == booking.EVENTS_MOST
    assert [hand for hand, _ in loops] == ["a"]
    assert ("skipped", 30) in world.told()


def test_a_damaged_file_is_set_aside_and_the_kernel_knows_what_began(world: World, tmp_path: Path) -> None:
    world.schedule("a", Schedule(every_ms=10_000))
    world.go(30 * SECOND)
    world.down()
    (tmp_path / storing.FILE).write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    world.now += SECOND
    world.up()
    assert "set aside" in world.store.notes[0]
    world.go(30 * SECOND)
    assert world.planned("a") == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize("table", ["cursor", "pending"])
def test_a_file_with_a_text_that_is_none_is_set_aside(world: World, tmp_path: Path, table: str) -> None:
    world.lasts = 60 * SECOND
    world.schedule("a", Schedule(every_ms=10_000, overlap="queue"))
    world.go(30 * SECOND)
    assert world.store.pending()
    world.down()
    connection = apsw.Connection(str(tmp_path / storing.FILE))
    connection.execute(f"UPDATE {table} SET hand = CAST(x'ff' AS TEXT)")
    connection.close()
    world.up()
    assert "set aside" in world.store.notes[0]
    world.go(120 * SECOND)
    assert world.planned("a")[-1] > 30


def test_the_history_is_bounded(world: World) -> None:
    world.schedule("a", Schedule(every_ms=1_000))
    world.go(400 * SECOND, step=SECOND)
    assert len(world.told("a")) <= storing.KEPT + storing.PRUNE_EVERY + 1


def test_on_a_full_disk_nothing_begins_and_afterwards_nothing_twice(world: World) -> None:
    world.schedule("a", Schedule(every_ms=1_000, missed="all", overlap="queue"))
    world.go(10 * SECOND)
    connection = world.store._connection
    pages = connection.pragma("page_count")
    assert connection.pragma("max_page_count", pages) == pages
    with pytest.raises(apsw.Error):
        world.go(2_000 * SECOND, step=SECOND)
    begun = len(world.begun)
    with pytest.raises(apsw.Error):
        world.go(2 * SECOND, step=SECOND)
    assert len(world.begun) - begun <= 1
    connection.pragma("max_page_count", 100_000)
    world.book = booking.Book(world.store, world.now)
    world.tell("a")
    world.runs.clear()
    world.go(30 * SECOND)
    planned = world.planned("a")
    assert planned[:10] == list(range(1, 11))
    assert planned == sorted(set(planned))
    assert planned[-1] >= (world.now - START) // SECOND - 1


def test_what_waited_before_labels_were_kept_may_be_from_anywhere(world: World) -> None:
    world.schedule("a", Schedule(on="b.loaded", overlap="queue"))
    world.book.take_event("b.loaded", 1, world.now, "on 1", 0, ("web", "files"))
    (firing,) = world.store.pending()
    assert firing.labels == ("web", "files")
    world.store._connection.execute("ALTER TABLE pending DROP COLUMN labels")
    world.store._connection.execute("PRAGMA user_version = 1")
    world.down()
    world.up()
    assert [(one.key, one.labels) for one in world.book.entries["h-a"].pending] == [("on 1", ("*",))]
    assert world.store.notes == []
    world.down()


def test_a_firing_that_began_before_its_schedule_was_read_again_is_not_asked_for_twice(world: World) -> None:
    world.schedule("a", Schedule(every_ms=HOUR))
    world.book.turn(world.now + HOUR)
    (firing,) = world.book.entries["h-a"].pending
    world.book = booking.Book(world.store, world.now)
    world.book.began(firing, "r-1", world.now)
    world.tell("a")
    assert not world.book.entries["h-a"].pending
