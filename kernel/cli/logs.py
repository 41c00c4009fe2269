"""`maniple logs` (acts)."""

import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import click
import msgspec

from kernel.cli import logbook, screen
from kernel.cli.exits import Ended, NoHand
from kernel.cli.frame import Session, command, hand_argument, write, write_json
from kernel.cli.usage_errors import WholeNumber
from manifests import printed
from manifests.names import is_hand_name

LOOK_EVERY: Final = 0.2
"""Seconds between looks at a file that is followed."""


@command()
@hand_argument
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines, until Ctrl-C.")
@click.option("-n", "--lines", metavar="N", type=WholeNumber(0), default=100, help="How many lines; default 100.")
def logs(session: Session, hand: str, follow: bool, lines: int) -> None:
    """Show what a Hand printed to stdout and stderr, and its log records, the newest last.

    Tracebacks stand below their records. Only the newest is kept; a record at the top says how many bytes before it are
    gone. The kernel need not run. With --json every line is an object: a record as it was written, or {"text": …}.
    """
    folder = logbook.folder_of(session.home)
    path = os.path.join(session.home, "output", f"{hand}.log")
    if not is_hand_name(hand) or not (_is_there(path) or _is_there(f"{path}.1")):
        if hand not in logbook.installed_names(folder):
            raise NoHand(hand)
        session.say(f"{hand} has printed nothing yet: see `maniple runs {hand}`")
    kept: deque[bytes] = deque(maxlen=lines)
    place = 0
    for each in (f"{path}.1", path):
        place = 0
        for line in _lines(each):
            if line.endswith(b"\n") or not follow:
                kept.append(line)
                place += len(line)
    for line in kept:
        _show(line, json=session.json)
    if follow:
        for line in _followed(path, place):
            _show(line, json=session.json)


def _is_there(path: str) -> bool:
    """Whether a file is there. Raises OSError when that may not be known, Ended for what is none and may never end."""
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(kind):
        raise Ended(f"{path} is not a plain file: move it away, and the Hand's next start makes one")
    return True


def _lines(path: str) -> Iterator[bytes]:
    """All lines of a file; none of one that is not there."""
    if _is_there(path):
        with open(path, "rb") as file:
            yield from file


def _followed(path: str, place: int) -> Iterator[bytes]:
    """Whole lines as they come after a place; what is in the file may be moved aside meanwhile."""
    before = seen = _before(path)
    while True:
        size = os.path.getsize(path) if os.path.exists(path) else 0
        last, seen = seen, _before(path)
        if size < place or last == seen != before:
            yield from _moved_aside(path, before + place)
            before, place = seen, 0
        whole: list[bytes] = []
        if size > place and seen == before:  # else it may be being moved aside just now
            with open(path, "rb") as file:
                file.seek(place)
                whole = [line for line in file if line.endswith(b"\n")]
            place += sum(map(len, whole))
        yield from whole
        if not whole:
            time.sleep(LOOK_EVERY)


def _before(path: str) -> int:
    """How many bytes the Hand had printed before those that are in its file."""
    with suppress(OSError), open(f"{path}.1", "rb") as file:
        first = file.readline(printed.LONGEST)
        return os.fstat(file.fileno()).st_size + printed.bytes_gone(first)
    return 0


def _moved_aside(path: str, place: int) -> Iterator[bytes]:
    """The lines that were moved aside and come after a place, counted from the first that the Hand ever printed; the first
    of them says how much is gone, if some of it is.
    """
    with suppress(OSError), open(f"{path}.1", "rb") as file:
        first = file.readline(printed.LONGEST)
        kept = printed.bytes_gone(first) + len(first)  # where what is kept begins
        if place > kept:
            file.seek(len(first) + place - kept)
        elif place < kept:
            yield first
        yield from file


def _show(line: bytes, *, json: bool) -> None:
    text = line.rstrip(b"\n").decode("utf-8", "replace")
    record = _record(text)
    if json:
        write_json(msgspec.json.encode(record or {"text": text}).decode() + "\n")
    else:
        write(_drawn(text, record))


def _drawn(text: str, record: dict[str, object] | None) -> str:
    if record is None:
        return screen.visible(text) + "\n"
    level = str(record.pop("level", ""))
    colour = {"error": "red", "critical": "red", "warning": "yellow", "debug": "dim"}.get(level, "")
    moment = screen.moment(str(record.pop("timestamp", record.pop("time", ""))))
    event = screen.visible(record.pop("event"))
    trace = str(record.pop("exception", "")).rstrip("\n").split("\n")
    rest = " ".join(f"{screen.visible(key)}={screen.visible(value)}" for key, value in record.items())
    words = (screen.coloured(moment, "dim"), screen.coloured(level.ljust(7), colour), event, rest)
    line = " ".join(word for word in words if word.strip()).rstrip()
    return "\n".join([line, *(f"    {screen.visible(one)}" for one in trace if one)]) + "\n"


def _record(text: str) -> dict[str, object] | None:
    """A line that is a log record: a JSON object with `event`."""
    if not text.startswith("{"):
        return None
    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) and "event" in record else None
