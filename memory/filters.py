"""What a listing or a recall is confined to (pure).

All that is given must hold. It decides before anything is ranked, never after: a filter that few items pass still fills
its answer.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from memory.errors import Invalid
from memory.store import Binding

LABEL_MAX: Final = 64
"""Characters of a label."""

TOGETHER_MAX: Final = 32 << 10
EVERYTHING: Final = "*"
"""Bytes, as they are kept, of the labels that one thing gathers, and what stands for more: each that there is."""

ASKED_MAX: Final = 256
"""Labels, and names of metadata, that one filter asks for."""

Scalar = None | bool | int | float | str
Metadata = Mapping[str, object]


class Filters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """since, until: microseconds since 1970, until excluded. labels: it has each; without: it has none of them; what is
    marked with `*` has all.

    metadata: these keys have these values (text, number, true, false or null), in the same type.
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


def conditioned(query: str, pieces: Mapping[str, str], filters: Filters) -> str:
    """A query with what these filters ask for, and nothing else, in the place of $passes: so that an index serves it.

    pieces: of sql/fragments.sql, by their names.
    """
    names = [name for name in Filters.__struct_fields__ if getattr(filters, name) != getattr(NONE, name)]
    return query.replace("$passes", " AND ".join([pieces[f"passes_{name}"] for name in names]) or "true")


def bindings(filters: Filters) -> dict[str, Binding]:
    """What the queries that filter are bound to. Raises Invalid."""
    for name, value in (("since", filters.since), ("until", filters.until)):
        if value is not None and not -(1 << 63) <= value < 1 << 63:
            raise Invalid(f"{name}: no time is {value} microseconds from 1970")
    if max(len(filters.labels), len(filters.without), len(filters.metadata)) > ASKED_MAX:
        raise Invalid(f"at most {ASKED_MAX} labels, and names of metadata, are asked for at once")
    encoded([filters.kind, filters.source])  # or Invalid: what is no Unicode text can be nobody's
    return {
        "kind": filters.kind,
        "source": filters.source,
        "since": filters.since,
        "until": filters.until,
        "label": encoded(max(filters.labels, key=len)) if filters.labels else "",
        "pair": _standing(filters.metadata),
        "pairs": len(filters.metadata),
        "labels": encoded(sorted(set(filters.labels))),
        "without": encoded([encoded(label) for label in sorted(set(filters.without))]),
        "metadata": encoded(filters.metadata),
    }


def _standing(metadata: Mapping[str, Scalar]) -> str:
    """What stands in the JSON of all that have the first of these; of a float, which has several forms, its key alone."""
    for key, value in sorted(metadata.items()):
        return f"{encoded(key)}:" if isinstance(value, float) else encoded({key: value})[1:-1]
    return ""


def packed_labels(labels: Iterable[str]) -> str:
    """Labels as they are kept: JSON, each once, in order. Raises Invalid for one that no reply could be marked with.

    More than TOGETHER_MAX are all there are: they grow with each storing of the same, and a reply must hold them.
    """
    told = sorted(set(labels))
    if not all(0 < len(label) <= LABEL_MAX for label in told):
        raise Invalid(f"a label is 1 to {LABEL_MAX} characters")
    kept = encoded(told)
    return encoded([EVERYTHING]) if EVERYTHING in told or len(kept.encode()) > TOGETHER_MAX else kept


def labels_of(kept: str) -> tuple[str, ...]:
    """Labels that are kept: all there are also for more than TOGETHER_MAX, which an earlier version may have kept."""
    is_too_much = len(kept.encode()) > TOGETHER_MAX
    return (EVERYTHING,) if is_too_much else msgspec.json.decode(kept, type=tuple[str, ...])


def encoded(value: object) -> str:
    """JSON, with keys in order, so that equal values are equal texts. Raises Invalid."""
    try:
        text = msgspec.json.encode(value, order="deterministic").decode()
        text.encode()
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise Invalid(f"not to be told in JSON: {error}") from None
    return text
