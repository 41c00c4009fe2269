"""`maniple schedules list` (acts)."""

import time

from msgspec import Struct

from kernel.cli import replies, screen
from kernel.cli.frame import Session, command
from wire.entries import time_micros


class _Scheduled(Struct, frozen=True, kw_only=True):
    """A row of scheduling.next."""

    hand: str
    schedule: str
    next: str
    held: str
    running: tuple[str, ...]
    waiting: int


class _Next(Struct, frozen=True, kw_only=True):
    """The reply of scheduling.next."""

    hands: tuple[_Scheduled, ...]
    problems: tuple[str, ...]


@command()
def schedules_list(session: Session) -> None:
    """List when each Hand with a [schedule] starts next, the soonest first. Times are UTC.

    A paused Hand does not start; its schedule continues at `maniple resume HAND`. What was started, missed and skipped:
    `maniple schedules history`.
    """
    with session.client() as client:
        reply = client.call("scheduling.next", "", {}, seconds=60).value
    found = replies.read(reply, _Next)
    session.result(reply, lambda: _drawn(found, time.time_ns() // 1000), nothing="No Hand here has a [schedule].")
    for problem in found.problems:
        session.say(f"A problem: {screen.visible(problem)}")


def _drawn(found: _Next, now: int) -> str:
    if not found.hands:
        return ""
    return screen.table(
        ("HAND", "NEXT", "IN", "STATE", "SCHEDULE"),
        (
            (
                one.hand,
                screen.moment(one.next) if one.next and not one.held else "",
                screen.duration(max(0, time_micros(one.next) - now) / 1_000_000) if one.next and not one.held else "",
                _state(one),
                screen.visible(one.schedule),
            )
            for one in found.hands
        ),
        right=("IN",),
    )


def _state(one: _Scheduled) -> str:
    if one.held or not one.running:
        return one.held or (f"{one.waiting} wait" if one.waiting else "" if one.next else "waits")
    return "works" + (f", {one.waiting} wait" if one.waiting else "")
