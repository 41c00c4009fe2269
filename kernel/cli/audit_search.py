"""`maniple audit search` (acts)."""

import time
from pathlib import Path

import click
from msgspec import Struct

from kernel.cli import drawing, logbook
from kernel.cli.exits import Ended, Exit, NoHand
from kernel.cli.frame import RUN_ID, Session, command, hand_names, run_names, write, write_json
from kernel.cli.usage_errors import WholeNumber
from manifests import moments
from manifests.errors import ValueInvalid
from manifests.suggestions import nearest
from wire.entries import KINDS, Entry, time_text
from wire.errors import Unencodable


class Filter(Struct, frozen=True, kw_only=True):
    """What to search for. "" matches everything; times are texts as in the log; methods and kinds may end in `*`."""

    kind: str = ""
    run: str = ""
    hand: str = ""
    method: str = ""
    verdict: str = ""
    since: str = ""
    until: str = ""
    text: tuple[str, ...] = ()


@command()
@click.argument("text", metavar="[TEXT]...", nargs=-1)
@click.option("--kind", metavar="KIND", default="", help="Such as call or refusal; run.* for all that begin so.")
@click.option("--hand", metavar="HAND", default="", shell_complete=hand_names, help="Only of this Hand and its runs.")
@click.option("--run", metavar="RUN", type=RUN_ID, shell_complete=run_names, help="Only of this run.")
@click.option("--method", metavar="METHOD", default="", help="Such as web.fetch; web.* for all that begin so.")
@click.option("--verdict", metavar="VERDICT", default="", help="Such as refused, failed, died, done.")
@click.option(
    "--since",
    metavar="TIME",
    default="",
    help="From this time on: 2026-11-21, 2026-11-21T08:30, or 15m (15 minutes ago).",
)
@click.option("--until", metavar="TIME", default="", help="Before this time, written likewise.")
@click.option("-n", "--most", metavar="N", type=WholeNumber(1), default=1000, help="At most N; default 1000.")
def audit_search(
    session: Session, text: tuple[str, ...], kind: str, hand: str, run: str | None, method: str, verdict: str, since: str,
    until: str, most: int,
) -> None:  # fmt: skip
    """Find the entries of the log that match every option and contain every TEXT, the oldest first.

    The kernel need not run. With --json each line is the entry exactly as it stands in the log.
    """
    filter_ = Filter(
        kind=kind,
        run=run or "",
        hand=hand,
        method=method,
        verdict=verdict,
        since=_moment(since),
        until=_moment(until),
        text=text,
    )
    folder = session.log()
    count = 0
    runs: set[str] = set()
    needles = [one.encode() for one in (*text, verdict, run) if one and one.isascii() and one.isalnum()]
    for line in logbook.whole(folder):
        if b'"kind":"run.start"' not in line and not all(needle in line for needle in needles):
            continue
        entry = logbook.read(line)
        if entry.kind == "run.start" and entry.detail.get("name") == hand:
            runs.add(entry.run)
        if not _matches(entry, filter_, runs, line):
            continue
        if session.json:
            write_json(line.decode(), exact=True)
        else:
            write(drawing.line(entry) + "\n")
        count += 1
        if count == most:
            session.say(
                f"These are the first {most}, and there may be more: narrow the search with --since, or raise --most"
            )
            return
    if not count:
        _check_names(filter_, runs, folder)
        session.say("No entry matches.")


def _check_names(filter_: Filter, runs: set[str], folder: Path) -> None:
    """Raise Ended after a search without result if no such kind of entry, or no Hand of that name, exists."""
    if not any(_fits(filter_.kind, kind) for kind in KINDS):
        near = nearest(filter_.kind, KINDS)
        mend = f"did you mean `maniple audit search --kind {near}`?" if near else f"there are {', '.join(KINDS)}"
        raise Ended(f"there is no kind {filter_.kind} of entries: {mend}", Exit.USAGE)
    if filter_.hand and not runs and filter_.hand not in logbook.installed_names(folder):
        raise NoHand(filter_.hand, ", and none of that name ever ran")


def _matches(entry: Entry, filter_: Filter, runs: set[str], line: bytes) -> bool:
    if not (_fits(filter_.kind, entry.kind) and _fits(filter_.method, entry.method)):
        return False
    if filter_.verdict not in ("", entry.verdict) or filter_.run not in ("", entry.run, entry.principal):
        return False
    if filter_.since > entry.time or (filter_.until and filter_.until <= entry.time):
        return False
    if filter_.hand and not ({entry.run, entry.principal} & runs or entry.detail.get("name") == filter_.hand):
        return False
    decoded = line.decode()
    return all(one in decoded for one in filter_.text)


def _fits(pattern: str, text: str) -> bool:
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return pattern in ("", text)


def _moment(text: str) -> str:
    """Convert a typed time to the log's format, whose texts sort by time."""
    if not text:
        return ""
    try:
        micros = moments.parse_moment(text, time.time_ns() // 1000, ahead=False)
    except ValueInvalid as error:
        raise Ended(f"{error.why}; {error.instead}", Exit.USAGE) from None
    if micros is None:
        raise Ended(f"{text} is not a time: write 2026-11-21, 2026-11-21T08:30, or 15m for that long ago", Exit.USAGE)
    try:
        return time_text(max(0, micros))  # the epoch is before every log
    except Unencodable as error:
        raise Ended(f"{text} is not a time that stands in a log: {error}", Exit.USAGE) from None
