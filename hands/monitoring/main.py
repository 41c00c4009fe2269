"""The Hand `monitoring`: looks at every target when it is due, and reports what it saw (acts; thin).

It touches no target itself: each look is a call to machine, files or web. monitor_watch decides what a look means,
monitor_desk makes the replies; this module has the loop, the clock, the bus, and what to do when the disk fails.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import apsw

import monitor_desk as desk
from manifests.keeping import SafeClock
from monitor_history import DAMAGE, History
from monitor_notices import Silence, in_force
from monitor_probe import Prober
from monitor_reading import Observation
from monitor_report import Change, TimeInvalid, moment
from monitor_settings import EVERYTHING, Plan, Target, read_plan
from monitor_watch import Watcher, next_due, round_ms
from runtime import Call, CallEnded, Failure, Hand
from runtime.table_file import NO_ROOM, why_not

Answer = dict[str, object]

SLEEP_MOST_MS: Final = 60_000
"""The longest sleep of the loop, in ms, so that changed settings are seen soon whatever the interval was."""

TIDY_MS: Final = 600_000
SILENCE_SECONDS: Final = 3_600.0
SILENCE_MOST_SECONDS: Final = 30 * 86_400.0
SILENCES_MOST: Final = 500
WORDS_MOST: Final = 200
"""A silence's default and longest duration; most silences in force; most characters of a silence's check and reason."""

TOGETHER: Final = 16
"""Looks under way at once: so many at endpoints, and as many at targets on this machine."""

PATIENCE: Final = 1.0
"""Seconds that a round waits for its looks; slower ones are part of a later round."""


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds of a clock that never jumps."""
    return time.monotonic()


class Monitoring(Hand):
    """Provides monitoring.report, check, history, alerts and silence; publishes alert and recovered."""

    async def start(self) -> None:
        """Opens the history and starts the loop."""
        self.store = History(self.state, now=now_ms())
        self.watcher = Watcher(self.store)
        self.prober = Prober(self.kernel, now_ms)
        self.looking = {is_far: asyncio.Semaphore(TOGETHER) for is_far in (False, True)}
        self.last: dict[str, int] = {}
        self.took: dict[str, int] = {}
        self.under_way: dict[asyncio.Task[Observation | None], tuple[Target, int]] = {}
        self.tidied = 0
        self.clock = SafeClock(self.store.load("believed", int, 0) / 1000, monotonic())
        self.trouble = self._no_room(self.store.no_room) if self.store.no_room else ""
        self._note_opening()
        self.rounds = self.in_background(self._watch())

    async def stop(self) -> None:
        """Stops the loop and closes the history."""
        ended = [self.rounds, *self.under_way]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        self.store.close()

    # methods -------------------------------------------------------------------------------------------------------

    async def report(self, call: Call, since: str = "") -> Answer:
        """monitoring.report. since: a time, or a duration before now; by default the last report."""
        with suppress(*NO_ROOM):  # reported among the problems
            self._open_again()
        with self._reading():
            return desk.report(self.watcher, self.plan(), self._problems(), since=since, now=now_ms())

    async def check(self, call: Call) -> Answer:
        """monitoring.check: looks now and judges by what is known; stores nothing.

        The look needs the caller's grants besides this Hand's own, so it must not affect the target's state: for a caller
        who may not fetch a page, the page would seem to be gone, and that would raise an alert.
        """
        plan = self.plan()
        target = self._target(plan, call.resource)
        seen = await self.prober.look(target, counts=False)
        if seen is None:
            raise Failure("paused", "monitoring is paused, so it may not look; type: maniple resume monitoring")
        with self._reading():
            checks = self.watcher.assess(plan, target, seen, now_ms())
        bad = [one for one in checks if one.signal == "bad"]
        return {
            "target": target.name,
            "state": "cannot be checked" if not seen.checked else "bad" if bad else "ok",
            "why": seen.why or "; ".join(one.text for one in bad),
            "time": moment(seen.at),
            "metrics": dict(seen.metrics),
            "checks": [{"check": one.name, "signal": one.signal, "text": one.text} for one in checks],
        }

    async def history(
        self, call: Call, metric: str = "", since: str = "", until: str = "", points: int = desk.POINTS_DEFAULT
    ) -> Answer:
        """monitoring.history; without a metric, the names of the metrics. points: most rows."""
        self._require_history()
        plan = self.plan()
        target = self._target(plan, call.resource)
        with self._reading():
            return desk.history(
                self.watcher, plan, target, metric=metric, since=since, until=until, points=points, now=now_ms()
            )

    async def alerts(self, call: Call, past: int = desk.PAST_DEFAULT) -> Answer:
        """monitoring.alerts. past: how many past begins and ends of alerts to list."""
        self._require_history()
        now = now_ms()
        call.add_labels(*(label for one in in_force(self.watcher.silences, now) for label in one.labels))
        with self._reading():
            return desk.alerts(self.watcher, self.plan(), past=past, now=now)

    async def silence(
        self, call: Call, lasts: float = SILENCE_SECONDS, check: str = "", reason: str = "", lift: bool = False
    ) -> Answer:
        """monitoring.silence. lasts: seconds, an hour by default; the resource "all" is every target."""
        name, now = call.resource, now_ms()
        if name != EVERYTHING:
            self._target(self.plan(), name)
        if lift:
            with self._keeping():
                lifted = self.watcher.lift(name, check, now)
            return {"target": name, "check": check, "until": moment(now), "lifted": lifted}
        if not 0 < lasts <= SILENCE_MOST_SECONDS:
            raise Failure("arguments", 'a silence must last more than nothing, and at most "30d"')
        if len(check) > WORDS_MOST:
            raise Failure("arguments", f"the name of a check has at most {WORDS_MOST} characters")
        until, labels = now + round(lasts * 1000), tuple(sorted(call.labels))
        made = Silence(target=name, check=check, until=until, made=now, reason=reason[:WORDS_MOST], labels=labels)
        others = [one for one in in_force(self.watcher.silences, now) if (one.target, one.check) != (name, check)]
        if len(others) >= SILENCES_MOST:
            raise Failure("too many", f"{SILENCES_MOST} silences are in force already: lift one, with `lift`")
        with self._keeping():
            self.watcher.silence(made, now)
        return {"target": name, "check": check, "until": moment(until), "lifted": 0}

    def plan(self) -> Plan:
        """The settings as they are now."""
        return read_plan(self.settings)

    def _target(self, plan: Plan, name: str) -> Target:
        try:
            return desk.find(plan, name)
        except desk.UnknownTarget as error:
            raise Failure("unknown target", str(error)) from None

    def _require_history(self) -> None:
        """Raises Failure if the history cannot be opened."""
        with self._keeping():
            pass

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turns an invalid time and a damaged history into the call's Failed."""
        try:
            yield
        except TimeInvalid as error:
            raise Failure("arguments", str(error)) from None
        except DAMAGE as error:
            self._set_aside(error)
            raise Failure("damaged", f"{self.store.notes[-1]}; ask again") from None

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Opens the history for the block; turns a disk without room into the call's Failed."""
        try:
            self._open_again()
            yield
        except NO_ROOM as error:
            raise Failure("disk", self._no_room(error)) from None

    def _open_again(self) -> None:
        """Opens the history, if there was no room for it before. Raises the errors in NO_ROOM."""
        if self.store.reopen(now_ms()):
            self.trouble = ""
            self._carry_over(self.watcher)

    def _set_aside(self, error: Exception) -> None:
        """Replaces a damaged history by a new one. Alarms and silences in memory go on."""
        self.log.error("the history is damaged", why=str(error))
        self.store.set_aside(now_ms(), str(error))
        self._carry_over(self.watcher)

    def _carry_over(self, before: Watcher) -> None:
        """Continues with a newly opened file: what is in memory goes on, even if the file has no room for it yet."""
        self.watcher = Watcher(self.store)
        self.watcher.records.update(before.records)
        self.watcher.unsent += before.unsent
        self._note_opening()
        if before.silences:
            self.watcher.silences = before.silences
            with suppress(*NO_ROOM):
                self.watcher.set_silences(before.silences)

    def _problems(self) -> list[str]:
        return [*self.store.notes, *([self.trouble] if self.trouble else [])]

    # loop ----------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Looks at what is due and sleeps until the next target is, for ever. An unforeseen error ends the run, which the
        kernel restarts.
        """
        while True:
            self._begin_looks(self.plan())
            if self.under_way:
                await asyncio.wait(self.under_way, timeout=PATIENCE)
            plan = self.plan()
            ended = self._take_ended(plan)
            if ended:
                self._store_round(plan, *ended)
            await self._publish()
            _, wait = next_due(self._idle_targets(plan), self.last, now_ms())
            await self._pause(min(wait, SLEEP_MOST_MS) / 1000)

    def _idle_targets(self, plan: Plan) -> list[Target]:
        """The targets with no look under way."""
        looked_at = {target.name for target, _ in self.under_way.values()}
        return [one for one in plan.targets if one.name not in looked_at]

    def _begin_looks(self, plan: Plan) -> None:
        """Starts a look at each target that is due."""
        now = now_ms()
        due, _ = next_due(self._idle_targets(plan), self.last, now)
        for target in due:
            self.last[target.name] = now
            self.under_way[asyncio.create_task(self._look(target))] = (target, now)

    def _take_ended(self, plan: Plan) -> tuple[list[tuple[Target, Observation]], int] | None:
        """(looks that have ended, ms that they and the looks before them took); None if none has ended."""
        ended = [task for task in self.under_way if task.done()]
        targets, now, busy = [target for target, _ in self.under_way.values()], now_ms(), 0
        watched = {one.name: one for one in plan.targets}
        seen: list[tuple[Target, Observation]] = []
        for task in ended:
            target, begun = self.under_way.pop(task)
            took = round_ms(targets, TOGETHER, now - begun)
            busy = max(busy, self.took.get(target.name, 0) + took)
            self.took[target.name] = took
            look, is_now = task.result(), watched.get(target.name)
            if (
                look is not None
                and is_now is not None
                and (is_now.kind, is_now.subject) == (target.kind, target.subject)
            ):
                seen.append((is_now, look))
        return (seen, busy) if ended else None

    def _store_round(self, plan: Plan, seen: list[tuple[Target, Observation]], busy_ms: int) -> None:
        try:
            self._open_again()
            self._store_looks(plan, seen, busy_ms)
            self.trouble = ""
        except DAMAGE as error:
            self._set_aside(error)
        except (apsw.Error, OSError) as error:
            self.trouble = self._no_room(error)
            self.log.error("the history cannot be written", why=str(error))
            with suppress(apsw.Error):  # if it cannot be read either, baselines are unknown
                self.watcher.judge(plan, seen, now_ms(), busy_ms=busy_ms)

    def _store_looks(self, plan: Plan, looks: list[tuple[Target, Observation]], busy_ms: int) -> None:
        now = now_ms()
        self.watcher.take(plan, looks, now, busy_ms=busy_ms)
        if not 0 <= now - self.tidied < TIDY_MS:
            self.tidied = now
            believed = round(self.clock.now(now / 1000, monotonic()) * 1000)
            ahead = now - believed
            keep = {"keep_values_ms": plan.keep_values_ms + ahead, "keep_ms": plan.keep_ms + ahead}
            self.store.tidy(now, **keep, most_bytes=plan.most_bytes)
            with self.store.round():  # the next start trusts it at once
                self.store.save("believed", believed)

    async def _look(self, target: Target) -> Observation | None:
        async with self.looking[target.kind in ("http", "tcp")]:
            return await self.prober.look(target)

    async def _publish(self) -> None:
        """Publishes the unsent events; one that cannot be published now is tried again after the next round."""
        while unsent := self.watcher.unsent:
            event = unsent[0]
            try:
                await self.kernel.publish(event.name, event.body, labels=event.labels)
            except CallEnded as error:
                self.log.warning("an event could not be published", event_name=event.name, why=str(error))
                return
            try:
                self.watcher.sent(event)
            except DAMAGE as error:
                self._set_aside(error)
            except (apsw.Error, OSError) as error:
                self.trouble = self._no_room(error)

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but at most until a look that is under way has ended."""
        sleeping = asyncio.create_task(self._sleep(seconds))
        try:
            await asyncio.wait({sleeping, *self.under_way}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not sleeping.cancel():
                sleeping.result()

    async def _sleep(self, seconds: float) -> None:
        try:
            await self.kernel.sleep(seconds)
        except CallEnded:  # while paused even sleeping is refused; the loop must not spin
            await asyncio.sleep(seconds)

    def _no_room(self, error: object) -> str:
        return f"the history cannot be written: {why_not(self.store.path, error)}"

    def _note_opening(self) -> None:
        """Writes the notes on opening the history into the log, and into the history itself if it has room."""
        for note in self.store.notes:
            self.log.warning(note)
        try:
            with self.store.round():
                for note in self.store.notes:
                    self.store.add_change(Change(at=now_ms(), target="", kind="note", level="warning", text=note))
        except NO_ROOM as error:
            self.trouble = self._no_room(error)
