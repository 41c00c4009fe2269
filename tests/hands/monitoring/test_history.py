"""The history on real files: whole rounds or none, after kills, damage, disk bounds and the passing of months."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from tests.hands.doubles import HANDS, hand_module
from tests.hands.monitoring.world import MINUTE

history = hand_module("monitoring", "monitor_history")
report = hand_module("monitoring", "monitor_report")
baselines = hand_module("monitoring", "monitor_baseline")

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 20_000 * DAY
KEEP = {"keep_values_ms": 2 * DAY, "keep_ms": 60 * DAY, "most_bytes": 64 << 20}
KEY = ("t", "s", "cpu_percent")


def opened(folder: Path, now: int = NOW) -> SimpleNamespace:
    found: SimpleNamespace = history.History(folder, now=now)
    return found


def put(store: SimpleNamespace, at: int, value: float) -> None:
    with store.round():
        store.add_values("t", "s", at, {"cpu_percent": value})


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(store, NOW, 5.0)
    with store.round():
        store.add_change(report.Change(at=NOW, target="t", kind="fired", text="x"))
        store.save("k", {"a": 1})
    store.close()
    again = opened(tmp_path)
    assert again.notes == []
    assert again.values(KEY, 0, NOW + 1) == [(NOW, 5.0)]
    assert again.value_at(KEY, NOW + 5) == 5.0
    assert [one.text for one in again.changes(0, NOW, 9)] == ["x"]
    assert again.load("k", dict[str, int], {}) == {"a": 1}


def test_a_round_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(RuntimeError), store.round():
        store.add_values("t", "s", NOW, {"cpu_percent": 1.0})
        raise RuntimeError
    assert store.values(KEY, 0, NOW + 1) == []
    put(store, NOW, 2.0)
    store.close()
    assert opened(tmp_path).values(KEY, 0, NOW + 1) == [(NOW, 2.0)]


def test_hours_are_summed_up_once_they_are_over_and_stay_when_their_values_are_gone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for minute in range(0, 60, 10):
        put(store, NOW + minute * 60_000, float(minute))
    store.tidy(NOW + HOUR + 1, **KEEP)
    number = baselines.hour_number(NOW)
    (row,) = store.hours(KEY, number, number + 1)
    assert (row.count, row.least, row.most, row.mean, row.median) == (6, 0.0, 50.0, 25.0, 25.0)
    store.tidy(NOW + 3 * DAY, **KEEP)
    assert store.values(KEY, 0, NOW + DAY) == []
    assert len(store.hours(KEY, 0, number + 1)) == 1
    store.tidy(NOW + 61 * DAY, **KEEP)
    assert store.hours(KEY, 0, number + 1) == []
    assert store.metrics("t", "s") == ()


def test_hours_are_summed_up_again_when_a_clock_that_was_ahead_is_right_once_more(tmp_path: Path) -> None:
    store = opened(tmp_path)
    number = baselines.hour_number(NOW)
    put(store, NOW, 1.0)
    put(store, NOW + DAY, 100.0)
    store.tidy(NOW + DAY + HOUR, **KEEP)
    put(store, NOW + 30 * 60_000, 3.0)
    store.tidy(NOW + 40 * 60_000, **KEEP)
    put(store, NOW + HOUR, 5.0)
    store.tidy(NOW + 2 * HOUR, **KEEP)
    assert [(one.number - number, one.count) for one in store.hours(KEY, number, number + 2)] == [(0, 2), (1, 1)]


def test_a_clock_that_begins_in_1970_costs_no_look_at_every_hour_since(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(store, 0, 1.0)
    put(store, NOW, 2.0)
    asked: list[str] = []

    def note(_: object, statement: str, __: object) -> bool:
        asked.append(statement)
        return True

    store._connection.set_exec_trace(note)
    store.tidy(NOW + HOUR, **KEEP)
    assert len(asked) < 50
    assert store.hours(KEY, 0, 1) == []
    assert len(store.hours(KEY, 1, baselines.hour_number(NOW) + 1)) == 1


@pytest.mark.wide
def test_the_file_keeps_within_its_bound_and_the_newest_values_stay(tmp_path: Path) -> None:
    store = opened(tmp_path)
    bound = 4 << 20
    for batch in range(12):
        with store.round():
            for place in range(20_000):
                at = NOW + (batch * 20_000 + place) * 100
                store.add_values("t", "s", at, {"cpu_percent": float(place)})
        store.tidy(NOW + 1, keep_values_ms=DAY, keep_ms=DAY, most_bytes=bound)
        assert store.used_bytes() <= bound
    last = NOW + (12 * 20_000 - 1) * 100
    assert store.value_at(KEY, last) == 19_999.0
    store.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2 * bound


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_set_aside_and_said_and_a_new_one_begun(tmp_path: Path, seed: int) -> None:
    store = opened(tmp_path)
    for place in range(3_000):
        store.add_values("t", "s", NOW + place, {"cpu_percent": 1.0, "memory_percent": 2.0})
    store.close()
    file = tmp_path / history.FILE
    raw = bytearray(file.read_bytes())
    random_ = random.Random(seed)
    if seed == 0:
        raw = bytearray(b"this was never a database, but it is longer than a header" * 50)
    elif seed == 1:
        raw = raw[: len(raw) // 2]
    else:
        for page in range(0, len(raw), 4096):
            if page or seed % 2:
                raw[page + 100 * (page == 0) : page + 2048] = random_.randbytes(2048 - 100 * (page == 0))
    file.write_bytes(raw)
    again = opened(tmp_path, NOW + 7)
    assert len(again.notes) == 1
    assert "set aside as history.db.damaged-" in again.notes[0]
    aside = tmp_path / f"history.db.damaged-{NOW + 7}"
    assert aside.read_bytes()[4096:] == bytes(raw[4096:])  # opening it counts one up in the header
    put(again, NOW + 9, 3.0)
    assert again.values(KEY, 0, NOW + 10) == [(NOW + 9, 3.0)]


def test_damage_that_lies_deep_is_found_at_the_start_and_not_in_the_middle_of_a_night(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for place in range(5_000):
        store.add_values("t", "s", NOW + place, {"cpu_percent": 1.0})
    store.close()
    file = tmp_path / history.FILE
    raw = bytearray(file.read_bytes())
    leaf = len(raw) // 2 // 4096 * 4096
    raw[leaf : leaf + 4096] = bytes(4096)
    file.write_bytes(raw)
    assert len(opened(tmp_path, NOW + 7).notes) == 1


def test_a_file_that_turns_out_damaged_is_set_aside_while_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(store, NOW, 1.0)
    store.set_aside(NOW + 5, "a page was wrong")
    put(store, NOW, 2.0)
    assert store.values(KEY, 0, NOW + 1) == [(NOW, 2.0)]
    assert (tmp_path / f"history.db.damaged-{NOW + 5}").exists()


def test_only_the_last_two_damaged_files_are_kept(tmp_path: Path) -> None:
    for turn in range(4):
        (tmp_path / history.FILE).write_bytes(b"nonsense" * 1000)
        opened(tmp_path, NOW + turn).close()
    left = sorted(one.name for one in tmp_path.glob(f"{history.FILE}.damaged-[0-9]*"))
    assert left == [f"history.db.damaged-{NOW + 2}", f"history.db.damaged-{NOW + 3}"]


def test_a_file_that_only_is_called_like_a_damaged_one_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / f"{history.FILE}.damaged-and-mended"
    mine.write_bytes(b"mine")
    test_only_the_last_two_damaged_files_are_kept(tmp_path)
    assert mine.read_bytes() == b"mine"


def test_a_history_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / history.FILE))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(history.HistoryTooNew, match="move the file away"):
        opened(tmp_path)
    assert [one.name for one in tmp_path.iterdir() if "damaged" in one.name] == []


def test_an_empty_file_of_a_killed_start_is_simply_begun(tmp_path: Path) -> None:
    (tmp_path / history.FILE).touch()
    store = opened(tmp_path)
    assert store.notes == []
    put(store, NOW, 1.0)


WRITER = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from monitor_history import History
store = History(Path(sys.argv[1]), now=1)
assert store.notes == [], store.notes
number = store.load("number", int, 0)
for number in range(number + 1, number + 100_000):
    with store.round():
        store.add_values("t", "s", number, {"cpu_percent": float(number), "memory_percent": float(number)})
        store.save("number", number)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("kills", [10, pytest.param(15, marks=pytest.mark.wide)])
def test_a_writer_killed_at_any_moment_loses_no_round_and_leaves_no_half_one(tmp_path: Path, kills: int) -> None:
    """What was acknowledged is there after each kill, values and state together."""
    random_ = random.Random(7)
    paths = [str(HANDS / "monitoring"), str(HANDS.parent)]
    told = 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), *paths], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(random_.randint(1, 60)):
                told = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            told = max([told, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
        store = opened(tmp_path)
        assert store.notes == []
        kept = store.load("number", int, 0)
        assert kept >= told
        for metric in ("cpu_percent", "memory_percent"):
            found = store.values(("t", "s", metric), 0, kept + 10)
            assert [at for at, _ in found] == list(range(1, kept + 1))
        store.close()


def test_downsampling_hides_no_extreme() -> None:
    values = [(at, 0.0) for at in range(1000)]
    values[617] = (617, 99.0)
    step, rows = report.downsample(report.of_values(values), 0, 1000, 10)
    assert step == 100
    assert len(rows) == 10
    assert max(row[4] for row in rows) == 99.0
    assert sum(row[1] for row in rows) == 1000


def test_very_many_changes_leave_room_for_values_and_hours(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.round():
        for place in range(7_200):
            store.add_values("t", "s", NOW - HOUR + place * 500, {"cpu_percent": float(place)})
        for place in range(20_000):
            text = "cannot be checked: " + "x" * 200
            store.add_change(report.Change(at=NOW - HOUR + place, target="t", kind="changed", text=text))
    store.tidy(NOW + HOUR, keep_values_ms=DAY, keep_ms=DAY, most_bytes=4 << 20)
    assert store.used_bytes() <= 4 << 20
    assert store.values(KEY, NOW - MINUTE, NOW)
    assert store.changes(0, NOW, 1)
