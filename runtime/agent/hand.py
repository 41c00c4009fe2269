"""The Hand that [agent] makes (acts on what machine.py decides): it asks the model, makes the calls, and tells people.

It depends on its inputs, its seed and the order of what it is told alone, so that a run that is resumed comes to where it
was: no clock, no thread. What it tells: notes in the log, and where [events] publishes `step`, that event for each step. What
it hears: each event of [events] subscribes whose body is a table with its own run's id as `run`; `text` steers it, and
`stop = true` ends it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from manifests.grants import reaches
from manifests.schema import Agent
from runtime.agent import marks, placing, replies, skills, tools
from runtime.agent.actions import Brief, Make, Recalled, Result, Returned, Step, Think
from runtime.agent.machine import Machine
from runtime.agent.saying import APART, SAID, STREAMS, Saying
from runtime.calls import Reply
from runtime.errors import CallCancelled, CallFailed, CallRefused, Failure, HandBroken
from runtime.hand import Event, Hand
from runtime.models import catalogue
from runtime.models.messages import Answer, Message, Task, answer_of
from wire import limits
from wire.entries import Cost
from wire.errors import CodecError

THINKS: Final = "model.complete"
STEP: Final = "step"
"""The event that is published of each step, where [events] publishes it."""

RECALL: Final = "memory.recall"
RECALLED_MOST: Final = 8
THINKS_MOST: Final = 3_600.0
"""Seconds that an answer of the model may take."""

MAKES_MOST: Final = 600.0
"""Seconds that a tool may take; waiting for the operator does not count."""

LAST_MS: Final = 5_000
"""Milliseconds before a run's time is over at which it ends with what it has, or a tenth of that time if it is less."""

STREAM_MOST: Final = 4 * 1024 * 1024
"""Bytes of a stream that are read."""

NO_ROOM: Final = frozenset({"approvals", "log"})
"""Codes of refusals that pass without anybody's doing anything about the call."""

ROOM_MOST_S: Final = 60
"""Seconds until it is tried again after one of them, at most; at first 1, each time twice as long."""

SLOWER_S: Final = 150.0
"""Seconds, for each call a minute that its run may make, until one that was made too soon is tried again: a little more than

a wait and a try take of these; then each time twice as long. One after the other: all at once would be a flood.
"""

T = TypeVar("T")
_LONGEST: Final = limits.DEADLINE_MAX / 1000
_TEXT_MOST: Final = 500
_NOTED: Final = frozenset({"asks", "folded", "mended", "steered", "waits", "warned", "ended"})


class _Answered(Struct, frozen=True):
    """What the shell is told: of the model, of a call, or by somebody. answer: or the code of a failure, and its text."""

    answer: Answer | None = None
    cost: Cost | None = None
    code: str = ""
    text: str = ""
    labels: tuple[str, ...] = ()
    number: int = 0
    came: Returned | None = None
    stops: bool = False
    is_late: bool = False


class AgentHand(Hand):
    """Thinks by its playbook."""

    async def start(self) -> None:
        """Read what [agent] names, which is sealed with it."""
        agent = self._place.manifest.agent
        if agent is None:
            raise HandBroken("its HAND.toml has no [agent]")
        self._agent: Agent = agent
        self._playbook = self._read(agent.playbook)
        try:
            self._schema = json.loads(self._read(agent.schema)) if agent.schema else None
        except (ValueError, RecursionError) as error:
            raise HandBroken(f"{agent.schema} is not JSON: {error}") from None
        try:
            task = self._read(agent.task)
            self._task = msgspec.json.decode(task, type=Task) if task else None
        except (msgspec.MsgspecError, RecursionError) as error:
            raise HandBroken(f"{agent.task} is no task: {error}") from None
        self._skills, problems = skills.sealed(self.files)
        if problems:
            raise HandBroken(f"{problems[0].file}: {problems[0].what}; {problems[0].instead}")
        self._heard: asyncio.Queue[_Answered] = asyncio.Queue()
        self._own: frozenset[str] = frozenset()
        self._says, self._thoughts = False, 0
        may = self._place.manifest.limits
        self._places = asyncio.Semaphore(max(1, may.in_flight - 2))  # two for what is told meanwhile
        self._per_minute, self._slower = may.calls_per_minute, asyncio.Lock()

    def _read(self, file: str) -> str:
        try:
            return self.files[file].decode() if file else ""
        except (KeyError, UnicodeDecodeError):
            raise HandBroken(f"[agent] names {file}, which is not there, or is no UTF-8 text") from None

    async def on_event(self, event: Event) -> None:
        """Steer this run, or stop it, when an event speaks of it."""
        body = event.body
        if not isinstance(body, dict) or body.get("run") != self.run_id:
            return
        text, stops = str(body.get("text") or ""), bool(body.get("stop"))
        if text or stops:
            self._heard.put_nowait(_Answered(text=text, labels=self._outside(event.labels), stops=stops))

    async def run(self, task: str, session: list[object] | None = None) -> object:
        """Do a task. session: earlier messages of the conversation; then those of this run are in what is returned."""
        if not task.strip():
            raise Failure("arguments", "task is empty: say what is to be done")
        try:
            before = msgspec.convert(session or [], tuple[Message, ...])
        except (msgspec.ValidationError, RecursionError) as error:
            raise Failure("arguments", f"session is a list of messages: {error}") from None
        for event in self._place.manifest.events.subscribes:
            await self._listen(event)
        rows = [replies.row(row) for row in await self.kernel.describe()]
        self._skills += skills.installed(rows, self._skills)
        if unread := skills.left_out(rows, self._skills):
            await self.kernel.note(
                f"not read, for want of room or a name of their own: {', '.join(unread)}"[:_TEXT_MOST]
            )
        machine = Machine(
            self._brief(can_place=any(row.method == skills.SHELL for row in rows)),
            tools.offered(rows, self._place.manifest.capabilities),
            marks.Marks(marks.boundary(self.random)), session=before,
        )  # fmt: skip
        self._learn(machine, self._agent.model)
        published = self._place.manifest.events.publishes
        self._says = SAID in published and not self._schema and any(row.method == STREAMS for row in rows)
        self._own = frozenset(label for row in rows if row.method == THINKS for label in row.labels)
        remembered = await self._remembered(task) if any(row.method == RECALL for row in rows) else ()
        result = await self._follow(machine, task, remembered)
        return self._returned(result, wants_session=session is not None)

    async def _listen(self, event: str) -> None:
        """Hear an event; one that it is not granted to hear it does without, which is told."""
        try:
            await self._with_room(lambda: self.kernel.subscribe(event))
        except CallRefused as refused:
            if refused.code != "capability":
                raise Failure(refused.code, refused.why) from None
            await self.kernel.note(f"{event} is not heard: {refused}"[:_TEXT_MOST])

    def _brief(self, *, can_place: bool) -> Brief:
        agent, manifest = self._agent, self._place.manifest
        row = catalogue.find(agent.model) if "/" in agent.model else None
        spawn = [one.allow for one in manifest.capabilities if reaches(one.method, "kernel.spawn")]
        return Brief(
            name=self.name, description=manifest.hand.description, playbook=self._playbook, schema=self._schema,
            task=self._task,
            steps=agent.steps, tokens=agent.tokens, micro_dollars=agent.dollars, window=agent.window,
            delegates=tuple(hand for allow in spawn for hand in allow if "*" not in hand),
            skills=self._skills, can_place=can_place, sees=row is None or "image" in row.takes,
        )  # fmt: skip

    async def _remembered(self, task: str) -> tuple[Recalled, ...]:
        """What memory recalls of the task; nothing where it cannot, which is told and no reason to stop."""
        try:
            reply = await self.kernel.call(RECALL, "own", text=task[:2_000], most=RECALLED_MOST)
        except (CallFailed, CallRefused, CallCancelled) as error:
            await self.kernel.note(f"nothing is recalled: {error}"[:_TEXT_MOST])
            return ()
        return replies.recalled(reply.value, self._outside(reply.labels))

    # the loop --------------------------------------------------------------------------------------------------------

    async def _follow(self, machine: Machine, task: str, remembered: tuple[Recalled, ...]) -> Result:
        """Do what the machine says, and tell it what came, until it has a result."""
        async with asyncio.TaskGroup() as group:
            under_way = {group.create_task(self._watch_time())}
            actions = machine.begin(task, remembered)
            while True:
                for action in actions:
                    if isinstance(action, Step):
                        await self._tell(action, machine)
                        continue
                    one = group.create_task(self._think(action) if isinstance(action, Think) else self._make(action))
                    under_way.add(one)
                    one.add_done_callback(under_way.discard)
                if machine.result is not None:
                    for one in under_way:
                        one.cancel()
                    return machine.result
                actions = self._apply(machine, await self._heard.get())

    def _apply(self, machine: Machine, heard: _Answered) -> "list[Think | Make | Step]":
        cost = heard.cost or Cost(tokens=0, micro_dollars=0)
        if heard.answer is not None:
            self._learn(machine, heard.answer.model)
            return machine.answered(heard.answer, tokens=cost.tokens, micro_dollars=cost.micro_dollars)
        if heard.came is not None:
            return machine.returned(heard.number, heard.came)
        if heard.is_late:
            return machine.out_of_time()
        if heard.code:
            return machine.failed(heard.code, heard.text, tokens=cost.tokens, micro_dollars=cost.micro_dollars)
        return machine.interrupted(heard.text) if heard.stops else machine.steered(heard.text, heard.labels)

    async def _watch_time(self) -> None:
        """Tell when the time of this run is nearly over, which its kernel knows: held, it does not count.

        It sleeps half of what is left each time, for after a restart of the kernel a sleep begins anew.
        """
        with suppress(CallRefused, CallFailed, CallCancelled):
            left = (await self._with_room(self.kernel.budget)).milliseconds_left
            last = None if left is None else _last(left)
            while last is not None and left is not None and left > last:
                await self.kernel.time_passes(max((left - last) / 2, min(left - last, 1_000)) / 1000)
                left = (await self._with_room(self.kernel.budget)).milliseconds_left
            if last is not None:
                await self._heard.put(_Answered(is_late=True))

    def _learn(self, machine: Machine, model: str) -> None:
        found = catalogue.find(model) if "/" in model else None
        if found is not None:
            machine.learned(found)

    async def _think(self, action: Think) -> None:
        most = Cost(tokens=action.tokens, micro_dollars=action.micro_dollars) if action.micro_dollars else None
        try:
            if action.after:
                await self.kernel.sleep(action.after * (1 + self.random.random()) / 2)
            if self._says:
                heard = _answered(await self._with_room(lambda: self._thought_aloud(action, most)))
            else:
                heard = _answered(
                    await self._called(THINKS, self._agent.model, replies.asked(action), THINKS_MOST, most)
                )
        except CallFailed as error:
            heard = _Answered(code=error.code, text=error.text, cost=error.cost)
        except CallRefused as error:
            heard = _Answered(code=error.code, text=error.why)
        except CallCancelled as error:
            heard = _Answered(code="cancelled", text=str(error), cost=error.cost)
        except CodecError as error:
            heard = _Answered(code="too large", text=str(error))
        await self._heard.put(heard)

    async def _make(self, action: Make) -> None:
        await self._heard.put(_Answered(number=action.number, came=await self._came(action)))

    async def _came(self, action: Make) -> Returned:
        try:
            async with self._places:
                if action.method == skills.PLACE:
                    skill = self._skill(action.resource)
                    return await self._with_room(lambda: placing.place(self.kernel, self.scratch, skill))
                if action.method == tools.SPAWN:
                    return await self._begun(action)
                return await self._with_room(lambda: self._read_from(action))
        except CallFailed as error:
            return replies.failed(error.code, error.text, error.cost)
        except CallRefused as error:
            return Returned(code=error.code, text=str(error), ours=True)
        except CallCancelled as error:
            return replies.failed("cancelled", str(error), error.cost)
        except CodecError as error:
            return Returned(code="arguments", text=str(error), ours=True)

    def _skill(self, name: str) -> skills.Known:
        return next(one for one in self._skills if one.name == name)

    async def _begun(self, action: Make) -> Returned:
        """A run of another Hand, from its beginning to its end: before this one's, so that what it brings is used."""
        left = await self._with_room(self.kernel.budget)
        most = replies.most_of(action, left) if action.tokens or action.micro_dollars else None
        given, time = action.arguments, left.milliseconds_left
        if time is not None:
            given = {**given, "timeout": (time - 2 * _last(time)) / 1000}
        reply = await self._called(action.method, action.resource, given, _LONGEST, most)
        return replies.of_run(self._returned_by(reply, reply.value))

    async def _thought_aloud(self, action: Think, most: Cost | None) -> Reply:
        """What the model answers; those who hear this Hand's `said` hear its words as they come."""
        self._thoughts += 1
        now, apart = asyncio.get_running_loop().time, APART / self._per_minute
        saying = Saying(partial(self.publish, SAID), self.run_id, self._thoughts, now, apart)
        asked = self.kernel.stream(STREAMS, self._agent.model, replies.asked(action), timeout=THINKS_MOST, at_most=most)
        async with asked:
            while (chunk := await asked.read()) is not None:
                await saying.hear(chunk)
        await saying.end()
        return asked.reply

    async def _read_from(self, action: Make) -> Returned:
        """A tool's reply; what it streams stands in it as `content`. What is beyond STREAM_MOST is not waited for."""
        stream = self.kernel.stream(action.method, action.resource, action.arguments, timeout=MAKES_MOST)
        chunks, size = list[bytes](), 0
        async with stream:
            while size <= STREAM_MOST and (chunk := await stream.read()) is not None:
                chunks.append(chunk)
                size += len(chunk)
        if size > STREAM_MOST:
            value = {"cut": f"at {size} bytes, there is more"}
            return Returned(value=replies.with_content(chunks, value, is_cut=True), labels=("cut",))
        return self._returned_by(stream.reply, replies.with_content(chunks, stream.reply.value))

    def _returned_by(self, reply: Reply, value: object) -> Returned:
        cost = reply.cost or Cost(tokens=0, micro_dollars=0)
        labels = self._outside(reply.labels)
        return Returned(value=value, labels=labels, tokens=cost.tokens, micro_dollars=cost.micro_dollars)

    async def _called(
        self, method: str, resource: str, arguments: dict[str, object], seconds: float, most: Cost | None
    ) -> Reply:
        return await self._with_room(
            lambda: self.kernel.call(method, resource, arguments, timeout=seconds, at_most=most)
        )

    async def _with_room(self, make: Callable[[], Awaitable[T]]) -> T:
        """What it makes; while too many wait for the operator already, the disk is full, or it has asked for too much in

        this minute, it waits and makes it again.
        """
        for number in count():
            try:
                return await make()
            except CallRefused as error:
                if error.code == "rate":
                    async with self._slower:
                        await self.kernel.sleep(SLOWER_S / self._per_minute * 2 ** min(number, 6))
                elif error.code in NO_ROOM:
                    await self.kernel.sleep(min(ROOM_MOST_S, 2 ** min(number, 6)))
                else:
                    raise
        raise AssertionError

    def _outside(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """What of a reply's labels says that it is, or may be made, from what came from outside: all but those of thinking.

        What a run has read once, its calls carry and so do their replies: from then on it is marked whatever comes.
        """
        return tuple(label for label in labels if label not in self._own)

    async def _tell(self, step: Step, machine: Machine) -> None:
        done, total = machine.progress
        with suppress(CallRefused, CallFailed):  # what is not told is no reason to end
            if step.what in _NOTED:
                await self.progress(done, total, f"{step.what}: {step.text}"[:_TEXT_MOST])
            if STEP in self._place.manifest.events.publishes:
                body = {"run": self.run_id, "what": step.what, "step": step.number, "of": total, "text": step.text}
                await self.publish(STEP, body)

    def _returned(self, result: Result, *, wants_session: bool) -> object:
        """What the run comes to. Raises Failure, with the work so far, for what is not done."""
        reply = replies.of_result(result, wants_session=wants_session)
        if not result.code:
            return reply
        raise Failure(result.code[:64], result.why[:_TEXT_MOST], **reply)


def _last(left: int) -> int:
    """Milliseconds before its time is over at which a run ends that has so many left."""
    return min(LAST_MS, left // 10)


def _answered(reply: Reply) -> _Answered:
    try:
        return _Answered(answer=answer_of(reply.value), cost=reply.cost)
    except CodecError as error:
        return _Answered(code="malformed", text=str(error), cost=reply.cost)
