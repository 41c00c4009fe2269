"""A run's process (acts): joins the bus, runs the Hand, stops when asked. Launch.serve names `join`.

Exit codes: 0 stopped as asked, 1 the Hand raised, 75 the link to the kernel was lost (EX_TEMPFAIL of sysexits.h).
"""

import asyncio
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from manifests import schema
from manifests.errors import SettingsInvalid
from manifests.schema import Manifest
from runtime import code, programs, records
from runtime.calls import Calls
from runtime.clock import OwnClock, RecordedClock
from runtime.errors import HandBroken, LinkLost, first_of
from runtime.hand import Event, Hand, Place
from runtime.kernel_handle import KernelHandle
from runtime.link import Link
from runtime.loop import IdleSelector, new_loop
from runtime.redact import Redactor
from runtime.serving import Serving, fitting, one_line
from runtime.settings import Settings
from wire import codec, headers, limits
from wire.errors import CodecError
from wire.headers import FromKernel, is_made_by_run
from wire.launch import Start

EXIT_STOPPED: Final = 0
STOP_WHEN_BROKEN: Final = 2.0
"""Seconds that the stop() of a Hand that has raised may take; it answers no calls meanwhile."""

EXIT_RAISED: Final = 1
EXIT_LINK_LOST: Final = 75

if TYPE_CHECKING:
    from runtime.wasm.program import Program

SETTINGS_EVENT: Final = "kernel.settings"
_ORPHAN_SECONDS: Final = 10.0
"""Seconds until process 1 of the namespace reaps orphans, so that code which waits for its own child gets it first."""


def join(start: Start) -> Callable[[], int]:
    """Joins the bus. Returns, once Hello is answered, the function that runs the Hand and returns the exit code.

    All sockets and threads of the bus and the loop exist when this returns; none of the Hand's code has run yet.
    """
    manifest = schema.decode(start.launch.manifest)
    settings = Settings(manifest.settings, start.launch.settings)
    program = _load_program(start.artefact) if manifest.hand.wasm else None
    records.redact(Redactor(settings.secrets()))
    records.route_everything()
    clock = RecordedClock(start.launch.clock) if start.launch.clock else None
    loop, selector = new_loop(clock, manifest.limits.processes)
    bus = start.descriptors["bus"]
    link = Link(bus=bus, server_key=start.launch.server_key, public=start.public, secret=start.secret)
    try:
        link.join()
    except LinkLost as error:
        why = str(error)
        return lambda: _exit_not_joined(why)
    os.close(bus)
    life = Life(replace(start, artefact=b""), manifest, settings, link, loop, selector, program, clock)
    loop.add_signal_handler(signal.SIGTERM, life.stop, "SIGTERM")
    if os.getpid() == 1 and clock is None:  # a deterministic run has no other process
        loop.add_signal_handler(signal.SIGCHLD, loop.call_later, _ORPHAN_SECONDS, programs.reap)
    selector.attend(link.descriptors, link.waiting, life.take)
    selector.begin = life.flush
    return life.run


class Life:
    """One run's process, from the joined bus to the exit code."""

    def __init__(
        self, start: Start, manifest: Manifest, settings: Settings, link: Link, loop: asyncio.AbstractEventLoop,
        selector: IdleSelector, program: "Program | HandBroken | None", clock: RecordedClock | None,
    ) -> None:  # fmt: skip
        """program: of a WASM Hand, or why it cannot run. clock: of a deterministic run."""
        self._start = start
        self._manifest = manifest
        self._settings = settings
        self._link = link
        self._loop = loop
        self._selector = selector
        self._program = program
        self._calls = Calls(link, manifest.limits.in_flight)
        self._clock = clock
        if clock is not None:
            clock.attend(self._calls.alarm)
            clock.bind()
        self._pair = socket.socketpair() if manifest.hand.command and manifest.hand.speaks == "lines" else None
        self._serving: Serving | None = None
        self._secrets = set(settings.secrets())
        self._background: set[asyncio.Task[None]] = set()
        self._events: deque[tuple[headers.Event, bytes, frozenset[str]]] = deque()
        self._event_came = asyncio.Event()
        self._stopping = asyncio.Event()
        self._exit = EXIT_STOPPED
        self._why = ""

    def run(self) -> int:
        """Runs the Hand. Returns the process's exit code."""
        self._loop.set_exception_handler(_log_from_loop)
        task = self._loop.create_task(self._run_hand(), name="life")
        task.add_done_callback(lambda _: self._loop.stop())
        try:
            self._loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:  # asyncio lets these two through
            self._break(error)
        if self._exit != EXIT_LINK_LOST:
            self._link.close()
        return EXIT_RAISED if self._exit == EXIT_STOPPED and self._work_raised() else self._exit

    def _work_raised(self) -> bool:
        return self._manifest.hand.kind == "task" and self._serving is not None and self._serving.raised

    def stop(self, why: str) -> None:
        """Begins an orderly stop: open calls are cancelled, the Hand stops, Bye is sent. why: the first one counts."""
        self._why = self._why or why
        self._stopping.set()

    def take(self) -> None:
        """Takes one message, if one has arrived, and dispatches it. Exceptions go to the loop's exception handler."""
        try:
            message = self._link.take()
            if message is not None:
                if self._clock is not None:
                    self._clock.take(message[0])
                self._dispatch(*message)
        except LinkLost as error:
            self._link_lost(error)
        except Exception as error:  # noqa: BLE001  an error of the runtime costs this message, never the run
            self._loop.call_exception_handler({"message": "a message could not be dealt with", "exception": error})

    def flush(self) -> bool:
        """Sends messages queued with `soon`. True if the link is lost, so that the loop must not wait."""
        try:
            self._link.flush()
        except LinkLost as error:
            self._link_lost(error)
            return True
        return False

    def _link_lost(self, error: BaseException) -> None:
        records.logger().error("the link to the kernel was lost", why=str(error))
        self._exit = EXIT_LINK_LOST
        self._loop.stop()

    def _dispatch(self, header: FromKernel, body: bytes) -> None:
        serving = self._serving
        match header:
            case headers.Call() if serving is not None:
                serving.take_call(header, body)
            case headers.Chunk() if is_made_by_run(header.number):
                self._calls.take_chunk(header, body)
            case headers.Chunk() if serving is not None:
                serving.take_chunk(header, body)
            case headers.Credit() if is_made_by_run(header.number):
                self._calls.take_credit(header)
            case headers.Credit() if serving is not None:
                serving.take_credit(header)
            case headers.Cancel() if serving is not None:
                serving.take_cancel(header)
            case headers.Done() | headers.Failed() | headers.Refused() | headers.Cancelled():
                self._calls.take_end(header, body)
            case headers.Event():
                self._take_event(header, body)
            case headers.Still():
                if self._clock is not None and self._is_alone():
                    self._link.send(headers.Resting())
            case headers.Stop():
                self.stop(header.why)
            case _:
                raise LinkLost(f"the kernel sent {type(header).__name__}, which has no place here")

    # the Hand's life -------------------------------------------------------------------------------------------------

    async def _run_hand(self) -> None:
        """Runs the Hand, from the import of its code to Bye. An exception of its code is logged, never raised."""
        hand: Hand | None = None
        try:
            try:
                async with asyncio.TaskGroup() as group:
                    hand = await self._start_hand(group)
                    if hand is not None:
                        await self._stopping.wait()
                    self._cancel_work()
            except Exception as error:  # noqa: BLE001  it becomes the exit code
                self._break(first_of(error))
            if hand is not None and self._exit != EXIT_LINK_LOST:
                await asyncio.wait_for(hand.stop(), STOP_WHEN_BROKEN if self._exit == EXIT_RAISED else None)
        except Exception as error:  # noqa: BLE001  as above
            self._break(error)
        finally:
            if self._exit != EXIT_LINK_LOST:
                self._link.send(headers.Bye(why=fitting(self._why)))

    async def _start_hand(self, group: asyncio.TaskGroup) -> Hand | None:
        """Makes and starts the Hand, then says Ready. None if a stop came first."""
        hand = self._make_hand(group)
        self._background.add(group.create_task(self._deliver_events(hand), name="events"))
        starting = group.create_task(hand.start(), name="start")
        asked = group.create_task(self._stopping.wait(), name="stop asked")
        await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return None
        asked.cancel()
        starting.result()
        self._serving = Serving(self._link, hand.on_call, self._manifest.provides, group, self._break)
        self._link.send(headers.Ready())
        return hand

    def _cancel_work(self) -> None:
        if self._serving is not None:
            self._serving.cancel_all()
        for task in self._background:
            task.cancel()

    def _make_hand(self, group: asyncio.TaskGroup) -> Hand:
        launch, descriptors = self._start.launch, self._start.descriptors
        kind = self._hand_class()
        place = Place(
            run=launch.run,
            manifest=self._manifest,
            kernel=KernelHandle(self._calls),
            settings=self._settings,
            files=self._start.code,
            scratch=Path.cwd(),
            state=Path(launch.state) if launch.state else None,
            roots={name[5:]: number for name, number in descriptors.items() if name.startswith("root:")},
            surroundings=programs.environment(os.getcwd(), has_proxy="proxy" in descriptors),
            place=self._start.place,
            pair=self._pair,
            begin=lambda work: self._in_background(group, work),
            seed=launch.seed,
            clock=self._clock or OwnClock(),
            random=Random(f"self {launch.seed}"),  # the module `random` has the bare seed: both would make the same ids
            program=None if isinstance(self._program, HandBroken) else self._program,
        )
        if "proxy" in descriptors:
            from runtime.proxy import Proxy

            proxy = Proxy(place.kernel, descriptors["proxy"], self._open_calls)
            self._in_background(group, proxy.serve())
        hand = kind.__new__(kind)
        hand._set_place(place)
        kind.__init__(hand)
        hand._check()
        return hand

    def _is_alone(self) -> bool:
        """Whether only a message can make this run go on: it has no other thread and waits for no descriptor of its own."""
        return threading.active_count() == 1 and self._selector.is_idle

    def _open_calls(self) -> tuple[int, ...]:
        """The calls for which the proxy may connect; none for an MCP server, which does not know them."""
        if self._serving is None or self._manifest.hand.speaks == "mcp":
            return ()
        return self._serving.open_calls

    def _hand_class(self) -> type[Hand]:
        """The Hand's class: its own, or the runtime's for a WASM module, MCP server, program, pipeline or agent."""
        program = self._program
        if isinstance(program, HandBroken):
            raise program
        if program:
            from runtime.wasm.hand import WasmHand

            return WasmHand
        if self._manifest.hand.speaks == "mcp":
            from runtime.mcp.hand import Server

            return Server
        if self._manifest.hand.command:
            from runtime.bridge import Bridge

            return Bridge
        if self._manifest.hand.pipeline:
            from runtime.pipeline.hand import PipelineHand

            return PipelineHand
        if self._manifest.agent:
            from runtime.agent.hand import AgentHand

            return AgentHand
        kind = code.load(self._start.launch.name, self._start.code, self._manifest.hand.entry)
        if not isinstance(kind, type) or not issubclass(kind, Hand):
            raise HandBroken(f"entry = {self._manifest.hand.entry!r} is not a class made from runtime.Hand")
        return kind

    def _in_background(self, group: asyncio.TaskGroup, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        self._link.check_thread()
        task = group.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _break(self, error: BaseException) -> None:
        """Ends the run, because the Hand's code raised or the link is lost."""
        if isinstance(error, LinkLost):
            self._link_lost(error)
            return
        if isinstance(error, HandBroken):  # its text says all: a traceback would be of the runtime alone
            records.logger().error("the Hand broke", why=str(error))
        else:
            records.logger().error("the Hand raised", exc_info=records.raised(error))
        self._exit = EXIT_RAISED
        self.stop(one_line(error))

    # events ----------------------------------------------------------------------------------------------------------

    def _take_event(self, header: headers.Event, body: bytes) -> None:
        if len(self._events) >= limits.EVENT_WINDOW:
            raise LinkLost("the kernel sent an event without credit")
        changed = self._take_settings(body) if header.event == SETTINGS_EVENT else frozenset()
        self._events.append((header, body, changed))
        self._event_came.set()

    def _take_settings(self, body: bytes) -> frozenset[str]:
        try:
            given = codec.decode_body(body)
            changed = self._settings.change(given if isinstance(given, dict) else {})
        except (CodecError, SettingsInvalid) as error:
            records.logger().error("new settings were not taken", why=str(error))
            return frozenset()
        self._secrets.update(self._settings.secrets())
        records.redact(Redactor(tuple(self._secrets)))
        return changed

    async def _deliver_events(self, hand: Hand) -> None:
        while True:
            while self._events:
                header, body, changed = self._events.popleft()
                try:
                    await _deliver(hand, header, body, changed)
                except LinkLost:
                    raise
                except Exception as error:  # noqa: BLE001  one bad event does not end a service
                    records.logger().error("an event raised", published=header.event, exc_info=records.raised(error))
                self._link.send(headers.Credit(number=0, chunks=1))
            self._event_came.clear()
            await self._event_came.wait()


async def _deliver(hand: Hand, header: headers.Event, body: bytes, changed: frozenset[str]) -> None:
    if header.event == SETTINGS_EVENT:
        if changed:
            await hand.on_settings(changed)
        return
    publisher, _, name = header.event.partition(".")
    value = codec.decode_body(body)
    event = Event(
        publisher=publisher, name=name, body=value, labels=header.labels, missed=header.missed, depth=header.depth
    )  # fmt: skip
    await hand.on_event(event)


def _load_program(artefact: bytes) -> "Program | HandBroken":
    """Loads a WASM Hand's program, before the last filter forbids executable memory; or the error, for later."""
    from runtime.wasm.ends import Unfit
    from runtime.wasm.program import load_program, protect_callbacks

    try:
        program = load_program(artefact)
        protect_callbacks()
        return program
    except Unfit as unfit:
        return HandBroken(f"its module cannot be loaded, install the Hand again: {unfit}")


def _exit_not_joined(why: str) -> int:
    records.logger().error("the bus could not be joined", why=why)
    return EXIT_LINK_LOST


def _log_from_loop(_: asyncio.AbstractEventLoop, happened: dict[str, object]) -> None:
    """Logs what asyncio would print, such as an exception that nobody retrieved."""
    error = happened.get("exception")
    records.logger().error(
        str(happened.get("message", "asyncio")), exc_info=error if isinstance(error, BaseException) else None
    )
