"""All schedules in memory, and what is due of each (acts on the store by what scheduling_turn.py decides; knows no bus).

Separate from main.py so that a test can run it on its own clock. The user reports what the kernel says (`put`, `drop`,
`began`, `ended`), calls `turn` when `wake_at` has come, and asks for the runs that `ready` names. Each call is one round of
the store, so its decisions are on disk when it returns.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from manifests.firings import LAST_MS, Plan
from manifests.schedules import DEPTH_MOST, loop_text
from manifests.schema import Schedule
from manifests.triggers import matches
from scheduling_store import BODY_MOST, Pending, Row, Store
from scheduling_turn import must_wait, set_back, turn, wake_at
from wire import codec, limits
from wire.codec import Value
from wire.entries import time_text

QUEUE_MOST: Final = 100
"""Pending firings of one Hand."""

EVENTS_MOST: Final = 120
"""Runs of one Hand that events may start within EVENTS_WITHIN_MS."""

EVENTS_WITHIN_MS: Final = 60_000

BODIES_MOST: Final = 32 * limits.MIB
"""Bytes of all events that wait to start runs; they are held in memory."""

ENDED_KEPT: Final = 1_000


class Scheduled(Struct, frozen=True, kw_only=True):
    """A scheduled Hand, as kernel.schedules reports it. held: why nothing starts it now, or "". running: its working
    scheduled runs, by the key of each one's firing.
    """

    name: str
    hand: str
    since: int
    schedule: Schedule
    held: str = ""
    running: dict[str, str] = {}


class Entry:
    """One schedule's state. running: working runs by key. pending: firings in order. version: of its latest wake-up."""

    __slots__ = ("cursor", "events", "hand", "held", "name", "pending", "plan", "running", "since", "version")

    def __init__(self, scheduled: Scheduled, cursor: int) -> None:
        self.hand, self.name, self.since, self.cursor = scheduled.hand, scheduled.name, scheduled.since, cursor
        self.plan = Plan(scheduled.schedule, since=scheduled.since // 1000, seed=scheduled.hand)
        self.held = scheduled.held
        self.running = dict(scheduled.running)
        self.pending: deque[Pending] = deque()
        self.events: deque[int] = deque()
        self.version = 0

    @property
    def schedule(self) -> Schedule:
        """The schedule in its manifest."""
        return self.plan.schedule


class Book:
    """All schedules, by Hand. turned_at: the time of the last `turn`."""

    def __init__(self, store: Store, now: int) -> None:
        self.entries: dict[str, Entry] = {}
        self.turned_at = now
        self._store = store
        self._cursors = store.cursors()
        self._left: dict[str, list[Pending]] = {}
        for firing in store.pending():
            self._left.setdefault(firing.hand, []).append(firing)
        self._heap: list[tuple[int, str, int]] = []
        self._by_event: dict[str, set[str]] = {}
        self._ended: dict[str, str] = {}
        self._waiting: set[str] = set()

    # what the kernel says --------------------------------------------------------------------------------------------

    def put(self, scheduled: Scheduled, now: int) -> None:
        """Adds or replaces a Hand's schedule. Raises ManifestsError for a time zone that is unknown here."""
        hand, since = scheduled.hand, scheduled.since
        before = self.entries.get(hand)
        known_since, done = self._cursors.get(hand, (since, since // 1000))
        if known_since != since:
            done = since // 1000
            self._left.pop(hand, None)
            with self._store.round():
                self._store.forget(hand, only_pending=True)
                self._store.set_cursor(hand, since, done)
        self._cursors[hand] = (since, done)
        entry = Entry(scheduled, set_back(done, now))
        if before is not None and before.since == since:
            entry.pending, entry.events = before.pending, before.events
        entry.pending.extend(self._left.pop(hand, []))
        if entry.pending:
            self._waiting.add(hand)
        if before is not None and before.schedule.on:
            self._by_event[before.schedule.on].discard(hand)
        entry.version = before.version + 1 if before is not None else 0
        self.entries[hand] = entry
        if scheduled.schedule.on:
            self._by_event.setdefault(scheduled.schedule.on, set()).add(hand)
        self._wake(entry)

    def drop(self, hand: str) -> None:
        """Removes a Hand that is gone or no longer scheduled."""
        entry = self.entries.pop(hand, None)
        self._cursors.pop(hand, None)
        self._left.pop(hand, None)
        if entry is not None and entry.schedule.on:
            self._by_event[entry.schedule.on].discard(hand)
        with self._store.round():
            self._store.forget(hand)

    def not_among(self, known: Iterable[str]) -> list[str]:
        """The Hands of which something is stored and that are not among the known ones."""
        return sorted((self.entries.keys() | self._cursors.keys() | self._left.keys()) - set(known))

    def events(self) -> set[str]:
        """The events that start runs."""
        return {event for event, hands in self._by_event.items() if hands}

    # clock -----------------------------------------------------------------------------------------------------------

    def turn(self, now: int) -> None:
        """Handles all that is due. A clock set far back is believed, and cursors move back to it."""
        if set_back(self.turned_at, now) != self.turned_at:
            for entry in self.entries.values():
                entry.cursor = min(entry.cursor, now)
                self._wake(entry)
        self.turned_at = now
        due = []
        while self._heap and self._heap[0][0] <= now:
            _, hand, version = heapq.heappop(self._heap)
            if hand in self.entries and self.entries[hand].version == version:
                due.append(self.entries[hand])
        if due:
            with self._store.round():
                for entry in due:
                    self._handle_due(entry, now)

    def wake_at(self) -> int:
        """When `turn` must be called again, in epoch milliseconds."""
        return self._heap[0][0] if self._heap else LAST_MS

    def _handle_due(self, entry: Entry, now: int) -> None:
        decided = turn(entry.plan, entry.cursor, now)
        if decided.missed:
            first, last = (time_text(at * 1000)[:19] + "Z" for at in (decided.first, decided.last))
            why = f"nobody was there from {first} to {last}" if decided.missed > 1 else f"nobody was there at {first}"
            self._add_row(entry, "missed", decided.last, now, why=why, count=decided.missed)
        for due in decided.fire:
            self._plan(
                entry, now, due.planned, key=f"at {due.planned}", due=entry.plan.due(due.planned), made_up=due.made_up
            )
        entry.cursor = decided.cursor
        self._cursors[entry.hand] = (entry.since, entry.cursor)
        self._store.set_cursor(entry.hand, entry.since, entry.cursor)
        self._wake(entry)

    def _wake(self, entry: Entry) -> None:
        entry.version += 1
        at = None if entry.held else wake_at(entry.plan, entry.cursor)
        if entry.pending and not entry.held and must_wait(entry.pending[0].due, self.turned_at):
            at = min(at or LAST_MS, entry.pending[0].due)
        if at is not None:
            heapq.heappush(self._heap, (at, entry.hand, entry.version))

    # events ----------------------------------------------------------------------------------------------------------

    def take_event(
        self, event: str, body: Value, now: int, key: str, depth: int, labels: tuple[str, ...] = ()
    ) -> list[tuple[str, str]]:
        """Stores the firings that an event causes. depth, labels: the event's, as the kernel reports them.

        Returns (Hand, why) for each Hand that it no longer starts because of a loop, once per row of history.
        """
        found = [self.entries[hand] for hand in sorted(self._by_event.get(event, ())) if hand in self.entries]
        found = [entry for entry in found if matches(entry.schedule.where, body)]
        if not found:
            return []
        loops, raw = list[tuple[str, str]](), codec.encode_body(body)
        with self._store.round():
            for entry in found:
                if why := self._too_often(entry, event, depth, now):
                    if self._add_row(entry, "skipped", now, now, why=why):
                        loops.append((entry.name, why))
                elif len(raw) > BODY_MOST:
                    why = f"{event} says too much to begin a run with: {len(raw)} bytes of {BODY_MOST}"
                    self._add_row(entry, "refused", now, now, why=why)
                elif len(raw) + self._bodies() > BODIES_MOST:
                    self._add_row(entry, "skipped", now, now, why=f"events of {BODIES_MOST >> 20} MiB wait already")
                else:
                    entry.events.append(now)
                    due = entry.plan.quiet_until(now)
                    self._plan(entry, now, now, key=key, due=due, event=event, depth=depth + 1, body=raw, labels=labels)
        return loops

    def _too_often(self, entry: Entry, event: str, depth: int, now: int) -> str:
        """Why an event may not start a Hand: too deep a chain, or too many runs lately. "" if it may."""
        if depth >= DEPTH_MOST:
            return loop_text(event)
        if len(self._recent_events(entry, now)) >= EVENTS_MOST:
            return f"{event} began {EVENTS_MOST} runs of it within {EVENTS_WITHIN_MS // 1000} s"
        return ""

    def _bodies(self) -> int:
        """Bytes of the events that wait to start runs."""
        waiting = [self.entries[hand] for hand in self._waiting if hand in self.entries]
        return sum(len(firing.body) for entry in waiting for firing in entry.pending)

    def _recent_events(self, entry: Entry, now: int) -> deque[int]:
        while entry.events and not 0 <= now - entry.events[0] < EVENTS_WITHIN_MS:
            entry.events.popleft()
        return entry.events

    # runs ------------------------------------------------------------------------------------------------------------

    def _plan(
        self, entry: Entry, now: int, planned: int, *, key: str, due: int, made_up: bool = False, event: str = "",
        depth: int = 0, body: bytes = b"", labels: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Stores a firing, unless `overlap` or QUEUE_MOST forbids it; then a history row."""
        is_busy = bool(entry.running or entry.pending)
        if is_busy and entry.schedule.overlap == "skip" and not made_up:
            why = "the start before is not done yet"
            if entry.running:
                why = f"the run before still works, as {next(iter(entry.running.values()))}"
            self._add_row(entry, "skipped", planned, now, why=why)
            return
        if len(entry.pending) >= QUEUE_MOST and not made_up:
            self._add_row(entry, "skipped", planned, now, why=f"{QUEUE_MOST} firings wait already")
            return
        firing = Pending(
            hand=entry.hand, name=entry.name, key=key, planned=planned, due=due, made_up=made_up, event=event, depth=depth,
            body=body, labels=labels,
        )  # fmt: skip
        if self._store.add(firing):
            entry.pending.append(firing)
            self._waiting.add(entry.hand)
            if due > now:
                self._wake(entry)

    def to_ask(self) -> list[str]:
        """The Hands with pending firings."""
        return [hand for hand in sorted(self._waiting) if hand in self.entries]

    def ready(self, entry: Entry, now: int) -> Pending | None:
        """The firing for which a run may be asked now; None if there is none."""
        if entry.held or not entry.pending or must_wait(entry.pending[0].due, now):
            return None
        first = entry.pending[0]
        needs_turn = first.made_up or entry.schedule.overlap != "replace"
        return None if entry.running and needs_turn else first

    def began(self, firing: Pending, run: str, now: int, *, is_working: bool = True) -> None:
        """Notes that the kernel started a firing's run. is_working: False if that was earlier and the run has ended."""
        self._finish(firing, self._row(firing, "fired", now, run=run, outcome=self._ended.get(run, "")))
        entry = self.entries.get(firing.hand)
        if entry is not None and is_working and run not in self._ended:
            entry.running[firing.key] = run

    def overlapped(self, firing: Pending, why: str, now: int) -> None:
        """Notes that a run still works: the firing is skipped, or waits, as `overlap` says."""
        entry = self.entries.get(firing.hand)
        if entry is not None and entry.schedule.overlap == "skip" and not firing.made_up:
            self._finish(firing, self._row(firing, "skipped", now, why=why))

    def refused(self, firing: Pending, why: str, now: int) -> None:
        """Notes that the kernel refused a firing's run for good."""
        self._finish(firing, self._row(firing, "refused", now, why=why))

    def ended(self, hand: str, name: str, key: str, run: str, outcome: str, now: int) -> None:
        """Notes that a scheduled run has ended. If its key is unknown, its operator started it: that is noted only now."""
        self._ended[run] = outcome
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        entry = self.entries.get(hand)
        if entry is not None:
            entry.running.pop(key, None)
        is_asked = entry is not None and any(one.key == key for one in entry.pending)
        with self._store.round():
            if not self._store.set_outcome(hand, key, run, outcome) and not is_asked:
                self._store.add_row(
                    Row(
                        at=now, hand=hand, name=name, what="fired", planned=_asked_at(key, now), key=key, run=run,
                        outcome=outcome, why="by its operator",
                    )
                )  # fmt: skip

    def _finish(self, firing: Pending, row: Row) -> None:
        """Replaces a firing by its row, also one that was asked for before this book was opened."""
        entry, left = self.entries.get(firing.hand), self._left.get(firing.hand, [])
        if firing in left:
            left.remove(firing)
        if entry is not None and firing in entry.pending:
            entry.pending.remove(firing)
        if entry is None or not entry.pending:
            self._waiting.discard(firing.hand)
        with self._store.round():
            self._store.finish(firing, row)

    def _row(self, firing: Pending, what: str, now: int, *, run: str = "", outcome: str = "", why: str = "") -> Row:
        why = why or (f"on {firing.event}" if firing.event else "made up" if firing.made_up else "")
        key = firing.key if what != "skipped" else ""
        return Row(
            at=now, hand=firing.hand, name=firing.name, what=what, planned=firing.planned, key=key, run=run,
            outcome=outcome, why=why,
        )  # fmt: skip

    def _add_row(self, entry: Entry, what: str, planned: int, now: int, *, why: str, count: int = 1) -> bool:
        row = Row(at=now, hand=entry.hand, name=entry.name, what=what, planned=planned, why=why, count=count)
        return self._store.add_row(row)


def _asked_at(key: str, now: int) -> int:
    """When a run was asked for, which is the key that `maniple schedules run` gives it: now and microseconds; else `now`."""
    word, _, micros = key.partition(" ")
    return min(now, int(micros) // 1000) if word == "now" and micros.isdecimal() else now
