"""The parts of a memory, with the operations that apply to all of them: totals, erasing, checking (acts).

PARTS is the table of them. A part's check reports problems in words; what it can repair, such as an index over intact rows,
it repairs and reports as well.
"""

from collections.abc import Callable
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from memory import graph, sessions, spaces
from memory.errors import Damaged
from memory.queries import queries
from memory.store import Reader, Store

SQL: Final = queries("upkeep")
REBUILD_FACTOR: Final = 256
"""How much longer it takes, per byte of text, to remove words from an index than to write them into a new one."""

_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Findings(Struct, frozen=True, kw_only=True):
    """The result of a check. problems: damage that only a backup can undo; mended: faults that were repaired."""

    problems: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    def and_then(self, other: "Findings") -> "Findings":
        """Return both results together."""
        return Findings(problems=(*self.problems, *other.problems), mended=(*self.mended, *other.mended))


class Part(Struct, frozen=True, kw_only=True):
    """The operations of one part. totals: counts of a space's items; erase: a whole space; check: the whole file.

    labels: a query for the labels of everything in the file. reindex: rebuilds indexes that SQLite's REINDEX does not.
    """

    totals: Callable[[Reader, str], dict[str, int]]
    erase: Callable[[Store, str], None]
    check: Callable[[Store], Findings]
    labels: str
    reindex: Callable[[Store], object] = lambda store: None


def _keys_totals(store: Reader, space: str) -> dict[str, int]:
    ((count, size),) = store.rows(SQL["keys_total"], {"space": space, "now": store.now()})
    return {"keys": int(count or 0), "value_bytes": int(size or 0)}


def _keys_erase(store: Store, space: str) -> None:
    for query in ("keys_erase", "versions_erase"):
        store.rows(SQL[query], {"space": space})


def _keys_check(store: Store) -> Findings:
    problems = []
    for space, key, value, labels in store.connection.execute(SQL["keys_all"]):
        try:
            msgspec.msgpack.decode(value)
            msgspec.json.decode(labels, type=list[str])
        except _BAD:
            problems.append(f"{_where(space)}the value of the key {key!r} cannot be read")
    return Findings(problems=tuple(problems))


def _graph_totals(store: Reader, space: str) -> dict[str, int]:
    ((entities, relations),) = store.rows(graph.SQL["totals"], {"space": space})
    return {"entities": int(entities or 0), "relations": int(relations or 0)}


def _graph_erase(store: Store, space: str) -> None:
    for query in ("entities_erase", "graph_erase", "singles_erase"):
        store.rows(SQL[query], {"space": space})


def _graph_check(store: Store) -> Findings:
    problems: list[str] = []
    mended: list[str] = []
    for query, what in (
        ("without_name", "the entity {} has lost its name"),
        ("without_evidence", "nobody says the relation {}"),
        ("between_spaces", "the relation {} leads out of its space"),
    ):
        problems += [_where(space) + what.format(number) for space, number in store.rows(SQL[query])]
    for space, which, properties in store.connection.execute(SQL["properties_all"]):
        try:
            msgspec.msgpack.decode(properties, type=dict[str, object])
        except _BAD:
            problems.append(f"{_where(space)}the properties of {which} cannot be read")
    for space, sort, last in store.rows(SQL["counters_behind"]):
        store.rows(SQL["catch_up"], {"space": space, "what": sort, "last": last})
        mended.append(f"{_where(space)}numbers of the sort {sort!r} were counted from before {last!r}")
    return Findings(problems=tuple(problems), mended=tuple(mended))


def _sessions_totals(store: Reader, space: str) -> dict[str, int]:
    ((messages, branches),) = store.rows(sessions.SQL["totals"], {"space": space})
    return {"messages": int(messages or 0), "branches": int(branches or 0)}


def _sessions_erase(store: Store, space: str) -> None:
    """Erase the conversation of a space and its words. The index removes each word by itself, or is rebuilt if it is much."""
    is_much = _is_much(store, space)
    if is_much:
        store.rows(SQL["words_later"])
    store.rows(SQL["session_erase"], {"space": space})
    if is_much:
        store.rows(SQL["words_now"])
        store.rows(SQL["words_at_once"])


def _is_much(store: Store, space: str) -> bool:
    """Whether rebuilding the index of words is faster than removing a session's words from it, and has enough space."""
    names = ("page_size", "page_count", "freelist_count", "max_page_count")
    page, count, free, most = (int(str(store.connection.pragma(name))) for name in names)
    ((said,),) = store.rows(SQL["said_bytes"], {"space": space})
    if int(said or 0) * REBUILD_FACTOR < count * page:
        return False
    ((index,),) = store.rows(SQL["index_bytes"])
    return int(index or 0) < int(said or 0) + (most - count + free) * page


def _sessions_check(store: Store) -> Findings:
    problems = [
        f"{_where(space)}the branch {name!r} has {count!r} messages from {first!r} to {end!r}, not {forked!r} + 1 to {last!r}"
        for space, name, forked, last, count, first, end in store.rows(SQL["holes"])
    ]
    problems += [
        f"{_where(space)}{count!r} messages stand on a branch {branch!r} that is not there"
        for space, branch, count in store.rows(SQL["strays"])
    ]
    problems += [
        f"{_where(space)}{count!r} messages lie where no search in their conversation looks"
        for space, count in store.rows(SQL["misplaced"])
    ]
    try:
        store.rows(SQL["words_check"])
    except (Damaged, apsw.SQLError):
        _sessions_reindex(store)
        store.rows(SQL["words_check"])
        return Findings(problems=tuple(problems), mended=("the words of messages were indexed anew",))
    return Findings(problems=tuple(problems))


def _sessions_reindex(store: Store) -> None:
    store.rows(SQL["words_rebuild"])


def _fragments_totals(store: Reader, space: str) -> dict[str, int]:
    place = spaces.find(store, space)
    ((count, size, history, waiting),) = store.rows(SQL["fragments_total"], {"first": place.first, "last": place.last})
    return {
        "fragments": int(count or 0), "characters": int(size or 0), "history": int(history or 0),
        "waiting": int(waiting or 0),
    }  # fmt: skip


def _fragments_erase(store: Store, space: str) -> None:
    place = spaces.find(store, space)
    for query in ("unembedded", "vectors", "blocks", "words", "chunks", "fragments", "space"):
        store.rows(SQL[f"{query}_erase"], {"first": place.first, "last": place.last})


def _fragments_check(store: Store) -> Findings:
    from memory import checking  # imports numpy, which totals do not need

    faults = checking.mend(store)
    mended = tuple(fault.what for fault in faults if fault.mendable)
    return Findings(problems=tuple(fault.what for fault in faults if not fault.mendable), mended=mended)


def _fragments_reindex(store: Store) -> None:
    from memory import checking

    checking.reindex(store)


PARTS: Final[dict[str, Part]] = {
    "keys": Part(totals=_keys_totals, erase=_keys_erase, check=_keys_check, labels=SQL["keys_labels"]),
    "graph": Part(totals=_graph_totals, erase=_graph_erase, check=_graph_check, labels=SQL["graph_labels"]),
    "sessions": Part(
        totals=_sessions_totals,
        erase=_sessions_erase,
        check=_sessions_check,
        labels=SQL["sessions_labels"],
        reindex=_sessions_reindex,
    ),
    "fragments": Part(
        totals=_fragments_totals,
        erase=_fragments_erase,
        check=_fragments_check,
        labels=SQL["fragments_labels"],
        reindex=_fragments_reindex,
    ),
}


def _where(space: object) -> str:
    return f"{space!s}: " if isinstance(space, str) and space else ""
