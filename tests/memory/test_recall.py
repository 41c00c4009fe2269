"""Recall: by words, with what other spaces hold unseen, and unharmed by whatever is asked."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import bm25
from memory.checking import verify
from memory.errors import Invalid
from memory.filters import Filters
from memory.fragments import New, add
from memory.ranking import HALF_LIFE
from memory.recall import Question, Recalled, recall
from memory.store import Store
from tests.memory.clock import Clock


def texts(answer: Recalled) -> list[str]:
    return [found.fragment.text for found in answer.found]


def test_the_best_answer_is_first_and_says_why(store: Store) -> None:
    for text in ("Ben drinks tea", "Ben drinks green tea in the morning", "Anna drinks coffee"):
        add(store, "", New(text=text))
    answer = recall(store, "", Question(text="green tea?"))
    assert texts(answer) == ["Ben drinks green tea in the morning", "Ben drinks tea"]
    best, second = answer.found
    assert best.words is not None
    assert second.words is not None
    assert (best.words.rank, second.words.rank) == (1, 2)
    assert best.words.score > second.words.score
    assert (best.words.start, best.words.finish, best.meaning) == (0, 35, None)
    assert (best.fused, best.freshness) == (1.0, 1.0)
    assert [(one.term, one.chunks, one.used) for one in answer.terms] == [("green", 1, True), ("tea", 2, True)]
    assert (answer.words, answer.meaning, answer.chunks) == (2, 0, 3)


@pytest.mark.parametrize(("rare", "together"), [(2_048, 16_384), (4, 16_384), (4, 8), (0, 8)])
def test_how_places_are_read_changes_no_answer(
    rare: int, together: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bm25, "RARE", rare)
    monkeypatch.setattr(bm25, "POSTINGS", together)
    for number in range(20):
        add(store, "", New(text=f"tea {'tea ' * (number % 3)}{number}"))
    alone = recall(store, "", Question(text="tea", most=20))
    assert {found.fragment.number for found in alone.found} == set(range(1, 21))  # the one word is always read whole
    assert [(one.places, one.used) for one in alone.terms] == [(39 if together > 39 else together + 1, True)]
    both = recall(store, "", Question(text="tea 7", most=20))
    assert both.found[0].fragment.number == 8
    assert {one.term: one.used for one in both.terms} == {"7": True, "tea": together > 39}
    assert len(both.found) == (20 if together > 39 else 1)


def test_a_reader_recalls_what_was_committed(store: Store) -> None:
    reader = store.reader()
    add(store, "", New(text="tea"))
    assert texts(recall(reader, "", Question(text="tea"))) == ["tea"]
    reader.close()


def test_of_two_alike_the_newer_and_the_more_important_come_first(store: Store, clock: Clock) -> None:
    add(store, "", New(text="tea with milk", time=clock.time - 4 * HALF_LIFE))
    add(store, "", New(text="tea with lemon", time=clock.time))
    add(store, "", New(text="tea with honey", time=clock.time - 4 * HALF_LIFE, importance=1.0))
    question = Question(text="tea")
    assert texts(recall(store, "", question)) == ["tea with honey", "tea with lemon", "tea with milk"]


def test_a_long_text_is_found_by_the_piece_that_answers(store: Store) -> None:
    text = "".join(f"## Part {number}\n\n" + f"filler{number} word. " * 100 for number in range(20))
    text += "## Last\n\nThe key lies under the mat."
    number = add(store, "", New(text=text)).number
    (found,) = recall(store, "", Question(text="where is the key")).found
    assert found.fragment.number == number
    assert found.words is not None
    assert "under the mat" in text[found.words.start : found.words.finish]
    assert found.words.finish - found.words.start < 2_000


def test_a_question_of_common_words_reads_a_bounded_number_of_places(store: Store) -> None:
    with store.write():
        for number in range(300):
            add(store, "", New(text=f"{number} " + "entry number " * 200 + (" rare" if number % 100 == 7 else "")))
    answer = recall(store, "", Question(text="entry rare number"))
    assert [one.term for one in answer.terms if one.used] == ["rare"]
    assert sorted(found.fragment.number for found in answer.found) == [8, 108, 208]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"',
        '"unclosed',
        "tea OR",
        "tea AND NOT (",
        "NEAR(tea coffee, 5)",
        "terms:tea",
        "tea*",
        "^tea -coffee +x",
        "'; DROP TABLE words; --",
        "tea\0coffee",
        "\ud800 tea",
        "😀 tea 👨‍👩‍👧",
        "\u202etea\u202c",
        "%_tea",
        "tea " * 2_500_000,
        "x" * 10_000_000,
        "1xtea",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_no_question_breaks_anything(store: Store, text: str) -> None:
    add(store, "", New(text="tea"))
    assert texts(recall(store, "", Question(text=text))) == (["tea"] if "tea" in text and "1x" not in text else [])


@pytest.mark.parametrize(
    "question",
    [
        Question(text="x", most=0),
        Question(text="x", most=101),
        Question(text="x", recency=float("nan")),
        Question(text="x", diversity=-0.1),
    ],
    ids=range(4),
)
def test_a_question_out_of_range_is_refused(store: Store, question: Question) -> None:
    with pytest.raises(Invalid):
        recall(store, "", question)


words = st.lists(
    st.sampled_from(["tea", "coffee", "red", "green", "Ben", "苹果", "1x", "2xtea"]), min_size=1, max_size=4
)
notes = st.lists(words.map(" ".join), max_size=8)


@given(mine=notes, others=notes, asked=words)
def test_another_spaces_content_shows_in_nothing(mine: list[str], others: list[str], asked: list[str]) -> None:
    alone, shared = (Store(Path(":memory:"), now=Clock()) for _ in range(2))
    answers = []
    for store in (alone, shared):
        for at in range(max(len(mine), len(others))):
            if store is shared and at < len(others):
                add(store, "theirs", New(text=others[at], labels=("secret",)))
            if at < len(mine):
                add(store, "mine", New(text=mine[at]))
        answers.append(recall(store, "mine", Question(text=" ".join(asked))))
    assert answers[0] == answers[1]
    assert set(texts(answers[0])) <= set(mine)
    alone.close()
    shared.close()


@pytest.mark.soak
def test_a_hundred_thousand_tiny_texts_and_the_longest_one(store: Store) -> None:
    with store.write():
        for number in range(100_000):
            add(store, "", New(text=f"{number:x}"))
    add(store, "", New(text="needle " + "hay " * 195_000))
    assert texts(recall(store, "", Question(text="ffff"))) == ["ffff"]
    assert recall(store, "", Question(text="needle")).found[0].fragment.number == 100_001
    assert verify(store) == ()


@pytest.mark.wide
def test_many_readers_and_a_writer_at_once_meet_no_error(store: Store) -> None:
    add(store, "", New(text="tea 0"))
    counts: list[list[int]] = [[] for _ in range(4)]
    is_done = threading.Event()

    def read(seen: list[int]) -> None:
        reader = store.reader()
        while not is_done.is_set():
            seen.append(recall(reader, "", Question(text="tea")).chunks)
        reader.close()

    threads = [threading.Thread(target=read, args=(seen,)) for seen in counts]
    for thread in threads:
        thread.start()
    for number in range(1, 100):
        add(store, "", New(text=f"tea {number}"))
    is_done.set()
    for thread in threads:
        thread.join()
    assert all(seen == sorted(seen) and seen for seen in counts)
    assert recall(store, "", Question(text="tea")).chunks == 100


def test_a_question_of_one_word_that_stands_everywhere_is_answered(store: Store) -> None:
    add(store, "", New(text="word " * 40_000))
    (found,) = recall(store, "", Question(text="word")).found
    assert found.score > 0


def test_a_filter_finds_what_has_a_word_that_stands_everywhere_before_it(store: Store) -> None:
    add(store, "", New(text="word " * 40_000))
    add(store, "", New(text="a word of today", kind="new"))
    assert texts(recall(store, "", Question(text="word", filters=Filters(kind="new")))) == ["a word of today"]
    assert len(recall(store, "", Question(text="word")).found) == 2
