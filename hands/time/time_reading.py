"""Parses moments from text and describes them in a time zone (pure: the current moment is passed in).

Text is RFC 3339, or ISO 8601 as `datetime.fromisoformat` reads it; a date alone is its midnight. A time without an offset
is local time of a zone. Such a time may occur twice, when clocks go back: then the earlier one is taken. Or never, when
they go forward: then the offset before the change is used. The reply says so (PEP 495).
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from manifests import zones
from manifests.errors import ValueInvalid

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LONG: Final = 64
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class TimeWrong(Exception):
    """Ends the call in Failed(arguments)."""


def zone_of(name: str) -> tzinfo:
    """The zone with this IANA name. Raises TimeWrong."""
    try:
        return zones.zone(zones.check(name))
    except ValueInvalid as error:
        raise TimeWrong(f"{error.why}; {error.instead}") from None


def read(text: str, zone: tzinfo) -> tuple[datetime, bool, bool]:
    """(the moment, whether it is ambiguous, whether it is skipped) of a text. Raises TimeWrong."""
    try:
        if len(text) > _LONG:
            raise ValueError
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TimeWrong(
            f'{text[:_LONG]!r} is not a moment: write one like "2026-12-01T09:00" or with an offset'
        ) from None
    if moment.tzinfo is not None:
        return moment, False, False
    early, late = moment.replace(tzinfo=zone), moment.replace(tzinfo=zone, fold=1)
    try:
        back = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        differ = early.utcoffset() != late.utcoffset()
    except OverflowError:
        raise TimeWrong(f"{text[:_LONG]!r} is outside the years 1 to 9999") from None
    return early, differ and back == moment, back != moment


def shifted(moment: datetime, seconds: float) -> datetime:
    """The moment `seconds` later, in UTC. Raises TimeWrong outside the years 1 to 9999."""
    try:
        return moment.astimezone(UTC) + timedelta(seconds=seconds)
    except OverflowError:
        raise TimeWrong("that is outside the years 1 to 9999") from None


def as_reply(moment: datetime, name: str) -> dict[str, object]:
    """A moment in the zone called `name`, as a reply. Raises TimeWrong."""
    zone = zone_of(name)
    try:
        here, utc = moment.astimezone(zone), moment.astimezone(UTC)
    except OverflowError:
        raise TimeWrong("that is outside the years 1 to 9999") from None
    year, week, _ = here.isocalendar()
    return {
        "time": here.isoformat(timespec="seconds"),
        "utc": utc.isoformat(timespec="seconds").removesuffix("+00:00") + "Z",
        "zone": name,
        "unix": int(utc.timestamp() // 1),
        "weekday": DAYS[here.weekday()],
        "week": f"{year:04d}-W{week:02d}",
        "day_of_year": here.timetuple().tm_yday,
        "offset": here.isoformat(timespec="seconds")[len("0000-00-00T00:00:00") :],
        "summer": bool(here.dst()),
    }


def between(start: datetime, end: datetime, zone: tzinfo) -> dict[str, object]:
    """The reply of time.between. seconds: elapsed time. days: midnights of the zone in between. Raises TimeWrong."""
    try:
        seconds = (
            end.astimezone(UTC) - start.astimezone(UTC)
        ).total_seconds()  # in one zone, Python subtracts local times
        days = (end.astimezone(zone).date() - start.astimezone(zone).date()).days
    except OverflowError:
        raise TimeWrong("that is outside the years 1 to 9999") from None
    return {"seconds": seconds, "days": days, "text": spelled(seconds)}


def spelled(seconds: float) -> str:
    """A time span for people: "-1d 2h 3s"."""
    rest, parts = int(abs(seconds)), list[str]()
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + (" ".join(parts) or "0s")
