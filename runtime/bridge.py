"""`Bridge`, the Hand class of a `command` Hand (acts): process 1 of its run, between the bus and the program.

It holds the bus's socket, which the program never sees, starts the program, carries the messages of lines.py over a socket
pair whose other end is the program's descriptor 3, forwards a stop, and reaps. A line that is not a message, or is out of
place, ends this run and no other; the log names the line.

Both sides are throttled: for each call a bounded amount of the program's lines is held, and the program is not read while
there is no room for more; lines for the program wait until it reads. A caller who takes nothing while others wait loses his
call (bridged.py).
"""

import asyncio
import math
import os
import signal
from collections.abc import Coroutine
from typing import Final, Never

from runtime import lines, programs, records
from runtime.bridged import PATIENCE, Answering, Held, Making, Standstill, room
from runtime.calls import Stream, answering
from runtime.errors import CallCancelled, CallEnded, CallFailed, Failure, HandBroken
from runtime.hand import RUN, Event, Hand
from runtime.heard import Unheard, is_read
from runtime.lines import LineInvalid
from runtime.serving import Call
from wire.errors import CodecError

DESCRIPTOR: Final = 3
_STOP_SECONDS: Final = 1.5
"""Seconds between Stop and TERM, and between TERM and the end of process 1, with which the kernel ends the rest."""

_LAST_WORDS: Final = 1.0  # seconds for which an ended program's last lines are still read
MOST_REQUESTS: Final = 2048
"""Requests that a program may have open at once; at most `in_flight` of them are under way."""

_LOOK: Final = 0.05  # seconds between two polls of what is left to do
_TAKEN: Final = frozenset(("event", "level", "time", "exc_info", "stack_info", "self", "method_name"))


class Bridge(Hand):
    """Connects a program to the bus."""

    async def start(self) -> None:
        """Starts the program. Returns once it has sent Ready."""
        self._answered: dict[int, Answering] = {}
        self._made: dict[int, Making] = {}
        self._newest = self._spoken_of = 0
        self._requests = 0
        self._standstill = Standstill()
        self._unheard = Unheard()
        limits = self._place.manifest.limits
        self._held_most = room(limits.memory, limits.in_flight)
        self._is_heard = True
        self._ready = asyncio.Event()
        assert self._place.pair is not None
        ours, theirs = self._place.pair
        reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=lines.LONGEST)
        command = self._place.manifest.hand.command
        os.chdir(self._place.place)
        try:
            self._program = programs.Program(command, self.surroundings, {DESCRIPTOR: theirs.fileno()})
        except OSError as error:
            raise HandBroken(f"command = {list(command)}: {programs.why_not(command[0], error)}") from None
        finally:
            theirs.close()
        await self._tell(self._hello())
        reading = self.in_background(self._read(reader))
        self.in_background(self._watch(reading))
        await self._ready.wait()

    async def stop(self) -> None:
        """Asks the program to end, then sends TERM; what is left ends with this process."""
        program = getattr(self, "_program", None)
        if program is None or program.ended.done():
            return
        if self._is_heard:
            self._writer.write(lines.encode(lines.Stop()))
            await program.wait(_STOP_SECONDS)
        if not program.ended.done():
            programs.signal_all(signal.SIGTERM)
            await program.wait(_STOP_SECONDS)

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """Passes a call to the program and returns its answer."""
        params = arguments if call.method == RUN else self._check_arguments(call.method, arguments)
        if self._program.ended.done():
            raise Failure(_ENDED, f"the program has ended: {programs.words_of(self._program.ended.result())}")
        try:
            asked = lines.encode(_asked(call, params))
        except CodecError as error:
            raise Failure("arguments", f"they cannot be passed to {self.name}: {error}") from None
        open_call = self._answered[call.number] = Answering(Held(self._held_most, self._standstill))
        self._newest = max(self._newest, call.number)
        uploading = asyncio.create_task(self._pass_upload(call, open_call)) if call.uploads else None
        is_answered = False
        try:
            await self._write(asked)
            open_call.is_asked = True
            value = await self._answer(call, open_call)
            is_answered = True
            return value
        except Failure:
            is_answered = True
            raise
        except asyncio.CancelledError:
            if open_call.end is None:
                raise
            code, text = open_call.end
            is_answered = code == _ENDED
            raise Failure(code, text) from None
        finally:
            del self._answered[call.number]
            open_call.held.close()
            if uploading is not None:
                uploading.cancel()
            if open_call.is_asked and not is_answered:
                why = open_call.end[1] if open_call.end is not None else ""
                self._writer.write(lines.encode(lines.Cancel(id=call.number, why=why)))
                if (
                    call._is_taken_back
                ):  # by Cancel: the kernel charges the call until this returns; at a stop nothing waits
                    newest = self._newest
                    await self._unheard.wait_until(self._program, lambda: self._has_heard(newest))

    async def on_event(self, event: Event) -> None:
        """Passes an event to the program."""
        await self._tell(
            lines.Event(
                publisher=event.publisher,
                name=event.name,
                body=event.body,
                labels=event.labels,
                missed=event.missed,
            )
        )

    async def on_settings(self, changed: frozenset[str]) -> None:
        """Passes the new settings to the program."""
        await self._tell(lines.Settings(settings=dict(self.settings)))

    # calls that the program answers -----------------------------------------------------------------------------------

    async def _answer(self, call: Call, open_call: Answering) -> object:
        while True:
            match await open_call.held.next():
                case lines.Chunk(piece=piece, labels=labels):
                    call.add_labels(*labels)
                    for part in lines.pieces(piece):
                        await call.send(part)
                        open_call.held.note_taken()
                case lines.Done(value=value, labels=labels, cost=cost):
                    call.add_labels(*labels)
                    if cost is not None:
                        call.cost(tokens=cost.tokens, micro_dollars=cost.micro_dollars)
                    return value
                case lines.Failed(code=code, text=text, detail=detail):
                    raise Failure(code, text, **detail)

    async def _pass_upload(self, call: Call, open_call: Answering) -> None:
        try:
            async for piece in call.upload:
                await self._tell(lines.Upload(id=call.number, piece=piece))
        except Failure as failure:  # a chunk that cannot be read
            open_call.give_up(failure.code, failure.text)
        else:
            await self._tell(lines.Upload(id=call.number, last=True))

    # calls that the program makes -------------------------------------------------------------------------------------

    async def _make(self, message: lines.Call, making: Making) -> None:
        """Makes a call for the program, and writes its end."""
        asked = message.method, message.resource, message.arguments
        try:
            if message.stream or message.upload:
                stream = self.kernel.stream(
                    *asked, timeout=message.timeout, at_most=message.most, upload=message.upload
                )
                await self._carry(message, stream, making)
                reply = stream.reply
            else:
                reply = await self.kernel.call(*asked, timeout=message.timeout, at_most=message.most)
        except asyncio.CancelledError:
            if not making.why:
                raise
            raise CallFailed("room", making.why) from None
        finally:
            del self._made[message.id]
            making.held.close()
        try:
            line = lines.encode(lines.Done(id=message.id, value=reply.value, labels=reply.labels, cost=reply.cost))
        except CodecError as error:
            raise CallFailed("malformed", f"a reply that cannot be passed on: {error}") from None
        await self._write(line)

    async def _carry(self, message: lines.Call, stream: Stream, making: Making) -> None:
        async with stream:
            uploading = asyncio.create_task(making.pass_upload(stream)) if message.upload else None
            try:
                while (piece := await stream.read()) is not None:
                    await self._tell(lines.Chunk(id=message.id, piece=piece))
            finally:
                if uploading is not None:
                    uploading.cancel()

    def _request(self, number: int, parent: int, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
        """Starts a request of the program as a task, beside its further lines. Raises LineInvalid beyond MOST_REQUESTS."""
        if self._requests >= MOST_REQUESTS:
            work.close()
            raise LineInvalid(f"more than {MOST_REQUESTS} of its requests are open")
        self._requests += 1
        return self.in_background(self._carry_out(number, parent, work))

    async def _carry_out(self, number: int, parent: int, work: Coroutine[object, object, object]) -> None:
        """Carries out a request under its parent call, and writes its end if it fails."""
        answering.set(parent)
        try:
            result = await work
        except (CallEnded, CodecError, ValueError) as error:
            if number:
                await self._write(lines.encode_end(number, error))
            else:
                self.log.error("a request of the program's failed", why=str(error))
        except asyncio.CancelledError:
            if number:
                self._writer.write(lines.encode_end(number, CallCancelled("the program took it back")))
            raise
        else:
            if number and result is _NO_VALUE:
                await self._tell(lines.Done(id=number))
        finally:
            self._requests -= 1

    # the lines --------------------------------------------------------------------------------------------------------

    def _hello(self) -> lines.Hello:
        place = self._place
        return lines.Hello(
            protocol=lines.PROTOCOL, hand=self.name, version=self.version, kind=place.manifest.hand.kind, run=self.run_id,
            scratch=str(self.scratch), state=str(place.state) if place.state else None,
            settings=dict(self.settings),
        )  # fmt: skip

    async def _tell(self, message: lines.ToProgram) -> None:
        """Writes a message's line. Raises CodecError for a value that JSON cannot hold."""
        await self._write(lines.encode(message))

    async def _write(self, line: bytes) -> None:
        """Writes a line once there is room, so that nothing piles up here for a program that does not read."""
        await self._room()
        self._writer.write(line)

    async def _room(self) -> None:
        """Waits until the program has read. A program that is gone is no error here: _read and _watch report it."""
        try:
            await self._writer.drain()
        except ConnectionError:
            pass

    async def _read(self, reader: asyncio.StreamReader) -> None:
        number = 0
        while True:
            number += 1
            try:
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    if line:
                        raise LineInvalid("it ends without a new line")
                    break
                await self._take(lines.decode(line), len(line))
                await asyncio.sleep(0)  # lets started requests run, and others too if the program writes without end
            except ConnectionError:
                break
            except (LineInvalid, ValueError) as error:  # ValueError: longer than LONGEST
                self._is_heard = False
                await self._break(f"line {number} of what the program wrote is not a message: {error}")
        self._is_heard = False
        if await self._program.wait(_LAST_WORDS) is None:
            await self._break("the program closed descriptor 3, the only way to hear it, and goes on")

    async def _take(self, message: lines.FromProgram, length: int) -> None:
        match message:
            case lines.Ready():
                if self._ready.is_set():
                    raise LineInvalid("it said `ready` already")
                self._ready.set()
            case lines.Chunk() | lines.Done() | lines.Failed():
                await self._take_answer(message, length)
            case lines.Call():
                self._take_call(message)
            case lines.Upload():
                await self._take_upload(message, length)
            case lines.Cancel():
                if (making := self._made.get(message.id)) is not None and making.task is not None:
                    making.task.cancel()
                    await self._room()  # for the line of its end, which is written at once
            case lines.Log():
                fields = {f"{name}_" if name in _TAKEN else name: value for name, value in message.fields.items()}
                getattr(records.logger(), message.level)(message.event, **fields)
            case lines.Progress(done=done, total=total, text=text):
                self._request(message.id, message.parent, _no_value(self.progress(done, total, text)))
            case lines.Publish(name=name, labels=labels):
                work = self.kernel.publish(name, message.body, labels=labels)
                self._request(message.id, message.parent, _no_value(work))
            case lines.Subscribe(event=event):
                self._request(message.id, message.parent, _no_value(self.kernel.subscribe(event)))

    def _has_heard(self, newest: int) -> bool:
        """Whether the program has read all lines, or has answered a call that it got after `newest`."""
        return self._spoken_of > newest or is_read(self._writer)

    async def _take_answer(self, message: lines.Chunk | lines.Done | lines.Failed, length: int) -> None:
        """Takes a line of a call that the program answers; drops it if the call has ended."""
        self._spoken_of = max(self._spoken_of, message.id)
        open_call = self._answered.get(message.id)
        if open_call is None:
            if message.id > self._newest:
                raise LineInvalid(f"it answers call {message.id}, which there is not")
        elif not await open_call.held.hold(message, length, lambda: len(self._answered) > 1):
            open_call.give_up("room", f"its caller {_TOOK_NOTHING.format('reply')}; take all of it, then work on it")

    async def _take_upload(self, message: lines.Upload, length: int) -> None:
        making = self._made.get(message.id)
        if making is None:
            return
        if not making.is_uploading:
            raise LineInvalid(f"call {message.id} has no upload, or no more")
        making.is_uploading = not message.last
        if not await making.held.hold(message, length, lambda: bool(self._answered.keys() - {making.parent})):
            making.give_up(f"{making.method} {_TOOK_NOTHING.format('upload')}")

    def _take_call(self, message: lines.Call) -> None:
        if message.id < 1 or message.id in self._made:
            raise LineInvalid(f"call {message.id} is not a new number above 0")
        making = self._made[message.id] = Making(message, Held(self._held_most, self._standstill))
        making.task = self._request(message.id, message.parent, self._make(message, making))

    async def _watch(self, reading: asyncio.Task[None]) -> None:
        """Ends the run with the program: as failed, or in order if it ended by itself with nothing left to do."""
        status = await asyncio.shield(self._program.ended)
        await self._drain(reading, has_failed=status != 0)
        why = f"the program ended: {programs.words_of(status)}"
        if status or self._answered or not self._ready.is_set():
            await self._break(why)
        if self._place.state is None:
            return  # the kernel has its answer, and stops this run
        try:  # once this is answered, all earlier messages were processed; the kernel drops those of a run that is gone
            await self.kernel.call("kernel.check", "", {"method": "kernel.check"}, timeout=_LAST_WORDS)
        except CallEnded:
            pass
        os.kill(os.getpid(), signal.SIGTERM)  # nothing is left to do: a stop in order

    async def _drain(self, reading: asyncio.Task[None], *, has_failed: bool) -> None:
        """Waits until all lines of the program are read and, unless it has failed, its answers are with their callers.

        A caller without room is waited for: by a service, which others need, as long as he takes some now and then; by a
        task, until its call's deadline. Polls are counted, not time, as in Held.hold().
        """
        clock, patience = asyncio.get_running_loop().time, PATIENCE if self._place.state else math.inf
        waited, seen, calls = 0.0, 0, self._answered
        while (waits := not has_failed and any(one.held.is_behind for one in calls.values())) or not reading.done():
            taken = sum(one.held.taken for one in calls.values())
            if seen != taken and not has_failed:
                waited, seen = 0.0, taken
            if waited > (patience if waits else _LAST_WORDS):
                return
            left = [task for task in (reading, *(one.task for one in calls.values())) if not task.done()]
            begun = clock()
            await asyncio.wait(left, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            waited += min(clock() - begun, _LOOK)

    async def _break(self, why: str) -> Never:
        """Ends the calls that the program was answering in Failed, and ends the run."""
        for open_call in self._answered.values():
            open_call.give_up(_ENDED, why)
        if self._answered:
            await asyncio.wait([one.task for one in self._answered.values()], timeout=_LAST_WORDS)
        raise HandBroken(why) from None


_ENDED: Final = "ended"  # the code of a call whose program has ended
_TOOK_NOTHING: Final = f"took nothing of its {{}} for {PATIENCE:g} seconds, while others waited for the program"
_NO_VALUE: Final = object()
"""The result of a request that has no value."""


async def _no_value(work: Coroutine[object, object, None]) -> object:
    await work
    return _NO_VALUE


def _asked(call: Call, arguments: dict[str, object]) -> lines.Asked:
    return lines.Asked(
        id=call.number, method=call.method, resource=call.resource, arguments=arguments, labels=call.labels,
        deadline=call.deadline, upload=call.uploads,
    )  # fmt: skip
