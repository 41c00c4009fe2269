"""What has expired is deleted for good by a clock that is believed: one that leaps ahead must have stood so for an hour."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory import keys
from memory.keys import Change
from memory.store import Store
from tests.hands.memory.test_shelf import OWN, Shelf, get, put

HOUR = 3_600


class Times:
    """The wall clock, in seconds, and one that never leaps."""

    def __init__(self) -> None:
        self.shown, self.steady = 2 * HOUR, 0

    def pass_by(self, seconds: int) -> None:
        self.shown, self.steady = self.shown + seconds, self.steady + seconds

    def shelf(self, folder: Path) -> Any:
        return Shelf(folder, now=lambda: self.shown * 1_000_000, quota=1 << 30, steady=lambda: self.steady)


async def left_after_a_write(shelf: Any, key: str) -> set[str]:
    """The keys that are in the file, expired or not, when one more was set."""
    await shelf.write(OWN, put(key))
    return {row[0] for row in await shelf.read(OWN, lambda reader: reader.rows("SELECT key FROM keys"))}


def set_for(times: Times, seconds: int) -> Callable[[Store], object]:
    expires = (times.shown + seconds) * 1_000_000
    return lambda store: keys.change(store, "", [Change(key="a", value=b"\xc0", expires=expires)])


def test_what_has_expired_is_swept_also_after_the_clock_went_back(tmp_path: Path) -> None:
    times = Times()

    async def work() -> object:
        shelf = times.shelf(tmp_path)
        await shelf.write(OWN, put("first"))
        times.pass_by(HOUR)
        await shelf.write(OWN, put("first"))  # by now the clock is believed
        times.shown -= HOUR
        await shelf.write(OWN, set_for(times, 10))
        times.pass_by(20 + 600 + 1)
        left = await left_after_a_write(shelf, "second")
        await shelf.close()
        return left

    assert asyncio.run(work()) == {"first", "second"}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_leap_of_the_clock_deletes_no_value_before_it_has_stood_for_an_hour(tmp_path: Path, restarts: bool) -> None:
    times = Times()

    async def work() -> None:
        shelf = times.shelf(tmp_path)

        async def later(seconds: int) -> None:
            nonlocal shelf
            times.pass_by(seconds)
            if restarts:
                await shelf.close()
                shelf = times.shelf(tmp_path)

        await shelf.write(OWN, put("first"))
        await later(HOUR + 1)
        await shelf.write(OWN, set_for(times, HOUR * 24))
        times.shown += 100 * 24 * HOUR
        await later(700)
        assert "a" in await left_after_a_write(shelf, "b")
        times.shown -= 100 * 24 * HOUR
        await later(700)
        assert (await left_after_a_write(shelf, "c")) == {"first", "a", "b", "c"}
        assert await shelf.read(OWN, get("a")) == b"\xc0"
        times.shown += 100 * 24 * HOUR
        await later(700)
        assert "a" in await left_after_a_write(shelf, "d")
        await later(HOUR)
        assert "a" not in await left_after_a_write(shelf, "e")
        await shelf.close()

    asyncio.run(work())
