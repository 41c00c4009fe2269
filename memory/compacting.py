"""Summaries of a conversation's messages, stored beside them and never in place of them (acts on a Store).

A summary covers messages `first` to `last` of a branch, which can still be read. It may cover another summary completely,
but not partly. A branch also has its ancestors' summaries that end before it began. A summary's labels are those of its
writer and of all that it covers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from memory.errors import Invalid
from memory.filters import encode_labels
from memory.names import check_text
from memory.sessions import MAIN, SQL, TEXT_MAX, Message, Span, branch_spans, read, reply_size, session_row
from memory.store import Bindings, Reader, Row, Store


class Summary(Struct, frozen=True, kw_only=True):
    """A summary of messages `first` to `last`."""

    branch: str
    first: int
    last: int
    text: str
    labels: tuple[str, ...]
    at: int


class Range(NamedTuple):
    """The messages that a summary covers. row: its id, to read its text."""

    row: int
    first: int
    last: int


def compact(
    store: Store, space: str, first: int, last: int, text: str, *, branch: str = MAIN, labels: Sequence[str] = ()
) -> Summary:
    """Add a summary. Raises Absent, and Invalid if the messages do not exist, or another summary covers part of them."""
    text = check_text("a summary", text, TEXT_MAX // 4)
    with store.write():
        session = session_row(store, space)
        ways = branch_spans(store, session, branch)
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


def read_compacted(
    store: Reader, space: str, *, branch: str = MAIN, most: int = 100, room: int = TEXT_MAX
) -> tuple[list[Summary | Message], bool]:
    """Return a branch with summaries in place of the messages that they cover, up to the last message, and whether anything
    before was left out.
    """
    session = session_row(store, space)
    ways = branch_spans(store, session, branch)
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
            most, room = most - len(between), room - sum(map(reply_size, between))
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
    """Return the ranges that no other one covers, sorted; of two equal ones, the later summary's."""
    widest: list[Range] = []
    for one in sorted(found, key=lambda one: (one.first, -one.last, -one.row)):
        if not widest or one.last > widest[-1].last:
            widest.append(one)
    return widest


def ranges(store: Reader, session: int, ways: Sequence[Span]) -> list[Range]:
    """Return the ranges of all summaries that apply to a branch, those of its ancestors first."""
    found: list[Range] = []
    for way in ways:
        rows = store.rows(SQL["ranges"], {"session": session, "branch": way.branch, "until": way.until})
        found.extend(msgspec.convert(rows, list[Range]))
    return found


def add(store: Store, session: int, one: Summary) -> None:
    """Store a summary, unchecked."""
    told = encode_labels(one.labels)
    store.rows(
        SQL["summarise"],
        {"session": session, "branch": one.branch, "first": one.first, "last": one.last, "text": one.text, "labels": told,
         "now": one.at},
    )  # fmt: skip


def summary_of(row: Row) -> Summary:
    """Make a Summary of a row."""
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
