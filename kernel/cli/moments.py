"""A moment as people type it: a date, a time of a day, or how long it is from now (acts by the clock)."""

import time
from datetime import UTC, datetime

from manifests.errors import ValueInvalid
from manifests.values import parse_duration


def micros(text: str, *, ahead: bool) -> int | None:
    """Microseconds since 1970; None for what is no moment. ahead: `90d` is in ninety days, and not as long ago.

    What names no zone is in UTC.
    """
    try:
        away = parse_duration(text) * 1000
        return time.time_ns() // 1000 + (away if ahead else -away)
    except ValueInvalid:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
