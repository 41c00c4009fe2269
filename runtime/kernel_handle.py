"""`KernelHandle`, a Hand's `self.kernel` (acts through Calls): typed methods for `kernel.*`; `call` and `stream` for others.

Each method names the grant that it needs. Without the grant it raises CallRefused, which names the one that would allow it.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from runtime.calls import Calls, Reply, Stream, answering
from runtime.errors import CallFailed
from wire import codec, headers, limits
from wire.amounts import Cost
from wire.labels import plain

T = TypeVar("T")
Rows: TypeAlias = list[dict[str, object]]
"""Rows of a table, as the kernel sends them: a value by each column's name."""

_LONGEST: Final = limits.DEADLINE_MAX / 1000


class Check(Struct, frozen=True, kw_only=True):
    """Whether a call would be allowed now, or only with a person's approval; if not, why, and the missing grant."""

    allowed: bool
    approval: bool = False
    code: str = ""
    why: str = ""
    grant: str = ""


class Budget(Struct, frozen=True, kw_only=True):
    """What this run has spent so far, and how many calls it may make a minute.

    tokens_left, micro_dollars_left: the most that its next call may cost; None without a budget. milliseconds_left: until
    the deadline of its work, None without work; it stands still while the work is held. tokens_in_all,
    micro_dollars_in_all: what calls for its work have cost with those made for them. budget: its Hand's allowances, each
    with unit, window, amount, spent, reserved, left, percent and the time at which the window ends.
    """

    tokens: int
    micro_dollars: int
    calls: int
    calls_per_minute: int
    tokens_left: int | None
    micro_dollars_left: int | None
    milliseconds_left: int | None = None
    tokens_in_all: int = 0
    micro_dollars_in_all: int = 0
    budget: tuple[dict[str, object], ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run ended. outcome: `done`, `failed`, `refused` or `cancelled`. value: what it returned.

    code, text: of its failure, as in CallFailed.
    """

    run: str
    outcome: str
    value: object = None
    code: str = ""
    text: str = ""


class _Spawned(Struct):
    run: str


class _Listed(Struct):
    hands: list[dict[str, object]]


class _Described(Struct):
    methods: list[dict[str, object]]
    more: bool = False


class _Set(Struct):
    settings: dict[str, object]


class KernelHandle:
    """`self.kernel` of a Hand. Belongs to the loop's thread; in any other it raises WrongThread."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def call(
        self,
        method: str,
        resource: str = "",
        arguments: Mapping[str, object] | None = None,
        /,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  the kernel keeps the time
        at_most: Cost | None = None,
        ask_first: str = "",
        labels: tuple[str, ...] = (),
        **more: object,
    ) -> Reply:
        """Calls a method and waits for its reply. timeout: seconds. at_most: what it may cost.

        ask_first: makes the call wait for the operator's yes, whatever the grant says; the text says why, and he sees it.
        labels: of data that was stored since an earlier run received it; the kernel knows those of what this run received.
        Arguments go by keyword, or in a mapping if their names are `timeout`, `at_most`, `ask_first` or `labels`.
        Raises CallFailed, CallRefused or CallCancelled; CodecError for arguments that are too large or cannot travel.
        """
        given, marks = {**(arguments or {}), **more}, tuple(map(plain, labels))
        return await self._calls.call(method, resource, given, timeout, at_most, ask_first, marks)

    def stream(
        self,
        method: str,
        resource: str = "",
        arguments: Mapping[str, object] | None = None,
        /,
        *,
        timeout: float | None = None,
        at_most: Cost | None = None,
        upload: bool = False,
        ask_first: str = "",
        **more: object,
    ) -> Stream:
        """Calls a method whose reply or upload is a stream: `async with self.kernel.stream(...) as s`.

        ask_first: as for call().
        """
        given = {**(arguments or {}), **more}
        return self._calls.stream(method, resource, given, timeout, at_most, upload=upload, ask=ask_first)

    async def check(self, method: str, resource: str = "") -> Check:
        """Whether this call would be allowed. Advice only: the call itself is checked again."""
        return await self._ask(Check, "kernel.check", method=method, resource=resource)

    async def budget(self) -> Budget:
        """What this run has spent."""
        return await self._ask(Budget, "kernel.budget")

    async def spawn(
        self,
        hand: str,
        inputs: Mapping[str, object] | None = None,
        *,
        detached: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  the kernel keeps the time
        ask_first: str = "",
    ) -> str:
        """Starts a run of a task Hand, with at most this run's own grants and what it lends. Returns its id at once.

        detached: it goes on when this run ends. timeout: seconds that its work may take, if less than its Hand's `wall`;
        after that it failed, with the code `deadline`. ask_first: as for call(). Needs "kernel.spawn" for the Hand's name.
        """
        most = {} if timeout is None else {"timeout": timeout}
        spawned = await self._ask(
            _Spawned, "kernel.spawn", hand, arguments=most, ask=ask_first, inputs=dict(inputs or {}), detached=detached
        )
        return spawned.run

    async def spawn_and_wait(self, hand: str, inputs: Mapping[str, object] | None = None) -> Outcome:
        """Starts a run of a task Hand and waits until it has ended. Needs "kernel.spawn" for the Hand's name."""
        return await self._ask(Outcome, "kernel.spawn", hand, seconds=_LONGEST, inputs=dict(inputs or {}), wait=True)

    async def wait(self, run: str, *, timeout: float = _LONGEST) -> Outcome:  # noqa: ASYNC109
        """Waits until a run that this one spawned has ended. Returns how. timeout: seconds."""
        return await self._ask(Outcome, "kernel.wait", seconds=timeout, run=run)

    async def stop(self, target: str) -> None:
        """Stops a Hand by its name, or a run by its id. Returns when it has stopped."""
        await self.call("kernel.stop", target)

    async def pause(self, hand: str) -> None:
        """Pauses a Hand: no call from it or to it passes until it is resumed."""
        await self.call("kernel.pause", hand)

    async def resume(self, hand: str) -> None:
        """Resumes a paused Hand."""
        await self.call("kernel.resume", hand)

    async def list(self) -> Rows:
        """The Hands that this run may call: name, version and description of each."""
        return (await self._ask(_Listed, "kernel.list")).hands

    async def describe(self, *, method: str = "", hand: str = "") -> Rows:
        """The [provides] row and the provider of a method, or of all methods of a Hand, if granted to this run."""
        asked = {name: text for name, text in (("method", method), ("hand", hand)) if text}
        page = await self._ask(_Described, "kernel.describe", arguments=asked)
        rows = page.methods
        while page.more:
            asked["after"] = str(rows[-1]["method"])
            page = await self._ask(_Described, "kernel.describe", arguments=asked)
            rows = [*rows, *page.methods]
        return rows

    async def settings(self) -> dict[str, object]:
        """This Hand's settings as the kernel has them now. `self.settings` has the same, checked, without a call."""
        return (await self._ask(_Set, "kernel.settings")).settings

    async def sleep(self, seconds: float) -> None:
        """Waits; a sleeping run costs nothing."""
        milliseconds = max(0, round(seconds * 1000))
        await self.call("kernel.sleep", timeout=min(milliseconds / 1000 + 60, _LONGEST), milliseconds=milliseconds)

    async def time_passes(self, seconds: float) -> None:
        """Waits until this much of the run's own time has passed. While its clock stands still, so does this wait.

        It takes none of the run's `in_flight` places. Only one such wait at a time.
        """
        with suppress(CallFailed):  # a sleep that its own timeout ends
            body: dict[str, object] = {"milliseconds": limits.DEADLINE_MAX}
            await self._calls.call("kernel.sleep", "", body, seconds, None, beside=True)

    async def note(self, text: str, progress: tuple[int, int] | None = None) -> None:
        """Writes a note about this run into the log. progress: (done, total), if known."""
        known = {} if progress is None else {"done": progress[0], "total": progress[1]}
        await self.call("kernel.note", "", known, text=text[: limits.WHY_MAX])  # the kernel keeps no more

    async def subscribe(self, event: str) -> None:
        """Subscribes to `publisher.name`, which on_event then receives. Needs the event in [events] subscribes."""
        await self._calls.ask(headers.Subscribe(number=0, event=event, parent=answering.get()))

    async def publish(self, name: str, body: object = None, *, labels: tuple[str, ...] = ()) -> None:
        """Publishes an event under this Hand's name. Needs it in [events] publishes."""
        header = headers.Publish(number=0, event=name, labels=tuple(map(plain, labels)), parent=answering.get())
        await self._calls.ask(header, codec.encode_body(body))

    async def _ask(
        self,
        of_type: type[T],
        method: str,
        resource: str = "",
        /,
        *,
        seconds: float | None = None,
        arguments: Mapping[str, object] | None = None,
        ask: str = "",
        **more: object,
    ) -> T:
        reply = await self._calls.call(method, resource, {**(arguments or {}), **more}, seconds, None, ask)
        try:
            return msgspec.convert(reply.value, of_type)
        except msgspec.ValidationError as error:
            raise CallFailed("malformed", f"the kernel answered {method} otherwise than agreed: {error}") from None
