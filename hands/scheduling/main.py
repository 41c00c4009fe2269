"""The Hand `scheduling`: asks the kernel to start scheduled Hands when they are due (acts; thin).

scheduling_turn decides what is due, scheduling_store keeps it on disk; this module has the clock and the bus.
"""

import asyncio
import os
import time
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from manifests.errors import ManifestsError
from manifests.lives import is_temporary
from manifests.triggers import value_at
from runtime import Call, CallEnded, CallFailed, CallRefused, Event, Failure, Hand
from runtime.table_file import NO_ROOM, problems_of, why_not
from scheduling_book import Book, Entry, Scheduled
from scheduling_desk import history_answer, next_answer
from scheduling_store import DAMAGE, Pending, Store
from scheduling_waiting import Heard, Waiting
from wire import codec
from wire.entries import time_text
from wire.errors import CodecError

Answer = dict[str, object]

LOOK_MOST_S: Final = 15.0
"""Longest time between two looks at the clock, so that a jump is noticed."""

AGAIN_S: Final = 5.0
"""Seconds until the kernel is asked again for a run that it could not start now."""

RECHECK_S: Final = 60.0
"""Seconds between checks, while runs seem to work, whether they still do: the event of an end may have been missed."""

TOGETHER: Final = 64
"""Runs that are asked for at the same time."""

OWN: Final = ("kernel.schedules", "kernel.fired")
"""Events that it subscribes to whatever is scheduled."""

TROUBLE: Final = (apsw.Error, UnicodeDecodeError, CallEnded)
"""What the store or the kernel may raise while nothing is wrong here; then nothing is started for a while."""

LATER: Final = frozenset({"rate", "in_flight", "log", "roots"})
"""Temporary refusals, beside those that manifests.lives.is_temporary knows: the firing stays, and is asked for again."""


class _Page(Struct, frozen=True):
    hands: tuple[Scheduled, ...]
    more: bool


class _Begun(Struct, frozen=True):
    """The reply of kernel.fire. again: the run began earlier, and may have ended meanwhile."""

    run: str
    again: bool = False
    working: bool = True


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Scheduling(Hand):
    """Provides scheduling.next and scheduling.history; publishes the event loop."""

    async def start(self) -> None:
        """Opens the store, reads the schedules from the kernel, and starts the clock."""
        self.store = Store(self.state, now=now_ms())
        self._tell_notes()
        self.book = Book(self.store, now_ms())
        self.changed = asyncio.Event()
        self.asking: set[str] = set()
        self.places = asyncio.Semaphore(TOGETHER)
        self.hears: set[str] = set()
        self.problems: dict[str, str] = {}
        self.loops: dict[str, str] = {}
        self.waiting = Waiting()
        self.is_behind = self.must_wait = True  # must_wait: no firing can be stored, so events wait
        try:
            await self._catch_up()
        except CallRefused as refused:
            if refused.code not in LATER:
                raise
            self._fall_behind(refused)
        except NO_ROOM as error:
            self._fall_behind(error)
        self.tasks = [self.in_background(work) for work in (self._keep_time(), self._recheck())]

    async def stop(self) -> None:
        """Stops the clock and closes the store."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.store.close()

    # methods ---------------------------------------------------------------------------------------------------------

    async def next(self, call: Call, hand: str = "", most: int = 1_000) -> Answer:
        """scheduling.next: the scheduled Hands, with when each is due."""
        answer = next_answer(self.book, hand, max(1, most), now_ms())
        problems = [f"{name}: {why}" for name, why in sorted([*self.problems.items(), *self.loops.items()])]
        return {"hands": answer, "problems": [*problems, *problems_of(self.state)]}

    async def history(self, call: Call, hand: str = "", most: int = 50) -> Answer:
        """scheduling.history: what became of past firings."""
        if not self.store.is_kept:
            raise Failure("disk", f"What was started cannot be read now: {self.problems.get('behind', 'no room')}.")
        try:
            return {"history": history_answer(self.store.history(hand, min(max(1, most), 2_000)))}
        except DAMAGE as error:
            self._fall_behind(error)
            raise Failure("damaged", f"{self.store.notes[-1]}; ask again") from None

    # events ------------------------------------------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        """Handles a change of schedules, the end of a scheduled run, or an event that starts runs."""
        try:
            await self._handle(event)
        except TROUBLE as error:
            self._fall_behind(error)

    async def _handle(self, event: Event) -> None:
        now = now_ms()
        if event.missed:
            self.log.warning("events were missed", count=event.missed)
            self.problems["events"] = f"{event.missed} were missed at {time_text(now * 1000)[:19]}Z"
            await self._follow("")
        match f"{event.publisher}.{event.name}":
            case "kernel.schedules":
                await self._follow(str(value_at(event.body, "hand") or ""))
            case "kernel.fired":
                hand, name, key, run, outcome = (
                    str(value_at(event.body, one) or "") for one in ("hand", "name", "key", "run", "outcome")
                )
                self.book.ended(hand, name, key, run, outcome, now)
                self._pump(hand)
            case name:
                size, key = len(codec.encode_body(event.body)), f"on {os.urandom(12).hex()}"
                heard = Heard(
                    event=name, body=event.body, at=now, key=key, depth=event.depth, labels=event.labels, size=size
                )
                self.waiting.put(heard)
                if not self.must_wait:
                    await self._take_waiting_events()

    async def _take_waiting_events(self) -> None:
        """Stores the firings of the waiting events. If the disk has no room, they go on waiting."""
        while (one := self.waiting.first) is not None:
            loops = self.book.take_event(one.event, one.body, one.at, one.key, one.depth, one.labels)
            self.waiting.drop()
            for hand, why in loops:
                await self._report_loop(hand, one.event, why)
        lost, self.waiting.lost = self.waiting.lost, 0
        if lost:
            self.problems["events"] = f"{lost} began nothing: no room for them until {time_text(now_ms() * 1000)[:19]}Z"
        self._pump_all()

    async def _report_loop(self, hand: str, event: str, why: str) -> None:
        """Reports that an event would start a Hand too often: in the log, in `maniple schedules`, and as an event."""
        self.loops[hand] = f"{why}; it is not started by that: see `maniple schedules history {hand}`"
        self.log.warning("an event started a Hand too often", event_name=event, hand=hand)
        await self.kernel.note(f"{hand} is not started: {why}")
        await self.publish("loop", {"hand": hand, "event": event})

    async def _follow(self, only: str) -> None:
        """Reads the schedules from the kernel: of the Hand called `only`, or of all if ""."""
        stored = self.book.not_among(())  # whoever comes while this waits for a page is no less scheduled
        known: set[str] = set()
        after, more = "", True
        while more:
            reply = await self.kernel.call("kernel.schedules", after=after, only=only)
            page = msgspec.convert(reply.value, _Page)
            for scheduled in page.hands:
                known.add(scheduled.hand)
                self._keep(scheduled)
                after = scheduled.name
            more = page.more and not only
        if only:
            gone = [one.hand for one in self.book.entries.values() if one.name == only and one.hand not in known]
        else:
            gone = [hand for hand in stored if hand not in known]
        for hand in gone:
            self.book.drop(hand)
        there = {one.name for one in self.book.entries.values()}
        self.loops = {name: why for name, why in self.loops.items() if name in there}
        await self._subscribe()
        self.changed.set()
        self._pump_all()

    def _keep(self, scheduled: Scheduled) -> None:
        before = self.book.entries.get(scheduled.hand)
        if before is not None and before.since != scheduled.since:  # another schedule of this Hand
            self.loops.pop(scheduled.name, None)
        try:
            self.book.put(scheduled, now_ms())
            self.problems.pop(scheduled.name, None)
        except ManifestsError as error:  # this version does not know its time zone
            self.problems[scheduled.name] = str(error)

    async def _subscribe(self) -> None:
        for event in sorted(self.book.events() - self.hears):
            try:
                await self.kernel.subscribe(event)
                self.hears.add(event)
                self.problems.pop(event, None)
            except CallRefused as refused:
                if refused.code in LATER:
                    raise
                self.problems[event] = f"cannot be heard: {refused}"
            except CallEnded as error:
                self.problems[event] = f"cannot be heard: {error}"

    # clock -------------------------------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        """Decides for ever what is due. An unforeseen error ends the run, which the kernel restarts."""
        while True:
            self.changed.clear()
            try:
                if self.is_behind:
                    await self._catch_up()
                self.book.turn(now_ms())
                self._pump_all()
            except TROUBLE as error:
                self._fall_behind(error)
                await asyncio.sleep(AGAIN_S)
            wait = min(LOOK_MOST_S, max(0.0, (self.book.wake_at() - now_ms()) / 1000))
            if wait:
                try:
                    async with asyncio.timeout(wait):  # wait_for may swallow a cancellation until Python 3.12
                        await self.changed.wait()
                except TimeoutError:
                    pass

    def _fall_behind(self, error: Exception) -> None:
        """Stops starting runs: the disk or the kernel failed, so what memory holds may be neither stored nor true.

        error: one of TROUBLE. A damaged file is set aside; the clock's next round begins a new one.
        """
        self.is_behind, self.must_wait = True, self.must_wait or isinstance(error, (*NO_ROOM, *DAMAGE))
        if isinstance(error, DAMAGE):
            self.store.set_aside(now_ms(), error)
        why = why_not(self.store.path, error) if isinstance(error, NO_ROOM) else str(error)
        self.problems["behind"] = f"nothing is started until this ends: {why}"
        self.log.error("nothing is started for now", why=why)
        self.changed.set()

    async def _catch_up(self) -> None:
        """Starts over from the store and the kernel. Raises the errors in NO_ROOM, and CallEnded."""
        no_room: Exception | None = None
        try:
            self.store.open(now_ms())
        except NO_ROOM as error:
            no_room = error
        self._tell_notes()
        self.must_wait = True  # until the new book knows the schedules, an event would start nothing
        self.book = Book(self.store, now_ms())
        for event in OWN:
            if event not in self.hears:
                await self.kernel.subscribe(event)
                self.hears.add(event)
        self.is_behind = no_room is not None
        await self._follow("")
        if no_room is not None:  # scheduling.next works all the same
            raise no_room
        self.problems.pop("behind", None)
        self.must_wait = False
        await self._take_waiting_events()

    def _tell_notes(self) -> None:
        for note in self.store.notes:
            self.log.warning(note)
        self.store.notes.clear()

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                for entry in [one for one in self.book.entries.values() if one.running]:
                    await self._follow(entry.name)
            except TROUBLE as error:
                self._fall_behind(error)

    # runs --------------------------------------------------------------------------------------------------------------

    def _pump_all(self) -> None:
        for hand in self.book.to_ask():
            self._pump(hand)

    def _pump(self, hand: str) -> None:
        """Starts a background task that asks for a Hand's runs, one after the other, if one is ready."""
        if hand not in self.asking and hand in self.book.entries:
            entry = self.book.entries[hand]
            if self.book.ready(entry, now_ms()) is not None:
                self.asking.add(hand)
                self.in_background(self._ask_for(hand))

    async def _ask_for(self, hand: str) -> None:
        try:
            while (entry := self.book.entries.get(hand)) is not None:
                firing = self.book.ready(entry, now_ms())
                if self.is_behind or firing is None or not await self._fire(entry, firing):
                    return
        except TROUBLE as error:
            self._fall_behind(error)
        finally:
            self.asking.discard(hand)

    async def _fire(self, entry: Entry, firing: Pending) -> bool:
        """Asks the kernel for one run. Returns whether to go on with the Hand's next firing."""
        more: Answer = {}
        try:
            if firing.event:
                more = {"event": firing.event, "body": codec.decode_body(firing.body), "depth": firing.depth}
        except CodecError as error:
            self.book.refused(firing, f"what was kept of {firing.event} is damaged: {error}", now_ms())
            return True
        try:
            async with self.places:
                reply = await self.kernel.call(
                    "kernel.fire",
                    entry.name,
                    more,
                    labels=firing.labels,
                    key=firing.key,
                    due=time_text(firing.planned * 1000),
                )
        except CodecError as error:  # an event's body may be as large as a whole call, which also carries key and due
            self.book.refused(firing, f"{firing.event} says too much to begin a run with: {error}", now_ms())
            return True
        except CallRefused as refused:
            if refused.code == "overlap":
                self.book.overlapped(firing, str(refused), now_ms())
                await self._follow(entry.name)
                return entry.schedule.overlap == "skip"
            if refused.code in LATER or is_temporary(refused.code):
                return await self._retry_later()
            self.book.refused(firing, str(refused), now_ms())
            return True
        except CallFailed as failed:
            if failed.code in ("unknown hand", "arguments", "too large"):
                self.book.refused(firing, str(failed), now_ms())
                return True
            return await self._retry_later()
        except CallEnded:
            return await self._retry_later()
        begun = msgspec.convert(reply.value, _Begun)
        self.book.began(firing, begun.run, now_ms(), is_working=begun.working)
        return True

    async def _retry_later(self) -> bool:
        await asyncio.sleep(AGAIN_S)
        return True
