"""The order of what was found: each formula by its bounds, and the bench's measures by hand."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import ranking
from memory.ranking import HALF_LIFE, Term
from tests.bench.judged import Collection, Document, quality

ranks = st.none() | st.integers(1, 1_000)
shares = st.floats(0, 1)


@given(words=ranks, known=shares, share=shares, meaning=ranks, trust=shares)
def test_fused_is_from_0_to_1_and_rises_with_each_rank(
    words: int | None, known: float, share: float, meaning: int | None, trust: float
) -> None:
    matched = known * share
    score = ranking.fuse(words, matched, known, meaning, trust)
    assert 0 <= score <= 1 + 1e-9
    if words is not None and words > 1:
        assert ranking.fuse(words - 1, matched, known, meaning, trust) >= score
    if meaning is not None and meaning > 1:
        assert ranking.fuse(words, matched, known, meaning - 1, trust) >= score


def test_first_in_both_with_all_words_is_one() -> None:
    assert ranking.fuse(1, 1.0, 1.0, 1, 1.0) == ranking.fuse(1, 1.0, 1.0, None, 0.0) == pytest.approx(1)


def test_with_vectors_that_are_trusted_few_words_count_little() -> None:
    assert ranking.fuse(1, 0.2, 1.0, None, 1.0) < ranking.fuse(None, 0.0, 1.0, 100, 1.0)
    assert ranking.fuse(1, 0.9, 1.0, None, 1.0) > ranking.fuse(None, 0.0, 1.0, 20, 1.0)


def test_with_vectors_that_are_hardly_trusted_few_words_count_little_only_where_nothing_has_more() -> None:
    trust = 0.03
    assert ranking.fuse(1, 0.2, 0.9, None, trust) > ranking.fuse(None, 0.0, 0.9, 1, trust)
    assert ranking.fuse(1, 0.1, 0.1, None, trust) < ranking.fuse(None, 0.0, 0.1, 1, trust)


@given(reach=st.floats(0.5, 1e6), length=st.floats(0, 1e6), more=st.floats(0, 1e6))
def test_the_longer_chunks_are_the_less_are_vectors_trusted_that_are_put_together_from_words(
    reach: float, length: float, more: float
) -> None:
    trust = ranking.trust(reach, length)
    assert 0 < trust <= 1
    assert trust == 1 or length > reach
    assert ranking.trust(reach, length + more) <= trust
    assert ranking.trust(2 * reach, length) >= trust
    assert ranking.trust(math.inf, length) == 1


def test_of_twice_as_many_words_as_it_can_tell_of_a_vector_is_trusted_half() -> None:
    assert ranking.trust(6, 12) == 0.5


def test_the_rarest_words_are_asked_first_and_one_always() -> None:
    told = ranking.choose_terms({"rare": (2, 3), "common": (50, 90), "some": (9, 10), "none": (0, 0)}, 20)
    assert [(one.term, one.used) for one in told] == [
        ("none", False), ("rare", True), ("some", True), ("common", False),
    ]  # fmt: skip
    assert [one.used for one in ranking.choose_terms({"a": (90, 90), "b": (80, 95)}, 20)] == [True, False]
    fits = ranking.choose_terms({"one": (1, 1), "other": (1, 1), "much": (2, 19), "rest": (3, 18), "more": (4, 1)}, 20)
    assert [one.used for one in fits] == [True, True, False, True, False], "what is left out takes nobody's room"


def test_a_word_that_stands_nowhere_counts_as_missing_and_one_left_out_does_not() -> None:
    known, none, common = (
        Term(term=term, chunks=places, places=places, used=used)
        for term, places, used in (("known", 1, True), ("none", 0, False), ("common", 99, False))
    )
    assert ranking.question_weight([[known], [none], [common], [none, known]], {"known": 2.0}, 5.0) == 9.0


def test_freshness_halves_and_the_future_is_now() -> None:
    ages = (-5, 0, HALF_LIFE, 2 * HALF_LIFE)
    assert [ranking.freshness(age) for age in ages] == [1.0, 1.0, 0.5, 0.25]


@given(
    scores=st.dictionaries(st.integers(0, 99), st.floats(0.001, 1), max_size=30),
    most=st.integers(1, 10),
    recency=st.floats(0, 1),
    told=st.randoms(use_true_random=False),
)
def test_what_is_out_of_reach_is_never_among_the_best(
    scores: dict[int, float], most: int, recency: float, told: random.Random
) -> None:
    final = {
        one: ranking.weigh(score, freshness=told.random(), importance=told.choice([0.0, 0.5, 1.0]), recency=recency)
        for one, score in scores.items()
    }
    best = sorted(final, key=lambda one: -final[one])[:most]
    assert set(best) <= set(ranking.within_reach(scores, most, recency))


def test_what_is_out_of_reach_is_left_out() -> None:
    scores = {number: 1 / (ranking.RRF + number) for number in range(1, 101)}
    assert ranking.within_reach(scores, 10, 0) == list(range(1, 26))


def test_what_repeats_is_taken_later() -> None:
    alike = [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert [at for at, _ in ranking.diversify([1.0, 0.95, 0.9], alike, 3, 0.1)] == [0, 2, 1]
    assert [at for at, _ in ranking.diversify([1.0, 0.95, 0.9], alike, 2, 0.0)] == [0, 1]
    assert ranking.diversify([], [], 3, 0.1) == []


def test_the_benchs_measures_are_those_worked_out_by_hand() -> None:
    question = Document(id="q", text="")
    collection = Collection(
        name="x", documents=(), questions=(question,), judged={"q": {"a": 1, "b": 2, "c": 0}, "unjudged": {"a": 0}}
    )
    told = quality(collection, {"q": ["c", "b", "x", "x", "x", "a"]})
    assert (told.recall5, told.recall10, told.mrr) == (0.5, 1.0, 0.5)
    assert told.ndcg10 == pytest.approx((3 / 1.5849625 + 1 / 2.8073549) / (3 + 1 / 1.5849625))
