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

POLL_S: Final = 0.2
"""Seconds between polls of a followed file."""


@command()
@hand_argument
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines, until Ctrl-C.")
@click.option("-n", "--lines", metavar="N", type=WholeNumber(0), default=100, help="How many lines; default 100.")
def logs(session: Session, hand: str, follow: bool, lines: int) -> None:
    """Show what a Hand printed to stdout and stderr, and its log records, the newest last.

    Tracebacks stand below their records. Old output is dropped; a record at the top says how many bytes of it. The
    kernel need not run. With --json every line is an object: a record as it was written, or {"text": …}.
    """
    folder = logbook.folder_of(session.home)
    path = os.path.join(session.home, "output", f"{hand}.log")
    has_file = is_hand_name(hand) and (_exists(path) or _exists(f"{path}.1"))
    if not has_file and hand not in logbook.installed_names(folder):
        raise NoHand(hand)
    kept: deque[bytes] = deque(maxlen=lines)
    offset = 0
    for each in (f"{path}.1", path):
        offset = 0
        for line in _read_lines(each):
            if line.endswith(b"\n") or not follow:
                kept.append(line)
                offset += len(line)
    if not offset and not kept and not session.json:
        session.say(f"{hand} has printed nothing yet: see `maniple runs {hand}`")
    for line in kept:
        _show(line, json=session.json)
    if follow:
        for line in _follow(path, offset):
            _show(line, json=session.json)


def _exists(path: str) -> bool:
    """Whether a file exists. Raises OSError if that cannot be seen, Ended if it is not a plain file."""
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(kind):
        raise Ended(f"{path} is not a plain file: move it away, and the Hand's next start makes one")
    return True


def _read_lines(path: str) -> Iterator[bytes]:
    """Yield the lines of a file; none if it does not exist."""
    if _exists(path):
        with open(path, "rb") as file:
            yield from file


def _follow(path: str, offset: int) -> Iterator[bytes]:
    """Yield complete lines as they are appended after an offset, also across rotations of the file to `.1`."""
    base = current = _bytes_before(path)
    while True:
        size = os.path.getsize(path) if os.path.exists(path) else 0
        previous, current = current, _bytes_before(path)
        if size < offset or previous == current != base:
            yield from _rotated_lines(path, base + offset)
            base, offset = current, 0
        complete: list[bytes] = []
        if size > offset and current == base:  # else it may be rotated just now
            with open(path, "rb") as file:
                file.seek(offset)
                complete = [line for line in file if line.endswith(b"\n")]
            offset += sum(map(len, complete))
        yield from complete
        if not complete:
            time.sleep(POLL_S)


def _bytes_before(path: str) -> int:
    """The number of bytes that the Hand had printed before the content of the current file."""
    with suppress(OSError), open(f"{path}.1", "rb") as file:
        first = file.readline(printed.LONGEST)
        return os.fstat(file.fileno()).st_size + printed.bytes_gone(first)
    return 0


def _rotated_lines(path: str, offset: int) -> Iterator[bytes]:
    """Yield the lines in the rotated file after an offset, counted from the first byte that the Hand ever printed.

    If some of these are gone, the first line yielded is the record that says how much.
    """
    with suppress(OSError), open(f"{path}.1", "rb") as file:
        first = file.readline(printed.LONGEST)
        kept = printed.bytes_gone(first) + len(first)  # offset at which the kept lines begin
        if offset > kept:
            file.seek(len(first) + offset - kept)
        elif offset < kept:
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
    """Decode a line as a log record, a JSON object with `event`; None if it is not one."""
    if not text.startswith("{"):
        return None
    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) and "event" in record else None
