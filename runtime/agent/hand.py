"""The Hand of a manifest with [agent] (acts on what machine.py decides): it asks the model, makes calls, and reports.

It depends only on its inputs, its seed and the order of its messages, so that a resumed run comes to where it was: no
clock, no thread. It reports by notes in the log, and by an event `step` for each step if [events] publishes that. It
takes each event of [events] subscribes whose body is a table with its own run's id as `run`: `text` steers it, and
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
from msgspec.structs import replace

from manifests.agent_task import Task
from manifests.grants import reaches
from manifests.schema import Agent
from runtime.agent import marks, placing, replies, skills, tools
from runtime.agent.actions import Action, AskModel, Brief, MakeCall, Outcome, Recalled, Result, Step
from runtime.agent.codes import LOST
from runtime.agent.machine import Machine
from runtime.agent.saying import APART, SAID, STREAMS, Saying
from runtime.agent.spending import Unsaid, most_of
from runtime.calls import Reply
from runtime.errors import CallCancelled, CallFailed, CallRefused, Failure, HandBroken
from runtime.hand import Event, Hand
from runtime.models import catalogue
from runtime.models.messages import Answer, Message, parse_answer
from wire import limits
from wire.amounts import Cost
from wire.errors import CodecError

STEP: Final = "step"
"""The event for each step, if [events] publishes it."""

RECALL: Final = "memory.recall"
RECALLED_MOST: Final = 8
"""Texts that memory is asked for."""

ANSWER_SECONDS: Final = 3_600.0
"""Seconds that an answer of the model may take."""

TOOL_SECONDS: Final = 600.0
"""Seconds that a tool may take; waiting for the operator does not count."""

LAST_MS: Final = 5_000
"""Milliseconds before its time is over at which a run ends with what it has; a tenth of the time left if that is less."""

STREAM_MOST: Final = 4 * 1024 * 1024
"""Bytes that are read of what a tool streams."""

TEMPORARY: Final = frozenset({"approvals", "log"})
"""Codes of refusals that pass without a change of the call: too many wait for the operator, or the disk is full."""

RETRY_MOST_S: Final = 60
"""Seconds until such a call is made again, at most; 1 at first, then each time twice as long."""

RATE_RETRY_S: Final = 150.0
"""Seconds, times the run's calls_per_minute, until a call that was refused for `rate` is made again, at first.

That is a little longer than the two calls of a wait and a retry need. Then each time twice as long. One call retries at
a time: all at once would be a flood.
"""

T = TypeVar("T")
_LONGEST: Final = limits.DEADLINE_MAX / 1000
_TEXT_MOST: Final = 500
_NOTED: Final = frozenset({"asks", "folded", "mended", "steered", "waits", "warned", "ended"})
"""Steps that are also notes in the log."""


class _Happened(Struct, frozen=True):
    """An event for the machine: one of five kinds.

    The model's answer; or the code and text of its failure; the outcome of the call `number`; words (text, labels) or a
    stop by somebody; the end of the run's time (is_late).
    """

    answer: Answer | None = None
    cost: Cost | None = None
    code: str = ""
    text: str = ""
    labels: tuple[str, ...] = ()
    number: int = 0
    outcome: Outcome | None = None
    stops: bool = False
    is_late: bool = False


class AgentHand(Hand):
    """Does tasks with a model, guided by its playbook."""

    async def start(self) -> None:
        """Read the files that [agent] names, which are sealed with the Hand."""
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
            raise HandBroken(f"{agent.task} is not a task: {error}") from None
        self._skills, problems = skills.read_sealed(self.files)
        if problems:
            raise HandBroken(f"{problems[0].file}: {problems[0].what}; {problems[0].instead}")
        self._happened: asyncio.Queue[_Happened] = asyncio.Queue()
        self._labels_within: frozenset[str] = frozenset()
        self._publishes_words, self._thoughts = False, 0
        self._words: Saying | None = None
        self._unsaid = Unsaid(is_needed=bool(agent.tokens or agent.dollars))
        bounds = self._place.manifest.limits
        self._places = asyncio.Semaphore(max(1, bounds.in_flight - 2))  # two stay free for notes and events
        self._per_minute, self._rate_retry = bounds.calls_per_minute, asyncio.Lock()

    def _read(self, file: str) -> str:
        try:
            return self.files[file].decode() if file else ""
        except (KeyError, UnicodeDecodeError):
            raise HandBroken(f"[agent] names {file}, which does not exist or is not UTF-8 text") from None

    async def on_event(self, event: Event) -> None:
        """Steer or stop this run, if the event names it."""
        body = event.body
        if not isinstance(body, dict) or body.get("run") != self.run_id:
            return
        text, stops = str(body.get("text") or ""), bool(body.get("stop"))
        if text or stops:
            self._happened.put_nowait(_Happened(text=text, labels=self._outside(event.labels), stops=stops))

    async def run(self, task: str, session: list[object] | None = None) -> object:
        """Do a task. session: earlier messages to continue from; if given, the reply has a `session` too."""
        if not task.strip():
            raise Failure("arguments", "task is empty: say what to do")
        try:
            before = msgspec.convert(session or [], tuple[Message, ...])
        except (msgspec.ValidationError, RecursionError) as error:
            raise Failure("arguments", f"session is not a list of messages: {error}") from None
        for event in self._place.manifest.events.subscribes:
            await self._listen(event)
        rows = [replies.parse_row(row) for row in await self.kernel.describe()]
        self._skills += skills.find_installed(rows, self._skills)
        if unread := skills.unread_methods(rows, self._skills):
            why = "skills not used, since there are too many or a sealed skill has the name"
            await self.kernel.note(f"{why}: {', '.join(unread)}"[:_TEXT_MOST])
        machine = Machine(
            self._brief(can_place=any(row.method == skills.SHELL for row in rows)),
            tools.offer(rows, self._place.manifest.capabilities),
            marks.Marks(marks.new_boundary(self.random)), session=before,
        )  # fmt: skip
        self._learn(machine, self._agent.model)
        published = self._place.manifest.events.publishes
        may_stream = any(row.method == STREAMS for row in rows)
        self._publishes_words = SAID in published and not self._schema and may_stream
        self._labels_within = tools.labels_within(rows)
        recalled = await self._recall(task) if any(row.method == RECALL for row in rows) else ()
        result = await self._drive(machine, task, recalled)
        return self._reply(result, wants_session=session is not None)

    async def _listen(self, event: str) -> None:
        """Subscribe to an event; without a grant for it, note that and go on."""
        try:
            await self._retry(lambda: self.kernel.subscribe(event))
        except CallRefused as refused:
            if refused.code != "capability":
                raise Failure(refused.code, refused.why) from None
            await self.kernel.note(f"not subscribed to {event}: {refused}"[:_TEXT_MOST])

    def _brief(self, *, can_place: bool) -> Brief:
        agent, manifest = self._agent, self._place.manifest
        row = catalogue.find(agent.model) if "/" in agent.model else None
        spawn = [one.allow for one in manifest.capabilities if reaches(one.method, "kernel.spawn")]
        return Brief(
            name=self.name, description=manifest.hand.description, playbook=self._playbook, schema=self._schema,
            task=self._task,
            steps=agent.steps, tokens=agent.tokens, micro_dollars=agent.dollars, window=agent.window,
            delegates=tuple(hand for allow in spawn for hand in allow if "*" not in hand),
            skills=self._skills, can_place=can_place, takes_pictures=row is None or "image" in row.takes,
        )  # fmt: skip

    async def _recall(self, task: str) -> tuple[Recalled, ...]:
        """Return what memory recalls for the task; if that fails, note it and return nothing."""
        try:
            reply = await self.kernel.call(RECALL, "own", text=task[:2_000], most=RECALLED_MOST)
        except (CallFailed, CallRefused, CallCancelled) as error:
            await self.kernel.note(f"nothing was recalled: {error}"[:_TEXT_MOST])
            return ()
        return replies.parse_recalled(reply.value, self._outside(reply.labels))

    # the loop --------------------------------------------------------------------------------------------------------

    async def _drive(self, machine: Machine, task: str, recalled: tuple[Recalled, ...]) -> Result:
        """Carry out the machine's actions and give it what happens, until it has a result."""
        async with asyncio.TaskGroup() as group:
            under_way = {group.create_task(self._watch_time())}
            actions = machine.begin(task, recalled)
            while True:
                for action in actions:
                    if isinstance(action, Step):
                        await self._report(action, machine)
                        continue
                    self._unsaid.under_way += isinstance(action, MakeCall)
                    one = group.create_task(self._ask(action) if isinstance(action, AskModel) else self._make(action))
                    under_way.add(one)
                    one.add_done_callback(under_way.discard)
                if machine.result is not None:
                    for one in under_way:
                        one.cancel()
                    return machine.result
                event = await self._happened.get()
                if event.outcome is not None:
                    outcome = await self._unsaid.add_to(event.outcome, lambda: self._retry(self.kernel.budget))
                    event = replace(event, outcome=outcome)
                actions = self._give(machine, event)

    def _give(self, machine: Machine, event: _Happened) -> list[Action]:
        cost = event.cost or Cost(tokens=0, micro_dollars=0)
        self._unsaid.say(cost.tokens, cost.micro_dollars)
        if event.answer is not None:
            self._learn(machine, event.answer.model)
            return machine.on_answer(event.answer, tokens=cost.tokens, micro_dollars=cost.micro_dollars)
        if event.outcome is not None:
            return machine.on_outcome(event.number, event.outcome)
        if event.is_late:
            return machine.on_time_nearly_over()
        if event.code:
            return machine.on_failure(event.code, event.text, tokens=cost.tokens, micro_dollars=cost.micro_dollars)
        return machine.on_stop(event.text) if event.stops else machine.on_steering(event.text, event.labels)

    async def _watch_time(self) -> None:
        """Tell the machine when the run's time is nearly over; only the kernel knows, since time on hold does not count.

        Each sleep is half of what is left, since after a restart of the kernel a sleep begins again.
        """
        with suppress(CallRefused, CallFailed, CallCancelled):
            left = (await self._retry(self.kernel.budget)).milliseconds_left
            last = None if left is None else _last_milliseconds(left)
            while last is not None and left is not None and left > last:
                await self.kernel.time_passes(max((left - last) / 2, min(left - last, 1_000)) / 1000)
                left = (await self._retry(self.kernel.budget)).milliseconds_left
            if last is not None:
                await self._happened.put(_Happened(is_late=True))

    def _learn(self, machine: Machine, model: str) -> None:
        row = catalogue.find(model) if "/" in model else None
        if row is not None:
            machine.use_row(row)

    async def _ask(self, action: AskModel) -> None:
        most: Cost | None = None
        try:
            if action.pause:
                await self.kernel.sleep(action.pause * (1 + self.random.random()) / 2)
            most = await most_of(action, lambda: self._retry(self.kernel.budget))
            if self._publishes_words:
                reply = await self._retry(lambda: self._stream_answer(action, most))
            else:
                params = replies.model_params(action)
                reply = await self._call(tools.COMPLETE, self._agent.model, params, ANSWER_SECONDS, most)
            event = _parse_answer(reply)
        except CallFailed as error:
            event = _Happened(code=error.code, text=error.text, cost=most if error.code in LOST else error.cost)
        except CallRefused as error:
            event = _Happened(code=error.code, text=error.why)
        except CallCancelled as error:
            event = _Happened(code="cancelled", text=str(error), cost=error.cost)
        except CodecError as error:
            event = _Happened(code="too large", text=str(error))
        await self._happened.put(event)

    async def _make(self, action: MakeCall) -> None:
        await self._happened.put(_Happened(number=action.number, outcome=await self._make_call(action)))

    async def _make_call(self, action: MakeCall) -> Outcome:
        try:
            async with self._places:
                if action.method == skills.PLACE:
                    skill = self._skill(action.resource)
                    return await self._retry(lambda: placing.place(self.kernel, self.scratch, skill))
                if action.method == tools.SPAWN:
                    return await self._spawn(action)
                return await self._retry(lambda: self._call_tool(action))
        except CallFailed as error:
            return replies.failure(error.code, error.text, error.cost)
        except CallRefused as error:
            return Outcome(code=error.code, text=str(error).removeprefix(f"{error.code}: "), trusted=True)
        except CallCancelled as error:
            return replies.failure("cancelled", str(error), error.cost)
        except CodecError as error:
            return Outcome(code="arguments", text=str(error), trusted=True)

    def _skill(self, name: str) -> skills.Known:
        return next(one for one in self._skills if one.name == name)

    async def _spawn(self, action: MakeCall) -> Outcome:
        """Run another Hand to its end. It gets less time than this run has left, so that its answer can still be used."""
        left = await self._retry(self.kernel.budget)
        most = replies.spawn_limit(action, left) if action.tokens or action.micro_dollars else None
        arguments, time = action.arguments, left.milliseconds_left
        if time is not None:
            arguments = {**arguments, "timeout": (time - 2 * _last_milliseconds(time)) / 1000}
        reply = await self._call(action.method, action.resource, arguments, _LONGEST, most)
        return replies.run_outcome(self._outcome(reply, reply.value))

    async def _stream_answer(self, action: AskModel, most: Cost | None) -> Reply:
        """Return the model's answer; publish its words as `said` while they come."""
        self._thoughts += 1
        now, apart = asyncio.get_running_loop().time, APART / self._per_minute
        again = self._words is not None and self._words.is_cut
        self._words = Saying(partial(self.publish, SAID), self.run_id, self._thoughts, now, apart, again=again)
        params = replies.model_params(action)
        stream = self.kernel.stream(STREAMS, self._agent.model, params, timeout=ANSWER_SECONDS, at_most=most)
        async with stream:
            await self._words.follow(stream.read)
        return stream.reply

    async def _call_tool(self, action: MakeCall) -> Outcome:
        """Return a tool's reply, with what it streamed as `content`; beyond STREAM_MOST bytes the call is cancelled."""
        stream = self.kernel.stream(action.method, action.resource, action.arguments, timeout=TOOL_SECONDS)
        chunks, size = list[bytes](), 0
        async with stream:
            while size <= STREAM_MOST and (chunk := await stream.read()) is not None:
                chunks.append(chunk)
                size += len(chunk)
        if size > STREAM_MOST:
            value = {"cut": f"at {size} bytes; there is more"}
            return Outcome(value=replies.with_content(chunks, value, is_cut=True), labels=("cut",))
        return self._outcome(stream.reply, replies.with_content(chunks, stream.reply.value))

    def _outcome(self, reply: Reply, value: object) -> Outcome:
        cost = reply.cost or Cost(tokens=0, micro_dollars=0)
        labels = self._outside(reply.labels)
        return Outcome(value=value, labels=labels, tokens=cost.tokens, micro_dollars=cost.micro_dollars)

    async def _call(
        self, method: str, resource: str, arguments: dict[str, object], seconds: float, most: Cost | None
    ) -> Reply:
        return await self._retry(lambda: self.kernel.call(method, resource, arguments, timeout=seconds, at_most=most))

    async def _retry(self, make: Callable[[], Awaitable[T]]) -> T:
        """Return what `make` returns; wait and make it again as long as it is refused for `rate` or a TEMPORARY code."""
        for number in count():
            try:
                return await make()
            except CallRefused as error:
                if error.code == "rate":
                    async with self._rate_retry:
                        await self.kernel.sleep(RATE_RETRY_S / self._per_minute * 2 ** min(number, 6))
                elif error.code in TEMPORARY:
                    await self.kernel.sleep(min(RETRY_MOST_S, 2 ** min(number, 6)))
                else:
                    raise
        raise AssertionError

    def _outside(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels that mean that a reply may contain something from outside, and not just the operator's words.

        A run's calls carry the labels of all it has read, and so do their replies: after the first such label all is marked.
        """
        return tuple(label for label in labels if label not in self._labels_within)

    async def _report(self, step: Step, machine: Machine) -> None:
        done, total = machine.progress
        with suppress(CallRefused, CallFailed):  # a report that fails is no reason to end
            if step.what in _NOTED:
                await self.progress(done, total, f"{step.what}: {step.text}"[:_TEXT_MOST])
            if STEP in self._place.manifest.events.publishes:
                body = {"run": self.run_id, "what": step.what, "step": step.number, "of": total, "text": step.text}
                await self.publish(STEP, body)

    def _reply(self, result: Result, *, wants_session: bool) -> object:
        """Return what the run returns. Raises Failure, with the work so far, if the task is not done."""
        reply = replies.run_reply(result, wants_session=wants_session)
        if not result.code:
            return reply
        raise Failure(result.code[:64], result.why[:_TEXT_MOST], **reply)


def _last_milliseconds(left: int) -> int:
    """Return how long before its time is over a run ends by itself. left: milliseconds it has now."""
    return min(LAST_MS, left // 10)


def _parse_answer(reply: Reply) -> _Happened:
    try:
        return _Happened(answer=parse_answer(reply.value), cost=reply.cost)
    except CodecError as error:
        return _Happened(code="malformed", text=str(error), cost=reply.cost)
