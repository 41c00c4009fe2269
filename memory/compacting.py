"""Summaries of a conversation's messages (acts on a Store): what they come to, beside them and never instead of them.

A summary covers messages `first` to `last` of a branch, and says so: whoever doubts it reads them. One may cover another, not
half of it. A branch has the summaries of those it came of, as far as they end before it began. Its labels are those of
whoever wrote it and of all that it covers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from memory.errors import Invalid
from memory.filters import packed_labels
from memory.names import checked
from memory.sessions import MAIN, SQL, TEXT_MAX, Message, Span, known, read, size, spans
from memory.store import Bindings, Reader, Row, Store


class Summary(Struct, frozen=True, kw_only=True):
    """What messages first to last come to."""

    branch: str
    first: int
    last: int
    text: str
    labels: tuple[str, ...]
    at: int


class Range(NamedTuple):
    """Which messages a summary covers, without its text; row: where that is."""

    row: int
    first: int
    last: int


def compact(
    store: Store, space: str, first: int, last: int, text: str, *, branch: str = MAIN, labels: Sequence[str] = ()
) -> Summary:
    """Add a summary. Raises Absent, and Invalid for messages that are not there or half covered by another one."""
    text = checked("a summary", text, TEXT_MAX // 4)
    with store.write():
        session = known(store, space)
        ways = spans(store, session, branch)
        if not 1 <= first <= last <= ways[-1].until:
            raise Invalid(f"{branch!r} has messages 1 to {ways[-1].until}, not {first} to {last}")
        for other in ranges(store, session, ways):
            is_apart = other.last < first or other.first > last
            is_within = other.first <= first and last <= other.last
            is_around = first <= other.first and other.last <= last
            if not (is_apart or is_within or is_around):
                raise Invalid(
                    f"messages {other.first} to {other.last} have a summary, and this would cover half of them"
                )
        told = sorted({*labels, *_labels_between(store, session, ways, first, last)})
        now = store.now()
        add(store, session, Summary(branch=branch, first=first, last=last, text=text, labels=tuple(told), at=now))
        return Summary(branch=branch, first=first, last=last, text=text, labels=tuple(told), at=now)


def compacted(
    store: Reader, space: str, *, branch: str = MAIN, most: int = 100, room: int = TEXT_MAX
) -> tuple[list[Summary | Message], bool]:
    """A branch in fewer words, and whether something before them was left out: summaries in the place of what they cover,
    and the last messages of all that no summary covers.
    """
    session = known(store, space)
    ways = spans(store, session, branch)
    found: list[Summary | Message] = []
    until = ways[-1].until
    for one in [*reversed(_widest(ranges(store, session, ways))), None]:
        after = one.last if one is not None else 0
        if after < until:
            has_room = most > 0 and room > 0
            between = (
                read(store, space, branch=branch, since=after, until=until, most=most, room=room) if has_room else []
            )
            found.extend(reversed(between))
            most, room = most - len(between), room - sum(map(size, between))
            if len(between) < until - after:
                return found[::-1], True
        if one is not None:
            if room <= 0:
                return found[::-1], True
            summary = summary_of(store.rows(SQL["summary"], {"id": one.row})[0])
            found.append(summary)
            until, room = one.first - 1, room - len(summary.text.encode()) - 256
    return found[::-1], False


def _widest(found: Sequence[Range]) -> list[Range]:
    """Those that no other one covers, in the order of what they cover; of two that cover the same, the later one."""
    widest: list[Range] = []
    for one in sorted(found, key=lambda one: (one.first, -one.last, -one.row)):
        if not widest or one.last > widest[-1].last:
            widest.append(one)
    return widest


def ranges(store: Reader, session: int, ways: Sequence[Span]) -> list[Range]:
    """What all summaries that hold for a branch cover, those of the branches before it first."""
    found: list[Range] = []
    for way in ways:
        rows = store.rows(SQL["ranges"], {"session": session, "branch": way.branch, "until": way.until})
        found.extend(msgspec.convert(rows, list[Range]))
    return found


def add(store: Store, session: int, one: Summary) -> None:
    """Add a summary as it is."""
    told = packed_labels(one.labels)
    store.rows(
        SQL["summarise"],
        {"session": session, "branch": one.branch, "first": one.first, "last": one.last, "text": one.text, "labels": told,
         "now": one.at},
    )  # fmt: skip


def summary_of(row: Row) -> Summary:
    """A summary of its row."""
    branch, first, last, text, labels, at = row
    return msgspec.convert(
        {"branch": branch, "first": first, "last": last, "text": text, "labels": msgspec.json.decode(str(labels)), "at": at},
        Summary,
    )  # fmt: skip


def _labels_between(store: Store, session: int, ways: Sequence[Span], first: int, last: int) -> set[str]:
    found: set[str] = set()
    for way in ways:
        after, until = max(way.after, first - 1), min(way.until, last)
        if after < until:
            bindings: Bindings = {"session": session, "branch": way.branch, "after": after, "until": until}
            for (labels,) in store.rows(SQL["labels_between"], bindings):
                found.update(msgspec.json.decode(str(labels), type=list[str]))
    return found
