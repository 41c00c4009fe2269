"""Values by key: get, set, delete, list, and several changes at once (acts on a Store).

A key is 1 to 512 characters without NUL; a value is msgpack of up to VALUE_MAX bytes. Each change increments the key's
version. A change with `version` applies only if the key is still at that version (0: only if it does not exist), so that
two callers who read the same value cannot both overwrite it. A new key begins above every version of keys deleted from its
space, so no key ever has a version twice, and one that was deleted and set again is recognised as another.
An expired value is gone at its time, whether or not it has been swept.
A value's labels are those of its last writer; a listing has the labels of all keys in it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory.errors import Absent, Conflict, Invalid
from memory.filters import encode_labels
from memory.queries import queries
from memory.store import Binding, Bindings, Reader, Row, Store
from memory.times import check_times, usable_number

KEY_MAX: Final = 512
VALUE_MAX: Final = (1 << 20) - (8 << 10)
"""The most bytes of a value: with its other fields it fits into a reply."""

LIST_MAX: Final = 1_000
CHANGES_MAX: Final = 256
_SQL: Final = queries("keys")
_LAST: Final = chr(0x10FFFF)


class Value(Struct, frozen=True, kw_only=True):
    """The value of a key. version: incremented by each change; times in microseconds; expires: None for never."""

    value: bytes
    version: int
    created: int
    changed: int
    expires: int | None = None
    labels: tuple[str, ...] = ()


class Listed(Struct, frozen=True, kw_only=True):
    """One row of a listing. size: of the value, in bytes."""

    key: str
    version: int
    changed: int
    expires: int | None
    size: int
    labels: tuple[str, ...] = ()


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key to set, or to delete if `value` is None. version: the expected one; None for any."""

    key: str
    value: bytes | None
    version: int | None = None
    expires: int | None = None
    labels: tuple[str, ...] = ()


def get(store: Reader, space: str, key: str) -> Value:
    """Return the value of a key. Raises Absent."""
    found = _found(store, space, key)
    if found is None:
        raise Absent(f"there is no key {key!r} here")
    return found


def change(store: Store, space: str, changes: Sequence[Change]) -> tuple[int, ...]:
    """Apply all changes or none. Returns the new versions, 0 for a deleted key. Raises Conflict, Absent, Invalid.

    Deleting a missing key raises Absent, unless `version` is 0. Each key may occur once.
    """
    if not 0 < len(changes) <= CHANGES_MAX:
        raise Invalid(f"one change is of 1 to {CHANGES_MAX} keys, not {len(changes)}")
    if len({one.key for one in changes}) != len(changes):
        raise Invalid("a key stands in one change once")
    with store.write():
        return tuple(_change(store, space, one) for one in changes)


def listed(store: Reader, space: str, prefix: str = "", after: str = "", most: int = 100) -> list[Listed]:
    """Return the keys that begin with `prefix`, sorted by code points, from beyond `after` on."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} keys, not {most}")
    bindings: Bindings = {
        "space": space,
        "prefix": prefix,
        "end": _beyond(prefix),
        "after": after,
        "now": store.now(),
        "most": most,
    }
    return [
        msgspec.convert(
            {
                "key": key,
                "version": version,
                "changed": changed,
                "expires": expires,
                "size": size,
                "labels": _read(labels),
            },
            Listed,
        )
        for key, version, changed, expires, size, labels in store.rows(_SQL["list"], bindings)
    ]


def sweep(store: Store, now: int) -> None:
    """Delete what has expired by this time: nobody sees it any more, and it takes room."""
    with store.write():
        store.rows(_SQL["retire_expired"], {"now": now})
        store.rows(_SQL["expire"], {"now": now})


def _change(store: Store, space: str, one: Change) -> int:
    check_change(one)
    found = _found(store, space, one.key)
    version = 0 if found is None else found.version
    if one.version is not None and one.version != version:
        raise Conflict(f"{one.key!r} is at version {version}, not {one.version}: read it again")
    if one.value is None:
        if found is None and one.version is None:
            raise Absent(f"there is no key {one.key!r} here")
        store.scrub()
        _drop(store, "drop", {"space": space, "key": one.key})
        return 0
    now = store.now()
    if one.expires is not None and one.expires <= now:
        raise Invalid(f"{one.key!r} would expire before it is set")
    check_times(one.expires)
    _drop(store, "expire_one", {"space": space, "key": one.key, "now": now})
    labels = encode_labels(one.labels)
    bindings: Bindings = {
        "space": space,
        "key": one.key,
        "value": one.value,
        "labels": labels,
        "now": now,
        "expires": one.expires,
    }
    ((made,),) = store.rows(_SQL["put"], bindings)
    return usable_number(made)


def _drop(store: Store, query: str, bindings: dict[str, Binding]) -> None:
    """Delete a key's row, if there is one, and remember that its version was used."""
    for (version,) in store.rows(_SQL[query], bindings):
        store.rows(_SQL["retire"], {"space": bindings["space"], "version": version})


def check_change(one: Change) -> None:
    """Raise Invalid for a key or a value that cannot be stored."""
    if not 0 < len(one.key) <= KEY_MAX or "\0" in one.key:
        raise Invalid(f"a key is 1 to {KEY_MAX} characters without NUL")
    try:
        one.key.encode()
    except UnicodeEncodeError:
        raise Invalid("a key is Unicode text, without lone surrogates") from None
    if one.value is not None and len(one.value) > VALUE_MAX:
        raise Invalid(f"{one.key!r}: a value is at most {VALUE_MAX} bytes: store longer texts as fragments")


def _found(store: Reader, space: str, key: str) -> Value | None:
    rows = store.rows(_SQL["get"], {"space": space, "key": key, "now": store.now()})
    return _value(rows[0]) if rows else None


def _value(row: Row) -> Value:
    value, labels, version, created, changed, expires = row
    return msgspec.convert(
        {
            "value": value, "labels": _read(labels), "version": version, "created": created, "changed": changed,
            "expires": expires,
        },
        Value,
    )  # fmt: skip


def _read(labels: object) -> list[str]:
    return msgspec.json.decode(str(labels), type=list[str])


def _beyond(prefix: str) -> str:
    """Return the first text that sorts after everything with this prefix; "" if there is none."""
    kept = prefix.rstrip(_LAST)
    return kept[:-1] + _after(kept[-1]) if kept else ""


def _after(letter: str) -> str:
    return chr(0xE000) if letter == chr(0xD7FF) else chr(ord(letter) + 1)
