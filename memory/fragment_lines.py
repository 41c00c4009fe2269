"""Export and import of fragments as lines (acts on a Store; the lines are pure values).

History, origins, labels and numbers are included. Derived data is not: chunks, the index of words and vectors are made
again at import.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct

from memory import spaces
from memory.errors import Invalid
from memory.fragments import Fragment, Origin, check, encode_metadata, fragment
from memory.indexing import add_language, index
from memory.queries import queries
from memory.sameness import sameness
from memory.spaces import NUMBER_LAST
from memory.store import Binding, Reader, Store
from memory.times import check_counts, check_times
from memory.words import language_of

COUNTED: Final = "fragment"
"""The name of the counter of a space's fragments in a line."""

_SQL: Final = queries("lines")


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fragment; see Fragment. counted: how many of its recurrences consolidation has counted."""

    number: int
    text: str
    kind: str
    time: int
    importance: float
    labels: tuple[str, ...]
    metadata: dict[str, object]
    state: Literal["live", "superseded", "archived"]
    successor: int | None
    seen: int
    uses: int
    used: int
    counted: int
    created: int
    changed: int
    origins: tuple[Origin, ...]


def lines(store: Reader, space: str) -> Iterator[Line]:
    """Yield every fragment of a space, in the order of their numbers."""
    place = spaces.find(store, space)
    for row in store.connection.execute(_SQL["fragments"], {"first": place.first, "last": place.last}):
        yield _line(fragment(store, row[:-1], -1), row[-1])


def last_number(store: Reader, space: str) -> int:
    """Return the last number that was given to a fragment, 0 for none."""
    return spaces.find(store, space).fragments


def _line(one: Fragment, counted: int) -> Line:
    fields = {name: getattr(one, name) for name in Line.__struct_fields__ if name != "counted"}
    return Line(**fields, counted=counted)


class Import:
    """The import of a space's fragments, line by line. marks: encodes a fragment's labels for storage."""

    def __init__(self, store: Store, space: str, marks: Callable[[Iterable[str]], str]) -> None:
        self._store, self._space, self._marks = store, space, marks
        self._numbers: set[int] = set()
        self._successors: set[int] = set()

    def take(self, one: Line) -> None:
        """Import the next fragment. Raises Invalid for one that cannot exist."""
        names = [name for origin in one.origins for name in (origin.source, origin.run)]
        check(one.text, (one.kind, *names, *one.labels), one.importance, ())
        check_times(one.time, one.used, one.created, one.changed, *(origin.time for origin in one.origins))
        check_counts(one.seen, one.uses, one.counted, least=0)
        if one.seen < 1 or (one.state == "live" and one.successor is not None):
            raise Invalid(f"fragment {one.number} cannot have come to what it says")
        self.count(one.number)
        place = spaces.ensure(self._store, self._space)
        row, metadata, language = place.first + one.number, encode_metadata(one.metadata), language_of(one.text)
        values: dict[str, Binding] = {
            "id": row, "text": one.text, "kind": one.kind, "time": one.time, "importance": one.importance,
            "labels": self._marks(one.labels), "metadata": metadata, "language": language,
            "sameness": sameness(one.text, str(place.id), one.kind, metadata), "state": one.state,
            "successor": None if one.successor is None else place.first + one.successor, "seen": one.seen,
            "uses": one.uses, "used": one.used, "counted": one.counted, "created": one.created, "changed": one.changed,
        }  # fmt: skip
        self._store.rows(_SQL["put_fragment"], values)
        for origin in one.origins:
            self._originate(row, origin)
        if one.state == "live":
            index(self._store, place, row, one.text, language)
            add_language(self._store, place, language)
        self._numbers.add(one.number)
        if one.successor is not None:
            self._successors.add(one.successor)

    def count(self, number: int) -> None:
        """Note that numbers up to this one are used, so that none is given again. Raises Invalid."""
        if not 0 < number <= NUMBER_LAST:
            raise Invalid(f"fragments have numbers from 1 to {NUMBER_LAST}")
        place = spaces.ensure(self._store, self._space)
        self._store.rows(_SQL["count_fragments"], {"space": place.id, "last": number})

    def settle(self) -> None:
        """Raise Invalid if a successor was not imported."""
        if missing := self._successors - self._numbers:
            raise Invalid(f"a successor is missing: fragment {min(missing)}")

    def _originate(self, row: int, origin: Origin) -> None:
        check_counts(origin.call, least=0)
        if origin.entry is not None:
            check_counts(origin.entry, least=0)
        values: dict[str, Binding] = {
            "fragment": row, "source": origin.source, "run": origin.run,
            "entry": -1 if origin.entry is None else origin.entry, "time": origin.time,
            "call": origin.call,
        }  # fmt: skip
        self._store.rows(_SQL["put_origin"], values)
