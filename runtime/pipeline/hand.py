"""`PipelineHand`, the Hand class of a pipeline (acts on what machine.py decides): makes runs, awaits them, and writes notes.

It calls only kernel.spawn, kernel.wait, kernel.sleep and kernel.note. What it does depends only on its inputs and the order
of the replies, so that a resumed run reaches the same point: no clock, no randomness, no thread.
"""

import asyncio
from collections.abc import Iterable
from itertools import count
from typing import Final

import msgspec
from msgspec import Struct

from manifests import params
from manifests.approvals import PER_RUN
from manifests.errors import ManifestInvalid, ParamsInvalid
from manifests.pipeline import notes
from manifests.pipeline.check import check
from manifests.pipeline.schema import Pipeline
from runtime.calls import Stream
from runtime.errors import CallCancelled, CallEnded, CallFailed, CallRefused, Failure, HandBroken
from runtime.hand import Hand
from runtime.kernel_handle import Outcome
from runtime.pipeline.actions import Begin, End, Note, Result, Sleep, TakeBack
from runtime.pipeline.kept import SHARE
from runtime.pipeline.machine import Machine
from wire.errors import CodecError

PAUSED: Final = "paused"
TRANSIENT: Final = frozenset({"approvals", "log", "room", PAUSED})
"""Codes of refusals that end without any change to the step."""

RETRY_MOST_S: Final = 60
"""Most seconds until the next try after one of these; 1 at first, doubled each time."""

_TEXT_MOST: Final = 500
_UNWANTED: Final = "the pipeline failed before this began"


class _Spawned(Struct, frozen=True):
    run: str


class PipelineHand(Hand):
    """Follows the pipeline that its HAND.toml names."""

    async def start(self) -> None:
        """Reads the pipeline's file, which was checked when it was added, and is sealed."""
        file = self._place.manifest.hand.pipeline
        try:
            text = self.files[file].decode()
            self._pipeline: Pipeline = check(text, file=file)
        except KeyError:
            raise HandBroken(f"pipeline = {file!r}, but there is no such file: add the pipeline again") from None
        except (UnicodeDecodeError, ManifestInvalid) as error:
            raise HandBroken(f"{file} is not a pipeline that this version runs: {error}") from None

    async def run(self, **inputs: object) -> object:
        """Runs the pipeline. Returns its outputs; raises the failure of the step that failed first."""
        try:
            given = params.check(self._pipeline.inputs, inputs)
        except ParamsInvalid as invalid:
            raise Failure("arguments", "; ".join(invalid.problems)) from None
        try:
            most = self._place.manifest.limits.memory // SHARE
            return _value(await self._follow(Machine(self._pipeline, given, most)))
        except* CallEnded as ended:  # from its own note or sleep, without which it cannot go on
            error = ended.exceptions[0]
            assert isinstance(error, CallEnded)
            refused = _end_of_error(error)
        raise Failure(refused.code[:64], refused.text[:_TEXT_MOST])

    async def _follow(self, machine: Machine) -> Result:
        """Carries out the machine's actions until it has a result."""
        events: asyncio.Queue[tuple[int, End | None]] = asyncio.Queue()
        self._waiting, self._withdrawn = dict[int, Stream](), set[int]()
        self._approvals = asyncio.Semaphore(PER_RUN)
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            actions = machine.begin()
            while True:
                tasks = [task for task in tasks if not task.done()]
                for action in actions:
                    if isinstance(action, Note):
                        await self.progress(*machine.progress, action.text[:_TEXT_MOST])
                    elif isinstance(action, TakeBack):
                        self._withdraw(action.piece)
                    else:
                        tasks.append(group.create_task(self._act(action, machine, events)))
                if machine.result is not None:
                    break
                piece, end = await events.get()
                actions = machine.on_time(piece) if end is None else machine.on_end(piece, end)
            for task in tasks:  # these wait for a next try, which is no longer wanted
                task.cancel()
        return machine.result

    async def _act(
        self, action: "Begin | Sleep", machine: Machine, events: "asyncio.Queue[tuple[int, End | None]]"
    ) -> None:
        if isinstance(action, Sleep):
            await self.kernel.sleep(action.milliseconds / 1000)
            await events.put((action.piece, None))
        else:
            await events.put((action.piece, await self._make_run(action, machine)))

    async def _make_run(self, action: Begin, machine: Machine) -> End:
        """Starts a run and awaits its end."""
        try:
            run = await (self._start_if_approved(action, machine) if action.asks else self._start(action, machine))
            machine.on_start(action.piece)
            await self.progress(*machine.progress, notes.begun_note(action.name, run, action.tries))
            return _end_of_run(await self._wait_for(run))
        except (CallEnded, CodecError) as error:
            return _end_of_error(error)

    async def _start(self, action: Begin, machine: Machine) -> str:
        """Starts a run and returns its id. Retries while its Hand is paused, too many requests wait for the operator, or the
        disk is full.
        """
        for number in count():
            try:
                return await self._spawn(action)
            except CallRefused as error:
                if error.code not in TRANSIENT:
                    raise
                refused = error
            if refused.code == PAUSED and not number:  # the others may also prevent a note
                await self.progress(*machine.progress, notes.note_text(action.name, "waits", refused.why)[:_TEXT_MOST])
            self.log.warning("waits", step=str(action.name), why=refused.why)
            await self.kernel.sleep(min(RETRY_MOST_S, 2 ** min(number, 6)))
        raise AssertionError

    async def _start_if_approved(self, action: Begin, machine: Machine) -> str:
        """Starts a run that needs the operator's yes. At most PER_RUN requests wait for him, the others wait here."""
        async with self._approvals:
            return await self._start(action, machine)

    async def _spawn(self, action: Begin) -> str:
        timeout = action.timeout_ms / 1000 if action.timeout_ms else None
        if action.piece in self._withdrawn:
            raise CallCancelled(_UNWANTED)
        if not action.asks:
            return await self.kernel.spawn(action.hand, action.given, timeout=timeout)
        given = {"inputs": action.given} | ({} if timeout is None else {"timeout": timeout})
        wish = notes.question(action.name, action.asks)
        async with self.kernel.stream("kernel.spawn", action.hand, given, ask_first=wish) as call:
            self._waiting[action.piece] = call
            await call.read()  # there are no bytes, only the end
            return msgspec.convert(call.reply.value, _Spawned).run

    def _withdraw(self, piece: int) -> None:
        """Withdraws a run that waits to begin; if the operator has just said yes, it may have begun."""
        self._withdrawn.add(piece)
        if piece in self._waiting:
            self._waiting[piece].cancel(_UNWANTED)

    async def _wait_for(self, run: str) -> Outcome:
        """Waits for a run's end, however long that takes."""
        while True:
            try:
                return await self.kernel.wait(run)
            except CallFailed as error:
                if error.code != "deadline":
                    raise


def _end_of_error(error: CallEnded | CodecError) -> End:
    match error:
        case CallFailed(code=code, text=text) | CallRefused(code=code, why=text):
            return End(code=code, text=text)
        case CallEnded():
            return End(code="cancelled", text=str(error))
        case _:  # the run's inputs do not fit into a message
            return End(code="too large", text=str(error))


def _end_of_run(outcome: Outcome) -> End:
    if outcome.outcome != "done":
        return End(code=outcome.code or outcome.outcome, text=outcome.text)
    if outcome.text:  # it was done, but its return value is lost
        return End(code="lost", text=outcome.text)
    return End(value=outcome.value)


def _value(result: Result) -> object:
    """The outputs. Raises Failure if the pipeline failed."""
    if not result.code:
        return result.value
    more: dict[str, Iterable[str]] = {"undone": list(result.undone), "left": list(result.left)}
    raise Failure(result.code[:64], f"{result.step}: {result.text}"[:_TEXT_MOST], step=result.step, **more)
