"""The kernel as a Hand sees it (acts through Calls): typed methods for `kernel.*`, `call` and `stream` for the rest.

Each method says what it needs; what is not granted raises CallRefused, with the grant that would allow it.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from runtime.calls import Calls, Reply, Stream
from runtime.errors import CallFailed
from wire import codec, headers, limits
from wire.codec import Value
from wire.entries import Cost

T = TypeVar("T")
_LONGEST: Final = limits.DEADLINE_MAX / 1000


class Check(Struct, frozen=True, kw_only=True):
    """Whether a call would be allowed now, why, and the line of HAND.toml that would allow it."""

    allowed: bool
    why: str = ""
    grant: str = ""


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run ended: outcome is `done`, `failed` or `cancelled`; value what it returned; text why it did not."""

    outcome: str
    value: Value = None
    text: str = ""


class KernelHandle:
    """self.kernel. Belongs to the loop's thread; from any other it raises WrongThread."""

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
        **more: object,
    ) -> Reply:
        """Call a method and wait for its reply. timeout: seconds; at_most: what it may cost.

        Arguments go by keyword, or in a mapping where their names are `timeout` or `at_most`.
        Raises CallFailed, CallRefused or CallCancelled; CodecError for arguments that are too large or cannot travel.
        """
        return await self._calls.call(method, resource, {**(arguments or {}), **more}, timeout, at_most)

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
        **more: object,
    ) -> Stream:
        """Call a method whose reply or upload is a stream: `async with self.kernel.stream(...) as s`."""
        return self._calls.stream(method, resource, {**(arguments or {}), **more}, timeout, at_most, upload=upload)

    async def check(self, method: str, resource: str = "") -> Check:
        """Whether this call would be allowed. Advice: the call itself is checked again."""
        return await self._ask(Check, "kernel.check", method=method, resource=resource)

    async def budget(self) -> dict[str, Value]:
        """What this run has spent and may still spend."""
        return await self._ask(dict[str, Value], "kernel.budget")

    async def spawn(
        self, hand: str, inputs: dict[str, object] | None = None, *, wait: bool = False, detached: bool = False
    ) -> str:
        """Start a run of a task Hand, with at most this run's own grants; its id. wait: return when it has ended.

        detached: it goes on when this run ends. Needs "kernel.spawn" for the Hand's name.
        """
        made = await self._ask(
            dict[str, Value],
            "kernel.spawn",
            hand,
            seconds=_LONGEST if wait else None,
            inputs=inputs or {},
            wait=wait,
            detached=detached,
        )
        return str(made["run"])

    async def wait(self, run: str, *, timeout: float = _LONGEST) -> Outcome:  # noqa: ASYNC109
        """Wait until a run has ended, and how. timeout: seconds."""
        return await self._ask(Outcome, "kernel.wait", seconds=timeout, run=run)

    async def stop(self, target: str) -> None:
        """Stop a Hand by its name, or a run by its id."""
        await self.call("kernel.stop", target)

    async def pause(self, target: str) -> None:
        """Let a Hand or a run make no further call until it is resumed."""
        await self.call("kernel.pause", target)

    async def resume(self, target: str) -> None:
        """Let a paused Hand or run go on."""
        await self.call("kernel.resume", target)

    async def list(self) -> "list[Value]":
        """The Hands that this run may know of."""
        return (await self._ask(dict[str, list[Value]], "kernel.list"))["hands"]

    async def describe(self, *, method: str = "", hand: str = "") -> dict[str, Value]:
        """A method, or a Hand, in full."""
        if method:
            return await self._ask(dict[str, Value], "kernel.describe", method=method)
        return await self._ask(dict[str, Value], "kernel.describe", hand=hand)

    async def settings(self) -> dict[str, Value]:
        """This Hand's settings as the kernel has them now; `self.settings` is the same, and quicker."""
        return (await self._ask(dict[str, dict[str, Value]], "kernel.settings"))["settings"]

    async def sleep(self, seconds: float) -> None:
        """Wait; a sleeping run costs nothing."""
        milliseconds = max(0, round(seconds * 1000))
        await self.call("kernel.sleep", timeout=min(seconds + 60, _LONGEST), milliseconds=milliseconds)

    async def note(self, text: str, progress: tuple[int, int] | None = None) -> None:
        """Write a note about this run into the log, with how much is done of how much, if that is known."""
        if progress is None:
            await self.call("kernel.note", text=text)
        else:
            await self.call("kernel.note", text=text, progress={"done": progress[0], "total": progress[1]})

    async def subscribe(self, event: str) -> None:
        """Hear `publisher.name` from now on, in on_event. Needs the event in [events] subscribes."""
        await self._calls.ask(headers.Subscribe(number=0, event=event))

    async def publish(self, name: str, body: object = None, *, labels: tuple[str, ...] = ()) -> None:
        """Publish an event under this Hand's name. Needs it in [events] publishes."""
        await self._calls.ask(headers.Publish(number=0, event=name, labels=labels), codec.encode_body(body))

    async def _ask(
        self,
        of_type: type[T],
        method: str,
        resource: str = "",
        /,
        *,
        seconds: float | None = None,
        **arguments: object,
    ) -> T:
        reply = await self._calls.call(method, resource, arguments, seconds, None)
        try:
            return msgspec.convert(reply.value, of_type)
        except msgspec.ValidationError as error:
            raise CallFailed("malformed", f"the kernel answered {method} otherwise than agreed: {error}") from None
