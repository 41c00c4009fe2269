"""`Hand`, the base class of every Hand: the methods that an author overrides, and what `self` offers.

    class Echo(Hand):
        async def say(self, call: Call, text: str) -> dict[str, object]:     # answers echo.say
            return {"text": text}

Nothing here touches the bus; main.py drives it.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import cache
from pathlib import Path
from random import Random
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from manifests.errors import ParamsInvalid
from manifests.params import check
from manifests.schema import Manifest
from runtime import records
from runtime.calls import answering
from runtime.clock import OwnClock, RecordedClock
from runtime.errors import Failure, HandBroken
from runtime.kernel_handle import KernelHandle
from runtime.serving import Call
from runtime.settings import Settings
from wire.codec import Value

if TYPE_CHECKING:
    import asyncio
    import socket
    from datetime import datetime
    from uuid import UUID

    from structlog.typing import FilteringBoundLogger

    from runtime.wasm.program import Program

RUN: Final = "run"
"""The method of the call that gives a task run its work."""


class Event(Struct, frozen=True, kw_only=True):
    """A published event. publisher: set by the kernel. missed: events before it that were dropped, since this Hand was slow.

    depth: how many scheduled runs preceded it, each started by the event of the one before, as the kernel counts.
    """

    publisher: str
    name: str
    body: Value = None
    labels: tuple[str, ...] = ()
    missed: int = 0
    depth: int = 0


class Place(Struct, frozen=True, kw_only=True):
    """What main.py gives to every new Hand.

    random: has the run's own seed. surroundings: the environment of programs that it starts. place, pair: for a program's
    Hand, the folder of its files and both ends of the socket to it. program: of a WASM Hand. begin: starts a task that runs
    until the Hand stops.
    """

    run: str
    manifest: Manifest
    kernel: KernelHandle
    settings: Settings
    files: dict[str, bytes]
    scratch: Path
    state: Path | None
    roots: dict[str, int]
    surroundings: Mapping[str, str] = MappingProxyType({})
    place: str = ""
    pair: "tuple[socket.socket, socket.socket] | None" = None
    begin: "Callable[[Coroutine[object, object, None]], asyncio.Task[None]]"
    seed: int = 0
    clock: RecordedClock | OwnClock = OwnClock()
    program: "Program | None" = None
    random: Random = Random()


class Hand:
    """Override `run` (task), or add one method per provided method; if needed, also start, stop and on_event."""

    kernel: KernelHandle
    settings: Settings
    scratch: Path
    roots: dict[str, int]
    files: Mapping[str, bytes]

    # what the author may override ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Called once, before any call. The Hand is ready when it returns."""

    async def stop(self) -> None:
        """Called once, after all calls have ended. Not called when the process is killed."""

    async def on_event(self, event: Event) -> None:
        """Called for each event of a subscription, one at a time."""

    async def on_settings(self, changed: frozenset[str]) -> None:
        """Called after settings have changed. self.settings already has the new values."""

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """Answers a call. By default: checks the arguments and calls `self.read(call, **params)` for `files.read`."""
        if call.method == RUN:
            return await self._work(arguments)
        params = self._check_arguments(call.method, arguments)
        return await self._method(call.method)(call, **params)

    def _check_arguments(self, method: str, arguments: Mapping[str, object]) -> dict[str, object]:
        """Checks a call's arguments against the method's params. Raises Failure, or HandBroken for an unknown method."""
        provided = self._place.manifest.provides.get(method)
        if provided is None:
            raise HandBroken(f"{self.name} does not provide {method}")
        try:
            return check(provided.params, arguments)
        except ParamsInvalid as invalid:
            raise Failure("arguments", "; ".join(invalid.problems)) from None

    # what the author uses --------------------------------------------------------------------------------------------

    @property
    def log(self) -> "FilteringBoundLogger":
        """The log: self.log.info("what happened", field=value); see `maniple logs`. Secrets are redacted (not in `print`)."""
        return records.logger()

    @property
    def state(self) -> Path:
        """The folder that a service keeps between its runs."""
        if self._place.state is None:
            raise HandBroken("a task has no state folder: write to self.scratch, or make the Hand a service")
        return self._place.state

    def now(self) -> "datetime":
        """The time, in UTC. In a task run it advances only with delivered messages, so a resumed run sees the same time."""
        from datetime import UTC, datetime, timedelta

        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self._place.clock.micros())

    @property
    def random(self) -> Random:
        """A random.Random with the run's own seed. A resumed task run draws the same numbers again."""
        return self._place.random

    def uuid(self) -> "UUID":
        """A random UUID (version 4), drawn from self.random."""
        from uuid import UUID

        return UUID(int=self.random.getrandbits(128), version=4)

    async def sleep(self, seconds: float) -> None:
        """Waits. In a task run the wait outlives the process. The same as self.kernel.sleep."""
        await self.kernel.sleep(seconds)

    @property
    def surroundings(self) -> Mapping[str, str]:
        """The whole environment of a program that this Hand starts (runtime.programs)."""
        return self._place.surroundings

    @property
    def name(self) -> str:
        """The Hand's name."""
        return self._place.manifest.hand.name

    @property
    def version(self) -> str:
        """The Hand's version."""
        return self._place.manifest.hand.version

    @property
    def run_id(self) -> str:
        """The id of this run."""
        return self._place.run

    async def progress(self, done: int, total: int, text: str = "") -> None:
        """Reports this run's progress: `done` of `total`."""
        await self.kernel.note(text, (done, total))

    async def publish(self, name: str, body: object = None) -> None:
        """Publishes an event under this Hand's name."""
        await self.kernel.publish(name, body)

    def in_background(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        """Runs `work` beside the calls until the Hand stops. If it raises, the run ends with exit code 1."""
        answered = answering.set(0)
        try:
            return self._place.begin(work)
        finally:
            answering.reset(answered)

    # what main.py uses -----------------------------------------------------------------------------------------------

    _place: Place

    def _set_place(self, place: Place) -> None:
        """Called before __init__, so that __init__ can use everything above."""
        self._place = place
        self.kernel = place.kernel
        self.settings = place.settings
        self.files = MappingProxyType(place.files)
        self.scratch = place.scratch
        self.roots = place.roots

    def _check(self) -> None:
        """Raises HandBroken if the methods do not match HAND.toml: at the start rather than at a call."""
        if type(self).on_call is not Hand.on_call:
            return
        manifest = self._place.manifest
        if manifest.hand.kind == "task" and not manifest.provides and getattr(self, RUN, None) is None:
            raise HandBroken(f"{type(self).__name__} has no `async def run(self, ...)`, so it has no work to do")
        for provided in manifest.provides.values():
            needed = {name for name, of in provided.params.items() if not of.endswith("?")}
            if wrong := _signature_fault(self._method(provided.method), set(provided.params), needed):
                raise HandBroken(f"{provided.method} does not take the params of HAND.toml: {wrong}")

    def _method(self, method: str) -> Callable[..., Awaitable[object]]:
        """The coroutine function that answers a provided method. Raises HandBroken if there is none."""
        name = _coroutine_name(method)
        if name in _RESERVED or name.startswith("_"):
            raise HandBroken(f"{method} cannot be answered by `{name}`, which every Hand has: override on_call")
        found: Callable[..., Awaitable[object]] | None = getattr(self, name, None)
        code = getattr(found, "__code__", None)
        if found is None or code is None or not code.co_flags & inspect.CO_COROUTINE:
            raise HandBroken(f"{method} is answered by `async def {name}(self, call, ...)`, which is missing")
        return found

    async def _work(self, inputs: dict[str, object]) -> object:
        run = getattr(self, RUN, None)
        if run is None or f"{self.name}.{RUN}" in self._place.manifest.provides:  # then it answers calls
            raise Failure("arguments", f"{self.name} has no work of its own: call one of its methods")
        if wrong := _inputs_fault(inspect.signature(run), inputs):
            raise Failure("arguments", f"{self.name} {wrong}")
        return await run(**inputs)


def _inputs_fault(work: inspect.Signature, inputs: Mapping[str, object]) -> str:
    """What is wrong with a run's inputs, for the caller; "" if `run` takes them."""
    try:
        work.bind(**inputs)
    except TypeError as error:
        takes = [one for one in work.parameters.values() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        names = [one.name for one in takes]
        missing = [one.name for one in takes if one.default is one.empty and one.name not in inputs]
        unknown = [name for name in inputs if name not in names]
        if not missing and not unknown:
            return f"cannot be given these inputs: {error}"
        wrong = f"needs {', '.join(missing)}" if missing else f"takes no {', '.join(unknown)}"
        return f"{wrong}; its inputs are {', '.join(names)}" if names else f"{wrong}: it has no inputs"
    return ""


@cache
def _coroutine_name(method: str) -> str:
    """The name of the coroutine that answers a provided method: `files.make-folder` → `make_folder`."""
    return method.partition(".")[2].replace(".", "_").replace("-", "_")


def _signature_fault(method: object, given: set[str], needed: set[str]) -> str:
    """Why `async def method(self, call, ...)` cannot take these params, or "". Cheaper than inspect.Signature."""
    function = getattr(method, "__func__", method)
    assert isinstance(function, FunctionType)
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if len(positional) < 2 and not code.co_flags & inspect.CO_VARARGS:
        return "it takes no call"
    nameless = set(positional[: code.co_posonlyargcount])
    takes = {*positional[2:], *keyword}
    if twice := given & set(positional[:2]) - nameless:
        return f"it takes the call as {', '.join(sorted(twice))}, which is a param, too"
    if (unknown := given - (takes - nameless)) and not code.co_flags & inspect.CO_VARKEYWORDS:
        return f"it has no parameter {', '.join(sorted(unknown))}"
    defaults = {*positional[len(positional) - len(function.__defaults__ or ()) :], *(function.__kwdefaults__ or {})}
    if missing := takes - defaults - (needed - nameless):
        return f"its {', '.join(sorted(missing))} may be left out, so it needs a default"
    return ""


_RESERVED: Final = frozenset(vars(Hand)) | frozenset(Hand.__annotations__)
