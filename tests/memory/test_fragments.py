"""Fragments: stored, merged, superseded, changed and forgotten; whatever is done, the index holds what is live."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import Absent, Conflict, Invalid, StoreError
from memory.filters import (
    EVERYTHING,
    TOGETHER_MAX,
    Filters,
    Scalar,
    bindings,
    decode_labels,
    encode_labels,
    with_conditions,
)
from memory.fragments import TEXT_MAX, Changes, New, add, forget, get, listed, update, use
from memory.queries import queries
from memory.recall import Question, recall
from memory.store import Store
from tests.memory.clock import NOW, Clock


def numbers(store: Store, question: str, space: str = "") -> list[int]:
    """The fragments that a question finds, best first."""
    return [found.fragment.number for found in recall(store, space, Question(text=question)).found]


def test_what_was_stored_comes_back_with_all_that_it_came_with(store: Store) -> None:
    new = New(
        text="Ben's birthday is 3 May.",
        kind="fact",
        source="chat/ben",
        time=5,
        importance=0.9,
        labels=("web", "chat"),
        metadata={"chat": 7, "who": {"name": "Ben"}},
        run="r1",
        entry=0,
    )
    number = add(store, "", new).number
    found = get(store, "", number)
    assert (found.text, found.kind, found.time, found.importance) == (new.text, "fact", 5, 0.9)
    assert (found.labels, found.metadata) == (("chat", "web"), new.metadata)
    assert (found.created, found.changed, found.state, found.seen) == (NOW, NOW, "live", 1)
    assert [(one.source, one.run, one.entry) for one in found.origins] == [("chat/ben", "r1", 0)]


def test_the_same_again_is_merged_and_loses_no_label_and_no_source(store: Store, clock: Clock) -> None:
    one = add(store, "", New(text="Ben likes tea.", labels=("chat",), source="a", importance=0.2))
    clock.time += 10
    two = add(store, "", New(text="Ben  likes tea", labels=("web",), source="b", importance=0.8))
    assert (two.number, two.merged, one.merged) == (one.number, True, False)
    found = get(store, "", one.number)
    assert (found.text, found.labels, found.importance, found.seen) == ("Ben likes tea.", ("chat", "web"), 0.8, 2)
    assert {origin.source for origin in found.origins} == {"a", "b"}
    assert len(listed(store, "")) == 1


def test_each_of_a_listing_has_its_own_origins(store: Store) -> None:
    for text, source in (("tea", "a"), ("car", "b"), ("tea", "c"), ("sea", "d")):
        add(store, "", New(text=text, source=source))
    assert listed(store, "") == [get(store, "", number) for number in (1, 2, 3)]
    assert [[one.source for one in each.origins] for each in listed(store, "")] == [["a", "c"], ["b"], ["d"]]


def test_what_is_of_another_kind_space_or_metadata_is_not_the_same(store: Store) -> None:
    for space, new in [
        ("", New(text="tea")),
        ("s", New(text="tea")),
        ("", New(text="tea", kind="fact")),
        ("", New(text="tea", metadata={"chat": 1})),
    ]:
        assert not add(store, space, new).merged


def test_a_newer_fact_takes_the_place_of_an_older_one_which_stays_in_history(store: Store) -> None:
    old = add(store, "", New(text="Ben lives in Rome")).number
    new = add(store, "", New(text="Ben lives in Oslo"), supersedes=old).number
    assert numbers(store, "where does Ben live") == [new]
    assert [one.number for one in listed(store, "")] == [new]
    assert [one.number for one in listed(store, "", history=True)] == [old, new]
    found = get(store, "", old)
    assert (found.state, found.successor, found.text) == ("superseded", new, "Ben lives in Rome")
    with pytest.raises(Conflict, match=f"superseded by fragment {new} already"):
        add(store, "", New(text="Ben lives in Bonn"), supersedes=old)
    assert len(listed(store, "", history=True)) == 2


def test_a_fact_that_becomes_true_again_is_a_fragment_of_its_own(store: Store) -> None:
    rome = add(store, "", New(text="Ben lives in Rome")).number
    oslo = add(store, "", New(text="Ben lives in Oslo"), supersedes=rome).number
    again = add(store, "", New(text="Ben lives in Rome"), supersedes=oslo)
    assert not again.merged
    assert numbers(store, "Ben") == [again.number]


def test_what_supersedes_and_says_what_another_says_is_merged_into_that(store: Store) -> None:
    kept = add(store, "", New(text="Ben lives in Oslo")).number
    old = add(store, "", New(text="Ben lives in Rome")).number
    assert add(store, "", New(text="Ben lives in Oslo"), supersedes=old).number == kept
    assert get(store, "", old).successor == kept


def test_a_change_is_found_by_its_new_words_alone(store: Store, clock: Clock) -> None:
    number = add(store, "", New(text="Ben likes coffee", labels=("chat",))).number
    clock.time += 5
    changed = update(store, "", number, Changes(text="Ben likes tea", importance=1.0, labels=("web",)))
    assert (changed.text, changed.importance, changed.labels) == ("Ben likes tea", 1.0, ("chat", "web"))
    assert (changed.created, changed.changed) == (NOW, NOW + 5)
    assert (numbers(store, "tea"), numbers(store, "coffee")) == ([number], [])


def test_a_change_into_what_another_says_is_refused_whole(store: Store) -> None:
    one = add(store, "", New(text="tea")).number
    two = add(store, "", New(text="coffee")).number
    with pytest.raises(Conflict, match=f"fragment {one} says the same"):
        update(store, "", two, Changes(text="tea"))
    assert numbers(store, "coffee") == [two]


def test_what_is_forgotten_is_in_no_table(store: Store) -> None:
    old = add(store, "", New(text="The password is swordfish", source="s")).number
    new = add(store, "", New(text="The password is marlin"), supersedes=old).number
    forget(store, "", new)
    assert get(store, "", old).successor is None
    forget(store, "", old)
    for name in ("fragments", "origins", "chunks", "words_found"):
        assert store.rows(f"SELECT * FROM {name}") == []
    assert add(store, "", New(text="other")).number == 3


@pytest.mark.parametrize("number", [0, 2, -1, 1 << 32, (1 << 32) + 1, 1 << 70])
@pytest.mark.parametrize("space", ["", "other", "never"])
def test_an_absent_and_a_foreign_number_are_told_alike(store: Store, space: str, number: int) -> None:
    add(store, "other", New(text="one"))
    add(store, "other", New(text="two"))
    forget(store, "other", 2)
    words = rf"there is no fragment {number} here"
    with pytest.raises(Absent, match=re.escape(words)):
        get(store, space, number)
    with pytest.raises(Absent, match=re.escape(words)):
        forget(store, space, number)
    with pytest.raises(Absent, match=re.escape(words)):
        update(store, space, number, Changes(kind="x"))
    with pytest.raises(Absent, match=re.escape(words)):
        add(store, space, New(text="x"), supersedes=number)
    use(store, space, (number,))


@pytest.mark.parametrize(
    "new",
    [
        New(text=""),
        New(text=" \n"),
        New(text="\ud800"),
        New(text="x" * (TEXT_MAX + 1)),
        New(text="x", kind="\0"),
        New(text="x", source="s" * 1025),
        New(text="x", importance=float("nan")),
        New(text="x", importance=1.1),
        New(text="x", labels=tuple(map(str, range(65)))),
        New(text="x", metadata={"a": "\ud800"}),
        New(text="x", metadata={"a": "x" * 70_000}),
        New(text="x", metadata={"a": object()}),
        New(text="x", time=1 << 63),
        New(text="x", time=-1),
        New(text="x", entry=-1),
    ],
    ids=range(15),
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(store: Store, new: New) -> None:
    with pytest.raises(Invalid):
        add(store, "", new)
    assert listed(store, "", history=True) == []
    assert store.rows("SELECT * FROM words_found") == []


@pytest.mark.parametrize("space", ["x" * 513, "a\0b", "\ud800"])
def test_a_space_that_cannot_be_one_is_refused(store: Store, space: str) -> None:
    for act in (
        lambda: add(store, space, New(text="x")),
        lambda: recall(store, space, Question(text="x")),
        lambda: get(store, space, 1),
    ):
        with pytest.raises(Invalid):
            act()


def test_a_spaces_name_may_be_anything_else(store: Store) -> None:
    space = "chat 👨\u200d👩\n'\" ; --"
    add(store, space, New(text="tea"))
    assert numbers(store, "tea", space) == [1]


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        (Filters(), [1, 2, 3]),
        (Filters(kind="fact"), [1]),
        (Filters(source="chat"), [1, 2]),
        (Filters(since=20), [2, 3]),
        (Filters(until=20), [1]),
        (Filters(labels=("web",)), [1, 2]),
        (Filters(labels=("web", "files")), [2]),
        (Filters(without=("files",)), [1, 3]),
        (Filters(metadata={"n": 1}), [1]),
        (Filters(metadata={"n": True}), [2]),
        (Filters(metadata={"n": None}), [3]),
        (Filters(metadata={"n": "1"}), []),
        (Filters(kind="note", labels=("web",)), [2]),
    ],
)
def test_filters_hold_for_lists_and_recalls_alike(store: Store, filters: Filters, passing: list[int]) -> None:
    add(store, "", New(text="tea one", kind="fact", source="chat", time=10, labels=("web",), metadata={"n": 1}))
    add(store, "", New(text="tea two", source="chat", time=20, labels=("web", "files"), metadata={"n": True}))
    add(store, "", New(text="tea three", source="mail", time=30, metadata={"n": None}))
    assert [one.number for one in listed(store, "", filters)] == passing
    answer = recall(store, "", Question(text="tea", filters=filters))
    assert sorted(found.fragment.number for found in answer.found) == passing


def test_what_is_marked_with_all_there_are_has_each_label(store: Store) -> None:
    """`*` stands for more than a message can carry: whoever wants nothing from the web is not given that."""
    add(store, "", New(text="tea one", labels=("*",)))
    add(store, "", New(text="tea two", labels=("web",)))
    add(store, "", New(text="tea three", labels=('a"*"b', "**")))
    wanted = ((Filters(without=("web",)), [3]), (Filters(without=("*",)), [2, 3]), (Filters(labels=("web",)), [1, 2]))
    for filters, passing in (*wanted, (Filters(labels=("web", "mail")), [1]), (Filters(labels=("*",)), [1])):
        assert [one.number for one in listed(store, "", filters)] == passing
        answer = recall(store, "", Question(text="tea", filters=filters))
        assert sorted(found.fragment.number for found in answer.found) == passing


NAMES = st.sampled_from(
    ["a", "b", ",", '"', 'a"', '"a', "a,b", "\\", "a\\", "\n", "\x01", "\x7f", "é", "😀", "[", "]", "/"]
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e300]) | NAMES
LABELS = st.lists(NAMES, max_size=3).map(tuple)
METADATA = st.dictionaries(NAMES, SCALARS, max_size=3)


@given(kept=st.lists(st.tuples(LABELS, METADATA), max_size=4), labels=LABELS, without=LABELS, metadata=METADATA)
def test_whatever_signs_stand_in_labels_and_metadata_filters_are_exact(
    kept: list[tuple[tuple[str, ...], dict[str, object]]], labels: tuple[str, ...], without: tuple[str, ...],
    metadata: dict[str, Scalar],
) -> None:  # fmt: skip
    store = Store(Path(":memory:"), now=Clock())
    for number, (marks, told) in enumerate(kept):
        add(store, "", New(text=f"text {number}", labels=marks, metadata=told))

    def passes(marks: tuple[str, ...], told: dict[str, object]) -> bool:
        has = all(
            key in told and told[key] == value and type(told[key]) is type(value) for key, value in metadata.items()
        )
        return has and set(labels) <= set(marks) and not set(without) & set(marks)

    wanted = [number for number, (marks, told) in enumerate(kept, 1) if passes(marks, told)]
    filters = Filters(labels=labels, without=without, metadata=metadata)
    assert [one.number for one in listed(store, "", filters)] == wanted
    assert (
        sorted(one.fragment.number for one in recall(store, "", Question(text="text", filters=filters)).found) == wanted
    )
    store.close()


def test_a_filter_reads_nothing_of_another_space(store: Store) -> None:
    """By an index that holds the rows of all, it reads one part of it: how long that takes tells nothing of the others."""
    asked_for = (
        Filters(kind="a"),
        Filters(source="a"),
        Filters(since=1),
        Filters(until=1, kind="a"),
        Filters(labels=("a",)),
    )
    for asked in asked_for:
        query = with_conditions(queries("fragments")["passing"], queries("fragments"), asked)
        values = {"space": 1, "first": 1, "last": 2, **bindings(asked)}
        plan = [str(row[3]) for row in store.rows(f"EXPLAIN QUERY PLAN {query}", values)]
        read = [line for line in plan if "json_each" not in line and "asked" not in line and "VIRTUAL" not in line]
        assert any("rowid>" in line or "<expr>=?" in line or "fragment>" in line for line in read), plan
        assert not [line for line in read if line.startswith("SCAN")], plan


texts = st.sampled_from(["red tea", "Red tea.", "green tea", "black coffee", "red wine", "x" * 2000 + " red"])
spaces = st.sampled_from(["", "one", "two"])
steps = st.one_of(
    st.tuples(st.just("add"), spaces, texts, st.none() | st.integers(1, 5)),
    st.tuples(st.just("forget"), spaces, st.just(""), st.integers(1, 5)),
    st.tuples(st.just("update"), spaces, texts, st.integers(1, 5)),
)


@given(done=st.lists(steps, max_size=15))
def test_whatever_is_done_the_index_is_what_is_live(done: list[tuple[str, str, str, int]]) -> None:
    store = Store(Path(":memory:"), now=Clock())
    for what, space, text, number in done:
        try:
            if what == "add":
                add(store, space, New(text=text), supersedes=number)
            elif what == "forget":
                forget(store, space, number)
            else:
                update(store, space, number, Changes(text=text))
        except StoreError:
            pass
    for space in ("", "one", "two"):
        live = {one.number: one.text for one in listed(store, space)}
        for word in ("red", "green", "black", "tea"):
            assert sorted(numbers(store, word, space)) == [key for key, text in live.items() if word in text.lower()]
    rows = store.rows("SELECT name, indexed, terms FROM spaces")
    for name, indexed, terms in rows:
        chunks = store.rows(
            "SELECT count(*), total(terms) FROM chunks WHERE id / 4294967296 = (SELECT id FROM spaces WHERE name = ?)",
            (name,),
        )
        assert chunks == [(indexed, terms)]
    store.close()


def test_a_fragment_that_many_stored_has_all_their_labels_and_can_still_be_changed(store: Store) -> None:
    for start in (0, 60):
        add(store, "", New(text="x", labels=tuple(f"l{number}" for number in range(start, start + 60))))
    changed = update(store, "", 1, Changes(importance=0.9, labels=("l0", "further")))
    assert (len(changed.labels), changed.importance) == (121, 0.9)


def test_more_labels_than_a_reply_could_hold_become_all_that_there_are(store: Store) -> None:
    for start in range(0, 1_100, 55):
        add(store, "", New(text="x", labels=tuple(f"{number:064}" for number in range(start, start + 55))))
    assert get(store, "", 1).labels == ("*",)
    update(store, "", 1, Changes(labels=("further",)))
    assert get(store, "", 1).labels == ("*",)
    assert [one.number for one in listed(store, "", Filters(labels=("any",)))] == [1]


def test_a_filter_of_many_names_is_gone_through_once(store: Store) -> None:
    names: dict[str, Scalar] = {f"n{number:03}": None if number % 3 else number for number in range(256)}
    for number in range(40):
        add(store, "", New(text=f"text {number}", metadata={**names, **{f"m{more}": more for more in range(2_000)}}))
    taken = [0]

    def count() -> bool:
        taken[0] += 1
        return False

    store.connection.set_progress_handler(count, 10_000)
    assert len(listed(store, "", Filters(metadata=names))) == 40
    assert listed(store, "", Filters(metadata={**names, "n003": 4})) == []
    assert taken[0] < 500
    for many in (Filters(metadata={**names, "one more": 1}), Filters(labels=tuple(map(str, range(257))))):
        with pytest.raises(Invalid, match="at most 256"):
            listed(store, "", many)


def test_more_are_not_told_to_have_been_of_use_than_are_listed(store: Store) -> None:
    use(store, "", tuple(range(1_000)))
    with pytest.raises(Invalid, match="at most 1000"):
        use(store, "", tuple(range(1_001)))


def test_a_time_is_one_that_can_be_kept() -> None:
    for time, is_kept in ((-(1 << 63) - 1, False), (-(1 << 63), True), ((1 << 63) - 1, True), (1 << 63, False)):
        for asked in (Filters(since=time), Filters(until=time)):
            try:
                found = time in bindings(asked).values()
            except Invalid:
                found = False
            assert found is is_kept


def test_more_labels_than_a_reply_holds_are_read_as_all_there_are() -> None:
    """As an earlier version may have kept them."""
    kept = [f'["{"x" * size}"]' for size in (TOGETHER_MAX - 4, TOGETHER_MAX - 3)]
    assert [labels == (EVERYTHING,) for labels in map(decode_labels, kept)] == [False, True]


def test_more_labels_than_a_reply_holds_are_kept_as_all_there_are() -> None:
    many = [f"{number:064}" for number in range(TOGETHER_MAX // 67)]
    assert encode_labels([EVERYTHING, "a"]) == encode_labels([*many, "a" * 64, "b" * 64]) == '["*"]'
    assert decode_labels(encode_labels(many)) == tuple(many)
