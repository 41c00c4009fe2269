"""Time zones by IANA name (pure: the rules come from the pinned package `tzdata`, not from the machine).

Separate because `maniple check`, the command line and the Hand `scheduling` must agree on a time, and machines differ:
some have no zones at all, and no run can read the system's. Imports are inside the functions, since a kernel needs no
zone before its first answer.
"""

from datetime import tzinfo
from functools import lru_cache

from manifests.errors import ValueInvalid
from manifests.suggestions import nearest


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Return the names of all zones."""
    from importlib.resources import files

    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def check(text: str) -> str:
    """Return the name of a zone unchanged. Raises ValueInvalid, with the nearest name, if there is no such zone."""
    if text in names():
        return text
    full = {name: name for name in names()} | {name.rpartition("/")[2]: name for name in names() if "/" in name}
    close = nearest(text, full, alike=0.7)
    instead = f'did you mean "{full[close]}"?' if close else 'write an IANA name, such as "Europe/Berlin"'
    raise ValueInvalid(f'"{text[:80]}" is not a time zone', instead)


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """Return the rules of a zone. Raises ValueInvalid as check() does."""
    from importlib.resources import files
    from zoneinfo import ZoneInfo

    with files("tzdata").joinpath("zoneinfo", *check(name).split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)
