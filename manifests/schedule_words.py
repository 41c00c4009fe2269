"""A schedule in words, for the person who decides about installing it (pure)."""

from manifests.schema import Schedule
from manifests.values import format_duration


def describe(schedule: Schedule) -> str:
    """Say when a schedule fires, with all conditions: `cron 0 9 * * mon-fri in Europe/Berlin, up to 5m later`."""
    words = describe_trigger(schedule)
    if schedule.where:
        words += f" where {', '.join(f'{path} {_wanted(value)}' for path, value in schedule.where.items())}"
    if schedule.jitter_ms:
        words += f", up to {format_duration(schedule.jitter_ms)} later"
    if schedule.quiet:
        words += f", not in {', '.join(schedule.quiet)}"
    return words


def describe_trigger(schedule: Schedule) -> str:
    """Say what fires a schedule, without `where`, jitter and quiet hours."""
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
