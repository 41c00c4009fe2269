"""Filters of listings and recalls (pure).

All given conditions must hold. They apply before ranking, so a filter that few items pass still fills its answer.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from memory.errors import Invalid
from memory.store import Binding

LABEL_MAX: Final = 64
"""The most characters of a label."""

TOGETHER_MAX: Final = 32 << 10
EVERYTHING: Final = "*"
"""The most bytes of an item's labels as stored; and the label that replaces more of them and stands for all labels."""

ASKED_MAX: Final = 256
"""The most labels, and the most names of metadata, in one filter."""

Scalar = None | bool | int | float | str
Metadata = Mapping[str, object]


class Filters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on an item. since, until: microseconds since 1970, until excluded. labels: it has each of them; without:
    it has none of them; an item with `*` has all labels.

    metadata: its keys have these values (text, number, true, false or null), of the same type.
    """

    kind: str | None = None
    source: str | None = None
    since: int | None = None
    until: int | None = None
    labels: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    metadata: dict[str, Scalar] = {}

    @property
    def empty(self) -> bool:
        """Whether everything passes."""
        return self == NONE


NONE: Final = Filters()


def with_conditions(query: str, pieces: Mapping[str, str], filters: Filters) -> str:
    """Return a query with only the conditions in use in place of $passes, so that SQLite can use an index.

    pieces: the conditions of sql/fragments.sql, by name.
    """
    names = [name for name in Filters.__struct_fields__ if getattr(filters, name) != getattr(NONE, name)]
    return query.replace("$passes", " AND ".join([pieces[f"passes_{name}"] for name in names]) or "true")


def bindings(filters: Filters) -> dict[str, Binding]:
    """Return the bindings of queries with these filters. Raises Invalid."""
    for name, value in (("since", filters.since), ("until", filters.until)):
        if value is not None and not -(1 << 63) <= value < 1 << 63:
            raise Invalid(f"{name}: no time is {value} microseconds from 1970")
    if max(len(filters.labels), len(filters.without), len(filters.metadata)) > ASKED_MAX:
        raise Invalid(f"at most {ASKED_MAX} labels, and names of metadata, are asked for at once")
    to_json([filters.kind, filters.source])  # raises Invalid unless both are Unicode text
    return {
        "kind": filters.kind,
        "source": filters.source,
        "since": filters.since,
        "until": filters.until,
        "label": to_json(max(filters.labels, key=len)) if filters.labels else "",
        "pair": _first_pair(filters.metadata),
        "pairs": len(filters.metadata),
        "labels": to_json(sorted(set(filters.labels))),
        "without": to_json([to_json(label) for label in sorted(set(filters.without))]),
        "metadata": to_json(filters.metadata),
    }


def _first_pair(metadata: Mapping[str, Scalar]) -> str:
    """Return a text that the JSON of all matching metadata contains: the first pair; of a float, its key only."""
    for key, value in sorted(metadata.items()):
        return f"{to_json(key)}:" if isinstance(value, float) else to_json({key: value})[1:-1]
    return ""


def encode_labels(labels: Iterable[str]) -> str:
    """Encode labels as stored: JSON, sorted, without duplicates. Raises Invalid for one that a reply cannot have.

    More than TOGETHER_MAX bytes become `*`, since labels grow with each merge, and must fit into a reply.
    """
    told = sorted(set(labels))
    if not all(0 < len(label) <= LABEL_MAX for label in told):
        raise Invalid(f"a label is 1 to {LABEL_MAX} characters")
    kept = to_json(told)
    return to_json([EVERYTHING]) if EVERYTHING in told or len(kept.encode()) > TOGETHER_MAX else kept


def decode_labels(kept: str) -> tuple[str, ...]:
    """Decode stored labels. More than TOGETHER_MAX bytes, which an earlier version may have stored, become `*`."""
    is_too_much = len(kept.encode()) > TOGETHER_MAX
    return (EVERYTHING,) if is_too_much else msgspec.json.decode(kept, type=tuple[str, ...])


def to_json(value: object) -> str:
    """Encode a value as JSON with sorted keys, so that equal values are equal texts. Raises Invalid."""
    try:
        text = msgspec.json.encode(value, order="deterministic").decode()
        text.encode()
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise Invalid(f"it cannot be written as JSON: {error}") from None
    return text
