"""Measures the processor time that the Hand `scheduling` needs for ten thousand schedules, on a simulated clock.

The book, its file and the calendar are the real ones; the kernel's part of each start, a fork and a run, is not included.
"""

import sys
import tempfile
import time
from pathlib import Path

from manifests.schema import Schedule
from tests.hands.doubles import hand_module

COUNT = 10_000
DAY_MS = 86_400_000
START = 1_764_115_200_000
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")


def make_schedule(number: int) -> Schedule:
    """A schedule of a typical mix: most daily, many hourly, some every quarter-hour, a few each minute, some on events."""
    zone, minute = ZONES[number % len(ZONES)], number % 60
    match number % 20:
        case 0:
            return Schedule(on=f"source-{number % 40}.loaded", where={"rows": {"above": number}})
        case 1 | 2:
            return Schedule(every_ms=900_000, jitter_ms=60_000)
        case 3 | 4 | 5 | 6:
            return Schedule(cron=f"{minute} * * * *", timezone=zone)
        case 7 if number % 100 == 7:
            return Schedule(every_ms=60_000)
        case _:
            return Schedule(cron=f"{minute} {number % 24} * * mon-fri", timezone=zone, quiet=("12:00-12:30",))


def main(seconds: int) -> None:
    """Run a book of COUNT schedules through so many seconds of its clock, and print the processor time that took."""
    booking, storing = hand_module("scheduling", "scheduling_book"), hand_module("scheduling", "scheduling_store")
    with tempfile.TemporaryDirectory() as folder:
        store = storing.Store(Path(folder), now=START)
        book = booking.Book(store, START)
        begin = time.process_time()
        for number in range(COUNT):
            told = booking.Scheduled(
                name=f"hand-{number}", hand=f"h-{number}", since=(START + number) * 1000, schedule=make_schedule(number)
            )
            book.put(told, START)
        taken = time.process_time() - begin
        begin, now, end, runs = time.process_time(), START, START + seconds * 1000, 0
        while now < end:
            now = min(end, max(now + 1, min(book.wake_at(), now + 15_000)))
            book.turn(now)
            for hand in book.to_ask():
                while (firing := book.ready(book.entries[hand], now)) is not None:
                    book.began(firing, f"r-{runs}", now)
                    book.ended(hand, firing.name, firing.key, f"r-{runs}", "done", now)
                    runs += 1
        spent = time.process_time() - begin
        store.close()
    print(f"{COUNT} schedules taken over in {taken:.1f} s of processor time")
    print(
        f"{seconds} s of the clock, {runs} starts: {spent:.1f} s of processor time, {100 * spent / seconds:.3f} % of a core"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_600)
