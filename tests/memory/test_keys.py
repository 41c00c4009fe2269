"""Values by key against a plain dict: whatever is done, in whatever order, the two agree."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import keys
from memory.errors import Absent, Conflict, Invalid
from memory.keys import Change
from memory.store import Store
from tests.memory.clock import NOW, Clock


def test_what_was_set_is_there_and_counts_its_version(store: Store) -> None:
    assert keys.change(store, "", [Change(key="a", value=b"1", labels=("web", "web"))]) == (1,)
    assert keys.change(store, "", [Change(key="a", value=b"2", labels=("files",))]) == (2,)
    found = keys.get(store, "", "a")
    assert (found.value, found.version, found.created, found.labels) == (b"2", 2, NOW, ("files",))


def test_two_who_read_the_same_value_cannot_both_change_it(store: Store) -> None:
    keys.change(store, "", [Change(key="a", value=b"1", version=0)])
    keys.change(store, "", [Change(key="a", value=b"2", version=1)])
    with pytest.raises(Conflict, match="is at version 2, not 1"):
        keys.change(store, "", [Change(key="a", value=b"3", version=1)])
    with pytest.raises(Conflict, match="is at version 2, not 0"):
        keys.change(store, "", [Change(key="a", value=b"3", version=0)])
    assert keys.get(store, "", "a").value == b"2"


def gone_by_deleting(store: Store, clock: Clock) -> None:
    keys.change(store, "", [Change(key="a", value=None)])


def gone_by_time(store: Store, clock: Clock) -> None:
    keys.change(store, "", [Change(key="a", value=b"1", expires=NOW + 1)])
    clock.time = NOW + 2


def gone_by_sweeping(store: Store, clock: Clock) -> None:
    gone_by_time(store, clock)
    keys.sweep(store, store.now())


@pytest.mark.parametrize("go", [gone_by_deleting, gone_by_time, gone_by_sweeping])
def test_a_key_that_was_gone_meanwhile_is_seen_to_be_another(
    store: Store, clock: Clock, go: Callable[[Store, Clock], None]
) -> None:
    (read,) = keys.change(store, "", [Change(key="a", value=b"1")])
    go(store, clock)
    keys.change(store, "", [Change(key="a", value=b"2", version=0)])
    with pytest.raises(Conflict):
        keys.change(store, "", [Change(key="a", value=b"3", version=read)])
    assert keys.change(store, "other", [Change(key="a", value=b"1")]) == (1,)  # and tells nothing of this space


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["set", "delete", "expire", "sweep"])), max_size=40))
def test_no_key_ever_has_a_version_twice(steps: list[tuple[str, str]]) -> None:
    clock = Clock()
    store = Store(Path(":memory:"), now=clock)
    given: set[tuple[str, int]] = set()
    for key, what in steps:
        clock.time += 10
        if what == "sweep":
            keys.sweep(store, store.now())
            continue
        value = None if what == "delete" else b"1"
        expires = clock.time + 5 if what == "expire" else None
        there = [row.key for row in keys.listed(store, "")]
        (made,) = keys.change(
            store, "", [Change(key=key, value=value, expires=expires, version=None if key in there else 0)]
        )
        assert (key, made) not in given or made == 0
        given.add((key, made))
    store.close()


def test_several_keys_change_together_or_not_at_all(store: Store) -> None:
    keys.change(store, "", [Change(key="a", value=b"1"), Change(key="b", value=b"1")])
    with pytest.raises(Conflict):
        keys.change(store, "", [Change(key="a", value=None), Change(key="b", value=b"2", version=7)])
    assert keys.get(store, "", "a").version == keys.get(store, "", "b").version == 1
    assert keys.change(store, "", [Change(key="a", value=None), Change(key="b", value=b"2", version=1)]) == (0, 2)
    with pytest.raises(Absent):
        keys.get(store, "", "a")


def test_an_expired_value_is_gone_before_it_is_swept(store: Store, clock: Clock) -> None:
    keys.change(store, "", [Change(key="a", value=b"1", expires=NOW + 10), Change(key="b", value=b"1")])
    clock.time = NOW + 9
    assert keys.get(store, "", "a").expires == NOW + 10
    clock.time = NOW + 10
    with pytest.raises(Absent):
        keys.get(store, "", "a")
    assert [row.key for row in keys.listed(store, "")] == ["b"]
    assert keys.change(store, "", [Change(key="a", value=b"2", version=0)]) == (2,)
    clock.time = NOW + 100
    keys.sweep(store, store.now())
    assert [row.key for row in keys.listed(store, "")] == ["a", "b"]


def test_spaces_do_not_see_each_other(store: Store) -> None:
    keys.change(store, "one", [Change(key="a", value=b"1")])
    with pytest.raises(Absent) as foreign:
        keys.get(store, "two", "a")
    with pytest.raises(Absent) as never:
        keys.get(store, "three", "a")
    assert str(foreign.value) == str(never.value)
    assert keys.listed(store, "two") == []


@pytest.mark.parametrize("expires", [NOW, 253_402_300_800_000_000, 1 << 63])
def test_a_value_that_expires_at_no_time_to_come_is_refused(store: Store, expires: int) -> None:
    with pytest.raises(Invalid):
        keys.change(store, "", [Change(key="a", value=b"1", expires=expires)])


@pytest.mark.parametrize("key", ["", "x" * 513, "a\0b", "\ud800"])
def test_a_key_that_cannot_be_one_is_refused(store: Store, key: str) -> None:
    with pytest.raises(Invalid):
        keys.change(store, "", [Change(key=key, value=b"")])


letters = st.sampled_from(["", "a", "ab", "abc", "b", "\ud7ff", "\ue000", "\U0010ffff", "a\U0010ffff", "é"])


@given(
    steps=st.lists(st.tuples(letters.filter(bool), st.none() | st.binary(max_size=3)), max_size=20),
    prefix=letters,
    after=letters,
)
def test_a_store_and_a_dict_agree(steps: list[tuple[str, bytes | None]], prefix: str, after: str) -> None:
    store = Store(Path(":memory:"), now=lambda: NOW)
    model: dict[str, bytes] = {}
    for key, value in steps:
        if value is None and key not in model:
            with pytest.raises(Absent):
                keys.change(store, "", [Change(key=key, value=value)])
        else:
            keys.change(store, "", [Change(key=key, value=value)])
            if value is None:
                del model[key]
            else:
                model[key] = value
    listed = [row.key for row in keys.listed(store, "", prefix, after)]
    assert listed == sorted(key for key in model if key.startswith(prefix) and key > after)
    assert {key: keys.get(store, "", key).value for key in model} == model
    store.close()
