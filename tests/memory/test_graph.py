"""The graph: one entity for one name, relations in time with who said so, bounded walks, merging that loses nothing."""

import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import graph, merging, walks
from memory.errors import Absent, Conflict, Invalid
from memory.graph import LIST_MAX, Ref
from memory.names import fold_name
from memory.store import Store
from memory.walks import DEPTH_MAX, Step

NOW = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "one.db", now=lambda: NOW)
    yield opened
    opened.close()


def named(name: str, of_type: str = "") -> Ref:
    return Ref(name=name, type=of_type)


def people(store: Store, *names: str, space: str = "") -> None:
    for name in names:
        graph.put(store, space, "person", name)


def knows(store: Store, one: str, other: str, **more: int) -> None:
    graph.relate(store, "", named(one), "knows", named(other), said="test", **more)  # type: ignore[arg-type]


# entities ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["ada lovelace", " ADA  Lovelace", "Ａda Lovelace", "Ada\u00a0Lovelace"])
def test_a_name_in_any_spelling_is_the_same_entity(store: Store, spelling: str) -> None:
    first = graph.put(store, "", "person", "Ada Lovelace", properties={"born": 1815}, labels=("web",))
    again = graph.put(store, "", "person", spelling, properties={"died": 1852}, labels=("files",))
    assert again.number == first.number
    assert (again.name, again.properties, again.labels) == (
        "Ada Lovelace", {"born": 1815, "died": 1852}, ("files", "web"),
    )  # fmt: skip
    assert graph.find(store, "", named(spelling)).id == first.id


@given(st.text(max_size=20))
def test_the_form_in_which_names_are_compared_is_its_own(text: str) -> None:
    assert fold_name(fold_name(text)) == fold_name(text)
    assert fold_name(unicodedata.normalize("NFD", text)) == fold_name(text)


def test_an_entity_is_found_by_its_aliases_and_nobody_else_gets_one(store: Store) -> None:
    ada = graph.put(store, "", "person", "Ada", aliases=("Countess", "ADA"))
    assert graph.find(store, "", named("countess")).aliases == ("Countess",)
    graph.put(store, "", "person", "Bob")
    with pytest.raises(Conflict, match=f"'Countess' is entity {ada.number}"):
        graph.put(store, "", "person", "Bob", aliases=("Countess",))
    assert graph.put(store, "", "person", "countess").id == ada.id


def test_one_name_of_two_types_is_asked_for_with_its_type(store: Store) -> None:
    graph.put(store, "", "city", "Paris")
    prince = graph.put(store, "", "person", "Paris")
    with pytest.raises(Conflict, match="city, person"):
        graph.find(store, "", named("paris"))
    assert graph.find(store, "", named("paris", "person")).id == prince.id


def test_numbers_tell_nothing_of_another_space_and_are_never_given_again(store: Store) -> None:
    people(store, "Ada", "Bob", space="one")
    people(store, "Eve", space="two")
    assert graph.find(store, "two", named("Eve")).number == 1
    with pytest.raises(Absent) as foreign:
        graph.find(store, "two", Ref(number=2))
    with pytest.raises(Absent) as never:
        graph.find(store, "three", Ref(number=2))
    assert str(foreign.value) == str(never.value)
    with pytest.raises(Absent):
        graph.find(store, "two", named("Ada"))
    graph.forget(store, "one", named("Bob"))
    people(store, "Cid", space="one")
    assert graph.find(store, "one", named("Cid")).number == 3


@pytest.mark.parametrize("name", ["", "  ", "\u200b\u3000 ".strip("\u200b"), "a\0b", "\ud800", "x" * 513])
def test_what_is_no_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(Invalid):
        graph.put(store, "", "person", name)


def test_entities_are_listed_by_name_in_parts(store: Store) -> None:
    people(store, "Bob", "ada", "Anna", "ännchen")
    first = list(graph.listed(store, "", most=2))
    assert [one.name for one in first] == ["ada", "Anna"]
    assert [one.name for one in graph.listed(store, "", after=first[-1].number)] == ["Bob", "ännchen"]
    assert [one.name for one in graph.listed(store, "", prefix="A")] == ["ada", "Anna"]
    assert list(graph.listed(store, "", of_type="city")) == []


# relations -----------------------------------------------------------------------------------------------------------


def test_what_two_say_is_surer_and_what_one_says_twice_is_not(store: Store) -> None:
    people(store, "Ada", "Bob")
    for said in ("mail", "mail", "chat"):
        graph.relate(
            store, "", named("Ada"), "knows", named("Bob"), said=said, confidence=0.5, labels=(said,)
        )  # fmt: skip
    graph.put(store, "", "person", "Bob", labels=("files",))
    told = graph.find_relation(store, "", 1)
    assert told.confidence == 0.75
    assert set(told.labels) == {"mail", "chat", "files"}


def test_a_relation_is_seen_at_the_times_in_which_it_holds(store: Store) -> None:
    people(store, "Ada", "Bob")
    knows(store, "Ada", "Bob", since=10, until=20)
    seen = [at for at in (9, 10, 19, 20) if list(walks.neighbours(store, "", named("Ada"), at=at))]
    assert seen == [10, 19]
    graph.end(store, "", 1, 15)
    assert not list(walks.neighbours(store, "", named("Ada"), at=15))
    assert next(walks.neighbours(store, "", named("Bob"), at=14, direction="in")).to.name == "Ada"
    for later in (17, None):
        assert graph.end(store, "", 1, later).until == 15
    with pytest.raises(Invalid):
        graph.end(store, "", 1, 10)


def test_a_contradiction_is_kept_and_shown_until_somebody_ends_one(store: Store) -> None:
    people(store, "Ada")
    for city in ("Paris", "London"):
        graph.put(store, "", "city", city)
        graph.relate(store, "", named("Ada"), "lives in", named(city), said=city, single=True)
    (paris, london), *more = graph.contradictions(store, "")
    assert (paris.target.name, london.target.name, more) == ("Paris", "London", [])
    assert paris.contradicts == (london.number,)
    assert list(graph.contradictions(store, "", after=(1, 2))) == []
    graph.end(store, "", paris.number, 10)
    graph.relate(store, "", named("Ada"), "lives in", named("London"), said="London", since=10)
    assert len(list(graph.contradictions(store, ""))) == 1  # London has no beginning: it was said so first
    graph.unrelate(store, "", london.number)
    graph.relate(store, "", named("Ada"), "lives in", named("London"), said="London", since=10)
    assert list(graph.contradictions(store, "")) == []


def steps(store: Store, work: Callable[[], object]) -> int:
    """Thousands of steps that SQLite takes for a work."""
    taken = [0]

    def count() -> bool:
        taken[0] += 1
        return False

    store.connection.set_progress_handler(count, 1_000)
    work()
    store.connection.set_progress_handler(None)
    return taken[0]


@pytest.mark.wide
def test_one_with_very_many_relations_of_a_kind_holds_up_nobody_for_long(store: Store) -> None:
    count = 1_500
    with store.write():
        people(store, "Ada", *(f"p{number}" for number in range(count)))
        for number in range(count):
            graph.relate(store, "", named("Ada"), "is", named(f"p{number}"), said="test", single=True)
    assert len(list(graph.contradictions(store, "", most=2))) == 2
    assert steps(store, lambda: list(graph.contradictions(store, "", most=2))) < 60
    assert steps(store, lambda: list(graph.contradictions(store, "", after=(700, 800), most=2))) < 60
    assert steps(store, lambda: list(walks.neighbours(store, "", named("Ada"), most=100))) < 500
    people(store, "Adele")
    assert steps(store, lambda: merging.merge(store, "", named("Adele"), named("Ada"))) < 1_000
    assert len(list(walks.neighbours(store, "", named("Adele"), most=1_000))) == 1_000


# walks ---------------------------------------------------------------------------------------------------------------


def test_the_shortest_paths_are_found_and_none_longer_than_asked(store: Store) -> None:
    people(store, *"abcdefg")
    for one, other in ("ab", "bd", "ac", "cd", "de", "ef", "fg"):
        knows(store, one, other)
    found = walks.paths(store, "", named("a"), named("d"))
    assert ["".join(hop.to.name for hop in way) for way in found.paths] == ["bd", "cd"]
    assert not found.cut
    assert list(walks.paths(store, "", named("a"), named("g"), depth=4).paths) == []
    assert len(next(iter(walks.paths(store, "", named("a"), named("g"), depth=5).paths))) == 5
    assert list(walks.paths(store, "", named("g"), named("a"), direction="out", depth=8).paths) == []
    assert list(walks.paths(store, "", named("a"), named("a")).paths) == []


def test_a_pattern_answers_with_every_chain_that_fits(store: Store) -> None:
    people(store, "Ada", "Bob", "Cid")
    graph.put(store, "", "company", "Acme")
    knows(store, "Ada", "Bob")
    knows(store, "Bob", "Cid")
    for name in ("Bob", "Cid"):
        graph.relate(store, "", named(name), "works at", named("Acme"), said="test")
    steps = [Step(kind="knows", depth=2, type="person"), Step(kind="works at", name="ACME")]
    found = walks.match(store, "", Step(name="Ada"), steps)
    assert [[one.name for one in row.entities] for row in found.rows] == [
        ["Ada", "Bob", "Acme"],
        ["Ada", "Cid", "Acme"],
    ]
    back = walks.match(store, "", Step(type="company"), [Step(kind="works at", direction="in")])
    assert [[one.name for one in row.entities] for row in back.rows] == [["Acme", "Bob"], ["Acme", "Cid"]]
    for most in (2, 1):
        part = walks.match(store, "", Step(name="Ada"), steps, most=most)
        assert (len(list(part.rows)), part.cut) == (most, most < 2)
    for most in (0, LIST_MAX + 1):
        with pytest.raises(Invalid):
            walks.match(store, "", Step(), [], most=most)
    for depth in (0, DEPTH_MAX + 1):
        with pytest.raises(Invalid):
            walks.match(store, "", Step(), [Step(depth=depth)])
        with pytest.raises(Invalid):
            walks.paths(store, "", named("Ada"), named("Bob"), depth=depth)
    with pytest.raises(Invalid):
        walks.match(store, "", Step(), [Step()] * (DEPTH_MAX + 1))
    for most in (0, 101):
        with pytest.raises(Invalid):
            walks.paths(store, "", named("Ada"), named("Bob"), most=most)


def test_a_walk_that_is_cut_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    people(store, "hub", *(f"leaf {number}" for number in range(30)))
    for number in range(30):
        knows(store, "hub", f"leaf {number}")
    monkeypatch.setattr(walks, "FAN_MOST", 10)
    found = walks.match(store, "", Step(name="hub"), [Step()])
    assert (len(list(found.rows)), found.cut) == (10, True)
    assert walks.paths(store, "", named("hub"), named("leaf 29")).cut
    monkeypatch.setattr(walks, "FAN_MOST", 1_000)
    monkeypatch.setattr(walks, "VISITED_MOST", 5)
    assert walks.match(store, "", Step(name="hub"), [Step()]).cut


def test_a_pattern_takes_no_more_memory_than_its_bound(store: Store) -> None:
    """Each of 300 leads to a hub and the hub to each of them: chains of four would be 8 billion."""
    with store.write():
        hub = Ref(number=graph.put(store, "", "hub", "hub").number)
        for number in range(300):
            one = Ref(number=graph.put(store, "", "spoke", f"{number}").number)
            graph.relate(store, "", one, "to", hub, said="x")
            graph.relate(store, "", hub, "to", one, said="x")
    tracemalloc.start()
    found = walks.match(store, "", Step(type="spoke"), [Step()] * 4, most=7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(list(found.rows)), found.cut) == (7, True)
    assert peak < 20_000_000


def test_walks_stay_in_their_space(store: Store) -> None:
    for space in ("one", "two"):
        people(store, "Ada", "Bob", space=space)
        graph.relate(store, space, named("Ada"), "knows", named("Bob"), said=space)
    graph.relate(store, "two", named("Bob"), "knows", named("Ada"), said="two")
    assert len(list(walks.neighbours(store, "one", named("Ada")))) == 1
    assert len(list(walks.match(store, "one", Step(), [Step()]).rows)) == 1


# merging -------------------------------------------------------------------------------------------------------------


def test_a_merged_entity_has_the_names_the_relations_and_the_labels_of_both(store: Store) -> None:
    keep = graph.put(store, "", "person", "Ada", properties={"a": 1, "b": 1}, labels=("web",))
    gone = graph.put(store, "", "person", "Countess", aliases=("A. L.",), properties={"b": 2, "c": 2}, labels=("mail",))
    people(store, "Bob")
    knows(store, "Ada", "Bob", until=20)
    told = graph.relate(
        store, "", named("Countess"), "knows", named("Bob"), said="other", since=10, confidence=0.5, labels=("chat",)
    )  # fmt: skip
    made = merging.merge(store, "", Ref(number=keep.number), named("Countess"))
    assert made.properties == {"a": 1, "b": 1, "c": 2}
    assert (set(made.labels), set(made.aliases)) == ({"web", "mail"}, {"Countess", "A. L."})
    for ref in (Ref(number=gone.number), named("a. l."), named("countess")):
        assert graph.find(store, "", ref).id == keep.id
    (hop,) = walks.neighbours(store, "", named("Ada"))
    assert [one.said for one in hop.relation.evidence] == ["other", "test"]
    assert (hop.relation.since, hop.relation.until, "chat" in hop.relation.labels) == (None, None, True)
    with pytest.raises(Absent):
        graph.find_relation(store, "", told.number)
    with pytest.raises(Invalid, match="one entity already"):
        merging.merge(store, "", named("Ada"), Ref(number=gone.number))


def test_who_was_merged_twice_is_found_by_every_number_it_had(store: Store) -> None:
    people(store, "a", "b", "c")
    merging.merge(store, "", named("b"), named("a"))
    merging.merge(store, "", named("c"), named("b"))
    assert {graph.find(store, "", Ref(number=number)).name for number in (1, 2, 3)} == {"c"}
    graph.forget(store, "", named("a"))
    for number in (1, 2, 3):
        with pytest.raises(Absent):
            graph.find(store, "", Ref(number=number))


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.sampled_from("abcd")), max_size=12),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=4),
)
def test_a_graph_and_plain_sets_agree_after_any_merging(
    edges: list[tuple[str, str, str]], merges: list[tuple[str, str]]
) -> None:
    store = Store(Path(":memory:"), now=lambda: NOW)
    people(store, *"abcd")
    stands = {name: name for name in "abcd"}
    for one, kind, other in edges:
        graph.relate(store, "", named(one), kind, named(other), said="test")
    for keep, gone in merges:
        if stands[keep] != stands[gone]:
            merging.merge(store, "", named(keep), named(gone))
            old = stands[gone]
            stands = {name: stands[keep] if to == old else to for name, to in stands.items()}
    model = {(stands[one], kind, stands[other]) for one, kind, other in edges}
    for name in "abcd":
        hops = list(walks.neighbours(store, "", named(name), direction="out"))
        assert {(stands[name], hop.relation.kind, stands[hop.to.name]) for hop in hops} == {
            edge for edge in model if edge[0] == stands[name]
        }
        assert len(hops) == len({edge for edge in model if edge[0] == stands[name]})
    store.close()


@given(st.lists(st.tuples(st.sampled_from("re"), st.integers(0, 9), st.integers(1, 9)), max_size=12))
def test_what_is_said_for_times_that_overlap_is_one_relation_in_whatever_order(
    steps: list[tuple[str, int, int]],
) -> None:
    store = Store(Path(":memory:"), now=lambda: 100)
    for name in ("Ada", "Bob"):
        graph.put(store, "", "person", name)
    said: set[int] = set()
    for what, since, length in steps:
        if what == "r":
            graph.relate(
                store,
                "",
                Ref(name="Ada"),
                "knows",
                Ref(name="Bob"),
                said=f"s{since}",
                since=since,
                until=since + length,
            )
            said.add(since)
            continue
        for hop in list(walks.neighbours(store, "", Ref(name="Ada")))[:1]:
            begin = hop.relation.since
            assert begin is not None
            graph.end(store, "", hop.relation.number, begin + length)
    edges = [hop.relation for hop in walks.neighbours(store, "", Ref(name="Ada"))]
    times = sorted((one.since or 0, one.until or 0) for one in edges)
    assert all(first[1] <= second[0] for first, second in pairwise(times)), times
    assert {f"s{since}" for since in said} == {voice.said for one in edges for voice in one.evidence}
    store.close()
