"""The Hand `time`: the time now, and times in other zones (acts only by reading the clock; time_reading decides).

A task has `self.now()`, the same clock as of its run. These methods are for callers that choose among offered methods,
such as agents: the reply is on the run's tape, so a resumed run sees the same moment.
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
"""The zone where the caller names none."""


class Time(Hand):
    """Provides time.*."""

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """Routes time.now to `time_now`, since every Hand already has a `now`; all else to the method of its name."""
        if call.method != NOW:
            return await super().on_call(call, arguments)
        try:
            return self.time_now(**check(NOW_TAKES, arguments))
        except ParamsInvalid as invalid:
            raise Failure("arguments", "; ".join(invalid.problems)) from None

    def time_now(self, zone: object = WITHOUT) -> dict[str, object]:
        """time.now: the current time in a zone."""
        with _as_failures():
            return as_reply(datetime.now(UTC), str(zone))

    async def convert(
        self, call: Call, time: str, zone: str = WITHOUT, of: str = WITHOUT, add: float = 0, subtract: float = 0
    ) -> dict[str, object]:
        """time.convert: a moment in another zone. of: the zone of a time without an offset. add, subtract: seconds."""
        with _as_failures():
            moment, twice, never = read(time, zone_of(of))
            reply = as_reply(shifted(moment, add - subtract), zone)
            return reply | {"ambiguous": twice, "skipped": never}

    async def between(self, call: Call, start: str, end: str, zone: str = WITHOUT) -> dict[str, object]:
        """time.between: the span from start to end. zone: of times without an offset, and whose midnights are counted."""
        with _as_failures():
            where = zone_of(zone)
            return between(read(start, where)[0], read(end, where)[0], where)


@contextmanager
def _as_failures() -> Iterator[None]:
    """Turns TimeWrong into the call's Failed."""
    try:
        yield
    except TimeWrong as wrong:
        raise Failure("arguments", str(wrong) if str(wrong).endswith("?") else f"{wrong}.") from None
