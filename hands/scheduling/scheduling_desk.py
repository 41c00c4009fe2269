"""Replies of scheduling.next and scheduling.history (pure)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from manifests.schedule_words import describe
from scheduling_book import Book, Entry
from scheduling_store import Row
from wire.entries import time_text

Answer = dict[str, object]
THEN: Final = 3
"""Firings after the next one that are listed if one Hand is asked for."""


def next_answer(book: Book, hand: str, most: int, now: int) -> list[Answer]:
    """The scheduled Hands, first those that are due first; hand: only this one, "" for all."""
    wanted = [entry for entry in book.entries.values() if hand in ("", entry.name)]
    due = {entry.hand: next(_coming(entry, now), None) for entry in wanted}
    ordered = sorted(wanted, key=lambda entry: (due[entry.hand] is None, due[entry.hand] or 0, entry.name))
    return [_row(entry, due[entry.hand], now, is_alone=bool(hand)) for entry in ordered[:most]]


def _row(entry: Entry, due: int | None, now: int, *, is_alone: bool) -> Answer:
    row: Answer = {
        "hand": entry.name,
        "schedule": describe(entry.schedule),
        "next": "" if due is None else moment(due),
        "held": entry.held,
        "running": list(entry.running.values()),
        "waiting": len(entry.pending),
    }
    if is_alone:
        row["then"] = [moment(at) for at in islice(_coming(entry, now), 1 + THEN)]
    return row


def _coming(entry: Entry, now: int) -> Iterator[int]:
    """When the Hand is due from now on; first a firing whose planned time is over and whose jitter is not."""
    planned = entry.plan.next(max(entry.cursor, now - entry.schedule.jitter_ms))
    while planned is not None:
        if (due := entry.plan.due(planned)) > now:
            yield due
        planned = entry.plan.next(planned)


def history_answer(rows: Iterable[Row]) -> list[Answer]:
    """History rows as a reply."""
    return [
        {
            "at": moment(row.at), "hand": row.name, "what": row.what, "planned": moment(row.planned), "run": row.run,
            "outcome": row.outcome, "why": row.why, "count": row.count,
        }
        for row in rows
    ]  # fmt: skip


def moment(milliseconds: int) -> str:
    """A time as the log writes it."""
    return time_text(milliseconds * 1000)
