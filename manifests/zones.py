"""Time zones by their IANA name (pure: the rules are a table, that of the pinned package `tzdata`, wherever this runs).

Separate because `maniple check`, the command line and the Hand `scheduling` must agree on what nine o'clock is, and the
machines they run on do not: some have no zones at all, and no run can read the system's. Imports are within the
functions, since nothing on the way to a kernel's first answer asks for a zone.
"""

from datetime import tzinfo
from functools import lru_cache

from manifests.errors import ValueInvalid
from manifests.suggestions import nearest


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone there is."""
    from importlib.resources import files

    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def check(text: str) -> str:
    """The name of a zone as it was given. Raises ValueInvalid with the nearest one for a name that is none."""
    if text in names():
        return text
    full = {name: name for name in names()} | {name.rpartition("/")[2]: name for name in names() if "/" in name}
    close = nearest(text, full, alike=0.7)
    instead = f'did you mean "{full[close]}"?' if close else 'write an IANA name, such as "Europe/Berlin"'
    raise ValueInvalid(f'"{text[:80]}" is not a time zone', instead)


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The rules of a zone that check() knows."""
    from importlib.resources import files
    from zoneinfo import ZoneInfo

    with files("tzdata").joinpath("zoneinfo", *check(name).split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)
