"""The Hand `time`: what time it is, here and elsewhere (acts by asking the clock; time_reading decides).

A task's own `self.now()` is the same clock as it was told to its run. This is for those who choose their calls by what is
on offer, such as agents: the reply stands on the run's tape, so that the moment is the same when the run goes on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from manifests.errors import ParamsInvalid
from manifests.params import check
from runtime import Call, Failure, Hand
from time_reading import TimeWrong, as_reply, between, read, shifted, zone_of

NOW: Final = "time.now"
NOW_TAKES: Final = {"zone": "string?"}
WITHOUT: Final = "UTC"
"""The zone of whoever names none."""


class Time(Hand):
    """Provides time.*."""

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """Gives time.now to `tell`, since every Hand has a `now` already, and all else to its own method."""
        if call.method != NOW:
            return await super().on_call(call, arguments)
        try:
            return self.tell(**check(NOW_TAKES, arguments))
        except ParamsInvalid as invalid:
            raise Failure("arguments", "; ".join(invalid.problems)) from None

    def tell(self, zone: object = WITHOUT) -> dict[str, object]:
        """What time.now answers."""
        with _ending():
            return as_reply(datetime.now(UTC), str(zone))

    async def convert(
        self, call: Call, time: str, zone: str = WITHOUT, of: str = WITHOUT, add: float = 0, subtract: float = 0
    ) -> dict[str, object]:
        """time.convert. add, subtract: seconds."""
        with _ending():
            moment, twice, never = read(time, zone_of(of))
            reply = as_reply(shifted(moment, add - subtract), zone)
            return reply | {"ambiguous": twice, "skipped": never}

    async def between(self, call: Call, start: str, end: str, zone: str = WITHOUT) -> dict[str, object]:
        """time.between. zone: whose days count, and whose clocks show what has no offset."""
        with _ending():
            where = zone_of(zone)
            return between(read(start, where)[0], read(end, where)[0], where)


@contextmanager
def _ending() -> Iterator[None]:
    """What is wrong becomes the call's Failed."""
    try:
        yield
    except TimeWrong as wrong:
        raise Failure("arguments", str(wrong) if str(wrong).endswith("?") else f"{wrong}.") from None
