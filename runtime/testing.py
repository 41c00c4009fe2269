"""Tries a Hand in a test, without a kernel (acts): the test calls its methods and answers its calls.

    from runtime.testing import Streamed, Trial

    def test_a_page_without_a_price_is_told() -> None:
        with Trial("scout", {"web.fetch": Streamed(b"Closed today.")}) as scout:
            with pytest.raises(CallFailed, match="no price"):
                scout.run(page="http://127.0.0.1:8765/", target="notes/price.txt")

Between test and Hand is the runtime itself: arguments are checked against `params` and replies against `returns`, a call
that HAND.toml does not ask for is refused, and all values are encoded and decoded as on the bus. The Hand runs in the test's
own process, without confinement, limits or deadlines. Time stands still, except that `sleep` passes at once.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

from structlog.testing import capture_logs

from manifests.check import check
from manifests.grants import GrantSet, requested
from manifests.settings import missing_required
from runtime import code as imported
from runtime import records
from runtime.calls import Calls, Reply, reply_of
from runtime.clock import RecordedClock
from runtime.errors import CallFailed
from runtime.hand import RUN, Event, Hand, Place
from runtime.kernel_handle import KernelHandle
from runtime.serving import Call, Serving
from runtime.settings import Settings
from runtime.trial_desk import NUMBER, Asked, Desk, NoReply, Streamed
from wire import codec, headers

__all__ = ["Asked", "NoReply", "Streamed", "Trial"]

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The default time of a trial."""


class Trial:
    """A Hand in a test, from its `start` to its `stop`. Use it as `with Trial(...) as hand:`.

    folder: of its HAND.toml. replies: by method, what its calls get: a value; `Streamed`; a Failure or another end, which is
    raised where the call was made; or a function that takes an Asked and returns or raises one of these.

    calls: its calls, in order. events: name and body of its events. notes: its notes and progress. logged: its log records,
    as tables. streamed: the bytes streamed by the method called last. reply: that call's reply.
    """

    def __init__(
        self, folder: str | Path, replies: Mapping[str, object] | None = None, /, *,
        settings: Mapping[str, object] | None = None, now: datetime = NOON, seed: int = 0,
    ) -> None:  # fmt: skip
        """Raises ManifestInvalid and SettingsInvalid, with the texts of `maniple check` and `maniple settings`."""
        self._folder = Path(folder)
        found = (path for path in self._folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        self._files = {str(path.relative_to(self._folder)): path.read_bytes() for path in found}
        if "HAND.toml" not in self._files:
            raise ValueError(f"{self._folder} has no HAND.toml: give the folder of a Hand")
        self._manifest = check(self._files["HAND.toml"].decode(), file=str(self._folder / "HAND.toml"))
        if not self._manifest.hand.entry:
            raise ValueError(f"{self._folder} is not a Hand in Python, which names its class as entry in HAND.toml")
        given = dict(settings or {})
        if lacking := missing_required(self._manifest.settings, given):
            raise ValueError(f"{self._manifest.hand.name} does not start without settings: give {lacking}")
        self._settings = Settings(self._manifest.settings, given)
        self._seed, self._clock = seed, RecordedClock(round(now.timestamp() * 1_000_000))
        self._grants = GrantSet.of(requested(self._manifest))
        self._desk = Desk(self._grants, self._manifest.hand.name, replies or {}, self._clock)
        self._kernel = Calls(self._desk, self._manifest.limits.in_flight)
        self._desk.kernel = self._kernel
        self._stack = ExitStack()
        self._raised: BaseException | None = None
        self._logged: list[MutableMapping[str, object]] = []
        self.calls, self.events, self.notes = self._desk.calls, self._desk.events, self._desk.notes
        self.reply: Reply | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._loop = stack.enter_context(asyncio.Runner())
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            records.logger()
            self._logged = stack.enter_context(capture_logs())
            kind = stack.enter_context(_loaded(self._manifest.hand.name, self._files, self._manifest.hand.entry))
            self.hand = self._make_hand(kind, place)
            self._loop.run(self.hand.start())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._loop.run(self.hand.stop())

    def run(self, **inputs: object) -> object:
        """Gives a task these inputs. Returns what `run` returns. Raises as call() does."""
        return self.call(RUN, "", inputs)

    def call(
        self, method: str, resource: str = "", arguments: Mapping[str, object] | None = None, /, *, upload: bytes = b"",
        **more: object,
    ) -> object:  # fmt: skip
        """Calls one of its methods, and returns what its caller gets. resource: in its normal form.

        Raises CallFailed or CallCancelled as for a caller, from what the Hand raised; NoReply; and what a function among
        the replies raised by mistake.
        """
        self._desk.fault, self._raised, self._desk.streamed = None, None, b""
        end = self._loop.run(self._end_of(method, resource, {**(arguments or {}), **more}, upload))
        if self._desk.fault is not None:
            raise self._desk.fault
        try:
            self.reply = reply_of(end)
        except CallFailed as failed:
            raise failed from self._raised
        return self.reply.value

    def event(self, event: str, body: object = None) -> None:
        """Delivers an event, `publisher.name`, to it. Raises ValueError for one that it could not subscribe to."""
        if not self._grants.allows("kernel.subscribe", event):
            raise ValueError(f"no home delivers it: write {event} under subscribes in [events] of HAND.toml")
        publisher, _, name = event.partition(".")
        delivered = Event(publisher=publisher, name=name, body=codec.decode_body(codec.encode_body(body)))
        self._loop.run(self.hand.on_event(delivered))

    @property
    def streamed(self) -> bytes:
        """The bytes streamed by the method called last."""
        return self._desk.streamed

    @property
    def logged(self) -> list[dict[str, object]]:
        """Its log records: `level`, `event` and fields."""
        return [{"level" if name == "log_level" else name: one for name, one in row.items()} for row in self._logged]

    def _make_hand(self, kind: object, place: Path) -> Hand:
        if not isinstance(kind, type) or not issubclass(kind, Hand):
            raise TypeError(f"{self._manifest.hand.entry} is not a class made from runtime.Hand")
        for name in ("scratch", "state"):
            (place / name).mkdir()
        made = kind.__new__(kind)
        made._set_place(
            Place(
                run="r-trial",
                manifest=self._manifest,
                kernel=KernelHandle(self._kernel),
                settings=self._settings,
                files=self._files,
                scratch=place / "scratch",
                state=place / "state" if self._manifest.hand.kind == "service" else None,
                roots={},
                begin=lambda work: self._loop.get_loop().create_task(work),
                seed=self._seed,
                clock=self._clock,
                random=Random(f"self {self._seed}"),
            )
        )
        kind.__init__(made)
        made._check()
        return made

    async def _end_of(
        self, method: str, resource: str, arguments: dict[str, object], upload: bytes
    ) -> tuple[headers.End, bytes]:
        header = headers.Call(
            number=NUMBER, method=method, resource=resource, deadline=60_000, upload=bool(upload),
            time=self._clock.micros(),
        )  # fmt: skip
        body, ended = codec.encode_body(arguments), asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            serving = Serving(self._desk, self._answer, self._manifest.provides, group, self._broken)
            self._desk.begin(serving, ended, upload)
            serving.take_call(header, body)
            self._desk.feed()
        end: tuple[headers.End, bytes] = await ended
        return end

    async def _answer(self, call: Call, arguments: dict[str, object]) -> object:
        try:
            return await self.hand.on_call(call, arguments)
        except Exception as error:
            self._raised = error
            raise

    def _broken(self, error: BaseException) -> None:
        raise error


@contextmanager
def _loaded(name: str, files: Mapping[str, bytes], entry: str) -> Iterator[object]:
    """Yields what `entry` names, imported as in a run; removes its modules afterwards."""
    path, meta, before = [*sys.path], [*sys.meta_path], set(sys.modules)
    try:
        found = imported.load(name, files, entry)
        sys.path[:] = path
        yield found
    finally:
        sys.path[:], sys.meta_path[:] = path, meta
        for module in set(sys.modules) - before:
            if isinstance(getattr(sys.modules[module], "__loader__", None), imported.HandFinder):
                del sys.modules[module]
