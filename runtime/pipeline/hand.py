"""The Hand that a pipeline is (acts on what machine.py decides): it makes runs, waits for them, and notes which is what.

It calls kernel.spawn, kernel.wait, kernel.sleep and kernel.note, and nothing else. What it does depends on its inputs and
on the order of the replies alone, so that a run that is resumed comes to where it was: no clock, no chance, no thread.
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
PASSING: Final = frozenset({"approvals", "log", "room", PAUSED})
"""Codes of refusals that pass without anybody's doing anything about the step."""

PASSING_MOST_S: Final = 60
"""Seconds until it is tried again after one of them, at most; at first 1, each time twice as long."""

_TEXT_MOST: Final = 500
_UNWANTED: Final = "the pipeline has failed before it began"


class _Spawned(Struct, frozen=True):
    run: str


class PipelineHand(Hand):
    """Follows the pipeline that its HAND.toml names."""

    async def start(self) -> None:
        """Read the pipeline: a file that is in order when it is added, and sealed since."""
        file = self._place.manifest.hand.pipeline
        try:
            text = self.files[file].decode()
            self._pipeline: Pipeline = check(text, file=file)
        except KeyError:
            raise HandBroken(f"pipeline = {file!r}, but there is no such file: add the pipeline again") from None
        except (UnicodeDecodeError, ManifestInvalid) as error:
            raise HandBroken(f"{file} is not a pipeline that this version runs: {error}") from None

    async def run(self, **inputs: object) -> object:
        """Go through the pipeline; its outputs, or the failure of the step that failed first."""
        try:
            given = params.check(self._pipeline.inputs, inputs)
        except ParamsInvalid as invalid:
            raise Failure("arguments", "; ".join(invalid.problems)) from None
        try:
            most = self._place.manifest.limits.memory // SHARE
            return _returned(await self._result(Machine(self._pipeline, given, most)))
        except* CallEnded as ended:  # a note, or a wait, of its own: without these it cannot go on
            error = ended.exceptions[0]
            assert isinstance(error, CallEnded)
            refused = _not_done(error)
        raise Failure(refused.code[:64], refused.text[:_TEXT_MOST])

    async def _result(self, machine: Machine) -> Result:
        """Act on what the machine decides, to its result."""
        events: asyncio.Queue[tuple[int, End | None]] = asyncio.Queue()
        self._asked, self._unwanted = dict[int, Stream](), set[int]()
        self._asking = asyncio.Semaphore(PER_RUN)
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            actions = machine.begin()
            while True:
                tasks = [task for task in tasks if not task.done()]
                for action in actions:
                    if isinstance(action, Note):
                        await self.progress(*machine.progress, action.text[:_TEXT_MOST])
                    elif isinstance(action, TakeBack):
                        self._take_back(action.piece)
                    else:
                        tasks.append(group.create_task(self._act(action, machine, events)))
                if machine.result is not None:
                    break
                piece, end = await events.get()
                actions = machine.woke(piece) if end is None else machine.ended(piece, end)
            for task in tasks:  # those that waited for a next try which nobody wants any more
                task.cancel()
        return machine.result

    async def _act(
        self, action: "Begin | Sleep", machine: Machine, events: "asyncio.Queue[tuple[int, End | None]]"
    ) -> None:
        if isinstance(action, Sleep):
            await self.kernel.sleep(action.milliseconds / 1000)
            await events.put((action.piece, None))
        else:
            await events.put((action.piece, await self._made(action, machine)))

    async def _made(self, action: Begin, machine: Machine) -> End:
        """A run, from its beginning to its end."""
        try:
            run = await (self._begun_if_approved(action, machine) if action.asks else self._begun(action, machine))
            machine.begun(action.piece)
            await self.progress(*machine.progress, notes.begun_note(action.name, run, action.tries))
            return _end(await self._waited(run))
        except (CallEnded, CodecError) as error:
            return _not_done(error)

    async def _begun(self, action: Begin, machine: Machine) -> str:
        """The id of a run, which has begun; it waits while its Hand is paused, too many wait for the operator already, or
        the disk is full.
        """
        for number in count():
            try:
                return await self._spawned(action)
            except CallRefused as error:
                if error.code not in PASSING:
                    raise
                refused = error
            if refused.code == PAUSED and not number:  # the others may leave no room for a note
                await self.progress(*machine.progress, notes.note_text(action.name, "waits", refused.why)[:_TEXT_MOST])
            self.log.warning("waits", step=str(action.name), why=refused.why)
            await self.kernel.sleep(min(PASSING_MOST_S, 2 ** min(number, 6)))
        raise AssertionError

    async def _begun_if_approved(self, action: Begin, machine: Machine) -> str:
        """As _begun, but nothing happens before the operator's yes. A run asks for PER_RUN at once, the others wait here."""
        async with self._asking:
            return await self._begun(action, machine)

    async def _spawned(self, action: Begin) -> str:
        timeout = action.timeout_ms / 1000 if action.timeout_ms else None
        if action.piece in self._unwanted:
            raise CallCancelled(_UNWANTED)
        if not action.asks:
            return await self.kernel.spawn(action.hand, action.given, timeout=timeout)
        given = {"inputs": action.given} | ({} if timeout is None else {"timeout": timeout})
        wish = notes.question(action.name, action.asks)
        async with self.kernel.stream("kernel.spawn", action.hand, given, ask_first=wish) as call:
            self._asked[action.piece] = call
            await call.read()  # nothing comes but its end
            return msgspec.convert(call.reply.value, _Spawned).run

    def _take_back(self, piece: int) -> None:
        """A run that waits to begin is not wanted any more; if the operator has just said yes, it may have begun."""
        self._unwanted.add(piece)
        if piece in self._asked:
            self._asked[piece].cancel(_UNWANTED)

    async def _waited(self, run: str) -> Outcome:
        """How a run ended, however long that takes."""
        while True:
            try:
                return await self.kernel.wait(run)
            except CallFailed as error:
                if error.code != "deadline":
                    raise


def _not_done(error: CallEnded | CodecError) -> End:
    match error:
        case CallFailed(code=code, text=text) | CallRefused(code=code, why=text):
            return End(code=code, text=text)
        case CallEnded():
            return End(code="cancelled", text=str(error))
        case _:  # a run's inputs, which came from other steps
            return End(code="too large", text=str(error))


def _end(outcome: Outcome) -> End:
    if outcome.outcome != "done":
        return End(code=outcome.code or outcome.outcome, text=outcome.text)
    if outcome.text:  # it was done, and what it returned is not there
        return End(code="lost", text=outcome.text)
    return End(value=outcome.value)


def _returned(result: Result) -> object:
    """The outputs. Raises Failure for a pipeline that failed."""
    if not result.code:
        return result.value
    more: dict[str, Iterable[str]] = {"undone": list(result.undone), "left": list(result.left)}
    raise Failure(result.code[:64], f"{result.step}: {result.text}"[:_TEXT_MOST], step=result.step, **more)
