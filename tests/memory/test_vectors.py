"""Vectors: waited for, kept, searched by their signs and exact ones, apart by model, and gone with their text."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import blocks, nearness, signs, spaces, upkeep, vectors
from memory.arrays import Floats, np
from memory.checking import verify
from memory.errors import Absent, Conflict, Invalid
from memory.filters import Filters
from memory.fragments import Changes, New, add, forget, update
from memory.nearness import Meaning
from memory.recall import Question, recall
from memory.signs import Block
from memory.store import Store
from memory.vectors import CANDIDATES, Model
from tests.memory.clock import Clock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "one.db", now=Clock())
    yield opened
    opened.close()


def embed(store: Store, model: Model, told: dict[str, list[float]]) -> int:
    """Bring the vectors of all that waits, by their texts."""
    waiting = vectors.waiting(store, model, 100)
    rows = np.array([told[one.text] for one in waiting], np.float32)
    return vectors.keep(store, model, [one.chunk for one in waiting], rows) if waiting else 0


def meant(store: Store, model: str, vector: list[float], text: str = "") -> list[str]:
    """The texts that a vector finds, best first."""
    meaning = Meaning(model=model, vector=np.array(vector, np.float32))
    return [found.fragment.text for found in recall(store, "", Question(text=text), meaning).found]


TOLD = {"tea": [1.0, 0.1, 0], "coffee": [0.6, 0.5, 0], "car": [-1.0, 0.5, 1]}


def test_what_is_stored_waits_for_its_vector_and_is_found_by_words_meanwhile(store: Store) -> None:
    add(store, "", New(text="tea"))
    model = vectors.register(store, "m/1", 3)
    add(store, "", New(text="coffee"))
    assert len(vectors.waiting(store, model, 1_000)) == 2
    assert meant(store, "m/1", [1, 0, 0], "coffee") == ["coffee"]
    assert embed(store, model, TOLD) == 2
    assert len(vectors.waiting(store, model, 1_000)) == 0
    assert meant(store, "m/1", [1, 0, 0]) == ["tea", "coffee"]


def test_both_parts_say_why(store: Store) -> None:
    model = vectors.register(store, "m/1", 3)
    for text in TOLD:
        add(store, "", New(text=text))
    embed(store, model, TOLD)
    meaning = Meaning(model="m/1", vector=np.array([1, 0, 0], np.float32))
    best, second, third = recall(store, "", Question(text="coffee"), meaning).found
    assert (best.fragment.text, second.fragment.text, third.fragment.text) == ("coffee", "tea", "car")
    assert best.words is not None
    assert best.meaning is not None
    assert (best.words.rank, best.words.matched, best.meaning.rank) == (1, 1.0, 2)
    assert best.meaning.score == pytest.approx(0.6 / np.hypot(0.6, 0.5))
    assert second.words is None


def test_a_vector_of_few_words_counts_less_the_longer_the_chunks_of_its_space_are(store: Store) -> None:
    long = " ".join(["filler"] * 100)
    told = {"a cold drink": [0.0, 1.0, 0.0], "hot tea": [1.0, 0.0, 0.0], long: [0.0, 0.0, 1.0]}
    for space in ("short", "long"):
        for text in ("a cold drink", "hot tea"):
            add(store, space, New(text=text))
    add(store, "long", New(text=long))
    embed(store, vectors.register(store, "m/1", 3), told)

    def worth(space: str, reach: float) -> float:
        meaning = Meaning(model="m/1", vector=np.array([1, 0, 0], np.float32), reach=reach)
        found = recall(store, space, Question(text="a cold day"), meaning).found
        return next(one.fused for one in found if one.fragment.text == "hot tea")

    assert worth("short", 3) == worth("short", math.inf)
    assert worth("long", 1_000) == worth("long", math.inf)
    assert worth("long", 3) < worth("long", math.inf) / 2


def test_changing_the_model_embeds_again_and_never_mixes(store: Store) -> None:
    old = vectors.register(store, "m/1", 3)
    for text in ("tea", "car"):
        add(store, "", New(text=text))
    embed(store, old, TOLD)
    new = vectors.register(store, "m/2", 2)
    assert len(vectors.waiting(store, new, 1_000)) == 2
    assert meant(store, "m/1", [1, 0, 0]) == ["tea", "car"]
    assert meant(store, "m/2", [1, 0], "tea") == ["tea"]
    assert embed(store, new, {"tea": [0, 1], "car": [1, 0]}) == 2
    assert meant(store, "m/2", [1, 0]) == ["car", "tea"]
    while vectors.discard(store, 1):
        pass
    assert store.rows("SELECT count(*) FROM vectors") == [(2,)]
    with pytest.raises(Absent, match="m/1"):
        meant(store, "m/1", [1, 0, 0])


def test_going_back_to_a_model_that_is_still_there_embeds_only_what_is_new(store: Store) -> None:
    old = vectors.register(store, "m/1", 3)
    add(store, "", New(text="tea"))
    embed(store, old, TOLD)
    vectors.register(store, "m/2", 2)
    add(store, "", New(text="car"))
    back = vectors.register(store, "m/1", 3)
    assert [one.text for one in vectors.waiting(store, back, 9)] == ["car"]
    with pytest.raises(Conflict, match="has 3 dimensions here, not 4: `maniple memory reindex`"):
        vectors.register(store, "m/1", 4)


@pytest.mark.parametrize("gone", [1, 2])
def test_going_back_to_a_model_that_is_partly_discarded_finds_what_was_left_of_it(store: Store, gone: int) -> None:
    old = vectors.register(store, "m/1", 3)
    for text in TOLD:
        add(store, "", New(text=text))
    embed(store, old, TOLD)
    new = vectors.register(store, "m/2", 3)
    embed(store, new, TOLD)
    assert vectors.discard(store, gone)
    assert verify(store) == ()
    back = vectors.register(store, "m/1", 3)
    assert embed(store, back, TOLD) == gone
    assert meant(store, "m/1", [1, 0, 0]) == ["tea", "coffee", "car"]


def test_after_a_reindex_a_model_may_have_other_dimensions(store: Store) -> None:
    add(store, "", New(text="tea"))
    embed(store, vectors.register(store, "m/1", 3), TOLD)
    upkeep.reindex(store)
    model = vectors.register(store, "m/1", 2)
    assert (model.dimension, model.current, embed(store, model, {"tea": [0, 1]})) == (2, True, 1)
    assert meant(store, "m/1", [0, 1]) == ["tea"]
    assert upkeep.check(store).problems == ()


def test_a_vector_that_comes_too_late_is_passed_over(store: Store) -> None:
    model = vectors.register(store, "m/1", 3)
    gone = add(store, "", New(text="tea")).number
    changed = add(store, "", New(text="coffee")).number
    waiting = vectors.waiting(store, model, 9)
    forget(store, "", gone)
    update(store, "", changed, Changes(text="car"))
    rows = np.array([TOLD[one.text] for one in waiting], np.float32)
    assert vectors.keep(store, model, [one.chunk for one in waiting], rows) == 0
    assert [one.text for one in vectors.waiting(store, model, 9)] == ["car"]
    assert vectors.keep(store, model, [12345], np.ones((1, 3), np.float32)) == 0


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[1, float("nan"), 0]], np.float32),
        np.array([[1, float("inf"), 0]], np.float32),
        np.zeros((1, 3), np.float32),
        np.ones((1, 4), np.float32),
        np.ones((2, 3), np.float32),
        np.ones(3, np.float32),
    ],
    ids=range(6),
)
def test_what_is_no_vector_is_refused_and_still_waits(store: Store, rows: Floats) -> None:
    model = vectors.register(store, "m/1", 3)
    add(store, "", New(text="tea"))
    with pytest.raises(Invalid):
        vectors.keep(store, model, [vectors.waiting(store, model, 1)[0].chunk], rows)
    assert len(vectors.waiting(store, model, 1_000)) == 1


@pytest.mark.wide
def test_the_chosen_candidates_hold_nearly_all_of_the_nearest(store: Store) -> None:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((50, 384))
    rows = (centres[rng.integers(0, 50, 2_000)] + rng.standard_normal((2_000, 384))).astype(np.float32)
    model = vectors.register(store, "m/1", 384)
    with store.write():
        for number in range(len(rows)):
            add(store, "", New(text=f"n{number}"))
        place = spaces.find(store, "")
        vectors.keep(store, model, [place.first + 1 + number for number in range(len(rows))], rows)
    right = 0
    exact = vectors.normalised(model, rows)
    for asked in rows[:20] + rng.standard_normal((20, 384), dtype=np.float32):
        wanted = np.argsort(-(exact @ asked))[:10] + 1
        near = vectors.nearest(store, place, "m/1", asked, None)
        assert len(near.chunks) == CANDIDATES
        assert near.scores.tolist() == sorted(near.scores.tolist(), reverse=True)
        assert near.scores == pytest.approx(
            near.vectors[near.rows] @ vectors.normalised(model, asked.reshape(1, -1))[0]
        )
        right += len(set((near.chunks[:10] - place.first).tolist()) & set(wanted.tolist()))
    assert right >= 190


def test_signs_of_more_blocks_than_are_added_up_at_once_tell_of_each_chunk(store: Store) -> None:
    """Chunks that stand one to a block: some whole turns of TOGETHER, and some left."""
    model = vectors.register(store, "m/1", 3)
    add(store, "", New(text="tea"))
    place = spaces.find(store, "")
    signs_of = vectors.pack_signs(np.array([[1, 1, 1], [1, 1, -1], [-1, -1, -1]], np.float32))
    for block in range(2 * vectors.TOGETHER + 5):
        told = signs.add(Block(), 7, signs_of[block % 3].tobytes())
        blocks.write(store, model.id, place.first // signs.BLOCK + block, told)
    distances, places = vectors._distances(store, place, model, signs_of[0])
    assert distances.tolist() == [(0, 1, 3)[block % 3] for block in range(2 * vectors.TOGETHER + 5)]
    assert len(places) == len(distances)


@given(
    far=st.lists(st.integers(0, 4_096), max_size=400) | st.lists(st.integers(0, 3), max_size=400),
    most=st.integers(1, 40),
)
def test_the_closest_are_those_that_sorting_finds_and_of_equals_the_last(far: list[int], most: int) -> None:
    wanted = sorted(sorted(range(len(far)), key=lambda at: (far[at], -at))[:most])
    assert vectors.closest(np.array(far, np.uint16), most).tolist() == wanted


def test_what_is_behind_many_chunks_of_a_few_texts_is_found_too(store: Store) -> None:
    """The nearest chunks are those of two long texts, more of them than are looked up at once."""
    model = vectors.register(store, "m/1", 2)
    long = ["\n\n".join(f"{name} {at} " + "word " * 150 for at in range(160)) for name in ("east", "north")]
    for text in (*long, "behind", "far behind"):
        add(store, "", New(text=text))
    waiting = vectors.waiting(store, model, 1_000)
    told = {"behind": (0.9, 0.5), "far behind": (0.5, 0.9)}
    rows = np.array([told.get(one.text, (1.0, one.chunk % 100 / 1_000)) for one in waiting], np.float32)
    vectors.keep(store, model, [one.chunk for one in waiting], rows)
    assert nearness.TOGETHER < len(waiting) - 2 <= CANDIDATES
    assert sorted(meant(store, "m/1", [1, 0])) == sorted([*long, "behind", "far behind"])


@pytest.mark.parametrize("near", [0, 1])
def test_the_closest_are_found_where_what_is_looked_at_first_tells_nothing_of_the_others(near: int) -> None:
    """Of each SAMPLED distances the first is what the bound is guessed by: those are all of the nearest, or none is."""
    far = [3 + at % 5 if (at % vectors.SAMPLED == 0) == bool(near) else 90 + at % 7 for at in range(4_000)]
    wanted = sorted(sorted(range(len(far)), key=lambda at: (far[at], -at))[:256])
    assert vectors.closest(np.array(far, np.uint16), 256).tolist() == wanted


def test_a_filter_chooses_before_nearness_does(store: Store) -> None:
    model = vectors.register(store, "m/1", 2)
    told = {f"east {at}": [1.0, at / 1_000] for at in range(90)} | {f"west {at}": [-1.0, at / 1_000] for at in range(5)}
    for text in told:
        add(store, "", New(text=text, kind=text.split()[0]))
    embed(store, model, told)
    meaning = Meaning(model="m/1", vector=np.array([1, 0], np.float32))
    found = recall(store, "", Question(text="", filters=Filters(kind="west")), meaning).found
    assert [one.fragment.text for one in found] == [f"west {at}" for at in range(4, -1, -1)]


points = st.lists(st.sampled_from([(1, 0), (0, 1), (-1, 0), (1, 1)]), max_size=6)


@pytest.mark.wide
@given(mine=points, others=points, asked=st.sampled_from([(1, 0), (1, -2)]))
def test_another_spaces_vectors_show_in_nothing(
    mine: list[tuple[int, int]], others: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    answers = []
    for is_shared in (False, True):
        store = Store(Path(":memory:"), now=Clock())
        model = vectors.register(store, "m/1", 2)
        for space, told in (("theirs", others if is_shared else []), ("mine", mine)):
            for at, point in enumerate(told):
                add(store, space, New(text=f"{space} {at}"))
                chunks = [one.chunk for one in vectors.waiting(store, model, 9)]
                vectors.keep(store, model, chunks, np.array([point], np.float32))
        meaning = Meaning(model="m/1", vector=np.array(asked, np.float32))
        answers.append(recall(store, "mine", Question(text=""), meaning))
        store.close()
    assert answers[0] == answers[1]
    assert len(answers[0].found) == len(mine)


@given(
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 5, 1_023, 1_024 * 7 + 5])), max_size=12),
    width=st.sampled_from([8, 48]),
)
def test_a_block_and_a_dict_agree(steps: list[tuple[bool, int]], width: int) -> None:
    block = Block()
    model: dict[int, bytes] = {}
    for is_added, chunk in steps:
        if not is_added:
            block = signs.remove(block, chunk, width)
            model.pop(chunk % 1_024, None)
        elif chunk % 1_024 not in model:
            model[chunk % 1_024] = bytes([len(model)]) * width
            block = signs.add(block, chunk, model[chunk % 1_024])
    assert np.frombuffer(block.chunks, np.uint16).tolist() == list(model)
    assert block.signs == b"".join(model.values())
