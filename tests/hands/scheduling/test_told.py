"""What is told of schedules is what will happen."""

from pathlib import Path

import pytest

from manifests.schema import Schedule
from tests.hands.doubles import hand_module
from tests.hands.scheduling.clockwork import SECOND, World

desk = hand_module("scheduling", "scheduling_desk")
HOUR = 3_600 * SECOND


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.up()
    return made


def test_what_is_due_next_is_told_of_the_soonest_first_or_of_one_with_what_comes_after_it(world: World) -> None:
    world.schedule("late", Schedule(every_ms=HOUR))
    world.schedule("soon", Schedule(every_ms=10_000))
    world.schedule("never", Schedule(at="2025-11-26T00:00:05"))
    world.go(6 * SECOND)
    rows = desk.next_answer(world.book, "", 2, world.now)
    assert [(row["hand"], row["next"][11:19], "then" in row) for row in rows] == [
        ("soon", "00:00:10", False),
        ("late", "01:00:00", False),
    ]
    assert [row["next"] for row in desk.next_answer(world.book, "never", 9, world.now)] == [""]
    (alone,) = desk.next_answer(world.book, "soon", 9, world.now)
    assert [at[17:19] for at in alone["then"]] == ["10", "20", "30", "40", "50", "00"][: 1 + desk.THEN]


def test_a_firing_that_waits_for_its_jitter_is_the_next_one(world: World) -> None:
    world.schedule("soon", Schedule(every_ms=HOUR, jitter_ms=HOUR // 2))
    plan = world.book.entries["h-soon"].plan
    world.go(HOUR + SECOND)
    assert plan.due(world.now - SECOND) > world.now
    (row,) = desk.next_answer(world.book, "soon", 1, world.now)
    due = [desk.moment(plan.due(world.now - SECOND + hours * HOUR)) for hours in range(1 + desk.THEN)]
    assert (row["next"], row["then"]) == (due[0], due)
