"""A schedule in words, for the person who decides about it (pure)."""

from manifests.schema import Schedule
from manifests.values import format_duration


def in_words(schedule: Schedule) -> str:
    """When it fires: `0 9 * * mon-fri in Europe/Berlin`."""
    words = when(schedule)
    if schedule.where:
        words += f" where {', '.join(f'{path} {_wanted(value)}' for path, value in schedule.where.items())}"
    if schedule.jitter_ms:
        words += f", up to {format_duration(schedule.jitter_ms)} later"
    if schedule.quiet:
        words += f", not in {', '.join(schedule.quiet)}"
    return words


def when(schedule: Schedule) -> str:
    """What fires it, without what is made of it."""
    zone = f" in {schedule.timezone}"
    if schedule.every_ms:
        return f"every {format_duration(schedule.every_ms)}" + (zone if schedule.quiet else "")
    if schedule.at:
        return f"once at {schedule.at}{zone}"
    return f"on {schedule.on}" if schedule.on else f"cron {schedule.cron}{zone}"


def _wanted(value: object) -> str:
    match value:
        case dict():
            return " and ".join(f"{name.replace('_', ' ')} {bound}" for name, bound in value.items())
        case list():
            return f"is one of {', '.join(map(str, value))}"
    return f"is {value}"
