"""Parsing of a time as people type it: a date, a date and time, or a duration from now (pure; `now` is an argument)."""

from datetime import UTC, datetime

from manifests.values import is_duration, parse_duration


def parse_moment(text: str, now: int, *, ahead: bool) -> int | None:
    """Parse a time into microseconds since 1970, like `now`; None if malformed. ahead: `90d` is in 90 days, not 90 days ago.

    Times without a zone are in UTC. Raises ValueInvalid for a duration of more than ten years.
    """
    if is_duration(text):
        away = parse_duration(text) * 1000
        return now + away if ahead else now - away
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
