"""A kernel and a clock in memory for the book of schedules (acts in memory).

It begins runs once for each key, they take their time, and whoever keeps the book may be killed before or after each thing
that it does.
"""

from pathlib import Path
from typing import Any

from manifests.schema import Schedule
from manifests.state import FIRED_KEPT
from tests.hands.doubles import hand_module

booking: Any = hand_module("scheduling", "scheduling_book")
storing: Any = hand_module("scheduling", "scheduling_store")

storing.PRAGMAS = tuple(one for one in storing.PRAGMAS if not one.startswith("synchronous"))
"""Only a power cut could tell the difference, and a disk that is waited for takes most of the time of these tests."""

START = 1_764_115_200_000
SECOND = 1_000


class Killed(Exception):
    """The process that keeps the book is no more."""


class World:
    """One home's clock and kernel. lasts: milliseconds that each run works. begun: by key, when and for which Hand.

    killed_at: how many steps from now the book's keeper dies; every question to the kernel is two steps, before and after.
    """

    def __init__(self, folder: Path, *, lasts: int = 0) -> None:
        self.folder, self.lasts = folder, lasts
        self.now = START
        self.hands: dict[str, Schedule] = {}
        self.since: dict[str, int] = {}
        self.held: dict[str, str] = {}
        self.begun: dict[tuple[str, str], int] = {}
        self.runs: dict[str, tuple[str, str, int]] = {}
        self.killed_at: int | None = None
        self.book: Any = None
        self.store: Any = None

    def schedule(self, name: str, schedule: Schedule) -> None:
        self.hands[name], self.since[name] = schedule, self.now * 1000
        if self.book is not None:
            self.tell(name)

    def up(self) -> None:
        """A new process opens the book."""
        self.store = storing.Store(self.folder, now=self.now)
        self.book = booking.Book(self.store, self.now)
        for name in self.hands:
            self.tell(name)
        for hand in self.book.not_among([f"h-{name}" for name in self.hands]):
            self.book.drop(hand)

    def down(self) -> None:
        self.store.close()
        self.book = None

    def tell(self, name: str) -> None:
        running = {key: run for run, (hand, key, end) in self.runs.items() if hand == f"h-{name}" and end > self.now}
        told = booking.Scheduled(
            name=name, hand=f"h-{name}", since=self.since[name], schedule=self.hands[name], held=self.held.get(name, ""),
            running=running,
        )  # fmt: skip
        self.book.put(told, self.now)

    def go(self, milliseconds: int, step: int = 250) -> None:
        """Time goes on, and the book is turned as its keeper would."""
        until = self.now + milliseconds
        while self.now < until:
            self.now = min(until, self.now + step)
            try:
                self.turn()
            except Killed:
                self.killed_at = None
                self.down()
                self.up()

    def turn(self) -> None:
        self._step()
        for run, (hand, key, end) in list(self.runs.items()):
            if end <= self.now:
                del self.runs[run]
                self.book.ended(hand, hand.removeprefix("h-"), key, run, "done", self.now)
        self.book.turn(self.now)
        for hand in self.book.to_ask():
            while (firing := self.book.ready(self.book.entries[hand], self.now)) is not None:
                self._step()
                begun = self._fire(firing)
                self._step()
                if begun is None:
                    self.book.overlapped(firing, "it still works", self.now)
                    if self.hands[hand.removeprefix("h-")].overlap != "skip":
                        break
                else:
                    self.book.began(firing, begun, self.now, is_working=begun in self.runs)

    def _fire(self, firing: Any) -> str | None:
        key = (firing.hand, firing.key)
        run = f"r-{firing.hand}-{firing.key}"
        if key in [one for one in self.begun if one[0] == firing.hand][-FIRED_KEPT:]:
            return run
        assert key not in self.begun, "it began twice"
        working = [name for name, (hand, _, end) in self.runs.items() if hand == firing.hand and end > self.now]
        if working and self.hands[firing.name].overlap != "replace":
            return None
        for other in working:
            del self.runs[other]
        self.begun[key] = self.now
        self.runs[run] = (firing.hand, firing.key, self.now + self.lasts)
        return run

    def _step(self) -> None:
        if self.killed_at is not None:
            self.killed_at -= 1
            if self.killed_at < 0:
                raise Killed

    def planned(self, name: str) -> list[int]:
        """What began by the clock, in seconds from the start, in the order in which it did."""
        keys = [key for hand, key in self.begun if hand == f"h-{name}" and key.startswith("at ")]
        return [(int(key[3:]) - START) // SECOND for key in keys]

    def told(self, name: str = "") -> list[tuple[str, int]]:
        """The history: what, and of how many."""
        return [(row.what, row.count) for row in self.store.history(name, 10_000)]
