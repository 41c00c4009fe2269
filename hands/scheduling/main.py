"""The Hand that starts others: it follows what the kernel says is scheduled, and asks it for each run when that is due
(acts; thin). What is due is decided in scheduling_turn, what is kept of it in scheduling_store; here are clock and bus.
"""

import asyncio
import os
import time
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from manifests.errors import ManifestsError
from manifests.lives import passes
from manifests.triggers import found
from runtime import Call, CallEnded, CallFailed, CallRefused, Event, Failure, Hand
from runtime.table_file import NO_ROOM
from scheduling_book import Book, Entry, Scheduled
from scheduling_desk import history_answer, next_answer
from scheduling_store import Pending, Store
from scheduling_waiting import Heard, Waiting
from wire import codec
from wire.entries import time_text
from wire.errors import CodecError

Answer = dict[str, object]

LOOK_MOST_S: Final = 15.0
"""The clock is looked at so often at least, so that a jump is noticed."""

AGAIN_S: Final = 5.0
"""Seconds until the kernel is asked again for what it could not begin just now."""

RECHECK_S: Final = 60.0
"""Seconds between looks at whether runs still work whose end was not heard of, while there are any."""

TOGETHER: Final = 64
"""Runs that are asked for at once."""

OWN: Final = ("kernel.schedules", "kernel.fired")
"""Events that it hears whatever is scheduled."""

LATER: Final = frozenset({"rate", "in_flight", "log", "roots"})
"""Refusals that pass, beside those of a start that may be allowed later: the firing stays, and is asked for again."""


class _Page(Struct, frozen=True):
    hands: tuple[Scheduled, ...]
    more: bool


class _Begun(Struct, frozen=True):
    """again: it began before, and may have ended unheard."""

    run: str
    again: bool = False
    working: bool = True


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Scheduling(Hand):
    """scheduling.next and .history; publishes loop."""

    async def start(self) -> None:
        """Open what was kept, follow the kernel, and begin to keep time."""
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
        self.is_behind = self.must_wait = True  # the latter for events: nothing can be kept of them
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
        """Stop keeping time, and close the file."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.store.close()

    # what is asked ---------------------------------------------------------------------------------------------------

    async def next(self, call: Call, hand: str = "", most: int = 1_000) -> Answer:
        """Answer scheduling.next."""
        answer = next_answer(self.book, hand, max(1, most), now_ms())
        problems = sorted([*self.problems.items(), *self.loops.items()])
        return {"hands": answer, "problems": [f"{name}: {why}" for name, why in problems]}

    async def history(self, call: Call, hand: str = "", most: int = 50) -> Answer:
        """Answer scheduling.history."""
        if not self.store.is_kept:
            raise Failure("disk", f"What was started cannot be read now: {self.problems.get('behind', 'no room')}.")
        return {"history": history_answer(self.store.history(hand, min(max(1, most), 2_000)))}

    # what the kernel says ----------------------------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        """What is scheduled has changed, a scheduled run has ended, or something happened that begins runs."""
        try:
            await self._hear_of(event)
        except (apsw.Error, CallEnded) as error:
            self._fall_behind(error)

    async def _hear_of(self, event: Event) -> None:
        now = now_ms()
        if event.missed:
            self.log.warning("events were missed", count=event.missed)
            self.problems["events"] = f"{event.missed} were missed at {time_text(now * 1000)[:19]}Z"
            await self._follow("")
        match f"{event.publisher}.{event.name}":
            case "kernel.schedules":
                await self._follow(str(found(event.body, "hand") or ""))
            case "kernel.fired":
                hand, name, key, run, outcome = (
                    str(found(event.body, one) or "") for one in ("hand", "name", "key", "run", "outcome")
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
                    await self._begin_what_waits()

    async def _begin_what_waits(self) -> None:
        """Keep what the events begin that have come. Those for which there is no room wait on."""
        while (one := self.waiting.first) is not None:
            loops = self.book.take_event(one.event, one.body, one.at, one.key, one.depth, one.labels)
            self.waiting.drop()
            for hand, why in loops:
                await self._tell_loop(hand, one.event, why)
        lost, self.waiting.lost = self.waiting.lost, 0
        if lost:
            self.problems["events"] = f"{lost} began nothing: no room for them until {time_text(now_ms() * 1000)[:19]}Z"
        self._pump_all()

    async def _tell_loop(self, hand: str, event: str, why: str) -> None:
        """An event would begin a Hand too often: in the log, in what `maniple schedules` shows, and as an event."""
        self.loops[hand] = f"{why}; it is not started by that: see `maniple schedules history {hand}`"
        self.log.warning("an event started a Hand too often", event_name=event, hand=hand)
        await self.kernel.note(f"{hand} is not started: {why}")
        await self.publish("loop", {"hand": hand, "event": event})

    async def _follow(self, only: str) -> None:
        """Take over what is scheduled now: of one Hand, or of all."""
        known: set[str] = set()
        after, more = "", True
        while more:
            reply = await self.kernel.call("kernel.schedules", after=after, only=only)
            page = msgspec.convert(reply.value, _Page)
            for told in page.hands:
                known.add(told.hand)
                self._keep(told)
                after = told.name
            more = page.more and not only
        if only:
            gone = [one.hand for one in self.book.entries.values() if one.name == only and one.hand not in known]
        else:
            gone = self.book.unknown_of(known)
        for hand in gone:
            self.book.drop(hand)
        there = {one.name for one in self.book.entries.values()}
        self.loops = {name: why for name, why in self.loops.items() if name in there}
        await self._hear()
        self.changed.set()
        self._pump_all()

    def _keep(self, told: Scheduled) -> None:
        before = self.book.entries.get(told.hand)
        if before is not None and before.since != told.since:  # it is another schedule now
            self.loops.pop(told.name, None)
        try:
            self.book.keep(told, now_ms())
            self.problems.pop(told.name, None)
        except ManifestsError as error:  # its zone is none of this version's
            self.problems[told.name] = str(error)

    async def _hear(self) -> None:
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

    # the time ----------------------------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        """Turn when something is due, for ever. Anything unforeseen ends the run, which is restarted."""
        while True:
            self.changed.clear()
            try:
                if self.is_behind:
                    await self._catch_up()
                self.book.turn(now_ms())
                self._pump_all()
            except (apsw.Error, CallEnded) as error:
                self._fall_behind(error)
                await asyncio.sleep(AGAIN_S)
            wait = min(LOOK_MOST_S, max(0.0, (self.book.wake_at() - now_ms()) / 1000))
            if wait:
                try:
                    async with asyncio.timeout(wait):  # wait_for may swallow a cancellation until Python 3.12
                        await self.changed.wait()
                except TimeoutError:
                    pass

    def _fall_behind(self, error: apsw.Error | CallEnded) -> None:
        """The disk takes nothing now, or the kernel tells nothing: what is known in memory may be neither kept nor so."""
        self.is_behind, self.must_wait = True, self.must_wait or isinstance(error, NO_ROOM)
        why = f"{error}; make room on the disk of the home if it is full" if isinstance(error, NO_ROOM) else str(error)
        self.problems["behind"] = f"nothing is started until this ends: {why}"
        self.log.error("nothing is started for now", why=why)
        self.changed.set()

    async def _catch_up(self) -> None:
        """Begin anew with what is kept, and with what the kernel says."""
        no_room: Exception | None = None
        try:
            self.store.keep(now_ms())
        except NO_ROOM as error:
            no_room = error
        self._tell_notes()
        self.must_wait = True  # until the new book knows who is scheduled an event would begin nothing
        self.book = Book(self.store, now_ms())
        for event in OWN:
            if event not in self.hears:
                await self.kernel.subscribe(event)
                self.hears.add(event)
        self.is_behind = no_room is not None
        await self._follow("")
        if no_room is not None:  # what is scheduled can be told all the same
            raise no_room
        self.problems.pop("behind", None)
        self.must_wait = False
        await self._begin_what_waits()

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
            except (apsw.Error, CallEnded) as error:
                self._fall_behind(error)

    # runs --------------------------------------------------------------------------------------------------------------

    def _pump_all(self) -> None:
        for hand in self.book.to_ask():
            self._pump(hand)

    def _pump(self, hand: str) -> None:
        """Ask for a Hand's runs, one after the other, beside everything else."""
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
        except (apsw.Error, CallEnded) as error:
            self._fall_behind(error)
        finally:
            self.asking.discard(hand)

    async def _fire(self, entry: Entry, firing: Pending) -> bool:
        """Ask the kernel for one run; whether to go on with the Hand's next one."""
        more: Answer = {}
        if firing.event:
            more = {"event": firing.event, "body": codec.decode_body(firing.body), "depth": firing.depth}
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
        except CodecError as error:  # an event's body may be as large as a whole call's, which names key and moment too
            self.book.refused(firing, f"{firing.event} says too much to begin a run with: {error}", now_ms())
            return True
        except CallRefused as refused:
            if refused.code == "overlap":
                self.book.overlapped(firing, str(refused), now_ms())
                await self._follow(entry.name)
                return entry.schedule.overlap == "skip"
            if refused.code in LATER or passes(refused.code):
                return await self._later()
            self.book.refused(firing, str(refused), now_ms())
            return True
        except CallFailed as failed:
            if failed.code in ("unknown hand", "arguments", "too large"):
                self.book.refused(firing, str(failed), now_ms())
                return True
            return await self._later()
        except CallEnded:
            return await self._later()
        begun = msgspec.convert(reply.value, _Begun)
        self.book.began(firing, begun.run, now_ms(), is_working=begun.working)
        return True

    async def _later(self) -> bool:
        await asyncio.sleep(AGAIN_S)
        return True
