"""`WasmHand`, the Hand class that answers calls by the exports of a WebAssembly module (acts).

A task's work is the export `run`, or the program `_start`; a provided method `greeter.say-hello` is the export `say_hello`.
Each call has its own instance, on its own thread, with the fuel, memory and time of one call.
"""

import asyncio
import contextvars
import signal
from functools import partial
from typing import Final

import msgspec

from manifests.values import guest_memory
from runtime import records
from runtime.errors import Failure, HandBroken
from runtime.hand import RUN, Hand
from runtime.serving import Call
from runtime.wasm import exports, wasi
from runtime.wasm.ends import Ended, Exited, Unfit
from runtime.wasm.exports import START
from runtime.wasm.guest import Guest, Terms
from runtime.wasm.program import Program
from wire import codec
from wire.errors import CodecError

AT_ONCE: Final = 4
"""Most calls that a service answers at once, if `in_flight` and `processes` allow as many; further ones wait."""

OWN_THREADS: Final = 3
"""Threads of a run beside those of its guests: the loop's, and two of the bus."""

EARLY: Final = 0.025
"""Seconds before the kernel's deadline at which a guest is interrupted, so that its use is still reported."""

LATE: Final = 0.01
SETTLE: Final = 0.1
"""Seconds. A timer that is later than LATE may fire at the end of a pause, which wakes the loop and sends a signal, in either
order. After SETTLE it is known whether there was a pause.
"""

PATIENCE: Final = 1.0
"""Seconds that a cancelled call waits for its guest to end, which it does at its next branch or host function."""

STDOUT_MOST: Final = 64 * 1024
"""Most characters of a program's standard output that are its answer."""


class WasmHand(Hand):
    """Made by main.py for a manifest with `wasm`; nobody derives from it."""

    def __init__(self) -> None:
        limits, hand = self._place.manifest.limits, self._place.manifest.hand
        room = max(1, limits.processes - OWN_THREADS)
        self._at_once = 1 if hand.kind == "task" else min(AT_ONCE, limits.in_flight, room)
        self._memory = guest_memory(limits.memory, self._at_once)
        self._pauses = 0

    @property
    def _program(self) -> Program:
        program = self._place.program
        assert program is not None, "main.py loads it for a manifest with `wasm`"
        return program

    async def start(self) -> None:
        """Prepares the program for calls."""
        signal.signal(signal.SIGCONT, self._resumed)
        self._program.begin(asyncio.get_running_loop(), self.kernel, self._at_once)

    def _resumed(self, _: int, __: object) -> None:
        """Counts a pause, which counts against no deadline: only the kernel knows the new deadlines of open calls."""
        self._pauses += 1

    def _check(self) -> None:
        """Raises HandBroken if the module's exports do not fit HAND.toml; `maniple install` checks it as well."""
        manifest = self._place.manifest
        try:
            exports.check(self._program.module, manifest.hand.kind, manifest.provides)
        except Unfit as unfit:
            raise HandBroken(f"{manifest.hand.wasm}: {unfit}") from None

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """Answers a call by its own instance. Raises Failure with the reason if the guest fails."""
        export, inputs, program = self._entry(call, arguments)
        output = Output()
        guest = Guest(self._program, self._terms(call, program, output))
        try:
            raw = await self._run_guest(call, guest, export, inputs)
            answer = codec.checked(raw) if raw else None
        except Ended as end:
            raise Failure(end.code, f"{self.name}: {end.text}") from None
        except Exited as end:
            if export != START or end.number:
                raise Failure("exit", f"{self.name}: {end}", stdout=output.text()) from None
            answer = None
        except CodecError as error:
            raise Failure("malformed", f"{self.name}: its answer is not msgpack: {error}") from None
        except MemoryError:
            raise Failure("memory", f"{self.name}: its process has no room for what it gave or was given") from None
        return {"exit": 0, "stdout": output.text()} if export == START else answer

    def _entry(self, call: Call, arguments: dict[str, object]) -> tuple[str, tuple[bytes, ...], tuple[bytes, ...]]:
        """(the export that answers, its inputs, a program's arguments)."""
        if call.method != RUN:
            params = self._check_arguments(call.method, arguments)
            return exports.name_of(call.method), (call.resource.encode(), codec.encode_body(params)), ()
        functions = self._program.module.functions
        if RUN in functions:
            return RUN, (codec.encode_body(arguments),), ()
        if START in functions:
            return (
                START,
                (),
                (self.name.encode(), *(f"{name}={_text(value)}".encode() for name, value in arguments.items())),
            )
        raise Failure("arguments", f"{self.name} has no work of its own: call one of its methods")

    def _terms(self, call: Call, program: tuple[bytes, ...], output: "Output") -> Terms:
        limits, is_task = self._place.manifest.limits, self._place.manifest.hand.kind == "task"
        return Terms(
            fuel=limits.fuel,
            memory=self._memory,
            time=call.time,
            seed=f"{self._place.seed}:{0 if is_task else call.number}".encode(),
            arguments=program or (self.name.encode(),),
            environment=tuple(f"{name.upper()}={_text(value)}".encode() for name, value in self.settings.items()),
            say=output.take,
            keep=output.keep,
        )

    async def _run_guest(self, call: Call, guest: Guest, export: str, inputs: tuple[bytes, ...]) -> bytes:
        loop = asyncio.get_running_loop()
        given = call.deadline / 1000
        late = f"it did not end within its {given:g} s"
        pauses = self._pauses

        due = loop.time() + max(given - EARLY, given / 2)

        def expire(*, is_settled: bool) -> None:
            if self._pauses != pauses or work.done():
                return
            waited = (
                guest.waited()
            )  # time that a call is held does not count, and only the kernel knows how long that was
            if not is_settled and loop.time() < due + waited:
                loop.call_at(max(due + waited, loop.time() + SETTLE), partial(expire, is_settled=False))
            elif is_settled or loop.time() < due + waited + LATE:
                guest.interrupt("deadline", late)
            else:
                loop.call_later(SETTLE, partial(expire, is_settled=True))

        timer = loop.call_at(due, partial(expire, is_settled=False))
        work = self._program.threads.submit(contextvars.copy_context().run, _run, guest, export, inputs)
        future = asyncio.wrap_future(work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not work.cancel():  # it has started
                guest.interrupt("cancelled", "its call was cancelled")
                await asyncio.wait((future,), timeout=PATIENCE)
            raise
        finally:
            timer.cancel()
            if future.done() and not future.cancelled():
                future.exception()  # retrieved, even if nobody awaits it any more
            used = guest.used()
            call.measured(used)
            self.log.info("metered", method=call.method, fuel=used.fuel, wall_us=used.wall, memory=used.memory)


class Output:
    """Takes a guest's output: lines become records of the Hand's log.

    The beginning of standard output is also stored unchanged, since it is a program's answer.
    """

    def __init__(self) -> None:
        self._kept = bytearray()

    def take(self, line: str, stream: str) -> None:
        """Logs one line."""
        records.logger().info(line, stream=stream)

    def keep(self, raw: bytes) -> None:
        """Stores bytes of standard output. A character has at most four."""
        self._kept += raw[: max(0, 4 * STDOUT_MOST - len(self._kept))]

    def text(self) -> str:
        """The stored output, without the end of its last line."""
        return self._kept.decode("utf-8", "replace")[:STDOUT_MOST].removesuffix("\n")


def _run(guest: Guest, export: str, inputs: tuple[bytes, ...]) -> bytes:
    """Runs the call on the guest's thread."""
    try:
        return guest.call(export, *inputs)
    finally:
        for fd in list(guest.output):
            wasi.finish(guest, fd)


def _text(value: object) -> str:
    """A value as a program's argument: text as it is, others as JSON. Zero bytes, which would end it, are replaced."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.replace("\0", "\ufffd")
