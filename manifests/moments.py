"""A moment as people type it: a date, a time of a day, or how long it is from now (pure: who reads it says what is now)."""

from datetime import UTC, datetime

from manifests.values import is_duration, parse_duration


def micros(text: str, now: int, *, ahead: bool) -> int | None:
    """Microseconds since 1970, as `now` is; None for what is no moment. ahead: `90d` is in ninety days, not as long ago.

    What names no zone is in UTC. Raises ValueInvalid for a span of more than ten years.
    """
    if is_duration(text):
        away = parse_duration(text) * 1000
        return now + away if ahead else now - away
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
